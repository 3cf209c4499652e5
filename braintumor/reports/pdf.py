"""Reports as PDF: one A4 page a case, made as PDF/A-2b, the same bytes each time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from braintumor.decision import Outcome
from braintumor.reports.errors import ReportError
from braintumor.reports.fonts import Fonts, clean, fonts_for
from braintumor.reports.model import Estimate, Report, ReportMeasures, ReportPrior, ReportVerdict
from braintumor.reports.sentences import (
    DRAFT,
    NOT_A_DIAGNOSIS,
    change_line,
    headline,
    next_steps,
    precautions,
    probability_line,
    range_note,
)
from braintumor.reports.values import amount, person, span, stored_day
from braintumor.reports.words import NOTE_WORDS, reason_words

MOST_CASES = 200
"""Cases in one file; more would take minutes."""
_NAMES, _OTHERS = "names", "script{}"
_LEFT, _RIGHT, _WIDTH = 14.0, 196.0, 182.0
_IMAGE = 88.0
_COLUMN = 107.0
_FLOOR = 179.0
"""Where what stands beside the picture must end."""
_INK, _GRAY, _LINE = (17, 24, 39), (75, 85, 99), (209, 213, 219)
_ACCENTS = {Outcome.TUMOR: (180, 83, 9), Outcome.NO_TUMOR: (29, 78, 216), Outcome.REFER: (109, 40, 217)}
"""As on the page: orange, blue and violet, each dark enough to be read on white."""
_SHORT, _LONG = 60, 400
"""Characters of a text that was typed in, in a field and in a paragraph."""
_MOST_LINES = 4
_NO_DAY = date(2000, 1, 1)
_TITLE = "Brain MRI: a model's answer, for a reader to check"
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<rdf:Description rdf:about="" xmp:CreateDate="{made}" xmp:ModifyDate="{made}" xmp:MetadataDate="{made}">
<pdfaid:part>2</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
"""What makes it PDF/A-2b by its own word (ISO 19005-2, 6.6.4)."""


def pdf_report(reports: Sequence[Report], made: datetime | None = None) -> bytes:
    """Write cases into one PDF, a page each; the same cases give the same bytes with the same fonts.

    ``made`` is the file's date, by default that of the first study. Raises ``ReportError`` without a case, for more
    than ``MOST_CASES``, and where the fonts that lie with the app cannot be read.
    """
    if not 0 < len(reports) <= MOST_CASES:
        raise ReportError(f"A report holds 1 to {MOST_CASES} cases, not {len(reports)}; choose others.")
    pages = [_Texts(report) for report in reports]
    fonts = fonts_for("".join(sign for texts in pages for sign in texts.typed()))
    document = _Document(fonts, made or datetime.combine(reports[0].study.day or _NO_DAY, time(), UTC))
    for number, texts in enumerate(pages, 1):
        document.add_case(texts, f"{number} of {len(pages)}")
    return bytes(document.output())


class _Texts:
    """What of a case was typed in somewhere, cleaned."""

    def __init__(self, report: Report) -> None:
        self.report = report
        patient, study, verdict = report.patient, report.study, report.verdict
        self.name = clean(person(patient.name), _SHORT)
        self.identifier = clean(patient.identifier, _SHORT)
        self.born = " ".join(filter(None, (stored_day(clean(patient.birth_date, 10)), clean(patient.sex, 4))))
        self.scan = clean(study.scan, _SHORT)
        self.accession = clean(study.accession, _SHORT)
        self.sequence = clean(study.sequence, _SHORT)
        self.reader = clean(verdict.reader, _SHORT) if verdict else ""
        self.seen = clean(verdict.tumor_type, _SHORT) if verdict else ""
        self.comment = clean(verdict.comment, _LONG) if verdict else ""
        self.other_series = _shortened(report.other_series)
        self.not_assessed = _shortened(report.not_assessed)

    def typed(self) -> Iterator[str]:
        yield from (self.name, self.identifier, self.born, self.scan, self.accession, self.sequence)
        yield from (self.reader, self.seen, self.comment, *self.other_series, *self.not_assessed)


def _shortened(lines: Sequence[str]) -> list[str]:
    shown = [clean(line, 120) for line in lines[:_MOST_LINES]]
    more = len(lines) - len(shown)
    return [*shown, f"and {more} more."] if more else shown


class _Document(FPDF):
    def __init__(self, fonts: Fonts, made: datetime) -> None:
        super().__init__(format="A4", enforce_compliance="PDF/A-2B")
        self._fonts = fonts
        self.set_creation_date(made)
        self.set_title(_TITLE)
        self.set_lang("en-US")
        # What fpdf2 writes of itself says when, by the clock, so that no two files would be the same.
        self.set_xmp_metadata(_XMP.format(title=_TITLE, made=made.isoformat(timespec="seconds")))
        self.set_auto_page_break(False)
        self.set_margins(_LEFT, 10, 210 - _RIGHT)
        self.c_margin = 0
        self.add_font(_NAMES, "", fonts.regular.path)
        self.add_font(_NAMES, "B", fonts.bold.path)
        names = [_OTHERS.format(number) for number in range(len(fonts.others))]
        for name, font in zip(names, fonts.others, strict=True):
            self.add_font(name, "", font.path)
            self.add_font(name, "B", font.path)
        self.set_fallback_fonts(names, exact_match=False)
        self.set_text_shaping(True)

    def add_case(self, texts: _Texts, number: str) -> None:
        """Add the page of one case."""
        report = texts.report
        self.add_page()
        self._head(report)
        self._identity(texts)
        self._answer(texts)
        self._picture(report, 68)
        self._facts(texts, 68)
        self._advice(report, 181)
        self._verdict(texts, 224)
        self._foot(report, number)

    def _head(self, report: Report) -> None:
        if report.is_draft:
            self._watermark()
        self._text(_TITLE, _LEFT, 11, 122, size=12, bold=True)
        self._text(NOT_A_DIAGNOSIS, _LEFT, 17.5, 120, size=8.5, color=_GRAY)
        color = _ACCENTS[Outcome.TUMOR] if report.is_draft else _INK
        self.set_draw_color(*color)
        self.rect(138, 10.5, 58, 9)
        self._text(DRAFT if report.is_draft else "Signed by a reader", 138, 12.7, 58, 9, True, color, align="C")

    def _watermark(self) -> None:
        with self.rotation(50, 105, 150):
            self._text("DRAFT", 15, 130, 180, size=120, bold=True, color=(243, 244, 246), align="C")

    def _identity(self, texts: _Texts) -> None:
        study = texts.report.study
        rows = (
            ("Patient", texts.name, "Study date", study.day.isoformat() if study.day else ""),
            ("ID", texts.identifier, "Accession", texts.accession),
            ("Born, sex", texts.born, "Images", self._images(texts)),
        )
        self._rule(24)
        for number, (left, said, right, told) in enumerate(rows):
            y = 26.5 + 6 * number
            for title, value, x, width in ((left, said, _LEFT, 88), (right, told, 110, 86)):
                self._text(title, x, y + 0.4, 20, size=8, color=_GRAY)
                self._fitted(value or "not stated", x + 20, y, width - 20, bold=title == "Patient")
        self._rule(45.5)

    def _images(self, texts: _Texts) -> str:
        study = texts.report.study
        count = "1 slice" if study.slices == 1 else f"{study.slices} slices"
        return f"{texts.sequence or texts.scan}, {count}"

    def _answer(self, texts: _Texts) -> None:
        finding = texts.report.finding
        color = _ACCENTS[finding.decision]
        title, said = headline(finding), probability_line(finding) or "The model did not judge it."
        if texts.report.is_corrected:
            said = f"The reader does not confirm the model's answer: {title[0].lower()}{title[1:]}."
            title, color = f"Reader: {texts.seen or 'does not agree'}", _INK
        self.set_fill_color(*color)
        self.rect(_LEFT, 49, 2, 14, style="F")
        self._fitted(title, _LEFT + 5, 49, _WIDTH - 5, size=16, bold=True, color=color)
        self._fitted(said, _LEFT + 5, 57.5, _WIDTH - 5, size=10)

    def _picture(self, report: Report, top: float) -> None:
        image = report.key_image
        if image is None:
            self.set_draw_color(*_LINE)
            self.rect(_LEFT, top, _IMAGE, _IMAGE)
            self._text("No key image", _LEFT, top + _IMAGE / 2, _IMAGE, size=9, color=_GRAY, align="C")
            return
        height, width = image.pixels.shape[:2]
        scale = _IMAGE / max(height, width)
        self.image(image.jpeg(), _LEFT + (_IMAGE - width * scale) / 2, top, width * scale, height * scale)
        place = "" if image.slices == 1 else f"Slice {image.slice_number + 1} of {image.slices}. "
        outline = "Blue: the model's outline." if image.is_outlined else "No outline on this slice."
        if image.is_outlined and report.finding.decision == Outcome.REFER and not report.finding.is_tumor_sure:
            outline = "Blue: where the model was unsure."
        bar = "" if image.bar_mm else " Size of pixels not stated: no scale."
        made = " Synthetic picture, no patient." if report.is_synthetic else ""
        self._text(f"{place}{outline}{bar}{made}", _LEFT, top + height * scale + 1.5, _IMAGE, size=8, color=_GRAY)

    def _facts(self, texts: _Texts, top: float) -> None:
        report, finding = texts.report, texts.report.finding
        self.set_y(top)
        if finding.reasons:
            self._paragraphs("Why no answer", reason_words(finding.reasons, finding.probabilities))
        if report.measures is not None and report.measures.lesions:
            self._sizes(report.measures, report.prior)
        elif finding.decision == Outcome.TUMOR:
            self._paragraphs("Size", ["Not measured: the model could not outline the tumor."])
        if texts.other_series:
            self._paragraphs("Other series", texts.other_series)
        if self._fonts.missing & set("".join(texts.typed())):
            self._paragraphs("Names", ["Some characters are written as numbers: no font on this server has them."])
        if texts.not_assessed:
            self._paragraphs("Not assessed", texts.not_assessed)
        if notes := [NOTE_WORDS[note] for note in finding.notes if note in NOTE_WORDS]:
            self._paragraphs("How it was read", notes)

    def _sizes(self, measures: ReportMeasures, prior: ReportPrior | None) -> None:
        self._title("Size of the outline")
        rows: list[tuple[str, Estimate | None, str, float | None]] = [
            ("Volume", measures.volume, "mL", prior.volume if prior else None),
            ("Longest diameter", measures.longest, "mm", prior.longest if prior else None),
            ("Perpendicular", measures.perpendicular, "mm", prior.perpendicular if prior else None),
            ("Largest area", measures.area, "mm²", None),
        ]
        before = "" if prior is None else (prior.day.isoformat() if prior.day else "Prior")
        self._row(("", "Now", "Range", before), color=_GRAY)
        self._row(("Lesions", str(measures.lesions), "", ""))
        for title, found, unit, earlier in rows:
            if found is not None:
                self._row((title, amount(found.value, unit), span(found), amount(earlier, unit) if earlier else ""))
        if all(found is None for _, found, _, _ in rows):
            self._paragraph("The file does not say how large a pixel is, so nothing is given in millimeters.")
        if prior is not None and prior.volume and measures.volume:
            change = change_line(prior.volume, measures.volume.value, prior.is_beyond_error)
            self._paragraph(f"Volume since the prior study: {change}.")
        if measures.range_share:
            self._paragraph(range_note(measures.range_share, measures.range_images), color=_GRAY, size=7.5)
        self.set_y(self.get_y() + 2)

    def _advice(self, report: Report, top: float) -> None:
        self._rule(top)
        for title, lines, x in (
            ("Next steps", next_steps(report.finding), _LEFT),
            ("Precautions", precautions(report), _COLUMN),
        ):
            self.set_y(top + 3)
            self._title(title, x)
            for line in lines:
                self._paragraph(line, x, 88)

    def _verdict(self, texts: _Texts, top: float) -> None:
        verdict = texts.report.verdict
        self.set_draw_color(*_INK)
        self.rect(_LEFT, top, _WIDTH, 47)
        self.set_y(top + 2)
        self._title("Reader's verdict", _LEFT + 3)
        agrees = None if verdict is None else verdict.agrees
        self._boxes(top + 9, agrees, texts.seen)
        said = texts.comment or ("Comment:" if verdict is None else "No comment.")
        self._text(said, _LEFT + 3, top + 16, _WIDTH - 6, size=9, most=3)
        self._signature(texts, verdict, top + 38)

    def _boxes(self, y: float, agrees: bool | None, seen: str) -> None:
        corrected = f"Does not agree; sees: {seen}" if seen else "Does not agree; sees: ____________________"
        for label, is_set, x, width in (
            ("Agrees with the answer", agrees is True, _LEFT + 3, 55),
            (corrected, agrees is False, _LEFT + 62, 115),
        ):
            self.rect(x, y, 3.5, 3.5)
            if is_set:
                self.line(x, y, x + 3.5, y + 3.5)
                self.line(x, y + 3.5, x + 3.5, y)
            self._fitted(label, x + 5.5, y - 0.2, width, size=9)

    def _signature(self, texts: _Texts, verdict: ReportVerdict | None, y: float) -> None:
        signed = verdict.signed if verdict else None
        fields = (
            ("Reader", texts.reader, _LEFT + 3, 70),
            ("Date", signed.strftime("%Y-%m-%d %H:%M") if signed else "", _LEFT + 78, 36),
            ("Signature", "Signed in the app" if signed else "", _LEFT + 119, 60),
        )
        for title, value, x, width in fields:
            self._fitted(value, x, y - 5, width, size=9.5)
            self.line(x, y, x + width, y)
            self._text(title, x, y + 1, width, size=7.5, color=_GRAY)

    def _foot(self, report: Report, number: str) -> None:
        model = report.model
        self._rule(276.5)
        version = f"Model {clean(model.name, 40)} {clean(model.version, 20)}, SHA-256 {clean(model.sha256, 64)}"
        self._text(version, _LEFT, 278, _WIDTH, size=6.5, color=_GRAY)
        self._text(f"Scan SHA-256 {clean(report.study.sha256, 64)}", _LEFT, 281.5, 150, size=6.5, color=_GRAY)
        if report.study.uid:
            self._text(f"Study {clean(report.study.uid, 64)}", _LEFT, 285, 150, size=6.5, color=_GRAY)
        self._text(f"Case {number}", 150, 285, 46, size=7.5, color=_GRAY, align="R")

    def _rule(self, y: float) -> None:
        self.set_draw_color(*_LINE)
        self.line(_LEFT, y, _RIGHT, y)

    def _title(self, text: str, x: float = _COLUMN) -> None:
        y = self.get_y()
        self._text(text, x, y, _RIGHT - x, size=10, bold=True)
        self.set_y(y + 5.5)

    def _paragraphs(self, title: str, lines: Sequence[str]) -> None:
        """Write a title and its lines beside the picture, as far as there is room, and say so where there is none."""
        if self.get_y() > _FLOOR - 10:
            return
        self._title(title)
        for line in lines:
            if self.get_y() > _FLOOR - 12:
                self._paragraph("More is said in the app.")
                break
            self._paragraph(line, most=3)
        self.set_y(self.get_y() + 2)

    def _paragraph(
        self,
        text: str,
        x: float = _COLUMN,
        width: float = _RIGHT - _COLUMN,
        color: tuple[int, int, int] = _INK,
        size: float = 8.5,
        most: int = 4,
    ) -> None:
        y = self.get_y()
        self.set_y(y + self._text(text, x, y, width, size, color=color, most=most) + 0.6)

    def _row(self, cells: Sequence[str], color: tuple[int, int, int] = _INK) -> None:
        y = self.get_y()
        for text, x, width in zip(cells, (0.0, 29.0, 49.0, 70.0), (28.0, 19.0, 20.0, 19.0), strict=True):
            self._fitted(text, _COLUMN + x, y, width, size=8.5, color=color, bold=x == 29 and color == _INK)
        self.set_y(y + 4.8)

    def _fitted(
        self,
        text: str,
        x: float,
        y: float,
        width: float,
        size: float = 10,
        bold: bool = False,
        color: tuple[int, int, int] = _INK,
    ) -> None:
        """Write one line, smaller where it is long, and cut where it is longer still."""
        text = self._fonts.drawable(text)
        self.set_font(_NAMES, "B" if bold else "", size)
        if (wide := self.get_string_width(text)) > width:
            size = max(size * 0.7, size * width / wide)
            self.set_font_size(size)
        while len(text) > 1 and self.get_string_width(text) > width:
            text = text[: max(1, int(len(text) * 0.9) - 1)] + "…"
        self._text(text, x, y, width + 1, size, bold, color)

    def _text(
        self,
        text: str,
        x: float,
        y: float,
        width: float,
        size: float = 9,
        bold: bool = False,
        color: tuple[int, int, int] = _INK,
        align: str = "L",
        most: int = 1,
    ) -> float:
        """Write up to ``most`` lines into a box at (x, y) and give their height, in millimeters."""
        self.set_font(_NAMES, "B" if bold else "", size)
        self.set_text_color(*color)
        step = size * 0.45
        lines = self.multi_cell(width, step, self._fonts.drawable(text), align=align, dry_run=True, output="LINES")
        assert isinstance(lines, list)
        shown = lines[:most]
        if len(lines) > most:
            shown[-1] = f"{shown[-1][:-2].rstrip()}…"
        for number, line in enumerate(shown):
            self.set_xy(x, y + number * step)
            self.cell(width, step, line, align=align, new_x=XPos.LMARGIN, new_y=YPos.TOP)
        return len(shown) * step
