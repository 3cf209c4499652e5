import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from braintumor import settings
from braintumor.bundles import load_bundle
from braintumor.cli import main
from braintumor.errors import InputError
from braintumor.explanation import METHODS, methods_for
from braintumor.inference import Graph, Predictor
from braintumor.networks import build, registered
from braintumor.networks.efficientnet_lite import freeze
from braintumor.scans import phantom
from braintumor.taxonomy import CLASSES
from braintumor.training.costs import device, software
from braintumor.training.evaluate import evaluate_bundle
from braintumor.training.export import export_bundle
from braintumor.training.fit_options import patience
from braintumor.training.options import RunOptions
from braintumor.training.recipes import RECIPES
from braintumor.training.run import _fit_options, part_options, run, start, versions_of, with_defaults
from tests.conftest import phantom_scan, shorten_epochs

OPTIONS = RunOptions(
    data=Path("/somewhere/private"),
    network="efficient_unet",
    weights=None,
    name="mine",
    version="1.0.0",
    size=None,
    epochs=40,
    folds=5,
    fold=2,
    seed=7,
    learning_rate=1e-3,
    recipe="untied",
    bfloat16=False,
    runs=Path("/somewhere/runs"),
    models=Path("/somewhere/models"),
)
SHORTEST = (
    "python -m braintumor train --data DIR --network efficient_unet --name mine --version 1.0.0 --recipe untied "
    "--epochs 40 --folds 5 --fold 2 --seed 7 --learning-rate 0.001"
)


@pytest.fixture(scope="module", autouse=True)
def short_epochs():
    with pytest.MonkeyPatch.context() as patch:
        shorten_epochs(patch)
        yield


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, SHORTEST),
        ({"bfloat16": True}, f"{SHORTEST} --bfloat16"),
        ({"unfreeze": True}, f"{SHORTEST} --unfreeze"),
        (
            {"validation_hospitals": ("CS", "cheng"), "test_hospitals": ("FG",)},
            f"{SHORTEST} --validation-hospitals CS cheng --test-hospitals FG",
        ),
        ({"sensitivity": 0.98}, f"{SHORTEST} --sensitivity 0.98"),
        (
            {"train_on": ("a", "b"), "test_on": ("c",), "as_published": True},
            f"{SHORTEST} --train-on a b --test-on c --as-published",
        ),
        ({"size": 96}, SHORTEST.replace("--name", "--size 96 --name")),
        ({"weights": Path("/somewhere/private/w.h5")}, SHORTEST.replace("--name", "--weights w.h5 --name")),
        ({"network": "squeezenet"}, SHORTEST.replace("efficient_unet", "squeezenet")),
    ],
)
def test_the_command_says_how_to_train_again_and_nothing_of_the_machine(changes, command):
    assert replace(OPTIONS, **changes).command == command


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "resnet"}, "must be one of efficient_unet, squeeze_unet, squeezenet"),
        ({"sensitivity": 0.0}, "sensitivity is 0; it must be above 0 and at most 1"),
        ({"sensitivity": 95.0}, "sensitivity is 95; it must be above 0 and at most 1"),
        ({"recipe": "soup"}, "must be one of plain, untied, regrafted"),
        ({"weights": Path("nowhere.keras"), "size": 48}, "nowhere.keras holds no efficient_unet"),
        ({"weights": Path("nowhere.h5"), "size": 48}, "nowhere.h5 holds no weights"),
        ({"weights": "imagenet"}, "no ImageNet weights of efficient_unet to fetch, only of vgg16"),
        ({"weights": Path("nowhere.h5"), "network": "lenet"}, "no published weights of lenet"),
        ({"weights": Path("nowhere.h5"), "network": "vgg16", "size": 32}, "nowhere.h5 holds no weights of VGG16"),
        ({"weights": Path("nowhere.keras"), "network": "lenet", "size": 32}, "nowhere.keras holds no lenet"),
        ({"network": "alexnet", "size": 32}, "^alexnet cannot be built for 32 pixels; choose a larger --size"),
        ({"size": 100}, "^efficient_unet cannot be built for 100 pixels; choose a larger --size, a multiple of 32"),
        ({"network": "vgg16", "weights": "imagenet", "size": 16}, "^VGG16 cannot be built for 16 pixels"),
        (
            {"weights": Path("nowhere.keras"), "network": "alexnet", "size": 32},
            "^alexnet cannot be built for 32 pixels",
        ),
        ({"task": "three"}, "task is 'three'; it must be one of four_class, binary"),
        ({"task": "binary", "network": "lenet", "loss": "categorical"}, "asks for the kind of tumor"),
        ({"loss": "binary"}, "add --task binary"),
        ({"unfreeze": True, "size": 48}, "^efficient_unet keeps no layers as they came; omit --unfreeze"),
        ({"unfreeze": True, "network": "logistic"}, "^logistic keeps no layers"),
        ({"size": 48}, "private is not a folder"),
    ],
)
def test_a_run_that_cannot_start_says_why_and_writes_nothing(changes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        run(replace(OPTIONS, **changes, runs=tmp_path / "runs", models=tmp_path / "models"))
    assert not list(tmp_path.iterdir())


def test_every_option_of_a_run_can_be_given_on_the_command_line(tmp_path, capsys):
    """The command of a bundle, with a folder in the place of DIR, gets as far as looking for the data."""
    options = replace(OPTIONS, size=48, bfloat16=True, sensitivity=0.9, data=tmp_path / "none")
    words = options.command.replace("DIR", str(options.data)).split()[3:]
    assert main([*words, "--runs", str(tmp_path / "runs")]) == 2
    assert "none is not a folder" in capsys.readouterr().err
    assert main([*words, "--unfreeze", "--runs", str(tmp_path / "runs")]) == 2
    assert "omit --unfreeze" in capsys.readouterr().err


def test_what_is_left_open_is_what_the_network_was_published_with():
    vgg16 = registered("vgg16")
    left_open = replace(OPTIONS, network="vgg16", epochs=None, learning_rate=None, recipe=None)
    for options in (with_defaults(left_open), *part_options(left_open)):
        found = (options.epochs, options.learning_rate, options.recipe, options.loss)
        assert found == (vgg16.epochs, vgg16.learning_rate, vgg16.recipe, vgg16.loss)
    assert "--loss categorical" in with_defaults(left_open).command
    assert part_options(left_open)[0].size == vgg16.size


def test_each_member_of_an_ensemble_is_trained_as_it_would_be_by_itself():
    options = replace(OPTIONS, network="ensemble", epochs=None, learning_rate=None, recipe=None)
    assert with_defaults(options) == options
    members = [with_defaults(replace(options, network=name, size=128)) for name in ("vgg16", "resnet50")]
    assert part_options(options) == members
    assert [part.epochs for part in part_options(replace(options, epochs=3))] == [3, 3]


PUBLISHED = ("unchanged", "turned_cropped", "zoom_flip", "brightness_contrast")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_change_pictures_as_published_and_add_nothing(name):
    picture, flat = phantom(48), np.full((48, 48), 100, np.uint8)
    augmentation = RECIPES[name].augmentation
    changed = [augmentation.apply(picture, np.random.default_rng(seed))[0] for seed in range(6)]
    moved = max(np.abs(one.astype(int) - picture).max() for one in changed)
    assert (moved <= 1) == (name == "unchanged")
    assert all(np.ptp(augmentation.apply(flat, np.random.default_rng(seed))[0][9:39, 9:39]) == 0 for seed in range(6))
    assert not RECIPES[name].counterfactuals.mirrors


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("plain", *PUBLISHED)])
def test_recipes_untie_tumors_from_their_sources(name):
    assert RECIPES[name].outlined_copies
    assert RECIPES[name].counterfactuals.mirrors


