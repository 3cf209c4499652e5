"""From a federated run to a bundle: its best round, decided and measured on pictures of whoever writes it."""

from pathlib import Path
from typing import cast

import pandas as pd

from braintumor.bundles import Card
from braintumor.bundles.schema import FederatedTraining
from braintumor.federated.options import LOCAL
from braintumor.federated.records import ROUNDS_FILE, Rounds, read_rounds
from braintumor.federated.server import load_best
from braintumor.federated.site_training import Site, Trainer
from braintumor.taxonomy import Loss
from braintumor.training.costs import device, software
from braintumor.training.experiment import ExperimentData
from braintumor.training.options import RunOptions
from braintumor.training.run import card_facts, weights_identity, with_defaults
from braintumor.training.write_bundle import write_bundle

HISTORY = "history.csv"


def write_federated(
    trainer: Trainer,
    run: Path,
    data: ExperimentData,
    folder: Path,
    *,
    version: str,
    weights: Path | str | None,
    command: str,
) -> Card:
    """Write the best round of the run in the folder ``run`` as a bundle into ``folder``; gives its card.

    What is decided after training comes from the splits "train" and "validation" of ``data``, which are pictures of
    the coordinator's, and statistics of batch normalization too where they never left the sites. Raises ``InputError``
    where no round was measured.
    """
    best = load_best(trainer, run)
    report = read_rounds(run / ROUNDS_FILE)
    options = trainer.options
    if options.norms == LOCAL:
        Site(data, options).judge.measure(trainer.model)
    history = run / HISTORY
    history_table(report).to_csv(history, index=False)
    asked = with_defaults(
        RunOptions(
            data=run,
            runs=run,
            models=folder.parent,
            network=options.network,
            weights=weights if isinstance(weights, Path) else None,
            name=folder.name,
            version=version,
            size=options.size or None,
            epochs=options.rounds,
            seed=options.seed,
            learning_rate=options.learning_rate or None,
            recipe=options.recipe or None,
            task=options.task,
            loss=cast(Loss, options.fitting.loss),
        )
    )
    facts = card_facts(
        asked, data.index, kept=[best], devices=device(), versions=software(), initial=weights_identity(asked)
    )
    told = facts["training"]
    facts["training"] = {**told, "options": {options.network: dict(options.told())}}
    return write_bundle(
        trainer.model, data, history, folder, {**facts, "command": command, "federated": about(report, best)}
    )


def about(report: Rounds, best: int) -> dict[str, object]:
    """Tell how a network was trained by several sites, for its card."""
    chosen = report.rounds[best - 1]
    return FederatedTraining(
        strategy=str(report.options["strategy"]),
        norms=str(report.options["norms"]),
        privacy=str(report.options["privacy"]),
        # Later rounds were sent on as well, whichever is served.
        epsilon=report.rounds[-1].epsilon,
        delta=report.rounds[-1].delta,
        sites=report.sites,
        rounds=len(report.rounds),
        best_round=chosen.number,
    ).model_dump()


def history_table(report: Rounds) -> pd.DataFrame:
    """Give the rounds as the history of a training: a row a round, with the means of the sites that answered."""
    rows = []
    for one in report.rounds:
        sites = [site for site in one.sites.values() if site.loss is not None and site.examples]
        weights = [site.examples or 0 for site in sites]
        means = {
            name: sum(weight * (getattr(site, name) or 0) for weight, site in zip(weights, sites, strict=True))
            / (sum(weights) or 1)
            for name in ("loss", "accuracy")
        }
        rows.append({"epoch": one.number, **means, "val_loss": one.val_loss, "val_accuracy": one.val_accuracy})
    return pd.DataFrame(rows)
