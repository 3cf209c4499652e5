"""Fonts for the scripts that names are written in: those that lie here, then those of the system."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError

from braintumor.reports.errors import ReportError

FOLDER = Path(__file__).with_name("fonts")
REGULAR, BOLD = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"
OTHERS = ("NotoSansDevanagari-Regular.ttf",)
SYSTEM_FOLDERS = (
    Path("/usr/share/fonts"),
    Path("/usr/local/share/fonts"),
    Path("/System/Library/Fonts"),
    Path("/Library/Fonts"),
    Path("C:/Windows/Fonts"),
)
SYSTEM_NAMES = (
    *("NotoSans*-Regular.tt[fc]", "NotoSansCJK*-Regular.ttc", "DroidSansFallback*.ttf", "wqy-*.ttc"),
    *("Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "malgun.ttf", "YuGothR.ttc"),
)
"""Fonts of many scripts by the names that Debian, Fedora, macOS and Windows give them."""
_JOINERS = "\u200c\u200d"
"""They choose between forms of letters in Persian and Hindi; every other control character is dropped."""
_MOST_MARKS = 3
"""Marks on one letter; Vietnamese and vocalized Hebrew need as many, and more would climb over the lines above."""


@dataclass(frozen=True)
class FontFile:
    """A font by its file; of a collection it is the first."""

    path: Path
    characters: frozenset[int]


@dataclass(frozen=True)
class Fonts:
    """What a report is written with: two of one family, ``others`` for what these lack, and what nothing draws."""

    regular: FontFile
    bold: FontFile
    others: tuple[FontFile, ...]
    missing: frozenset[str]

    def drawable(self, text: str) -> str:
        """Write characters that no font draws by their number, as [U+4E2D], so that none vanishes without a word."""
        return "".join(f"[U+{ord(sign):04X}]" if sign in self.missing else sign for sign in text)


def fonts_for(text: str, folder: Path = FOLDER, system: Iterable[Path] = SYSTEM_FOLDERS) -> Fonts:
    """Choose the fonts for a text, looking at those of the system only where the shipped ones do not do.

    Raises ``ReportError`` where the shipped ones cannot be read.
    """
    regular, bold, *shipped = (_shipped(folder / name) for name in (REGULAR, BOLD, *OTHERS))
    wanted = {ord(sign) for sign in text if sign not in _JOINERS and not sign.isspace()}
    # Bold is the same family and draws almost the same characters; what it lacks must be drawn too.
    left = wanted - (regular.characters & bold.characters)
    others = []
    for font in (*shipped, *(_system_fonts(tuple(system)) if left - _union(shipped) else ())):
        if left & font.characters:
            others.append(font)
            left -= font.characters
        if not left:
            break
    return Fonts(regular, bold, tuple(others), frozenset(map(chr, left)))


def clean(text: str, most: int) -> str:
    """Give a text from outside a form that can be printed: one line of ``most`` characters, "…" where it was longer.

    Control characters, signs that turn the direction of writing, and piles of marks are dropped.
    """
    kept: list[str] = []
    marks = 0
    # Ten times as many are enough to fill the line, whatever is dropped from them.
    for sign in unicodedata.normalize("NFC", text[: 10 * most + 10]):
        category = unicodedata.category(sign)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if sign.isspace():
            kept.append(" ")
        elif marks <= _MOST_MARKS and (sign in _JOINERS or category[0] not in "CZ"):
            kept.append(sign)
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def unreadable(path: Path) -> ReportError:
    """Give the error of a font that lies with the app and cannot be read."""
    return ReportError(f"{path.name}, which reports are written with, cannot be read; install the app again.")


def _union(fonts: Iterable[FontFile]) -> set[int]:
    return {number for font in fonts for number in font.characters}


def _shipped(path: Path) -> FontFile:
    try:
        return _read(path)
    except (OSError, TTLibError) as error:
        raise unreadable(path) from error


@cache
def _read(path: Path) -> FontFile:
    with TTFont(path, fontNumber=0, lazy=True) as font:
        table: Mapping[int, str] = font.getBestCmap() or {}
        return FontFile(path, frozenset(table))


def _system_fonts(folders: Iterable[Path]) -> Iterator[FontFile]:
    for path in _system_paths(tuple(folders)):
        try:
            yield _read(path)
        except (OSError, TTLibError):
            # A font that someone else installed and that is broken is no loss.
            continue


@cache
def _system_paths(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    found = (path for folder in folders for name in SYSTEM_NAMES for path in folder.rglob(name))
    return tuple(sorted(set(found)))