def test_training_can_start_from_a_trained_network_of_the_same_kind(tiny_bundle):
    started = start(replace(OPTIONS, size=48, weights=tiny_bundle / "model.keras"))
    trained = keras.saving.load_model(tiny_bundle / "model.keras", compile=False)
    for found, expected in zip(started.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="holds no squeezenet"):
        start(replace(OPTIONS, network="squeezenet", size=48, weights=tiny_bundle / "model.keras"))


def test_what_a_training_kept_as_it_came_stays_so_in_the_next_unless_it_is_unfrozen(tmp_path):
    trained = build("efficient_unet", size=48)
    freeze(trained, blocks=2)
    trained.save(tmp_path / "kept.keras")
    options = replace(OPTIONS, size=96, weights=tmp_path / "kept.keras")
    frozen = {layer.name for layer in start(options).layers if not layer.trainable}
    assert frozen == {layer.name for layer in trained.layers if not layer.trainable}
    assert {"stem", "block1_project"} <= frozen
    unfrozen = start(replace(options, unfreeze=True))
    assert {layer.name for layer in unfrozen.layers if layer.weights and not layer.trainable} == {"stem", "stem_norm"}
    for found, expected in zip(unfrozen.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("epochs", "longest"), [(1, 20), (40, 20), (41, 20), (100, 50)])
