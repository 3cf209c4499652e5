"""The ServerApp: rounds that can be resumed, the best of which is kept. It never sees a picture."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, MetricRecord
from flwr.serverapp import Grid

from braintumor.errors import InputError
from braintumor.federated import messages
from braintumor.federated.messages import Arrays
from braintumor.federated.options import FederatedOptions
from braintumor.federated.privacy import spent
from braintumor.federated.records import ROUNDS_FILE, Round, Rounds, read_rounds
from braintumor.federated.site_training import Trainer
from braintumor.federated.strategies import Recorded, flower_strategy
from braintumor.training.files import write_whole

_KINDS = ("arrays", "statistics", "m", "v")
_SPLITTER = "|"


class _EnoughError(Exception):
    """Ends Flower's loop, which has a fixed number of rounds, once a run stopped improving."""


class RunFolder:
    """The state of a run on disk: ``rounds.json``, and the weights of the last round and of the best one."""

    def __init__(self, folder: Path, options: FederatedOptions) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        path = folder / ROUNDS_FILE
        told = options.told()
        self.rounds = read_rounds(path) if path.is_file() else Rounds(options=dict(told))
        # More rounds, or another patience, are the same run.
        if FederatedOptions.of({**self.rounds.options, "rounds": 1, "patience": 1}) != replace(
            options, rounds=1, patience=1
        ):
            raise InputError(f"{folder.name} holds a federated run with other options; choose another folder.")
        self.rounds = self.rounds.model_copy(update={"options": dict(told)})

    def state(self, number: int) -> dict[str, Arrays]:
        """Read what was kept of a round: arrays by kind."""
        found: dict[str, Arrays] = {kind: {} for kind in _KINDS}
        with np.load(self.folder / f"round-{number}.npz") as file:
            for key in file.files:
                kind, name = key.split(_SPLITTER, 1)
                found[kind][name] = file[key]
        return found

    def add(self, one: Round, counts: Mapping[str, dict[str, int]], state: Mapping[str, Arrays]) -> None:
        """Keep a whole round: first its weights, then the report that names it, each at once or not at all."""
        path = self.folder / f"round-{one.number}.npz"
        draft = self.folder / f".round-{one.number}.npz"
        flat = {f"{kind}{_SPLITTER}{name}": value for kind, part in state.items() for name, value in part.items()}
        np.savez(draft, **flat)  # type: ignore[arg-type]
        draft.replace(path)
        sites = {**self.rounds.sites, **counts}
        self.rounds = self.rounds.model_copy(update={"rounds": (*self.rounds.rounds, one), "sites": sites})
        write_whole(self.folder / ROUNDS_FILE, self.rounds.model_dump_json(indent=2) + "\n")
        kept = {f"round-{number}.npz" for number in (one.number, self.rounds.best)}
        for old in self.folder.glob("round-*.npz"):
            if old.name not in kept:
                old.unlink()

    def finished(self, options: FederatedOptions) -> bool:
        """Tell whether all rounds are done, or the run stopped improving."""
        done = len(self.rounds.rounds)
        return done >= options.rounds or done - (self.rounds.best or done) >= options.patience


def run_rounds(
    grid: Grid,
    trainer: Trainer,
    folder: Path,
    names: Mapping[int, str] | None = None,
    on_round: Callable[[Round], None] | None = None,
) -> Rounds:
    """Train with the sites of a grid until all rounds are done or the run stops improving; gives its report.

    ``folder`` gets what ``RunFolder`` keeps; the same call resumes after the last whole round. ``names`` call sites by
    their number, and ``on_round`` is told each round. Raises ``InputError`` for the folder of another run.
    """
    options, run = trainer.options, RunFolder(folder, trainer.options)
    done = len(run.rounds.rounds)
    if run.finished(options):
        return run.rounds
    start = run.state(done) if done else {"arrays": trainer.arrays}
    inner = flower_strategy(options)
    _restore_moments(inner, start)
    shapes = {name: value.shape for name, value in start["arrays"].items()}
    strategy = Recorded(inner, options, shapes, list(trainer.statistics), names or {}, done)

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        if server_round == 0:
            return None
        before = sum(one.changed for one in run.rounds.rounds)
        one = strategy.finished_round(done + server_round, partial(_spent, options, before))
        state = {"arrays": messages.unpacked(arrays), "statistics": strategy.pooled, **_moments(inner)}
        run.add(one, strategy.counts, state)
        if on_round:
            on_round(one)
        if run.finished(options):
            raise _EnoughError
        return None

    try:
        left = options.rounds - done
        strategy.start(grid, messages.packed(start["arrays"]), left, options.timeout, evaluate_fn=evaluate)
    except _EnoughError:
        pass
    return run.rounds


def load_best(trainer: Trainer, folder: Path) -> int:
    """Put the weights and statistics of a run's best round into its network; gives the round's number.

    Raises ``InputError`` where no round was measured.
    """
    run = RunFolder(folder, trainer.options)
    if run.rounds.best is None:
        raise InputError(f"{folder.name} has no round that a site measured; run more rounds.")
    state = run.state(run.rounds.best)
    trainer.load(state["arrays"], state["statistics"] or None)
    return run.rounds.best


def _spent(options: FederatedOptions, before: int, changed: bool) -> tuple[float, float] | None:
    found = spent(options, before + changed)
    return None if found is None or not all(map(math.isfinite, found)) else found


def _moments(strategy: Any) -> dict[str, Arrays]:
    """What FedAdam gathers over the rounds; nothing of other strategies."""
    return {kind: dict(getattr(strategy, f"{kind}_t", None) or {}) for kind in ("m", "v")}


def _restore_moments(strategy: Any, state: Mapping[str, Arrays]) -> None:
    for kind in ("m", "v"):
        if state.get(kind):
            setattr(strategy, f"{kind}_t", dict(state[kind]))
