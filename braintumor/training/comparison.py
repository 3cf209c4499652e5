"""The table of compared networks: what it takes from each bundle, and the files that it is kept in."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from braintumor.bundles import (
    GRAPH_FILE,
    HISTORY_FILE,
    KERAS_FILE,
    PREDICTIONS_FILE,
    SEGMENTATION_FILE,
    Bundle,
    Card,
)
from braintumor.datasets import CATALOGUE, Roles
from braintumor.errors import InputError
from braintumor.evaluation.comparison import (
    COMPARISON_FILE,
    HISTORIES_FILE,
    HISTORY_COLUMNS,
    PREDICTION_COLUMNS,
    against_default,
    comparison_figures,
)
from braintumor.evaluation.comparison_schema import (
    LEAK_FREE,
    Costs,
    Difference,
    Figures,
    NetworkRow,
    Protocol,
    Report,
    Run,
    Split,
)
from braintumor.networks import NETWORKS
from braintumor.settings import DEFAULT_MODEL
from braintumor.taxonomy import BINARY, FOUR_CLASS, PROBABILITIES
from braintumor.training.costs import NOT_RECORDED, device, latency, operations
from braintumor.training.decisions import operating_point
from braintumor.training.evaluate import split_as_trained
from braintumor.training.experiment import ExperimentData
from braintumor.training.files import write_whole
from braintumor.training.fit_options import patience

_DIGITS = 4
_CLINICAL = tuple(name for name, dataset in CATALOGUE.items() if dataset.clinical)


class Key(NamedTuple):
    """What tells one training from the others of a comparison; splits without folds have only fold 0."""

    network: str
    split: str
    fold: int


@dataclass(frozen=True)
class Result:
    """What a comparison takes from a bundle; its tables have ``PREDICTION_COLUMNS`` and ``HISTORY_COLUMNS``."""

    key: Key
    run: Run
    split: Split
    predictions: pd.DataFrame
    history: pd.DataFrame


def result_of(bundle: Bundle, listed: pd.DataFrame, protocol: Protocol) -> Result:
    """Take from a bundle what it was trained on, what it answered on the test, and what it costs on this machine.

    ``listed`` is the index of its data with the column ``row``. The threshold is chosen anew, for the sensitivity that
    all are compared at. Raises ``InputError`` where its data, folds, seed or task are not those of ``protocol``.
    """
    told = bundle.card.split
    task = FOUR_CLASS if bundle.kinds else BINARY
    if (told.folds, told.seed, task) != (protocol.folds, protocol.seed, protocol.task):
        raise InputError(f"{bundle.folder} is of another task or seed, or of other folds; compare it by itself.")
    index, known = split_as_trained(listed, bundle)
    if not known:
        raise InputError(
            f"{bundle.folder} was trained on other data than is compared; name its own folder with --data."
        )
    roles = Roles.of(told.model_dump())
    key = Key(bundle.card.network, roles.name or LEAK_FREE, told.fold if roles.by_folds else 0)
    predictions = pd.read_csv(bundle.folder / PREDICTIONS_FILE, dtype={"group": str})
    threshold, _ = operating_point(predictions[predictions["split"] == "validation"], protocol.sensitivity)
    history = pd.read_csv(bundle.folder / HISTORY_FILE)
    facts = {**_training(bundle.card, history), **_costs(bundle).model_dump()}
    run = Run(split=key.split, fold=key.fold, threshold=threshold, **facts)
    train, test = (index.loc[index["split"] == part, "picture"] for part in ("train", "test"))
    split = Split(**asdict(roles), test_in_training=float(test.isin(train).mean()))
    # An ensemble has no epochs of its own.
    epochs = history.head(0) if NETWORKS[key.network].members else history
    tested = _rows(key, _tested(bundle, index, predictions), PREDICTION_COLUMNS)
    return Result(key, run, split, tested, _rows(key, epochs, HISTORY_COLUMNS))


def _tested(bundle: Bundle, index: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Give the test rows of a bundle with the ``row`` of their picture and the Dice of its outline."""
    blank = np.zeros((len(index), 0, 0), np.uint8)
    index = index.assign(outline=np.where(index["mask"] != "", 0, -1))
    data = ExperimentData(blank, blank[:0], index, bundle.card.split.as_published)
    test = (data if bundle.kinds else data.without_kinds()).tested().index
    rows = predictions[predictions["split"] == "test"].reset_index(drop=True)
    same = ["dataset", "group", "label"]
    if not test[same].astype(str).equals(rows[same].astype(str)):
        raise InputError(f"The test rows of {bundle.folder} are not those of its split; train it again.")
    table = test.assign(dice=np.nan, **{name: rows[name] for name in PROBABILITIES})
    if (bundle.folder / SEGMENTATION_FILE).is_file():
        masks = pd.read_csv(bundle.folder / SEGMENTATION_FILE)
        table.loc[test["outline"] >= 0, "dice"] = masks.loc[masks["split"] == "test", "dice"].to_numpy()
    return table


