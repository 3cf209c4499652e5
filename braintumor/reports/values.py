"""Values of a report in print: amounts and their ranges, names and days."""

import math
import unicodedata
from datetime import date, datetime
from typing import TYPE_CHECKING

from braintumor.reports.model import Estimate

if TYPE_CHECKING:
    from braintumor.evaluation import AreaAgreement

OF_DIAMETER = 0.5
"""The power of an area's range that a diameter has. A volume is a sum of areas and has the range of one."""


def amount(value: float, unit: str = "") -> str:
    """Write a size with its unit, to three digits at most below 1,000; a dash where it is not a number."""
    if not math.isfinite(value):
        return "–"
    # A figure too long for its place would be cut, and then read as another.
    if abs(value) >= 1e6:
        return f"{value:.1e}\u00a0{unit}".rstrip("\u00a0")
    digits = 1 if value < 100 else 0
    return f"{value:,.{digits}f}\u00a0{unit}".rstrip("\u00a0")


def estimate(value: float | None, agreement: "AreaAgreement | None", power: float = 1.0) -> Estimate | None:
    """Give a value with the range that readers' areas have, to that power; without one where that was not measured."""
    if value is None:
        return None
    if agreement is None:
        return Estimate(value)
    return Estimate(value, value * math.pow(agreement.low, power), value * math.pow(agreement.high, power))


def span(estimate: Estimate) -> str:
    """Write the range of a value as ``24.1 to 48.3``, "not known" where there is none."""
    low, high = estimate.low, estimate.high
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return "not known"
    return f"over {amount(low)}" if math.isinf(high) else f"{amount(low)} to {amount(high)}"


def person(name: str) -> str:
    """Write a name in the form of DICOM (PS3.5, 6.2.1) as people read it; other names stay as they are.

    Family name first, as the archive sorts it; a name in another script follows in brackets.
    """
    groups = [group for group in name.split("=") if group.strip("^ ")]
    written = []
    for group in groups[:2]:
        family, *rest = (part.strip() for part in group.split("^"))
        given = " ".join(part for part in rest if part)
        is_latin = all("LATIN" in unicodedata.name(letter, "") for letter in group if letter.isalpha())
        written.append((", " if is_latin and family and given else " ").join(part for part in (family, given) if part))
    return written[0] + "".join(f" ({other})" for other in written[1:]) if written else ""


def stored_day(text: str) -> str:
    """Write a day in the form of DICOM, 19700131, as 1970-01-31; what is not such a day stays as it is."""
    found = parsed_day(text)
    return found.isoformat() if found else text


def parsed_day(text: str) -> date | None:
    """Read a day in the form of DICOM; None for anything else."""
    try:
        return datetime.strptime(text.strip(), "%Y%m%d").date()
    except ValueError:
        return None
