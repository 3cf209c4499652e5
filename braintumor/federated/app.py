"""The Flower app of a deployment: what SuperLink and SuperNodes run, configured by the run and by each node."""

from functools import cache
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from braintumor.federated.client import client_app
from braintumor.federated.options import FederatedOptions
from braintumor.federated.server import run_rounds
from braintumor.federated.site_training import Site, Trainer
from braintumor.federated.sites import EVEN, Partition, divide
from braintumor.networks import registered
from braintumor.training.experiment import labelled_index, prepare_pictures

FOLDER, DATA, CACHE = "folder", "data", "cache"
"""Of the run: where the server keeps it. Of a node: its pictures, and where it keeps them as they were prepared."""

server = ServerApp()


@server.main()
def _serve(grid: Grid, context: Context) -> None:
    """Train until all rounds are done; a run in the same folder resumes from its last whole round."""
    options = FederatedOptions.of(dict(context.run_config))
    run_rounds(grid, Trainer(options), Path(str(context.run_config[FOLDER])))


def _options(context: Context) -> FederatedOptions:
    return FederatedOptions.of(dict(context.run_config))


@cache
def _site_in(root: Path, kept: Path, options: FederatedOptions) -> Site:
    index = divide(labelled_index(root).assign(split="train"), Partition(EVEN, 1, seed=options.seed))
    return Site(prepare_pictures(root, index, options.size or registered(options.network).size, kept), options)


_trainer_of = cache(Trainer)

client = client_app(
    lambda context: _site_in(
        Path(str(context.node_config[DATA])), Path(str(context.node_config[CACHE])), _options(context)
    ),
    lambda context: _trainer_of(_options(context)),
)
