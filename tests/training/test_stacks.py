import nibabel
import numpy as np
import pandas as pd
import pytest

from braintumor.datasets import build_index
from braintumor.decision import Calibration, Typicality, predictive_limits
from braintumor.errors import InputError
from braintumor.segmentation import EVIDENCE
from braintumor.training.stacks import fit_volume_rule, read_stacks, stack_table, tumor_free_stacks
from tests.training.glass import glass_graph
from tests.training.hospital import SIZE, put_hospital, slice_picture, write_list


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Two patients of twelve slices, tumors in the second to fifth, and one of four slices; one in two sequences."""
    root = tmp_path_factory.mktemp("hospital")
    write_list(root, put_hospital(root, "X", {"a": (12, ("post", "flair")), "b": (12, ("post",)), "c": (4, ("post",))}))
    return root


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    for patient in ("p1", "p2", "p3"):
        layers = np.stack([slice_picture(seed, tumor=False) for seed in range(8)])
        image = nibabel.Nifti1Image(np.moveaxis(layers, 0, -1).astype(np.int16), np.diag([1.0, 1.0, 4.0, 1.0]))
        nibabel.save(image, folder / f"{patient}_T1W.nii.gz")
    return folder


def _typicality(graph):
    random = np.random.default_rng(0)
    width = graph.run(np.zeros((1, SIZE, SIZE), np.uint8)).features.shape[1]
    return Typicality.fit(random.normal(size=(40, width)).astype(np.float32))


def test_stacks_of_a_hospital_come_whole_and_without_their_tumor(hospital):
    found = {(one.patient, one.sequence, one.part): one for one in read_stacks(hospital, build_index(hospital))}
    assert sorted(found) == [
        (f"volume-{patient}", sequence, part)
        for patient, sequence in (("a", "flair"), ("a", "post"), ("b", "post"))
        for part in ("", "tumor-free part")
    ]
    whole, clear = found["volume-a", "post", ""], found["volume-a", "post", "tumor-free part"]
    assert whole.with_tumor.tolist() == [False] + [True] * 4 + [False] * 7
    assert len(clear.pixels) == 7
    np.testing.assert_array_equal(clear.pixels, whole.pixels[5:])
    assert not clear.with_tumor.any()


def test_volumes_of_heads_without_a_tumor_are_read_by_patient(heads):
    found = list(tumor_free_stacks(heads))
    assert [(one.patient, one.sequence, one.hospital) for one in found] == [
        (patient, "T1W", heads.name) for patient in ("p1", "p2", "p3")
    ]
    assert not any(one.with_tumor.any() for one in found)


def test_pixels_that_are_not_square_are_shown_to_the_network_at_their_true_proportions(tmp_path):
    small = np.stack([slice_picture(seed, tumor=False) for seed in range(8)])
    layers = small.repeat(2, axis=1).repeat(2, axis=2)
    for name, thinned, width in (("square", layers, 1.0), ("thinned", layers[..., ::2], 2.0)):
        (tmp_path / name).mkdir()
        image = nibabel.Nifti1Image(np.moveaxis(thinned, 0, -1).astype(np.int16), np.diag([1.0, width, 4.0, 1.0]))
        nibabel.save(image, tmp_path / name / "p_T1W.nii.gz")
    (square,), (thinned,) = (list(tumor_free_stacks(tmp_path / name)) for name in ("square", "thinned"))
    assert (square.pixel_aspect, max(thinned.pixel_aspect, 1 / thinned.pixel_aspect)) == (1.0, 2.0)
    graph = glass_graph(tmp_path)
    tables = [stack_table(graph, Calibration(), _typicality(graph), SIZE, iter([one])) for one in (square, thinned)]
    for name in EVIDENCE:
        assert tables[1][name][0] == pytest.approx(tables[0][name][0], abs=0.15), name


def test_a_folder_without_volumes_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no volumes"):
        list(tumor_free_stacks(tmp_path))


def test_evidence_tells_stacks_with_a_tumor_and_the_rule_learns_from_it(hospital, heads, tmp_path):
    graph = glass_graph(tmp_path)
    stacks = [*read_stacks(hospital, build_index(hospital)), *tumor_free_stacks(heads)]
    table = stack_table(graph, Calibration(), _typicality(graph), SIZE, iter(stacks))
    assert len(table) == 9
    whole = table[table["is_tumor"]]
    assert len(whole) == 3
    assert whole["key_in_tumor"].all()
    for name in EVIDENCE:
        assert whole[name].min() > table.loc[~table["is_tumor"], name].max()
    rule, left_out = fit_volume_rule(table)
    assert (left_out[table["is_tumor"]] >= rule.tumor_high).all()
    assert (left_out[~table["is_tumor"]] < rule.tumor_low).all()
    assert table["distance"].max() < rule.distance_limit < np.inf


@pytest.mark.parametrize(
    ("sequences", "count", "limits"),
    [(("flair", "pre"), 5, ("flair", "t1")), (("flair", "pre"), 4, ()), (("a", "b"), 5, ())],
)
def test_a_sequence_with_enough_stacks_is_cleared_by_a_limit_of_its_own(sequences, count, limits):
    # On the second sequence two tumors show less than nothing.
    strong, weak, clear = [4.0, 0.5, 0.8], [-1.5, 0.0, 0.0], [-1.0, 0.0, 0.0]
    rows = [
        (sequence, is_tumor, number, *figures)
        for sequence, hidden in zip(sequences, (0, 2), strict=True)
        for is_tumor, kinds in ((True, [strong] * (count - hidden) + [weak] * hidden), (False, [clear] * count))
        for number, figures in enumerate(kinds)
    ]
    table = pd.DataFrame(rows, columns=["sequence", "is_tumor", "patient", "highest", "lasting", "above"])
    table = table.assign(patient=table["patient"].astype(str), volume=-5.0, extent=0.1, distance=0.5)
    rule, left_out = fit_volume_rule(table)
    assert set(rule.low_by_sequence) == set(limits)
    for sequence, name in zip(sequences, limits, strict=False):
        own, truth = left_out[table["sequence"] == sequence], table.loc[table["sequence"] == sequence, "is_tumor"]
        assert rule.low(name) == min(predictive_limits(own, truth)[0], rule.tumor_high)


def test_a_rule_needs_both_sides(heads, tmp_path):
    graph = glass_graph(tmp_path)
    table = stack_table(graph, Calibration(), _typicality(graph), SIZE, tumor_free_stacks(heads))
    with pytest.raises(ValueError, match="with a tumor and stacks without"):
        fit_volume_rule(pd.DataFrame(table))
