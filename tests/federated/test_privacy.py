"""What leaves a site, and what differential privacy is said to have been spent."""

import re

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from braintumor.federated.messages import (
    EVALUATE_METRICS,
    TRAIN_METRICS,
    MessageError,
    check,
    packed,
)
from braintumor.federated.options import ANEW, LOCAL
from braintumor.federated.privacy import gaussian_epsilon, spent
from braintumor.federated.simulation import simulate
from tests.federated.made_sites import made_options, made_sites, made_trainer, use_tiny


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch)
        yield


class Wire:
    """A mod that keeps a copy of all that leaves a site."""

    def __init__(self):
        self.sent = []

    def __call__(self, message, context, call_next):
        reply = call_next(message, context)
        self.sent.append((message.metadata.message_type, reply))
        return reply


@pytest.mark.parametrize("norms", [ANEW, LOCAL])
def test_weights_counts_and_metrics_are_all_that_leaves_a_site(norms, tmp_path):
    trainer, wire = made_trainer(norms=norms), Wire()
    sites = made_sites(trainer.options)
    simulate(trainer, sites, tmp_path, mods=[wire])
    assert len(wire.sent) == 2 * 2 * len(sites)
    weights = {name: tuple(one.shape) for name, one in trainer.sent.items()}
    for kind, reply in wire.sent:
        records = dict(reply.content.items())
        train = kind == "train"
        listed = {"arrays": ArrayRecord, "metrics": MetricRecord} if train else {"metrics": MetricRecord}
        if not train and norms == ANEW:
            listed["statistics"] = ArrayRecord
        assert {name: type(record) for name, record in records.items()} == listed
        assert set(records["metrics"]) <= set(TRAIN_METRICS if train else EVALUATE_METRICS)
        assert all(type(value) in (int, float) for value in records["metrics"].values())
        if train:
            assert {name: tuple(array.shape) for name, array in records["arrays"].items()} == weights
        elif norms == ANEW:
            assert set(records["statistics"]) == set(trainer.statistics)


def test_no_name_path_hash_or_picture_is_in_the_bytes_that_leave(tmp_path):
    trainer, wire = made_trainer(), Wire()
    sites = made_sites(trainer.options)
    simulate(trainer, sites, tmp_path, mods=[wire])
    bytes_sent = b"".join(
        array.data
        for _, reply in wire.sent
        for record in reply.content.array_records.values()
        for array in record.values()
    )
    words = b" ".join(
        str(dict(record)).encode() for _, reply in wire.sent for record in reply.content.metric_records.values()
    )
    for name, site in sites.items():
        assert name.encode() not in words
        for row, path in enumerate(site.train.index["path"]):
            assert path.encode() not in words + bytes_sent
            picture = site.train.pictures[row]
            assert picture.tobytes() not in bytes_sent
            assert picture.astype(np.float32).tobytes() not in bytes_sent
    assert not re.search(rb"[0-9a-f]{32}", words)


SHAPES = {"000/w": (2,)}
METRICS = {"num-examples": 3, "weight": 3, "site": 1, "loss": 0.5}


def content(arrays=None, metrics=None, **more):
    given = {"arrays": packed(arrays or {"000/w": np.ones(2)}), "metrics": MetricRecord({**METRICS, **(metrics or {})})}
    return RecordDict({**given, **more})


@pytest.mark.parametrize(
    "wrong",
    [
        content(note=ConfigRecord({"name": "Ada"})),
        content(pictures=packed({"p": np.ones((4, 4))})),
        content({"000/w": np.ones(2), "001/p": np.ones(9)}),
        content({"000/w": np.ones(3)}),
        content({"000/w": np.array([1, np.inf])}),
        content(metrics={"age": 61}),
        content(metrics={"loss": [0.5, 0.2]}),
        RecordDict({"arrays": packed({"000/w": np.ones(2)})}),
    ],
)
def test_what_is_not_listed_may_not_leave(wrong):
    check(content(), SHAPES, [], train=True)
    with pytest.raises(MessageError):
        check(wrong, SHAPES, [], train=True)


def test_epsilon_of_gaussian_noise_is_the_published_one():
    # One release with noise 1 at delta 1e-5: 4.3764 (Balle & Wang 2018's reference code); more rounds cost more.
    assert gaussian_epsilon(1.0, 1, 1e-5) == pytest.approx(4.377, abs=0.002)
    # Four releases with twice the noise are one with noise 1.
    assert gaussian_epsilon(2.0, 4, 1e-5) == pytest.approx(gaussian_epsilon(1.0, 1, 1e-5), rel=1e-9)
    assert gaussian_epsilon(1.0, 8, 1e-5) > gaussian_epsilon(1.0, 2, 1e-5) > gaussian_epsilon(4.0, 2, 1e-5)
    assert gaussian_epsilon(0.001, 8, 1e-5) > 1e6


def test_local_privacy_adds_up_round_by_round():
    options = made_options(privacy="local", norms=LOCAL, epsilon=0.5, delta=1e-5)
    assert spent(options, 4) == pytest.approx((2.0, 4e-5))
    assert spent(made_options(), 4) is None


@pytest.mark.parametrize("privacy", ["central", "local"])
def test_noise_is_added_and_what_it_spends_is_shown(privacy, tmp_path):
    changes = {"privacy": privacy, "norms": LOCAL, "clipping": 0.05, "noise": 2.0, "epsilon": 0.5}
    trainer = made_trainer(**changes)
    start = trainer.arrays
    wire = Wire()
    report = simulate(trainer, made_sites(trainer.options), tmp_path, mods=[wire])
    given = [one.epsilon for one in report.rounds]
    assert given == pytest.approx([spent(trainer.options, rounds)[0] for rounds in (1, 2)])
    lengths = []
    for kind, reply in wire.sent[:3]:
        assert kind == "train"
        assert reply.content["metrics"]["weight"] == 1
        own = {name: array.numpy() for name, array in reply.content["arrays"].items()}
        lengths.append(np.sqrt(sum(np.square(own[name] - start[name]).sum() for name in own)))
    count = sum(value.size for value in start.values())
    if privacy == "local":
        # Far longer than the longest update: nearly all of it is noise.
        sigma = 2 * 0.05 * np.sqrt(2 * np.log(1.25 / 1e-5)) / 0.5
        assert np.mean(lengths) == pytest.approx(sigma * np.sqrt(count), rel=0.2)


def test_a_round_that_lacks_a_site_releases_nothing_under_central_privacy(tmp_path):
    from braintumor.federated.simulation import at_site

    def die(reply):
        raise ConnectionError

    trainer = made_trainer(privacy="central", norms=LOCAL)
    report = simulate(trainer, made_sites(trainer.options), tmp_path, mods=[at_site(1, {1}, die)])
    assert [one.changed for one in report.rounds] == [False, True]
    assert report.rounds[0].epsilon == 0