def _training(card: Card, history: pd.DataFrame) -> dict[str, Any]:
    """Tell how a bundle was trained, and why that was over: as "planned", by "patience", or "shortened"."""
    network = NETWORKS[card.network]
    training, earlier = card.training, card.started_from
    options = {} if training is None else training.options.get(network.name, {})
    asked = _whole(options.get("epochs"), network.epochs)
    planned = (0 if earlier is None else earlier.epochs) + max(asked, network.epochs)
    epochs, best = len(history), int(history["epoch"].iloc[history["val_loss"].argmin()])
    in_vain = epochs - best >= _whole(options.get("patience"), patience(asked))
    about = {"epochs": epochs, "planned_epochs": planned, "best_epoch": best}
    if network.members:
        about = dict.fromkeys(about, 0)
    devices = [one.device for one in (earlier, training) if one is not None] or [NOT_RECORDED]
    return {
        **about,
        "ended": "planned" if network.members or epochs >= planned else "patience" if in_vain else "shortened",
        "seconds": float(history["seconds"].sum()),
        "images": sum(counts.get("train", 0) for data in card.data.values() for counts in data.images.values()),
        "initial_weights": (earlier or card).initial_weights,
        "device": " and ".join(dict.fromkeys(devices)),
        "bundle": card.full_name,
        "command": card.command,
    }


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _costs(bundle: Bundle) -> Costs:
    graph = bundle.folder / GRAPH_FILE
    return Costs(
        size=bundle.size,
        parameters=bundle.card.parameters,
        flops=operations(keras.saving.load_model(bundle.folder / KERAS_FILE, compile=False)),
        bytes_on_disk=graph.stat().st_size,
        latency_ms=round(latency(graph, bundle.size), 3),
        measured_on=device(),
    )


