"""Flower's strategies by configuration, and a layer around them that screens answers and records who took part."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import (
    DifferentialPrivacyServerSideFixedClipping,
    FedAdam,
    FedAvg,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    Krum,
    Strategy,
)

from braintumor.federated import messages
from braintumor.federated.client import TURN
from braintumor.federated.messages import ARRAYS, METRICS, STATISTICS, Arrays
from braintumor.federated.options import (
    CENTRAL,
    FEDADAM,
    FEDAVG,
    FEDMEDIAN,
    FEDPROX,
    FEDTRIMMEDAVG,
    KRUM,
    ROBUST,
    FederatedOptions,
)
from braintumor.federated.records import ABSENT, ANSWERED, FAILED, REFUSED, Round, SiteRound

_FEWEST_TO_COMPARE = 3
"""Updates from which on a length stands out from the others."""


def flower_strategy(options: FederatedOptions) -> Strategy:
    """Give Flower's strategy that the options name, with central privacy around it where they ask for it."""
    usual: dict[str, Any] = {
        "min_train_nodes": options.sites,
        "min_evaluate_nodes": options.sites,
        "min_available_nodes": options.sites,
        "weighted_by_key": messages.WEIGHT,
    }
    made: dict[str, Callable[[], Strategy]] = {
        FEDAVG: lambda: FedAvg(**usual),
        FEDPROX: lambda: FedProx(**usual, proximal_mu=options.proximal),
        FEDADAM: lambda: FedAdam(**usual, eta=options.server_rate),
        FEDMEDIAN: lambda: FedMedian(**usual),
        FEDTRIMMEDAVG: lambda: FedTrimmedAvg(**usual, beta=options.trimmed),
        KRUM: lambda: Krum(**usual, num_malicious_nodes=options.malicious),
    }
    strategy = made[options.strategy]()
    if options.privacy == CENTRAL:
        return DifferentialPrivacyServerSideFixedClipping(strategy, options.noise, options.clipping, options.sites)
    return strategy


