import fcntl
import io
import os
import shutil
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings as hypothesis_settings
from PIL import Image

from braintumor import settings
from braintumor.inference import Predictor, SliceAnswer
from braintumor.scans import phantom, read
from scripts.app_process import running_app
from tests.clear_text import in_the_clear
from tests.database import servers

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "models" / settings.DEFAULT_MODEL
# How long an example takes says more of what else the machine does than of the code.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

SLOW = ("training", "networks", "browser", "test_explanation.py", "golden")
"""What of the tests takes minutes, the slowest first."""


def pytest_addoption(parser):
    parser.addoption(
        "--kills", type=int, default=0, help="kill the DICOM node, and work on the records, so often at random points"
    )


def pytest_make_parametrize_id(val, argname):
    """Name the bytes of a file by the argument: when it was packed differs from worker to worker."""
    return argname if isinstance(val, bytes) and len(val) > 16 else None


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no worker is left with it when the others are done."""
    place = {name: number for number, name in enumerate(SLOW)}
    items.sort(key=lambda item: place.get(item.path.relative_to(ROOT / "tests").parts[0], len(SLOW)))


def png_bytes(pixels):
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def phantom_scan(name="scan.png", **options):
    return read(png_bytes(phantom(**options)), name)


def phantom_outline(size, seed=0):
    """Mark where ``phantom`` draws its mass: bool (size, size)."""
    with_mass, without = (phantom(size, tumor=tumor, seed=seed).astype(int) for tumor in (True, False))
    return np.abs(with_mass - without) > 40


def flat(figure, name=""):
    """Numbers of nested figures by their path, to compare them one by one; undefined ones are -1."""
    if isinstance(figure, dict):
        return {key: number for part in figure for key, number in flat(figure[part], f"{name}/{part}").items()}
    if isinstance(figure, list):
        return flat(dict(enumerate(figure)), name)
    return {} if isinstance(figure, str) else {name: -1 if figure is None else figure}


def made_once(tmp_path_factory, name, make):
    """Give a folder that ``make`` fills, made once for all the processes that a run of the tests is spread over."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            draft = folder.with_suffix(".draft")
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def components_looked_for_once():
    """Streamlit reads the metadata of all installed packages at each run of a page, half a second; they stay as is."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_in_the_clear(tmp_path_factory):
    """Search all that the app wrote while these tests ran for names, dates of birth and pixels of patients."""
    yield
    assert in_the_clear(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory):
    """Sixty phantom heads in class folders, two of each a mirror image of the other; one of two gliomas is outlined."""
    return made_once(tmp_path_factory, "pictures", lambda folder: _draw_heads(folder / "clinic")) / "clinic"


def _draw_heads(root):
    random = np.random.default_rng(5)
    for number in range(60):
        head, turned = number // 2, slice(None, None, 1 if number % 2 else -1)
        label = ("glioma", "meningioma", "pituitary", "notumor")[head % 4]
        shade = np.random.default_rng(100 + head).normal(0, 1, (5, 5))
        # Both halves are shaded alike, so that a head keeps its mirror axis.
        even = Image.fromarray(shade + shade[:, ::-1]).resize((64, 64), Image.Resampling.BICUBIC)
        picture = phantom(64, tumor=label != "notumor", seed=head) + 40 * np.asarray(even)
        picture = np.clip(picture[:, turned] + random.normal(0, 1, picture.shape), 0, 255)
        # Sorted last, the masks are passed over by whoever copies each so many of the pictures.
        top = root / "traced" if label == "glioma" else root
        _save(top / label / f"{number:02}.png", picture)
        if label == "glioma" and number % 2:
            _save(top / "masks" / f"{number:02}.png", phantom_outline(64, head)[:, turned] * 255)


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(pixels))


@pytest.fixture(scope="session")
def tiny_bundle(picture_folder, tmp_path_factory):
    """A bundle made by the real training command on the phantom heads; it knows nothing, but all of it is there."""
    return made_once(tmp_path_factory, "training", lambda folder: tiny_run(picture_folder, folder)) / "models" / "tiny"


def tiny_run(pictures, folder, **changes):
    """Train a network for a moment and write its bundle to ``folder / "models"``, by the real training command."""
    from braintumor.training import run
    from braintumor.training.options import RunOptions

    usual = {
        **{"data": pictures, "network": settings.DEFAULT_MODEL, "weights": None, "name": "tiny", "version": "0.1.0"},
        **{"size": 48, "epochs": 1, "folds": 3, "fold": 0, "seed": 0, "learning_rate": 1e-3, "recipe": "untied"},
        **{"bfloat16": False, "runs": folder / "runs", "models": folder / "models"},
    }
    with pytest.MonkeyPatch.context() as patch:
        shorten_epochs(patch)
        run.run(RunOptions(**{**usual, **changes}))


def shorten_epochs(patch):
    """Let an epoch of a run have two batches, not a hundred, and trace no graph for them."""
    from braintumor.training import run
    from braintumor.training.fit_options import FitOptions

    patch.setattr(run, "FitOptions", partial(FitOptions, epoch_images=64))
    trace_nothing(patch)


def trace_nothing(patch):
    """Let Keras train step by step: of a few batches, tracing a graph takes longer than all steps."""
    import keras

    owner = next(kind for kind in keras.Model.__mro__ if "compile" in vars(kind))
    compiled = owner.compile
    # Where it is defined and as a function, or a network that is loaded counts as one with a method of its own.
    patch.setattr(owner, "compile", lambda *words, **options: compiled(*words, **{**options, "run_eagerly": True}))


@pytest.fixture
def guest_app(tmp_path, monkeypatch):
    """Settings for a page opened as a guest of a demo server with the shipped model."""
    monkeypatch.setenv("BRAINTUMOR_DEMO", "1")
    monkeypatch.setenv("BRAINTUMOR_DATA_DIR", str(tmp_path / "data"))
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


@pytest.fixture
def scored(monkeypatch):
    """Names of the scans that the network was really asked about, in order."""
    names = []
    original = Predictor.predict

    def counting(self, scans):
        names.extend(scan.source for scan in scans)
        return original(self, scans)

    monkeypatch.setattr(Predictor, "predict", counting)
    return names


@pytest.fixture
def masked(monkeypatch):
    """The height and width of each mask that was really made, on the scan or on the picture shown."""
    made = []
    original = SliceAnswer.outlined

    def counting(self, square, shape):
        made.append(shape)
        return original(self, square, shape)

    monkeypatch.setattr(SliceAnswer, "outlined", counting)
    return made


@pytest.fixture(scope="session")
def offline(tmp_path_factory):
    """Run the app as a process that can reach no other machine, and fail where it has tried to."""

    @contextmanager
    def run(**environment):
        log = tmp_path_factory.mktemp("offline") / "forbidden.txt"
        apart = {"PYTHONPATH": str(ROOT / "tests" / "offline"), "FORBIDDEN_LOG": str(log)}
        with running_app({**apart, **environment}) as url:
            yield url
        assert not log.exists(), log.read_text()

    return run


@pytest.fixture(scope="session")
def postgresql_server():
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def put_sqlite(tmp_path_factory):
    """Put a database that has its tables, and nothing in them, to a path: a copy, since making them takes longer."""
    folder = made_once(tmp_path_factory, "sqlite", lambda draft: servers.make_tables(f"sqlite:///{draft / 'app'}"))

    def put(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(folder / "app", path)
        return f"sqlite:///{path}"

    return put


@pytest.fixture(scope="session")
def put_postgresql(postgresql_server):
    """Put what ``put_sqlite`` does to a database of the server, in the place of the last one."""
    template = servers.created(postgresql_server, "template", "template0")
    servers.make_tables(template)
    return lambda: servers.created(postgresql_server, "app", "template")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """The address of a database that has its tables, and nothing in them, of each kind in turn."""
    if request.param == "sqlite":
        return request.getfixturevalue("put_sqlite")(tmp_path / "data" / "app.sqlite3")
    return request.getfixturevalue("put_postgresql")()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request, tmp_path):
    """The address of a database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'app.sqlite3'}"
    return servers.created(request.getfixturevalue("postgresql_server"), "app", "template0")
