"""Desks for tests, with the shipped model behind them."""

import io
import zipfile

import pytest

from braintumor.dashboard.desk.desk import Bounds, Desk
from braintumor.dashboard.desk.shelves import MemoryShelf
from braintumor.inference import Predictors
from braintumor.scans import phantom
from tests.conftest import SHIPPED, png_bytes

ROOMY = Bounds(scans=50, size=10**8, is_guest=True)


@pytest.fixture(scope="module")
def predictors():
    return Predictors(SHIPPED, threads=1)


def guest(bounds=ROOMY):
    return Desk(MemoryShelf(), bounds)


def head(seed):
    return png_bytes(phantom(64, seed=seed))


def heads(*seeds):
    return [(f"{seed}.png", head(seed)) for seed in seeds]


def zipped(name, *seeds):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for seed in seeds:
            archive.writestr(f"{seed}.png", head(seed))
    return name, file.getvalue()


def finish(desk, predictors):
    desk.start(predictors)
    desk.wait()
    assert desk.trouble == ""
    return desk


def names(desk):
    return [case.name for case in desk.cases]