@dataclass
class Recorded(Strategy):
    """A strategy of Flower, with answers screened before it sees them and every site's part in a round written down.

    ``shapes`` are those of the common weights, ``statistics`` name those of batch normalization, and ``names`` call
    sites by number. ``done`` rounds went before, so that rounds of a resumed run count on from there.
    """

    inner: Strategy
    options: FederatedOptions
    shapes: Mapping[str, tuple[int, ...]]
    statistics: Iterable[str]
    names: Mapping[int, str]
    done: int = 0
    pooled: Arrays = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _sites: dict[int, dict[str, Any]] = field(default_factory=dict)
    _known: dict[int, str] = field(default_factory=dict)
    _start: Arrays = field(default_factory=dict)
    _changed: bool = False
    _measured: dict[str, float] = field(default_factory=dict)

    def summary(self) -> None:
        self.inner.summary()

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        self._sites, self._measured = {}, {}
        config[TURN] = self.done + server_round - 1
        self._start = messages.unpacked(arrays)
        return self._asked(self.inner.configure_train(self.done + server_round, arrays, config, grid))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        taken = self._without_far(self._screened(replies, train=True))
        self._changed = bool(taken) and (self.options.privacy != CENTRAL or len(taken) == len(self._sites))
        if not self._changed:
            return None, None
        return self.inner.aggregate_train(self.done + server_round, taken)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        config[TURN] = self.done + server_round - 1
        return self._asked(self.inner.configure_evaluate(self.done + server_round, arrays, config, grid))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        taken = self._screened(replies, train=False)
        if not taken:
            return None
        weights = np.array([_number(message, messages.EXAMPLES) for message in taken], float)
        for name in ("val_loss", "val_accuracy"):
            self._measured[name] = self._middle(np.array([_number(message, name) for message in taken]), weights)
        if all(STATISTICS in message.content for message in taken):
            found = [messages.unpacked(message.content.array_records[STATISTICS]) for message in taken]
            self.pooled = pooled_statistics(found, weights, robust=self.options.strategy in ROBUST)
        return MetricRecord(dict(self._measured))

    def finished_round(self, number: int, spent: Callable[[bool], tuple[float, float] | None]) -> Round:
        """Give the record of the round that is over; ``spent`` tells the privacy spent, given if weights changed."""
        privacy = spent(self._changed)
        sites = {self._name(node): SiteRound.model_validate(told) for node, told in sorted(self._sites.items())}
        return Round(
            number=number,
            sites=sites,
            changed=self._changed,
            epsilon=None if privacy is None else privacy[0],
            delta=None if privacy is None else privacy[1],
            **self._measured,
        )

    def _middle(self, values: Any, weights: Any) -> float:
        """Weigh figures by pictures; what a minority of sites says must not choose the best round of a robust run."""
        if self.options.strategy in ROBUST:
            return float(np.median(values))
        return float(np.average(values, weights=weights))

    def _asked(self, given: Iterable[Message]) -> list[Message]:
        asked = list(given)
        for message in asked:
            about = self._sites.setdefault(message.metadata.dst_node_id, {"status": ABSENT, "megabytes": 0.0})
            about["megabytes"] += messages.megabytes(message.content)
        return asked

    def _screened(self, replies: Iterable[Message], *, train: bool) -> list[Message]:
        """Give the answers that may count, in the order of their sites, and note what became of the others."""
        taken = []
        for message in replies:
            about = self._sites[message.metadata.src_node_id]
            if message.has_error():
                about.update(status=FAILED, reason=message.error.reason or "it failed without saying why")
                continue
            about["megabytes"] += messages.megabytes(message.content)
            try:
                messages.check(message.content, self.shapes, self.statistics, train)
            except messages.MessageError as error:
                about.update(status=REFUSED, reason=str(error))
                continue
            self._note(message, about, train=train)
            taken.append(message)
        return sorted(taken, key=lambda message: _number(message, messages.NUMBER))

    def _note(self, message: Message, about: dict[str, Any], *, train: bool) -> None:
        metrics = message.content.metric_records[METRICS]
        number = int(_number(message, messages.NUMBER))
        self._known[message.metadata.src_node_id] = self.names.get(number, f"site {number}")
        listed = ("loss", "accuracy") if train else ("val_loss", "val_accuracy")
        about.update({name: float(metrics[name]) for name in listed if name in metrics})  # type: ignore[arg-type]
        if not train:
            return
        about.update(status=ANSWERED, examples=int(_number(message, messages.EXAMPLES)))
        node = message.metadata.src_node_id
        self.counts[self._name(node)] = {
            name.removeprefix("count-"): int(_number(message, name)) for name in metrics if name.startswith("count-")
        }

    def _without_far(self, taken: list[Message]) -> list[Message]:
        """Leave out updates that are many times longer than the others; central privacy cuts them anyway."""
        if len(taken) < _FEWEST_TO_COMPARE or self.options.privacy == CENTRAL:
            return taken
        arrays = [messages.unpacked(message.content.array_records[ARRAYS]) for message in taken]
        lengths = [messages.update_length(one, self._start) for one in arrays]
        limit = self.options.farthest * float(np.median(lengths))
        near = []
        for message, length in zip(taken, lengths, strict=True):
            if length <= limit:
                near.append(message)
                continue
            reason = f"its update is {length:.3g} long, more than {self.options.farthest:g} times the median"
            self._sites[message.metadata.src_node_id].update(status=REFUSED, reason=reason)
        return near

    def _name(self, node: int) -> str:
        return self._known.get(node, self.names.get(node, f"node {node}"))


def pooled_statistics(found: list[Arrays], weights: Any, *, robust: bool) -> Arrays:
    """Pool means and variances of several sites: as those of all their pictures together, or the median if ``robust``.

    A mean comes before its variance in each of the arrays, which are in the order of their names' numbers.
    """
    if robust:
        return {name: np.median([one[name] for one in found], axis=0).astype(np.float32) for name in found[0]}
    names = list(found[0])
    pooled: Arrays = {}
    for mean_name, variance_name in zip(names[::2], names[1::2], strict=True):
        means = np.stack([one[mean_name] for one in found])
        squares = np.stack([one[variance_name] for one in found]) + np.square(means)
        mean = np.average(means, axis=0, weights=weights)
        variance = np.average(squares, axis=0, weights=weights) - np.square(mean)
        pooled[mean_name] = mean.astype(np.float32)
        pooled[variance_name] = np.maximum(variance, 0).astype(np.float32)
    return pooled


def _number(message: Message, name: str) -> float:
    return float(message.content.metric_records[METRICS][name])  # type: ignore[arg-type]
