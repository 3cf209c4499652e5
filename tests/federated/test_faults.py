"""Sites that are slow, die, come back, send what must not count, or hold one class only; the report says each."""

import numpy as np
import pytest

from braintumor.federated.attacks import poisoned
from braintumor.federated.messages import ARRAYS, METRICS, packed, unpacked
from braintumor.federated.records import ABSENT, ANSWERED, FAILED, REFUSED
from braintumor.federated.server import RunFolder
from braintumor.federated.simulation import at_site, simulate
from tests.federated.made_sites import NAMES, made_sites, made_trainer, use_tiny


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        yield


def die(reply):
    raise ConnectionError("the power failed")


def with_arrays(change):
    def changed(reply):
        arrays = {name: change(value.copy()) for name, value in unpacked(reply.content[ARRAYS]).items()}
        reply.content[ARRAYS] = packed(arrays)

    return changed


def nan(value):
    value.flat[0] = np.nan
    return value


def with_metric(name, value):
    def changed(reply):
        reply.content[METRICS][name] = value

    return changed


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (die, FAILED, "the power failed"),
        (with_arrays(nan), REFUSED, "not finite"),
        (with_arrays(lambda value: value + 1e4), REFUSED, "times the median"),
        (with_arrays(lambda value: np.zeros((*value.shape, 2))), REFUSED, "the shape"),
        (with_metric("pixel-mean", 3.0), REFUSED, "pixel-mean"),
        (with_metric("loss", float("nan")), REFUSED, "loss"),
    ],
    ids=["dies", "nan", "far", "shape", "metric", "loss"],
)
def test_an_answer_that_must_not_count_does_not_and_the_site_comes_back(change, status, reason, tmp_path):
    trainer = made_trainer()
    start = trainer.arrays
    report = simulate(trainer, made_sites(trainer.options), tmp_path, mods=[at_site(2, {1}, change)])
    first, second = report.rounds
    assert first.sites["south"].status == status
    assert reason in first.sites["south"].reason
    assert [first.sites[name].status for name in ("north", "west")] == [ANSWERED, ANSWERED]
    assert {site.status for site in second.sites.values()} == {ANSWERED}
    state = RunFolder(tmp_path, trainer.options).state(2)["arrays"]
    assert all(np.isfinite(value).all() for value in state.values())
    assert np.abs(np.concatenate([(state[name] - start[name]).ravel() for name in start])).max() < 1


def test_a_slow_site_is_left_out_of_the_round(tmp_path):
    trainer, clock = made_trainer(timeout=10.0), [0]

    def be_slow(reply):
        clock[0] += 60

    mods = [at_site(2, {1}, be_slow)]
    report = simulate(trainer, made_sites(trainer.options), tmp_path, mods=mods, clock=lambda: clock[0])
    assert report.rounds[0].sites["south"].status == ABSENT
    assert report.rounds[1].sites["south"].status == ANSWERED


def test_a_round_in_which_no_site_answers_changes_nothing(tmp_path):
    trainer = made_trainer()
    mods = [at_site(number, {1}, die) for number in (1, 2, 3)]
    report = simulate(trainer, made_sites(trainer.options), tmp_path, mods=mods)
    assert [one.changed for one in report.rounds] == [False, True]
    assert {site.status for site in report.rounds[0].sites.values()} == {FAILED}
    assert set(report.rounds[0].sites) == set(NAMES)


def test_a_site_with_one_class_takes_part(tmp_path):
    trainer = made_trainer(sites=2)
    sites = {**made_sites(trainer.options, ("north",)), **made_sites(trainer.options, ("one",), labels=("glioma",))}
    report = simulate(trainer, sites, tmp_path)
    assert report.sites["one"] == {"glioma": 8, "meningioma": 0, "pituitary": 0, "notumor": 0, "tumor": 0}
    assert {site.status for one in report.rounds for site in one.sites.values()} == {ANSWERED}


def misled(strategy, folder):
    """How far one poisoned site of five leads the common weights in a round from where honest sites take them."""
    ends = []
    for name, mods in (("clean", []), ("poisoned", [poisoned(1)])):
        trainer = made_trainer(strategy=strategy, trimmed=0.34, sites=5, malicious=1, patience=1)
        first = {}

        def keep(one, kept=folder / name, options=trainer.options, first=first):
            first.update(first or RunFolder(kept, options).state(1)["arrays"])

        simulate(trainer, made_sites(trainer.options, "abcde"), folder / name, mods=mods, on_round=keep)
        ends.append(np.concatenate([value.ravel() for value in first.values()]))
    return float(np.linalg.norm(ends[1] - ends[0]))


def test_robust_rules_are_misled_less_than_the_mean(tmp_path):
    by_mean = misled("FedAvg", tmp_path / "FedAvg")
    for strategy in ("FedMedian", "FedTrimmedAvg", "Krum"):
        assert misled(strategy, tmp_path / strategy) < by_mean
