"""The ClientApp: what runs at a site."""

from collections.abc import Callable, Sequence

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import LocalDpMod
from flwr.clientapp.typing import Mod

from braintumor.federated import messages
from braintumor.federated.messages import ARRAYS, CONFIG, METRICS, STATISTICS
from braintumor.federated.options import ANEW, LOCAL_PRIVACY, NO_PRIVACY, FederatedOptions
from braintumor.federated.site_training import Site, Trainer

TURN = "turn"
"""Number of a round from 0, in the configuration of every message: a run that is resumed goes on counting."""

SITE_NUMBER = "site"
"""Number of a site in its node's configuration."""


def client_app(
    sites: Callable[[Context], Site], trainer: Callable[[Context], Trainer], mods: Sequence[Mod] = ()
) -> ClientApp:
    """Make the app that trains and measures the common weights on a site's pictures.

    ``sites`` gives the pictures of the site that a context is of, and ``trainer`` the network; ``mods`` come between
    the site and the wire. What is not on the list of ``messages`` raises ``MessageError`` before it leaves the site.
    """
    app = ClientApp()

    @app.train(mods=[*mods, _private])
    def train(message: Message, context: Context) -> Message:
        network, site = trainer(context), sites(context)
        turn = int(message.content.config_records[CONFIG][TURN])  # type: ignore[arg-type]
        arrays, figures = network.train(site, messages.unpacked(message.content.array_records[ARRAYS]), turn)
        counts = {f"count-{label}": count for label, count in site.counts.items() if label != "validation"}
        examples = sum(counts.values())
        content = RecordDict(
            {
                ARRAYS: messages.packed(arrays),
                METRICS: MetricRecord({**_about(network.options, context, examples), **figures, **counts}),
            }
        )
        return _checked(content, network, message, train=True)

    @app.evaluate(mods=list(mods))
    def evaluate(message: Message, context: Context) -> Message:
        network, site = trainer(context), sites(context)
        figures = network.measure(site, messages.unpacked(message.content.array_records[ARRAYS]))
        about = _about(network.options, context, site.counts["validation"])
        content = RecordDict({METRICS: MetricRecord({**about, **figures})})
        if network.options.norms == ANEW:
            content[STATISTICS] = messages.packed(network.statistics)
        return _checked(content, network, message, train=False)

    return app


def _about(options: FederatedOptions, context: Context, examples: int) -> dict[str, int | float]:
    # The privacy of a mean is accounted for sites that all weigh the same.
    weight = 1 if options.privacy != NO_PRIVACY else examples
    number = int(context.node_config[SITE_NUMBER])
    return {messages.EXAMPLES: examples, messages.WEIGHT: weight, messages.NUMBER: number}


def _checked(content: RecordDict, network: Trainer, message: Message, *, train: bool) -> Message:
    shapes = {name: tuple(one.shape) for name, one in network.sent.items()}
    messages.check(content, shapes, network.statistics, train)
    return Message(content, reply_to=message)


def _private(message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
    """Clip and blur what leaves the site, where the run asks for local privacy."""
    options = FederatedOptions.of(dict(context.run_config))
    if options.privacy != LOCAL_PRIVACY:
        return call_next(message, context)
    # Two updates of at most this length differ by at most twice as much.
    mod = LocalDpMod(options.clipping, 2 * options.clipping, options.epsilon, options.delta)
    return mod(message, context, call_next)
