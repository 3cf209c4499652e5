"""One line a benchmark: what was measured, against what, and whether the goal is met."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """``value`` must be at least ``goal``, or at most where ``at_most`` is set; ``detail`` names both sides."""

    name: str
    value: float
    goal: float
    unit: str
    detail: str
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name}: {self.value:.1f} {self.unit} (goal {sign} {self.goal:g}, {verdict}); {self.detail}"
