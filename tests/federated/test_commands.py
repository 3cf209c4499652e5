"""The verbs of ``python -m braintumor federated``, from pictures in folders to a model that answers."""

import shutil
import tomllib

import pandas as pd
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from braintumor import settings
from braintumor.bundles import load_bundle
from braintumor.cli import main
from braintumor.federated.options import FederatedOptions
from braintumor.federated.records import read_comparison, read_rounds
from braintumor.inference import Predictor
from tests.conftest import phantom_scan
from tests.training.hospital import put_hospital, write_list

QUICK = ["--network", "lenet", "--size", "48", "--rounds", "1", "--epoch-images", "16", "--batch-size", "8"]


@pytest.fixture(scope="module")
def simulated(picture_folder, tmp_path_factory):
    """A bundle that two sites trained, by the command that a user gives."""
    root = tmp_path_factory.mktemp("simulated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINTUMOR_MODELS_DIR", str(root / "models"))
        settings.load.cache_clear()
        given = ["--data", picture_folder, "--name", "together", "--partition", "even", "--sites", "2"]
        assert main(["federated", "simulate", *map(str, given), "--runs", str(root / "runs"), *QUICK]) == 0
    settings.load.cache_clear()
    return root


def test_what_sites_trained_is_a_bundle_that_answers_and_says_how_it_was_made(simulated):
    bundle = load_bundle(simulated / "models" / "together")
    report = read_rounds(simulated / "runs" / "together" / "rounds.json")
    told = bundle.card.federated
    assert told.strategy == "FedAvg"
    assert told.rounds == told.best_round == len(report.rounds) == 1
    assert told.sites == report.sites
    assert set(told.sites) == {"site 1", "site 2"}
    assert told.epsilon is None
    assert bundle.card.kept_epochs == (1,)
    assert "federated simulate" in bundle.card.command
    history = pd.read_csv(bundle.folder / "history.csv")
    assert history["val_loss"].tolist() == pytest.approx([report.rounds[0].val_loss])
    (found,) = Predictor(bundle).predict([phantom_scan(size=64)])
    assert 0 <= found.p_tumor <= 1


def test_a_deployment_writes_its_best_round_the_same_way(simulated, picture_folder, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(simulated / "models"))
    settings.load.cache_clear()
    run = simulated / "runs" / "together"
    given = ["--data", picture_folder, "--run", run, "--name", "served", "--runs", simulated / "runs"]
    assert main(["federated", "bundle", *map(str, given)]) == 0
    settings.load.cache_clear()
    first, second = (load_bundle(simulated / "models" / name).card for name in ("together", "served"))
    assert second.federated == first.federated


def test_cases_are_compared_once_each_and_those_done_are_kept(picture_folder, tmp_path):
    root = shutil.copytree(picture_folder, tmp_path / "clinic")
    write_list(root, put_hospital(root, "X", dict.fromkeys("ab", (6, ("post",)))))
    given = ["--data", root, "--hospital", "X", "--runs", tmp_path / "runs", "--out", tmp_path / "results"]
    command = ["federated", "compare", *map(str, given), *QUICK, "--cases", "central", "even"]
    assert main(command) == 0
    path = tmp_path / "results" / "comparison.json"
    found = read_comparison(path)
    assert [one.name for one in found.trained] == ["central", "even"]
    assert [len(one.sites) for one in found.trained] == [1, 4]
    written = path.stat().st_mtime_ns
    assert main(command) == 0
    assert path.stat().st_mtime_ns == written


def test_keys_are_what_flower_reads_and_only_their_owner_can(tmp_path):
    folder = tmp_path / "keys"
    command = ["federated", "keys", "--hosts", "localhost", "127.0.0.1", "--names", "north", "--out", str(folder)]
    assert main(command) == 0
    root, server = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in ("ca.crt", "server.pem"))
    server.verify_directly_issued_by(root)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    private = serialization.load_ssh_private_key((folder / "north").read_bytes(), None)
    assert isinstance(private.curve, ec.SECP384R1)
    public = serialization.load_ssh_public_key((folder / "north.pub").read_bytes())
    assert public.public_numbers() == private.public_key().public_numbers()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["north"] == modes["server.key"] == 0o600
    assert main(command) == 2


def test_the_app_carries_the_options_and_no_code(tmp_path):
    out = tmp_path / "app"
    assert main(["federated", "app", "--run", str(tmp_path / "run"), "--out", str(out), *QUICK, "--sites", "3"]) == 0
    told = tomllib.loads((out / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert FederatedOptions.of(told["config"]) == FederatedOptions(
        network="lenet", size=48, rounds=1, epoch_images=16, batch_size=8, sites=3
    )
    assert told["config"]["folder"] == str(tmp_path / "run")
    assert {path.name for path in out.iterdir()} == {"pyproject.toml", "hospitals.py"}
    assert main(["federated", "app", "--run", "run", "--out", str(out), *QUICK]) == 2


@pytest.mark.parametrize("network", ["ensemble", "logistic", "cake"])
def test_a_network_that_is_not_trained_by_steps_is_refused(network, tmp_path):
    command = ["federated", "app", "--run", str(tmp_path), "--out", str(tmp_path / "app"), "--network", network]
    assert main(command) == 2
