import numpy as np
import pytest

from braintumor.dashboard.viewer.planes import planes_of


def affine(*directions):
    """The 4 × 4 matrix of a stack whose slices, rows and columns run to these sides of the patient."""
    ways = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    matrix = np.eye(4)
    for axis, (direction, size) in enumerate(zip(directions, (5.0, 0.9, 0.8), strict=True)):
        matrix[:3, axis] = size * np.array(ways[direction])
    return matrix.tolist()


STACKS = {
    # Where slices, rows and columns run to; then name, and sides at top, bottom, left and right, of each plane.
    "SPL": [("Axial", "APRL"), ("Coronal", "SIRL"), ("Sagittal", "SIAP")],
    "IPR": [("Axial", "APLR"), ("Coronal", "SIRL"), ("Sagittal", "SIAP")],
    "AIL": [("Coronal", "SIRL"), ("Axial", "APRL"), ("Sagittal", "SIAP")],
    "LIP": [("Sagittal", "SIAP"), ("Axial", "APRL"), ("Coronal", "SIRL")],
    "RIA": [("Sagittal", "SIPA"), ("Axial", "APRL"), ("Coronal", "SIRL")],
}


@pytest.mark.parametrize(("stack", "expected"), STACKS.items())
def test_planes_stand_as_radiologists_expect_them_and_name_their_sides(stack, expected):
    planes = planes_of(affine(*stack), many=True)
    assert [(plane.name, "".join(plane.sides)) for plane in planes] == expected
    assert [plane.axis for plane in planes] == [0, 1, 2]
    assert all({plane.axis, plane.down, plane.across} == {0, 1, 2} for plane in planes)


@pytest.mark.parametrize("stack", STACKS)
def test_a_voxel_lies_at_the_side_that_its_plane_names(stack):
    matrix = np.array(affine(*stack))
    for plane in planes_of(matrix.tolist(), many=True):
        for axis, flipped, ends in (
            (plane.down, plane.flip_down, plane.sides[:2]),
            (plane.across, plane.flip_across, plane.sides[2:]),
        ):
            way = matrix[:3, axis] * (-1 if flipped else 1)
            space = int(np.abs(way).argmax())
            assert ends[1] == ("LPI" if way[space] < 0 else "RAS")[space]


def test_a_slanted_stack_names_each_axis_once():
    slanted = np.array(affine("S", "P", "L"))
    turn = np.deg2rad(40)
    slanted[:3, :3] = (
        np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]) @ slanted[:3, :3]
    )
    assert [plane.name for plane in planes_of(slanted.tolist(), many=True)] == ["Axial", "Coronal", "Sagittal"]


@pytest.mark.parametrize(
    ("matrix", "many", "oriented", "sides"),
    [
        (None, False, True, [("", "", "", "")]),
        (None, True, True, [("", "", "", "")]),
        (affine("S", "P", "L"), False, True, [("A", "P", "R", "L")]),
        (affine("S", "P", "L"), False, False, [("A?", "P?", "R?", "L?")]),
    ],
    ids=["picture", "pages of a picture", "one slice", "sides assumed"],
)
def test_sides_that_are_not_known_are_not_named(matrix, many, oriented, sides):
    assert [plane.sides for plane in planes_of(matrix, many=many, oriented=oriented)] == sides
