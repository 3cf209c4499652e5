import io
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.reports.errors import ReportError
from braintumor.reports.fonts import FOLDER, REGULAR, clean, fonts_for
from braintumor.reports.model import Estimate, ReportMeasures
from braintumor.reports.pdf import MOST_CASES, pdf_report
from braintumor.scans import Patient
from tests.reports.made_reports import CASES, MEASURES, PRIOR, report

MOST_BYTES = 200_000
SCRIPTS = {
    "Arabic": "علي^محمد",
    "Hebrew": "כהן^דוד",
    "Devanagari": "शर्मा^प्रियंका",
    "Cyrillic": "Иванова^Мария",
    "Greek": "Παπαδόπουλος^Νίκος",
    "Vietnamese": "Nguyễn^Thị Hường",
    "Armenian and Georgian": "Արամ^გიორგი",
}


def pages(file):
    return len(re.findall(rb"/Type /Page\b", file))


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_one_page_of_few_bytes_and_the_same_each_time(name):
    file = pdf_report([CASES[name]])
    assert file == pdf_report([CASES[name]])
    assert pages(file) == 1
    assert len(file) <= MOST_BYTES


def test_cases_have_a_page_each_in_one_file():
    assert pages(pdf_report(list(CASES.values()))) == len(CASES)


@pytest.mark.parametrize("count", [0, MOST_CASES + 1])
def test_no_case_and_too_many_are_refused(count):
    with pytest.raises(ReportError):
        pdf_report([report()] * count)


def test_the_file_says_that_it_is_an_archive_file_and_when_its_study_was():
    file = pdf_report([report()])
    assert b"<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in file
    assert b"/OutputIntents" in file
    assert b"2026-03-04T00:00:00+00:00" in file
    assert b"2026-03-06T08:00:00+00:00" in pdf_report([report()], datetime(2026, 3, 6, 8, tzinfo=UTC))


def test_every_font_is_embedded():
    file = pdf_report([report(patient=Patient("शर्मा"))])
    assert file.count(b"/FontFile2") == file.count(b"/FontDescriptor ") > 2


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_shipped_fonts_draw_a_name(script):
    fonts = fonts_for(clean(SCRIPTS[script], 60), system=())
    assert not fonts.missing
    file = pdf_report([report(patient=Patient(SCRIPTS[script]))])
    assert pages(file) == 1


def test_a_character_that_no_font_draws_is_written_as_its_number():
    fonts = fonts_for("Doe 王", system=())
    assert fonts.missing == {"王"}
    assert fonts.drawable("Doe 王") == "Doe [U+738B]"


def test_a_font_of_the_system_draws_what_the_shipped_ones_do_not(tmp_path):
    font = TTFont(FOLDER / REGULAR)
    for table in font["cmap"].tables:
        if table.isUnicode():
            table.cmap[0x738B] = "a"
    font.save(tmp_path / "NotoSansCJK-Regular.ttc")
    (tmp_path / "NotoSansBroken-Regular.ttf").write_bytes(b"no font")
    fonts = fonts_for("王", system=[tmp_path])
    assert not fonts.missing
    assert [font.path.name for font in fonts.others] == ["NotoSansCJK-Regular.ttc"]


@pytest.mark.parametrize("content", [None, b"", b"no font at all"])
def test_a_shipped_font_that_is_broken_or_missing_is_said(tmp_path, content):
    for path in FOLDER.glob("*.ttf"):
        shutil.copy(path, tmp_path)
    if content is None:
        (tmp_path / REGULAR).unlink()
    else:
        (tmp_path / REGULAR).write_bytes(content)
    with pytest.raises(ReportError, match=REGULAR):
        fonts_for("Doe", tmp_path)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Doe\tJane\n\x00\x1b[31m", "Doe Jane [31m"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("a" * 10_000, "a" * 59 + "…"),
        ("Z" + "\u0335" * 50, "Z" + "\u0335" * 3),
        ("\ufeff \u00a0", ""),
        ("\ud800x", "x"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
    ],
)
def test_what_was_typed_in_becomes_one_line_that_can_be_printed(text, cleaned):
    assert clean(text, 60) == cleaned


@given(st.text(max_size=200), st.integers(1, 80))
def test_any_text_becomes_one_short_line(text, most):
    line = clean(text, most)
    assert len(line) <= most
    assert line == clean(line, most) or line.endswith("…")
    assert line.isprintable() or set(line) & set("\u200c\u200d")


HOSTILE = {
    "markup": {"patient": Patient("<b>x</b> **bold** __u__ [link](http://x)", "=1+1", "notaday", "\u2066?")},
    "long": {
        "patient": Patient("x" * 10_000, "9" * 10_000, "1" * 999, "F" * 999),
        "not_assessed": ("word " * 1000,) * 500,
        "other_series": ("w" * 10_000,) * 500,
        "prior": PRIOR,
    },
    "no numbers": {
        "measures": ReportMeasures(3, Estimate(float("nan")), Estimate(float("inf"), 1, float("inf")), None, None)
    },
    "huge numbers": {"measures": replace(MEASURES, volume=Estimate(1e12, float("nan"), 2)), "prior": PRIOR},
    "a prior of nothing": {"prior": replace(PRIOR, volume=0.0, longest=0.0, day=None)},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_stay_on_their_page(name):
    file = pdf_report([report(**HOSTILE[name])])
    assert pages(file) == 1
    assert b"/URI" not in file
    assert b"/JavaScript" not in file
    assert len(file) <= MOST_BYTES


@settings(max_examples=10)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_gives_a_page(name, identifier):
    assert pages(pdf_report([report(patient=Patient(name, identifier), key_image=None)])) == 1


@pytest.mark.skipif(not shutil.which("gs"), reason="Ghostscript is not installed")
def test_another_reader_opens_it_and_finds_ink_in_the_margins_nowhere():
    from PIL import Image

    drawn = subprocess.run(
        ["gs", "-q", "-dNOPAUSE", "-dBATCH", "-dSAFER", "-sDEVICE=pnggray", "-r40", "-sOutputFile=-", "-"],
        input=pdf_report([report(**HOSTILE["long"])]),
        capture_output=True,
        timeout=60,
        check=True,
    ).stdout
    picture = Image.open(io.BytesIO(drawn))
    edge = round(40 * 8 / 25.4)
    width, height = picture.size
    strips = [(0, 0, edge, height), (width - edge, 0, width, height), (0, height - edge, width, height)]
    assert all(picture.crop(strip).getextrema() == (255, 255) for strip in strips)
    assert picture.getextrema()[0] < 100
