from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from braintumor.cli import main
from braintumor.errors import InputError
from braintumor.networks import registered
from braintumor.training.run import RECIPES, RunOptions, _started, run

OPTIONS = RunOptions(
    data=Path("/somewhere/private"),
    network="squeeze_unet",
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
    "python -m braintumor train --data DIR --network squeeze_unet --name mine --version 1.0.0 --recipe untied "
    "--epochs 40 --folds 5 --fold 2 --seed 7 --learning-rate 0.001"
)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, SHORTEST),
        ({"bfloat16": True}, f"{SHORTEST} --bfloat16"),
        ({"size": 96}, SHORTEST.replace("--name", "--size 96 --name")),
        ({"weights": Path("/somewhere/private/w.h5")}, SHORTEST.replace("--name", "--weights w.h5 --name")),
        ({"network": "squeezenet"}, SHORTEST.replace("squeeze_unet", "squeezenet")),
    ],
)
def test_the_command_says_how_to_train_again_and_nothing_of_the_machine(changes, command):
    assert replace(OPTIONS, **changes).command == command


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "resnet"}, "must be one of squeeze_unet, squeezenet"),
        ({"recipe": "soup"}, "must be one of plain, untied, regrafted"),
        ({"weights": Path("nowhere.keras"), "size": 48}, "nowhere.keras holds no squeeze_unet"),
        ({"weights": Path("nowhere.h5"), "size": 48}, "nowhere.h5 holds no weights"),
        ({"size": 48}, "private is not a folder"),
    ],
)
def test_a_run_that_cannot_start_says_why_and_writes_nothing(changes, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        run(replace(OPTIONS, **changes, runs=tmp_path / "runs", models=tmp_path / "models"))
    assert not list(tmp_path.iterdir())


def test_every_option_of_a_run_can_be_given_on_the_command_line(tmp_path, capsys):
    """The command of a bundle, with a folder in the place of DIR, gets as far as looking for the data."""
    options = replace(OPTIONS, size=48, bfloat16=True, data=tmp_path / "none")
    words = options.command.replace("DIR", str(options.data)).split()[3:]
    assert main([*words, "--runs", str(tmp_path / "runs")]) == 2
    assert "none is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "plain"])
def test_recipes_untie_tumors_from_their_sources(name):
    assert RECIPES[name].outlined_copies
    assert RECIPES[name].counterfactuals.mirrors


def test_training_can_start_from_a_trained_network_of_the_same_kind(tiny_bundle):
    started = _started(registered("squeeze_unet"), 48, tiny_bundle / "model.keras")
    trained = keras.saving.load_model(tiny_bundle / "model.keras", compile=False)
    for found, expected in zip(started.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(InputError, match="holds no squeezenet"):
        _started(registered("squeezenet"), 48, tiny_bundle / "model.keras")
