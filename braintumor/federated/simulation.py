"""Federated training on one computer: the real server and client apps, joined by a grid in memory."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import Mod
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from braintumor.federated.client import SITE_NUMBER, TURN, client_app
from braintumor.federated.messages import CONFIG
from braintumor.federated.records import Round, Rounds
from braintumor.federated.server import run_rounds
from braintumor.federated.site_training import Site, Trainer

_FAILED = 0


class MemoryGrid(Grid):
    """Hands messages to a client app of this process, one site after the other, and its answers back.

    Flower's own simulation starts Ray and a network for every worker; here all sites share one. ``sites`` are their
    numbers, which are also their nodes' ids. ``clock`` in seconds times each site: an answer that took longer than the
    round may is not handed back.
    """

    def __init__(
        self,
        app: ClientApp,
        sites: Iterable[int],
        config: Mapping[str, bool | int | float | str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # What Flower's processes are told when they start.
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 1
        self._app = app
        self._clock = clock
        self._run = Run.create_empty(1)
        self._contexts = {
            number: Context(1, number, {SITE_NUMBER: number}, RecordDict(), dict(config)) for number in sites
        }
        self._replies: dict[str, Message] = {}
        self.seconds: dict[int, float] = {}

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        numbers = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = str(uuid4())
            began = self._clock()
            reply = self._answer(message)
            self.seconds[message.metadata.dst_node_id] = self._clock() - began
            self._replies[message.metadata.message_id] = reply
            numbers.append(message.metadata.message_id)
        return numbers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(number) for number in list(message_ids) if number in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = self.pull_messages(self.push_messages(messages))
        longest = float("inf") if timeout is None else timeout
        return [reply for reply in replies if self.seconds[reply.metadata.src_node_id] <= longest]

    def _answer(self, message: Message) -> Message:
        try:
            return self._app(message, self._contexts[message.metadata.dst_node_id])
        except Exception as error:
            # As a SuperNode does: whatever fails at a site is that site's failure.
            return Message(Error(_FAILED, f"{type(error).__name__}: {error}"), reply_to=message)


def simulate(
    trainer: Trainer,
    sites: Mapping[str, Site],
    folder: Path,
    *,
    mods: Sequence[Mod] = (),
    on_round: Callable[[Round], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Rounds:
    """Train with all sites in this process; the same call resumes a run that was stopped. See ``run_rounds``."""
    numbered = dict(enumerate(sites.values(), 1))
    app = client_app(lambda context: numbered[int(context.node_config[SITE_NUMBER])], lambda _: trainer, mods)
    grid = MemoryGrid(app, numbered, trainer.options.told(), clock)
    return run_rounds(grid, trainer, folder, dict(enumerate(sites, 1)), on_round)


def at_site(
    number: int, rounds: Iterable[int], change: Callable[[Message], Message | None], kind: str = "train"
) -> Mod:
    """Make a mod that changes what one site answers in some rounds, counted from 1.

    ``change`` gets the answer, and gives the one to send instead, or None for the same; an error that it raises is the
    site's.
    """
    chosen_rounds = set(rounds)

    def mod(message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        turn = int(message.content.config_records[CONFIG][TURN])  # type: ignore[arg-type]
        reply = call_next(message, context)
        chosen = context.node_config[SITE_NUMBER] == number and turn + 1 in chosen_rounds
        if not chosen or message.metadata.message_type.split(".")[0] != kind:
            return reply
        return change(reply) or reply

    return mod