def test_a_long_run_may_go_half_its_epochs_without_a_gain(epochs, longest):
    assert patience(epochs) == longest
    assert _fit_options(replace(with_defaults(OPTIONS), epochs=epochs)).patience == longest


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([{"software": {"jax": "0"}}], {"jax": "0"}),
        ([None], software()),
        ([{"software": {"jax": "0"}}, {"software": {"torch": "1"}}], {"jax": "0", "torch": "1"}),
    ],
    ids=["said", "no state", "of members"],
)
def test_software_is_what_trained_not_what_tells_of_it(states, said, tmp_path):
    folders = [tmp_path / str(number) for number in range(len(states))]
    for folder, state in zip(folders, states, strict=True):
        folder.mkdir()
        if state:
            (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    assert versions_of(folders) == said


SMALLEST = {
    "lenet": {"network": "lenet", "size": 32, "epochs": 1},
    "logistic": {"network": "logistic", "size": 32},
    "binary": {"network": "lenet", "size": 32, "epochs": 1, "task": "binary"},
    "binary map": {"network": "squeeze_unet", "size": 32, "epochs": 1, "task": "binary"},
}


def _options(changes):
    left_open = replace(OPTIONS, epochs=None, learning_rate=None, recipe=None, folds=3, fold=0)
    return replace(left_open, **changes)


@pytest.fixture(scope="module", params=SMALLEST)
def trained(request, picture_folder, tmp_path_factory):
    """A bundle of a network that has no closed form for its task, made as the real command makes it."""
    work = tmp_path_factory.mktemp("trained")
    run(replace(_options(SMALLEST[request.param]), data=picture_folder, runs=work / "runs", models=work / "models"))
    return load_bundle(work / "models" / "mine")


@pytest.mark.parametrize("trained", ["lenet"], indirect=True)
@pytest.mark.parametrize(
    ("other", "seen"),
    [({}, False), ({"seed": 8}, True), ({"fold": 1}, True), ({"folds": 4}, True)],
    ids=["the same split", "another seed", "another fold", "other folds"],
)
def test_a_trained_network_goes_on_only_where_it_has_not_seen_the_test_pictures(
    other, seen, trained, picture_folder, tmp_path
):
    options = replace(_options(SMALLEST["lenet"]), data=picture_folder, runs=tmp_path / "runs", recipe="plain")
    going_on = replace(options, weights=trained.folder / "model.keras", models=tmp_path / "models")
    if seen:
        with pytest.raises(InputError, match="mine was trained on other data or another split"):
            run(replace(going_on, **other))
        assert not (tmp_path / "runs").exists()
    else:
        first, card = trained, run(going_on)
        assert card.initial_weights == "model.keras"
        assert card.started_from.model_dump() == {
            "name": first.card.name,
            "version": first.card.version,
            "initial_weights": first.card.initial_weights,
            "initial_weights_sha256": first.card.initial_weights_sha256,
            "commands": (first.card.command,),
            "device": device(),
            "epochs": 1,
        }
        assert {2} <= set(card.kept_epochs) <= {1, 2}
        history = pd.read_csv(tmp_path / "models" / "mine" / "history.csv")
        assert list(history["epoch"]) == [1, 2]


def test_a_network_without_a_closed_form_answers_as_the_apps_model(trained, monkeypatch):
    """Named by the setting, it gives the page all that the page asks for."""
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(trained.folder.parent))
    monkeypatch.setenv("BRAINTUMOR_MODEL", trained.folder.name)
    settings.load.cache_clear()
    configured = settings.load()
    settings.load.cache_clear()
    predictor = Predictor.load(configured.models_dir / configured.model)
    assert predictor.bundle.folder == trained.folder
    for prediction in predictor.predict([phantom_scan(tumor=tumor) for tumor in (True, False)]):
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.p_tumor == pytest.approx(1 - prediction.probabilities["notumor"])
        assert set(prediction.probabilities) == set(CLASSES if trained.kinds else ("tumor", "notumor"))
        assert prediction.finding in {None, *prediction.probabilities}
        assert prediction.cam is None
        assert prediction.locates == (trained.card.map is not None)
        assert not any(prediction.explains(name) for name in prediction.probabilities)
        assert trained.kinds or not any(reason.code == "kind_uncertain" for reason in prediction.reasons)
        with pytest.raises(ValueError, match="no Grad-CAM of notumor at hand"):
            prediction.class_map("notumor")


def test_the_card_says_what_the_network_can(trained):
    network = registered(trained.card.network)
    assert trained.card.heatmap.model_dump() == network.heatmap
    assert trained.card.kept_epochs == (() if network.name == "logistic" else (1,))
    assert methods_for(trained) == (list(METHODS) if network.feature_map else ["saliency"])
    assert trained.kinds == ("--task binary" not in trained.card.command)
    if not trained.kinds:
        assert trained.card.metrics.test.four_class.accuracy.value is None
        assert trained.referral.kind_confidence == 0
        assert {label for data in trained.card.data.values() for label in data.images} == {"tumor", "notumor"}


def test_a_bundle_is_measured_again_as_it_was(trained, picture_folder):
    assert evaluate_bundle(trained, picture_folder)[0]["agrees_with_card"]


@pytest.mark.parametrize("ending", [".keras", ".h5", ".tflite"])
def test_a_bundle_is_exported_in_three_forms(trained, ending, tmp_path, capsys):
    path = tmp_path / f"network{ending}"
    assert main(["export", "--bundle", str(trained.folder), "--to", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    pictures = np.stack([phantom(trained.size, seed=seed) for seed in range(3)])
    wanted = Graph(trained.folder / "graph.tflite").run(pictures).logits
    if ending == ".tflite":
        found = Graph(path).run(pictures).logits
    else:
        network = keras.saving.load_model(path, compile=False)
        found = network(pictures[..., None].astype(np.float32))["logits"]
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_another_ending_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match=r"network.onnx ends in none of .keras, .h5 and .tflite"):
        export_bundle(trained, tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
