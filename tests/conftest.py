import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from braintumor import settings
from braintumor.scans import phantom, read

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "models" / "squeezenet"


def png_bytes(pixels):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def phantom_scan(name="scan.png", **options):
    return read(png_bytes(phantom(**options)), name)


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory):
    """Sixty phantom heads in class folders, two of each a mirror image of the other."""
    root = tmp_path_factory.mktemp("pictures") / "clinic"
    random = np.random.default_rng(5)
    for number in range(60):
        label = ("glioma", "meningioma", "pituitary", "notumor")[number // 2 % 4]
        picture = phantom(64, tumor=label != "notumor", seed=number // 2).astype(float)
        shade = np.random.default_rng(100 + number // 2).normal(0, 1, (5, 5))
        picture += 60 * np.asarray(Image.fromarray(shade).resize((64, 64), Image.Resampling.BICUBIC))
        picture = picture if number % 2 else picture[:, ::-1]
        path = root / label / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes(np.clip(picture + random.normal(0, 1, picture.shape), 0, 255)))
    return root


@pytest.fixture(scope="session")
def tiny_bundle(picture_folder, tmp_path_factory):
    """A bundle made by the real training command on the phantom heads; it knows nothing, but all of it is there."""
    from braintumor.training.run import RunOptions, run

    work = tmp_path_factory.mktemp("training")
    options = RunOptions(
        data=picture_folder,
        network="squeezenet",
        weights=None,
        name="tiny",
        version="0.1.0",
        size=48,
        epochs=1,
        folds=3,
        fold=0,
        seed=0,
        runs=work / "runs",
        models=work / "models",
    )
    run(options)
    return work / "models" / "tiny"


@pytest.fixture
def guest_app(tmp_path, monkeypatch):
    """Settings for a page opened as a guest of a demo server with the shipped model."""
    monkeypatch.setenv("BRAINTUMOR_DEMO", "1")
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path / "data"))
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()
