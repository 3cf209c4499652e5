"""What a site can do to the others: answers that lead the common weights astray."""

from collections.abc import Callable

from flwr.app import Context, Message
from flwr.clientapp.typing import Mod

from braintumor.federated.client import SITE_NUMBER
from braintumor.federated.messages import ARRAYS, packed, unpacked

STRENGTH = 3.0
"""How far a poisoned update goes the other way: beyond what two honest sites undo, and below what screening refuses."""


def poisoned(number: int, strength: float = STRENGTH) -> Mod:
    """Make a mod by which one site answers with its update turned around and lengthened.

    Source: sign flipping of Li et al. 2019, arXiv:1811.03761, section 5.
    """

    def mod(message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        reply = call_next(message, context)
        if context.node_config[SITE_NUMBER] != number or reply.has_error() or ARRAYS not in reply.content:
            return reply
        start = unpacked(message.content.array_records[ARRAYS])
        own = unpacked(reply.content.array_records[ARRAYS])
        reply.content[ARRAYS] = packed({name: start[name] - strength * (own[name] - start[name]) for name in start})
        return reply

    return mod
