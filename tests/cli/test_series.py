import json

import pytest

from braintumor.cli.app import main
from tests.scans.dicom_files import CORONAL, dicom, slices

STUDY = [
    *slices(4, SeriesInstanceUID="1.2.1", SeriesNumber=1, SeriesDescription="localizer"),
    *slices(6, SeriesInstanceUID="1.2.2", SeriesNumber=2, step=4.0),
    *slices(5, SeriesInstanceUID="1.2.3", SeriesNumber=3, SeriesDescription="t2_flair_cor", orientation=CORONAL)[::2],
    dicom(SeriesInstanceUID="1.2.4", SeriesNumber=4)[:-99],
]


@pytest.fixture
def study(tmp_path):
    for number, data in enumerate(STUDY):
        (tmp_path / f"IM{number}").write_bytes(data)
    (tmp_path / "slice.png").write_bytes(b"not of a study")
    return tmp_path


def test_each_series_of_a_study_has_its_order_spacing_and_verdict(study, capsys):
    assert main(["series", str(study), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["plane"], row["slices"], row["spacing"], row["verdict"]) for row in rows] == [
        ("", 4, None, "not judged"),
        ("axial", 6, [4, 1, 1], "judged"),
        ("coronal", 3, [10, 1, 1], "judged"),
        ("", 0, None, "error"),
    ]
    assert [bool(row["why"]) for row in rows] == [True, False, False, True]
    assert [row["sequence"] for row in rows] == ["localizer", "t1", "flair", "unknown"]


def test_each_series_has_what_its_files_say_of_it(tmp_path, capsys):
    said = {"Laterality": "L", "ContrastBolusAgent": "Gadovist", "BodyPartExamined": "Brain", "Manufacturer": None}
    (tmp_path / "IM1").write_bytes(dicom(**said))
    assert main(["series", str(tmp_path), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    expected = {"modality": "MR", "sequence": "t1_contrast", "body_part": "BRAIN", "laterality": "L", "vendor": None}
    assert row.items() >= {**expected, "field_strength": 3, "contrast_agent": True}.items()


def test_the_table_has_a_line_a_series_below_its_heading(study, capsys):
    main(["series", str(study)])
    heading, *lines = capsys.readouterr().out.splitlines()
    assert [line.index("judged") for line in lines[1:3]] == [heading.index("verdict")] * 2
    assert len(lines) == 4
