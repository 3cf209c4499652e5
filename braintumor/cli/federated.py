"""``braintumor federated``: train a network at several sites whose scans stay where they are."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from braintumor import settings
from braintumor.cli.app import OK, Options, group
from braintumor.federated.options import FederatedOptions

federated = group("federated", "Train a network at several sites whose scans stay where they are.")

Data = Annotated[Path, Parameter(help="Folder of pictures in class folders, or with an index.csv.")]
Runs = Annotated[Path, Parameter(help="Folder for rounds and prepared pictures.")]
Weights = Annotated[Path | None, Parameter(help="File of ImageNet weights to start from.")]
Name = Annotated[str, Parameter(help="Name of the bundle.")]
Run = Annotated[Path, Parameter(help="Folder in which the server keeps the run.")]
_RUNS = Path("runs/federated")


@federated.command
def simulate(
    options: Options[FederatedOptions],
    *,
    data: Data,
    name: Name,
    partition: Annotated[
        Literal["natural", "even", "uneven"], Parameter(help="Hospitals as they are, even shares, or uneven by class.")
    ] = "natural",
    alpha: Annotated[float, Parameter(help="Of uneven sites: the smaller, the more uneven.")] = 0.5,
    test_hospitals: Annotated[tuple[str, ...], Parameter(help="Hospitals that take no part.")] = (),
    weights: Weights = None,
    version: Annotated[str, Parameter(help="Version of the bundle.")] = "1.0.0",
    runs: Runs = _RUNS,
) -> int:
    """Train sites that are made of one folder on this computer, and write a bundle; resumes if interrupted."""
    from braintumor.federated.commands import run_simulation
    from braintumor.federated.sites import Partition

    card = run_simulation(
        data,
        name,
        options,
        Partition(partition, options.sites, alpha, options.seed),
        hospitals=test_hospitals,
        weights=weights,
        version=version,
        runs=runs,
        models=settings.load().models_dir,
    )
    return _said(f"{card.full_name} is in {settings.load().models_dir / name}")


@federated.command
def compare(
    options: Options[FederatedOptions],
    *,
    data: Data,
    hospital: Annotated[str, Parameter(help="Hospital that takes no part.")],
    cases: Annotated[tuple[str, ...], Parameter(help="Trainings by name (default: all).")] = (),
    weights: Weights = None,
    runs: Runs = _RUNS,
    out: Annotated[Path, Parameter(help="Folder that gets the results.")] = Path("results/federated"),
) -> int:
    """Train in one place, at each site alone and together, on one split; resumes if interrupted."""
    from braintumor.federated.commands import run_comparison

    found = run_comparison(data, options, hospital=hospital, weights=weights, runs=runs, results=out, chosen=cases)
    return _said(*(f"{one.name}: {one.accuracy.value:.1%} of the test right" for one in found.trained))


@federated.command
def keys(
    *,
    hosts: Annotated[tuple[str, ...], Parameter(help="Names and addresses by which sites reach the server.")],
    names: Annotated[tuple[str, ...], Parameter(help="Names of the sites.")],
    out: Annotated[Path, Parameter(help="Folder that gets the keys.")],
) -> int:
    """Write the server's certificate and a pair of keys for each site."""
    from braintumor.federated.keys import write_keys

    return _said(*map(str, write_keys(out, hosts, names)))


@federated.command
def app(
    options: Options[FederatedOptions],
    *,
    run: Run,
    out: Annotated[Path, Parameter(help="New folder that gets the app.")],
) -> int:
    """Write the app that flwr run sends to the sites."""
    from braintumor.federated.commands import write_app

    return _said(str(write_app(out, options, run)))


@federated.command
def bundle(
    *,
    data: Data,
    run: Run,
    name: Name,
    version: Annotated[str, Parameter(help="Version of the bundle.")] = "1.0.0",
    runs: Runs = _RUNS,
) -> int:
    """Write the best round of a deployment as a bundle; what it answers when is chosen on pictures of your own."""
    from braintumor.federated.commands import write_served

    models = settings.load().models_dir
    card = write_served(data, run, name=name, version=version, models=models, runs=runs)
    return _said(f"{card.full_name} is in {models / name}")


def _said(*lines: str) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return OK