def _rows(key: Key, rows: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    return rows.assign(network=key.network, split=key.split, fold=key.fold).reindex(columns=list(columns))


@dataclass
class Comparison:
    """Results of all networks on all splits and folds, with the figures of those that were read from files."""

    index_sha256: str
    protocol: Protocol
    results: dict[Key, Result] = field(default_factory=dict)
    figures: dict[tuple[str, str], Figures] = field(default_factory=dict)
    differences: dict[str, Difference | None] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, index_sha256: str, protocol: Protocol) -> "Comparison":
        """Read an earlier comparison, an empty one where there is none.

        Raises ``InputError`` where it cannot be read or is of another protocol.
        """
        path = folder / COMPARISON_FILE
        if not path.is_file():
            return cls(index_sha256, protocol)
        try:
            report = Report.model_validate_json(path.read_text(encoding="utf-8"))
            found = cls(report.index_sha256, report.protocol, _results(report, folder))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{folder} holds a comparison that cannot be read ({type(error).__name__}: {error}); restore its "
                "files, or name another folder for --out."
            ) from error
        if (found.index_sha256, found.protocol) != (index_sha256, protocol):
            raise InputError(
                f"{path} holds a comparison on other data or folds or of another seed, sensitivity or task; name "
                "another folder for --out or delete it."
            )
        for name, row in report.networks.items():
            found.figures |= {(name, split): figures for split, figures in row.figures.items()}
            found.differences[name] = row.against_default
        return found

    def add(self, result: Result) -> None:
        """Put a result in its place; figures that rest on it are computed anew."""
        network, split, _ = result.key
        self.results[result.key] = result
        self.figures.pop((network, split), None)
        self.differences.pop(network, None)
        if network == DEFAULT_MODEL:
            self.differences.clear()

    def write(self, folder: Path, reasons: Mapping[str, str]) -> Report:
        """Write the two tables and ``comparison.json``, and give what that says.

        ``reasons`` say of a network why it has no result.
        """
        order = sorted(self.results, key=lambda key: ([*NETWORKS].index(key.network), key.split != LEAK_FREE, *key))
        predictions = _joined([self.results[key].predictions for key in order], PREDICTION_COLUMNS)
        histories = _joined([self.results[key].history for key in order], HISTORY_COLUMNS)
        report = Report(
            created=datetime.now(UTC).date().isoformat(),
            index_sha256=self.index_sha256,
            default=DEFAULT_MODEL,
            protocol=self.protocol,
            splits={key.split: self.results[key].split for key in order},
            networks={
                name: self._row(name, [key for key in order if key.network == name], reasons) for name in NETWORKS
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / PREDICTIONS_FILE, _short(predictions).to_csv(index=False))
        write_whole(folder / HISTORIES_FILE, histories.to_csv(index=False, float_format="%.6g"))
        write_whole(folder / COMPARISON_FILE, report.model_dump_json(indent=2, exclude_unset=True) + "\n")
        return report

    def _row(self, name: str, keys: list[Key], reasons: Mapping[str, str]) -> NetworkRow:
        network = NETWORKS[name]
        about: dict[str, Any] = {key: getattr(network, key) for key in ("title", "source", "reported")}
        if not keys:
            return NetworkRow(**about, not_trained=reasons.get(name) or _not_trained(name))
        runs = [self.results[key].run for key in keys]
        # Networks of one name may differ in size from split to split.
        measured = next((run for run in runs if run.latency_ms is not None), Costs())
        return NetworkRow(
            **about,
            **measured.model_dump(include=set(Costs.model_fields)),
            initial_weights=_either(run.initial_weights for run in runs),
            device=" and ".join(sorted({run.device for run in runs})),
            runs=runs,
            figures={split: self._figures(name, split) for split in dict.fromkeys(key.split for key in keys)},
            against_default=self._against_default(name),
        )

    def _figures(self, name: str, split: str) -> Figures:
        kept = self.figures.get((name, split))
        return kept or Figures(**comparison_figures(self._measured(name, split), _CLINICAL))

    def _against_default(self, name: str) -> Difference | None:
        if name in self.differences or name == DEFAULT_MODEL:
            return self.differences.get(name)
        found = against_default(self._measured(name, LEAK_FREE), self._measured(DEFAULT_MODEL, LEAK_FREE))
        return None if found is None else Difference(**found)

    def _measured(self, name: str, split: str) -> pd.DataFrame:
        """Put the operating point of each row's run beside it."""
        tables = [
            result.predictions.assign(threshold=result.run.threshold)
            for key, result in self.results.items()
            if (key.network, key.split) == (name, split)
        ]
        return _joined(tables, (*PREDICTION_COLUMNS, "threshold"))


def _results(report: Report, folder: Path) -> dict[Key, Result]:
    predictions, histories = (_by_key(folder / file) for file in (PREDICTIONS_FILE, HISTORIES_FILE))
    found = {}
    for name, row in report.networks.items():
        for run in row.runs:
            key = Key(name, run.split, run.fold)
            history = histories.get(key, pd.DataFrame(columns=list(HISTORY_COLUMNS)))
            found[key] = Result(key, run, report.splits[run.split], predictions[key], history)
    return found


def _by_key(path: Path) -> dict[Key, pd.DataFrame]:
    keyed = pd.read_csv(path, dtype={"group": str}).groupby([*Key._fields])
    return {Key(str(name), str(split), int(str(fold))): rows for (name, split, fold), rows in keyed}


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def _short(predictions: pd.DataFrame) -> pd.DataFrame:
    """Cut probabilities and Dice to four digits, except where that would change which class is the likeliest."""
    columns = [*PROBABILITIES, "dice"]
    cut = predictions[columns].map(lambda value: float(f"{value:.{_DIGITS}g}"))
    likeliest, kept = (table[[*PROBABILITIES]].to_numpy().argmax(axis=1) for table in (predictions, cut))
    return predictions.assign(**cut.where(pd.Series(likeliest == kept, index=cut.index), predictions[columns]))


def _either(weights: Iterable[str | None]) -> str | None:
    """Name what a network's runs started from; None where all started from none."""
    names = sorted({name or "none" for name in weights})
    return None if names == ["none"] else " or ".join(names)


def _not_trained(name: str) -> str:
    return (
        "No finished training of it is in this comparison; train it with python -m braintumor compare --data DIR "
        f"--networks {name}."
    )
