"""The same network trained in one place, at each site alone and by all sites together, on one leak-free split."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from braintumor.datasets import HOSPITAL_TEST, Hospitals
from braintumor.evaluation import figures
from braintumor.federated.attacks import poisoned
from braintumor.federated.options import (
    AVERAGED,
    CENTRAL,
    FEDMEDIAN,
    FEDTRIMMEDAVG,
    KRUM,
    LOCAL,
    FederatedOptions,
)
from braintumor.federated.records import ALONE, CENTRALLY, FEDERATED, Comparison, Trained, read_comparison
from braintumor.federated.server import load_best
from braintumor.federated.simulation import simulate
from braintumor.federated.site_training import Site, Trainer
from braintumor.federated.sites import EVEN, NATURAL, UNEVEN, Partition, divide, names_of
from braintumor.taxonomy import PROBABILITIES
from braintumor.training.experiment import ExperimentData, prepare_pictures, split_index
from braintumor.training.files import write_whole

COMPARISON_FILE = "comparison.json"
_EVEN_ODDS = 0.5


@dataclass(frozen=True)
class Case:
    """One training to compare; ``poisoned`` is the number of a site that answers with turned updates, 0 for none."""

    name: str
    kind: str
    partition: Partition
    changes: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    poisoned: int = 0


def cases(even_sites: int = 4) -> list[Case]:
    """List all cases, those first that the others are read against; each site alone is found by its partition."""
    even, natural = Partition(EVEN, even_sites), Partition(NATURAL)
    robust = (FEDMEDIAN, FEDTRIMMEDAVG, KRUM)
    trimmed = {"trimmed": 0.25}
    return [
        Case("central", CENTRALLY, natural),
        Case("natural", FEDERATED, natural),
        Case("even", FEDERATED, even),
        Case("alone", ALONE, natural),
        Case("uneven", FEDERATED, Partition(UNEVEN, even_sites)),
        Case("even, one poisoned, mean", FEDERATED, even, poisoned=1),
        *(
            Case(f"even, one poisoned, {name}", FEDERATED, even, {"strategy": name, **trimmed}, poisoned=1)
            for name in robust
        ),
        Case("natural, statistics averaged", FEDERATED, natural, {"norms": AVERAGED}),
        Case("natural, statistics local", FEDERATED, natural, {"norms": LOCAL}),
        *(
            Case(
                f"even, central noise {noise:g}",
                FEDERATED,
                even,
                {"privacy": CENTRAL, "norms": LOCAL, "noise": noise, "clipping": 3.0},
            )
            for noise in (1.0, 0.1, 0.001)
        ),
    ]


class Experiment:
    """The pictures of a comparison, prepared once, and the folder of its runs.

    ``index`` is what ``labelled_index`` gives; ``hospital`` is held out whole. Of copies at one place only one counts.
    """

    def __init__(
        self,
        root: Path,
        index: pd.DataFrame,
        options: FederatedOptions,
        hospital: str,
        runs: Path,
        weights: Path | None,
    ) -> None:
        self.options, self.hospital, self.runs, self.weights = options, hospital, runs, weights
        split = split_index(index, folds=5, fold=0, seed=options.seed, hospitals=Hospitals((), (hospital,)))
        split = split.drop_duplicates(["picture", "hospital"]).reset_index(drop=True)
        self._trainers: list[Trainer] = []
        self.data = prepare_pictures(root, split, options.size, runs / "pictures")

    def run(self, case: Case, told: Callable[[str], None]) -> Iterable[Trained]:
        """Train a case, or each site alone, and measure it; a stopped run goes on."""
        divided = divide(self.data.index, case.partition)
        held = {name: self._held(divided, [name]) for name in names_of(divided)}
        if case.kind == ALONE:
            for name, data in held.items():
                yield self._trained(replace(case, name=f"{case.name}: {name}"), {name: data}, told)
        elif case.kind == CENTRALLY:
            changes = {**case.changes, "epoch_images": self.options.epoch_images * len(held)}
            together = {"all": self._held(divided, list(held))}
            yield self._trained(replace(case, changes=changes), together, told)
        else:
            yield self._trained(case, held, told)

    def _trainer(self, options: FederatedOptions) -> Trainer:
        for trainer in self._trainers:
            try:
                return trainer.start_again(options)
            except ValueError:
                continue
        self._trainers.append(Trainer(options, self.weights))
        return self._trainers[-1]

    def _held(self, divided: pd.DataFrame, sites: list[str]) -> ExperimentData:
        rows = divided["site"].isin(sites).to_numpy()
        return replace(self.data, index=divided).chosen(rows)

    def _trained(self, case: Case, held: Mapping[str, ExperimentData], told: Callable[[str], None]) -> Trained:
        options = replace(self.options, sites=len(held), **case.changes)  # type: ignore[arg-type]
        trainer = self._trainer(options)
        sites = {name: Site(data, options) for name, data in held.items()}
        folder = self.runs / case.name.replace(", ", "-").replace(": ", "-").replace(" ", "-")
        began = time.process_time()
        mods = [poisoned(case.poisoned)] if case.poisoned else []
        report = simulate(
            trainer,
            sites,
            folder,
            mods=mods,
            on_round=lambda one: told(f"{case.name}: round {one.number}, validation loss {one.val_loss or np.nan:.3f}"),
        )
        best = load_best(trainer, folder)
        if options.norms == LOCAL:
            # They never left the sites; whoever serves the network estimates them on pictures of its own.
            Site(next(iter(held.values())), options).judge.measure(trainer.model)
        test = figures(self._predicted(trainer, "test"), threshold=_EVEN_ODDS)
        there = figures(self._predicted(trainer, HOSPITAL_TEST), threshold=_EVEN_ODDS)
        return Trained(
            name=case.name,
            kind=case.kind,
            partition=case.partition.kind,
            options=dict(options.told()),
            poisoned=list(held)[case.poisoned - 1] if case.poisoned else "",
            sites={name: site.counts for name, site in sites.items()},
            rounds=report.rounds,
            best=best,
            images=test.images,
            accuracy=test.four_class.accuracy,
            balanced=test.four_class.balanced_accuracy,
            auc=test.detection.roc_auc,
            hospital_images=there.images,
            hospital_auc=there.detection.roc_auc,
            hospital_accuracy=there.four_class.accuracy,
            cpu_seconds=round(time.process_time() - began, 1),
        )

    def _predicted(self, trainer: Trainer, split: str) -> pd.DataFrame:
        part = self.data.distinct(split)
        logits = trainer.logits(part)
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        table = pd.DataFrame(exponents / exponents.sum(axis=1, keepdims=True), columns=list(PROBABILITIES))
        return pd.concat([part.index.assign(split=split, in_training=False), table], axis=1)


def compare(
    experiment: Experiment, chosen: Iterable[Case], folder: Path, command: str, told: Callable[[str], None]
) -> Comparison:
    """Train all cases that ``folder`` has no figures of yet, and write each one's at once; gives the comparison."""
    path = folder / COMPARISON_FILE
    folder.mkdir(parents=True, exist_ok=True)
    found = read_comparison(path) if path.is_file() else Comparison(command=command, hospital=experiment.hospital)
    for case in chosen:
        if any(one.name == case.name or one.name.startswith(f"{case.name}: ") for one in found.trained):
            continue
        for one in experiment.run(case, told):
            found = found.model_copy(update={"trained": (*found.trained, one)})
            write_whole(path, found.model_dump_json(indent=1) + "\n")
    return found
