import json

import pytest

from tests.conftest import flat
from tests.inference import golden

GOLDEN = json.loads(golden.FILE.read_text("utf-8"))
NUMBERS = {"rel": 1e-3, "abs": 1e-4}
"""Processors sum in different orders, and so do versions of LiteRT."""


@pytest.fixture(scope="module")
def answers():
    return {name: golden.answers(predictor) for name, predictor in golden.predictors().items()}


@pytest.mark.parametrize("model", GOLDEN)
def test_answers_are_those_written_down(answers, model):
    assert list(answers[model]) == list(GOLDEN[model])
    for name, expected in GOLDEN[model].items():
        codes = ("decision", "finding", "reasons", "notes", "slice", "rests_on")
        assert {code: answers[model][name][code] for code in codes} == {code: expected[code] for code in codes}, name
        assert flat(_numbers(answers[model][name])) == pytest.approx(flat(_numbers(expected)), **NUMBERS), name


def _numbers(answer):
    return {name: part for name, part in answer.items() if name not in ("finding", "decision", "reasons", "notes")}
