import json
from dataclasses import replace

import numpy as np
import pytest
import streamlit as st

from braintumor.dashboard.viewer.scene import Heatmap, Scene
from braintumor.scans import phantom
from tests.dashboard.viewer.made_answers import made_answer, spot

PIXELS = phantom(96).astype(np.float32)


@pytest.fixture(autouse=True)
def session(monkeypatch):
    monkeypatch.setattr(st, "session_state", {})


def volume(p_tumors=(0.1, 0.9, 0.6, 0.2), kept=None, **changes):
    made = made_answer(pixels=PIXELS, p_tumors=p_tumors, tumor_map=spot(), kept=kept or range(len(p_tumors)))
    return replace(made, prediction=replace(made.prediction, **changes))


def bits(arguments):
    shape = arguments["layout"]["shape"]
    held = np.unpackbits(np.frombuffer(arguments["mask"], np.uint8), count=int(np.prod(shape)))
    return held.reshape(shape).astype(bool)


def test_the_bytes_are_those_that_the_layout_describes():
    arguments = Scene(volume(), Heatmap("gradcam", np.ones((192, 192), np.float32))).arguments()
    layout = arguments["layout"]
    assert json.loads(json.dumps(layout))["shape"] == [4, 96, 96]
    assert len(arguments["volume"]) == 4 * 96 * 96
    assert len(arguments["maps"]) == 4 * np.prod(layout["mapShape"])
    assert len(arguments["mask"]) == 4 * 96 * 96 / 8
    assert len(arguments["heat"]) == 192 * 192
    assert len(arguments["palette"]) == 3 * 256
    assert len(layout["squares"]) == len(layout["words"]) == len(layout["p"]) == 4
    assert layout["own"] == 1


def test_the_first_picture_has_the_planes_through_the_focus_and_every_fourth_voxel():
    scene = Scene(volume())
    whole, first = scene.arguments(), scene.first_arguments()
    row, column = first["layout"]["focus"]
    stack = np.frombuffer(whole["volume"], np.uint8).reshape(4, 96, 96)
    sent = (stack[1], stack[:, row], stack[:, :, column], stack[::4, ::4, ::4])
    assert first["volume"] == b"".join(part.tobytes() for part in sent)
    assert first["maps"] == np.frombuffer(whole["maps"], np.uint8).reshape(4, -1)[1].tobytes()
    assert first["mask"] == np.packbits(bits(whole)[1]).tobytes()
    assert first["layout"] == {**whole["layout"], "isWhole": False}


@pytest.mark.parametrize(("slices", "goes_ahead"), [(1, False), (28, False), (29, True)])
def test_a_first_picture_goes_ahead_of_a_large_volume_only(slices, goes_ahead):
    kept = range(slices) if slices > 1 else ()
    answer = made_answer(pixels=PIXELS, p_tumors=(0.9,) * slices, kept=kept, tumor_map=spot())
    assert Scene(answer).has_first is goes_ahead


def test_the_mask_is_that_of_the_download_and_empty_where_nothing_is_outlined():
    answer = volume()
    mask = bits(Scene(answer).arguments())
    assert (mask == answer.prediction.mask()).all()
    assert mask.any(axis=(1, 2)).tolist() == [False, True, True, False]


def test_a_mask_is_made_once_a_session(masked):
    answer = volume()
    masked.clear()
    first = Scene(answer).arguments()["mask"]
    assert Scene(answer).arguments()["mask"] == first
    assert masked == [(96, 96)] * 2


@pytest.mark.parametrize(
    ("decision", "finding", "p_tumor"), [("no_tumor", "notumor", 0.1), ("refer", None, 0.9)], ids=["none", "not judged"]
)
def test_without_an_outline_no_mask_is_sent(decision, finding, p_tumor):
    answer = made_answer(decision, finding, pixels=PIXELS, p_tumors=(p_tumor,), tumor_map=spot())
    assert Scene(answer).arguments()["mask"] == b""


@pytest.mark.parametrize("part", ["arguments", "first_arguments"])
def test_of_a_volume_that_is_not_assessed_all_slices_are_sent_and_nothing_that_the_model_made(part):
    answer = volume()
    refused = replace(answer, prediction=replace(answer.prediction, decision="refer", finding=None, rests_on=(1, 2)))
    found = getattr(Scene(refused), part)()
    assert (found["mask"], found["maps"], found["heat"]) == (b"", b"", b"")
    layout = found["layout"]
    assert (layout["p"], layout["restsOn"], layout["mapShape"]) == ([], [], None)
    assert (layout["numbers"], set(layout["words"])) == ((0, 1, 2, 3), {"Not assessed."})


def test_a_picture_is_enlarged_and_lies_nowhere():
    layout = Scene(made_answer(pixels=PIXELS, tumor_map=spot())).arguments()["layout"]
    assert layout["shape"] == (1, 576, 576)
    assert layout["pixelsPer"] == pytest.approx(1 / 6)
    assert layout["spacing"] is None
    assert layout["p"] == []
    assert [plane["sides"] for plane in layout["planes"]] == [dict.fromkeys(("top", "bottom", "left", "right"), "")]


@pytest.mark.parametrize(
    ("kept", "spacing"), [(range(4), (5.0, 1.0, 2.0)), (range(1, 4, 2), (10.0, 1.0, 2.0))], ids=["all", "every other"]
)
def test_distances_are_those_of_the_slices_that_are_sent(kept, spacing):
    layout = Scene(volume(kept=kept, spacing=(5.0, 1.0, 2.0))).arguments()["layout"]
    assert layout["spacing"] == pytest.approx(spacing)
    assert layout["numbers"] == tuple(kept)


def test_the_other_planes_go_through_the_hottest_place():
    row, column = Scene(volume()).arguments()["layout"]["focus"]
    assert volume().prediction.mask()[1][row, column]


def test_the_curve_has_the_line_that_decides_on_an_outline():
    answer = volume(slice_limits=(0.8, 0.3), rests_on=(1, 2))
    layout = Scene(answer).arguments()["layout"]
    assert layout["line"] == 0.8
    assert layout["restsOn"] == [1, 2]
    assert layout["p"] == [0.1, 0.9, 0.6, 0.2]
    for number, words in enumerate(layout["words"]):
        assert ("above" in words) is (answer.prediction.slices[number].p_tumor >= layout["line"])
        assert "no tumor" not in words
