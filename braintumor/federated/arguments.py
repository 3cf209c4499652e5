"""The verbs of ``python -m braintumor federated``, and what they print."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from braintumor.federated.options import FederatedOptions

_OPTIONS: Mapping[str, tuple[type, str]] = {
    "network": (str, "see docs/model-bundles.md"),
    "size": (int, "side of the input in pixels (default: the network's)"),
    "task": (str, "four_class, or binary: tumor or not"),
    "recipe": (str, "how pictures are drawn (default: the network's)"),
    "loss": (str, "marginal, categorical or binary (default: the network's)"),
    "learning_rate": (float, "default: the network's"),
    "seed": (int, "default: 0"),
    "rounds": (int, "most rounds"),
    "patience": (int, "rounds without a better validation loss after which the run ends"),
    "epoch_images": (int, "pictures that each site trains on in a round"),
    "batch_size": (int, "pictures of a step"),
    "sites": (int, "sites; of a deployment, how many must be there before a round begins"),
    "timeout": (float, "seconds after which a site that has not answered is left out of a round"),
    "strategy": (str, "FedAvg, FedProx, FedAdam, FedMedian, FedTrimmedAvg or Krum"),
    "proximal": (float, "FedProx's pull to the common weights"),
    "server_rate": (float, "FedAdam's step"),
    "trimmed": (float, "share that FedTrimmedAvg cuts at each end"),
    "malicious": (int, "sites that Krum expects to lie"),
    "farthest": (float, "refuse updates so many times longer than the median one"),
    "norms": (str, "statistics of batch normalization: anew, averaged or local"),
    "privacy": (str, "differential privacy: none, central or local"),
    "noise": (float, "noise multiplier of central privacy"),
    "epsilon": (float, "what a round of local privacy spends"),
    "delta": (float, "chance that privacy fails"),
    "clipping": (float, "longest update under privacy"),
}


def add_verbs(parser: argparse.ArgumentParser, root: Path, models: Path) -> None:
    """Add what comes after ``federated``; runs lie under ``root``, and bundles in the folder ``models``."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    simulate = verbs.add_parser(
        "simulate", help="train sites made of one folder on this computer; goes on after a stop"
    )
    simulate.add_argument("--partition", default="natural", help="natural, even or uneven")
    simulate.add_argument("--alpha", type=float, default=0.5, help="of uneven sites: smaller is more uneven")
    simulate.add_argument("--test-hospitals", nargs="+", default=[], help="hospitals that take no part")
    simulate.set_defaults(run=_simulate)
    compare = verbs.add_parser("compare", help="central, alone and federated on one split, with figures")
    compare.add_argument("--hospital", required=True, help="hospital that takes no part")
    compare.add_argument("--cases", nargs="+", default=[], help="default: all")
    compare.set_defaults(run=_compare)
    keys = verbs.add_parser("keys", help="write the server's certificate and a key for each site")
    keys.add_argument("--hosts", nargs="+", required=True, help="names and addresses of the server")
    keys.add_argument("--names", nargs="+", required=True, help="names of the sites")
    keys.add_argument("--out", type=Path, required=True)
    keys.set_defaults(run=_keys)
    app = verbs.add_parser("app", help="write the app that flwr run sends to the sites")
    app.add_argument("--run", dest="run_folder", type=Path, required=True, help="where the server keeps the run")
    app.add_argument("--out", type=Path, required=True)
    app.set_defaults(run=_app)
    bundle = verbs.add_parser("bundle", help="write the best round of a deployment's run as a model")
    bundle.add_argument("--run", dest="run_folder", type=Path, required=True)
    bundle.set_defaults(run=_bundle)
    for verb in (simulate, compare, bundle):
        verb.add_argument("--data", type=Path, required=True, help="as for train")
    for verb in (simulate, compare):
        verb.add_argument("--weights", type=Path, help="file of ImageNet weights to start from")
    for verb in (simulate, bundle):
        verb.add_argument("--name", required=True, help="name of the bundle")
        verb.add_argument("--version", default="1.0.0")
        verb.set_defaults(models=models)
    for verb in (simulate, compare, app):
        _add_options(verb)
    for verb in (simulate, compare, bundle):
        verb.add_argument("--runs", type=Path, default=root / "runs" / "federated")
    compare.add_argument("--out", type=Path, default=root / "results" / "federated")


def _add_options(parser: argparse.ArgumentParser) -> None:
    for name, (kind, words) in _OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=name == "network", help=words)


def _options(given: argparse.Namespace) -> "FederatedOptions":
    from braintumor.federated.options import FederatedOptions

    told = {name: value for name in _OPTIONS if (value := getattr(given, name)) is not None}
    return FederatedOptions(**told)


def _simulate(given: argparse.Namespace) -> int:
    from braintumor.federated.commands import run_simulation
    from braintumor.federated.sites import Partition

    options = _options(given)
    card = run_simulation(
        given.data,
        given.name,
        options,
        Partition(given.partition, given.sites or Partition.sites, given.alpha, options.seed),
        hospitals=given.test_hospitals,
        weights=given.weights,
        version=given.version,
        runs=given.runs,
        models=given.models,
    )
    return _said(f"{card.full_name} is in {given.models / given.name}")


def _compare(given: argparse.Namespace) -> int:
    from braintumor.federated.commands import run_comparison

    found = run_comparison(
        given.data,
        _options(given),
        hospital=given.hospital,
        weights=given.weights,
        runs=given.runs,
        results=given.out,
        chosen=given.cases,
    )
    return _said(*(f"{one.name}: {one.accuracy.value:.1%} of the test right" for one in found.trained))


def _keys(given: argparse.Namespace) -> int:
    from braintumor.federated.keys import write_keys

    return _said(*map(str, write_keys(given.out, given.hosts, given.names)))


def _app(given: argparse.Namespace) -> int:
    from braintumor.federated.commands import write_app

    return _said(str(write_app(given.out, _options(given), given.run_folder)))


def _bundle(given: argparse.Namespace) -> int:
    from braintumor.federated.commands import write_served

    card = write_served(
        given.data, given.run_folder, name=given.name, version=given.version, models=given.models, runs=given.runs
    )
    return _said(f"{card.full_name} is in {given.models / given.name}")


def _said(*lines: Any) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0
