"""Server and client apps over the grid in memory: every strategy, every way to treat statistics, and resuming."""

import numpy as np
import pytest

from braintumor.errors import InputError
from braintumor.federated import messages
from braintumor.federated.options import ANEW, AVERAGED, LOCAL, NORMS, STRATEGIES
from braintumor.federated.records import ANSWERED, read_rounds
from braintumor.federated.server import RunFolder, load_best
from braintumor.federated.simulation import simulate
from braintumor.federated.strategies import pooled_statistics
from tests.federated.made_sites import NAMES, made_options, made_sites, made_trainer, use_tiny


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        yield


def last(folder, options):
    run = RunFolder(folder, options)
    return run.state(len(run.rounds.rounds))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_trains_and_says_who_took_part(strategy, tmp_path):
    trainer = made_trainer(strategy=strategy, malicious=0)
    start = trainer.arrays
    report = simulate(trainer, made_sites(trainer.options), tmp_path)
    assert [one.number for one in report.rounds] == [1, 2]
    assert report == read_rounds(tmp_path / "rounds.json")
    for one in report.rounds:
        assert one.changed
        assert {name: site.status for name, site in one.sites.items()} == dict.fromkeys(NAMES, ANSWERED)
        assert all(site.megabytes > 0 and site.val_loss > 0 for site in one.sites.values())
    assert report.sites["north"]["glioma"] == report.sites["north"]["notumor"] == 4
    state = last(tmp_path, trainer.options)
    assert any(not np.allclose(state["arrays"][name], start[name]) for name in start)


def test_the_mean_is_that_of_the_sites_by_their_pictures(tmp_path):
    trainer = made_trainer(sites=2)
    start = trainer.arrays
    sites = {**made_sites(trainer.options, ("north",)), **made_sites(trainer.options, ("south",), count=24)}
    first = {}
    simulate(trainer, sites, tmp_path, on_round=lambda one: first.update(first or last(tmp_path, trainer.options)))
    common = first["arrays"]
    own = [trainer.train(site, start, 0)[0] for site in sites.values()]
    for name in common:
        np.testing.assert_allclose(common[name], (8 * own[0][name] + 16 * own[1][name]) / 24, atol=1e-5)


def test_the_pull_of_fedprox_keeps_sites_near_the_common_weights():
    moved = []
    for changes in ({}, {"strategy": "FedProx", "proximal": 100.0}):
        trainer = made_trainer(**changes)
        start = trainer.arrays
        arrays, _ = trainer.train(made_sites(trainer.options)["north"], start, 0)
        moved.append(messages.update_length(arrays, start))
    assert moved[1] < 0.8 * moved[0]


@pytest.mark.parametrize("norms", NORMS)
def test_statistics_travel_as_asked_for(norms, tmp_path):
    trainer = made_trainer(norms=norms)
    names = set(trainer.statistics)
    simulate(trainer, made_sites(trainer.options), tmp_path)
    state = last(tmp_path, trainer.options)
    assert (names <= set(state["arrays"])) == (norms == AVERAGED)
    assert set(state["statistics"]) == (names if norms == ANEW else set())
    assert load_best(trainer, tmp_path) in (1, 2)
    if norms != LOCAL:
        best = RunFolder(tmp_path, trainer.options)
        state = best.state(best.rounds.best)
        given = {**state["arrays"], **state["statistics"]}
        for name, value in trainer.statistics.items():
            np.testing.assert_allclose(value, given[name])


def test_pooled_statistics_are_those_of_all_pictures_together():
    random = np.random.default_rng(0)
    parts = [random.normal(mean, 1 + mean, (count, 3)) for mean, count in ((0, 50), (2, 150))]
    found = [{"000/mean": part.mean(axis=0), "000/variance": part.var(axis=0)} for part in parts]
    pooled = pooled_statistics(found, [50, 150], robust=False)
    every = np.concatenate(parts)
    np.testing.assert_allclose(pooled["000/mean"], every.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(pooled["000/variance"], every.var(axis=0), rtol=1e-5)
    outlier = pooled_statistics(
        [*found, *found, {name: value + 1e6 for name, value in found[0].items()}], None, robust=True
    )
    assert max(value.max() for value in outlier.values()) < 100


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("strategy", ["FedAvg", "FedAdam"])
def test_a_server_that_was_killed_goes_on_after_the_last_whole_round(strategy, tmp_path):
    def killed(one):
        if one.number == 2:
            raise StoppedError

    trainer = made_trainer(strategy=strategy, rounds=3)
    simulate(trainer, made_sites(trainer.options), tmp_path / "whole")
    trainer = made_trainer(strategy=strategy, rounds=3)
    with pytest.raises(StoppedError):
        simulate(trainer, made_sites(trainer.options), tmp_path / "killed", on_round=killed)
    trainer = made_trainer(strategy=strategy, rounds=3)
    report = simulate(trainer, made_sites(trainer.options), tmp_path / "killed")
    assert [one.number for one in report.rounds] == [1, 2, 3]
    whole, resumed = (last(tmp_path / name, trainer.options)["arrays"] for name in ("whole", "killed"))
    for name in whole:
        np.testing.assert_allclose(whole[name], resumed[name], atol=1e-5)


def test_a_round_whose_report_was_not_written_is_run_again(tmp_path):
    trainer = made_trainer()
    report = simulate(trainer, made_sites(trainer.options), tmp_path)
    # As a server leaves it that was killed after the weights of round 2 and before the report.
    first = report.model_copy(update={"rounds": report.rounds[:1]})
    (tmp_path / "rounds.json").write_text(first.model_dump_json())
    (tmp_path / "round-2.npz").rename(tmp_path / "round-1.npz")
    (tmp_path / "round-2.npz").write_bytes(b"half a file")
    assert len(simulate(trainer, made_sites(trainer.options), tmp_path).rounds) == 2


def test_the_run_ends_when_it_stops_improving_and_the_best_round_is_kept(tmp_path):
    # So long a step makes every later round worse.
    trainer = made_trainer(rounds=12, patience=2, learning_rate=3.0)
    report = simulate(trainer, made_sites(trainer.options), tmp_path)
    losses = [one.val_loss for one in report.rounds]
    best = int(np.argmin(losses)) + 1
    assert report.best == best == load_best(trainer, tmp_path)
    assert len(losses) in (best + 2, 12)
    kept = {path.name for path in tmp_path.glob("round-*.npz")}
    assert kept == {f"round-{best}.npz", f"round-{len(losses)}.npz"}


def test_the_folder_of_another_run_is_refused(tmp_path):
    trainer = made_trainer()
    simulate(trainer, made_sites(trainer.options), tmp_path)
    with pytest.raises(InputError):
        RunFolder(tmp_path, made_options(seed=3))


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": "mean"},
        {"norms": "none"},
        {"privacy": "some"},
        {"recipe": "cake"},
        {"rounds": 0},
        {"strategy": "FedAdam", "norms": AVERAGED},
        {"privacy": "central"},
        {"privacy": "central", "norms": LOCAL, "strategy": "Krum"},
        {"privacy": "local", "norms": LOCAL, "epsilon": 0.0},
        {"privacy": "local", "norms": LOCAL, "delta": 1.0},
    ],
)
def test_options_that_cannot_be_are_refused(changes):
    with pytest.raises(InputError):
        made_options(**changes)
