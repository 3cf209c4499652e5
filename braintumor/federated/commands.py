"""What ``python -m braintumor federated`` does, one function a verb."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from braintumor import __version__
from braintumor.bundles import Card
from braintumor.datasets import Hospitals
from braintumor.errors import InputError
from braintumor.federated.compare import Experiment, cases, compare
from braintumor.federated.options import FederatedOptions
from braintumor.federated.records import ROUNDS_FILE, Comparison, Round, read_rounds
from braintumor.federated.simulation import simulate
from braintumor.federated.site_training import Site, Trainer
from braintumor.federated.sites import NO_SITE, Partition, divide, names_of
from braintumor.federated.write import write_federated
from braintumor.networks import registered
from braintumor.training.experiment import ExperimentData, labelled_index, prepare_pictures, split_index

_HELD_OUT = ("test", "hospital_test")
_APP = """[project]
name = "braintumor-federated"
version = "{version}"
license = "MIT"

[tool.flwr.app]
publisher = "braintumor"

[tool.flwr.app.components]
serverapp = "hospitals:server"
clientapp = "hospitals:client"

[tool.flwr.app.config]
{config}
"""
_MODULE = '''"""What Flower sends to the sites; the code itself is installed there."""

from braintumor.federated.app import client, server

__all__ = ["client", "server"]
'''


def run_simulation(
    root: Path,
    name: str,
    options: FederatedOptions,
    partition: Partition,
    *,
    hospitals: Sequence[str],
    weights: Path | str | None,
    version: str,
    runs: Path,
    models: Path,
) -> Card:
    """Train sites that are made of the pictures under ``root`` on this computer, and write the bundle ``models/NAME``.

    ``hospitals`` take no part and are measured. A stopped run goes on. Raises ``InputError`` for what cannot be used.
    """
    options = sized(options)
    index = split_index(
        labelled_index(root), folds=5, fold=0, seed=options.seed, hospitals=Hospitals((), tuple(hospitals))
    )
    index = divide(index, partition)
    index = index[(index["site"] != NO_SITE) | index["split"].isin(_HELD_OUT)].reset_index(drop=True)
    names = names_of(index)
    options = replace(options, sites=len(names))
    data = prepare_pictures(root, index, options.size, runs / "pictures")
    trainer = Trainer(options, weights)
    sites = {one: Site(data.chosen((index["site"] == one).to_numpy()), options) for one in names}
    _simulate_with_bar(trainer, sites, runs / name)
    given = f"--network {options.network} --partition {partition.kind} --name {name}"
    command = f"python -m braintumor federated simulate --data DIR {given}"
    return write_federated(trainer, runs / name, data, models / name, version=version, weights=weights, command=command)


def _simulate_with_bar(trainer: Trainer, sites: dict[str, Site], folder: Path) -> None:
    # The bar says it shorter.
    logging.getLogger("flwr").setLevel(logging.WARNING)
    with tqdm(total=trainer.options.rounds, desc="Rounds", file=sys.stderr) as bar:

        def on_round(one: Round) -> None:
            bar.update(one.number - bar.n)
            bar.set_postfix(val_loss=one.val_loss, sites=sum(site.status == "answered" for site in one.sites.values()))

        simulate(trainer, sites, folder, on_round=on_round)


def write_served(root: Path, run: Path, *, name: str, version: str, models: Path, runs: Path) -> Card:
    """Write the best round of a deployment's run as the bundle ``models/NAME``.

    Thresholds and calibration come from the coordinator's pictures under ``root``, which no site trained on.
    Raises ``InputError`` where the folder ``run`` holds no run.
    """
    options = FederatedOptions.of(read_rounds(run / ROUNDS_FILE).options)
    index = split_index(labelled_index(root), folds=5, fold=0, seed=options.seed)
    data: ExperimentData = prepare_pictures(root, index, options.size, runs / "pictures")
    command = f"python -m braintumor federated bundle --data DIR --run RUN --name {name}"
    return write_federated(Trainer(options), run, data, models / name, version=version, weights=None, command=command)


def run_comparison(
    root: Path,
    options: FederatedOptions,
    *,
    hospital: str,
    weights: Path | None,
    runs: Path,
    results: Path,
    chosen: Sequence[str] = (),
) -> Comparison:
    """Train the cases of ``compare.cases`` that have no figures yet, those ``chosen`` by name or all.

    Raises ``InputError`` for a case that is not there.
    """
    known = {case.name: case for case in cases()}
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InputError(f"There is no case {unknown[0]!r}; there are {'; '.join(known)}.")
    experiment = Experiment(root, labelled_index(root), sized(options), hospital, runs, weights)
    asked = [known[name] for name in chosen] if chosen else list(known.values())
    command = " ".join(
        [
            f"python -m braintumor federated compare --data DIR --hospital {hospital} --network {options.network}",
            *([f"--weights {weights.name}"] if weights else []),
            f"--size {options.size} --recipe {options.recipe} --rounds {options.rounds}",
            f"--epoch-images {options.epoch_images}",
        ]
    )
    return compare(experiment, asked, results, command, lambda line: print(line, file=sys.stderr, flush=True))


def write_app(folder: Path, options: FederatedOptions, run: Path) -> Path:
    """Write the app that ``flwr run`` sends to all sites: a configuration, and no code but an import.

    ``run`` is the folder in which the server keeps the run. Raises ``InputError`` where ``folder`` is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    told = {**sized(options).told(), "folder": str(run.resolve())}
    # JSON writes words, numbers, true and false as TOML has them.
    config = "\n".join(f"{key} = {json.dumps(value)}" for key, value in told.items())
    (folder / "pyproject.toml").write_text(_APP.format(version=__version__, config=config), encoding="utf-8")
    (folder / "hospitals.py").write_text(_MODULE, encoding="utf-8")
    return folder


def sized(options: FederatedOptions) -> FederatedOptions:
    """Fill in the network's own size; refuses networks that are trained in parts, or not by steps."""
    network = registered(options.network)
    if network.members:
        raise InputError(f"{network.name} is the mean of {' and '.join(network.members)}; train each of them.")
    if network.name == "logistic":
        raise InputError("The logistic regression is not trained by steps; choose another network.")
    return replace(options, size=options.size or network.size)
