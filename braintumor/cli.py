"""``python -m braintumor VERB``: predict, evaluate, train, and look after data and accounts."""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braintumor import settings
from braintumor.errors import InputError
from braintumor.scans import DEFAULT_LIMITS, Scan, ScanError, read_all, safe_name, survey, walk
from braintumor.taxonomy import BINARY, FOUR_CLASS

if TYPE_CHECKING:
    from braintumor.inference import Prediction, Predictor

OK, SOME_FAILED, WRONG_USAGE = 0, 1, 2
_FILES_AT_ONCE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and give its exit status: 0 all went well, 1 some input failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    # A terminal that knows ASCII alone must not stop a run at the first name with an accent.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
    except BrokenPipeError:
        # Whoever read has read enough; Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except ImportError as error:
        sys.stderr.write(f"braintumor: {error.name} is missing; run: pip install -r requirements/train.txt\n")
        return WRONG_USAGE
    except (InputError, OSError) as error:
        sys.stderr.write(f"braintumor: {error}\n")
        return WRONG_USAGE
    return status


def prediction_row(prediction: "Prediction", *, outlined: bool = True) -> dict[str, Any]:
    """Give a prediction as the JSON object that ``predict --json`` prints; slices are numbered from 0.

    Measuring the outline takes longer than the answer, so who prints no JSON leaves it out.
    """
    from braintumor.reports import reason_words

    measured = prediction.measurements() if outlined else None
    return {
        "source": prediction.source,
        "status": "ok",
        "error": None,
        "p_tumor": prediction.p_tumor,
        "probabilities": prediction.probabilities,
        "decision": prediction.decision,
        "finding": prediction.finding,
        "slice": prediction.slice_number,
        "rests_on": list(prediction.rests_on),
        "outline": None if measured is None else asdict(measured),
        "mask": None,
        "reasons": list(reason_words(prediction)),
        "notes": list(prediction.notes),
        "seconds": prediction.seconds,
        "bundle": prediction.bundle,
    }


def error_row(error: ScanError, bundle: str) -> dict[str, Any]:
    """Give a file that could not be read as a JSON object with the same keys."""
    empty = dict.fromkeys(("p_tumor", "probabilities", "decision", "finding", "slice", "rests_on", "outline", "mask"))
    return {
        "source": error.source,
        "status": "error",
        "error": str(error),
        **empty,
        "reasons": [],
        "notes": [],
        "seconds": None,
        "bundle": bundle,
    }


class MaskFolder:
    """A folder that takes each scan's mask as a file named as its source: PNG, or NIfTI for several slices."""

    def __init__(self, folder: Path, sources: Iterable[Path] = ()) -> None:
        self._folder = folder
        # Names that differ in case alone are one file on some systems.
        self._sources = {str(source.resolve()).lower() for source in sources}
        self._taken: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, prediction: "Prediction") -> str | None:
        """Write the mask of the scan's own size and give its file's path; None from a network that does not locate.

        A second source of the same name gets a number behind it, so that no mask takes another one's place; one that
        would replace one of ``sources`` gets the word "mask", and then a number rather than replace anything.
        """
        from braintumor.reports import mask_ending, mask_file

        if not prediction.locates:
            return None
        path = self._free_path(Path(prediction.source), mask_ending(prediction))
        path.write_bytes(mask_file(prediction))
        return str(path)

    def _free_path(self, source: Path, ending: str) -> Path:
        base = source.name
        stem = base[: -len(".nii.gz")] if base.lower().endswith(".nii.gz") else source.stem
        beside = self._is_source(f"{stem}{ending}")
        first = f"{stem}-mask" if beside else stem
        for name in chain([first], (f"{first}-{number}" for number in count(2))):
            path = self._folder / f"{name}{ending}"
            # Among scans a file of such a name may be a mask that a reader drew.
            if name.lower() not in self._taken and not self._is_source(path.name) and not (beside and path.exists()):
                break
        self._taken.add(name.lower())
        return path

    def _is_source(self, name: str) -> bool:
        return str((self._folder / name).resolve()).lower() in self._sources


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m braintumor", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    predict = verbs.add_parser("predict", help="answer for pictures, volumes, folders of them and ZIP archives")
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predict.add_argument("--json", action="store_true", help="print one JSON object a line")
    predict.add_argument("--masks", type=Path, metavar="DIR", help="write each scan's tumor mask there, named as it is")
    predict.add_argument("--bundle", type=Path, help="folder of the model (default: the app's)")
    predict.set_defaults(run=_predict)

    evaluate = verbs.add_parser("evaluate", help="measure a model again from images")
    evaluate.add_argument("--bundle", type=Path, required=True)
    evaluate.add_argument("--data", type=Path, required=True)
    evaluate.add_argument("--out", type=Path, help="write the predictions there as CSV")
    evaluate.set_defaults(run=_evaluate)

    heatmaps = verbs.add_parser("heatmaps", help="measure a model's heatmaps on held-out pictures with an outline")
    heatmaps.add_argument("--bundle", type=Path, required=True, help="folder of the model; takes the results too")
    heatmaps.add_argument("--data", type=Path, required=True, help="the data that the model was trained on")
    heatmaps.add_argument("--images", type=int, default=60, help="how many pictures to take")
    heatmaps.add_argument("--seed", type=int, default=0)
    heatmaps.set_defaults(run=_heatmaps)

    changes = verbs.add_parser("changes", help="measure whether answers stay when held-out scans are changed")
    changes.add_argument("--bundle", type=Path, required=True)
    changes.add_argument("--data", type=Path, required=True, help="the data that the model was trained on")
    changes.add_argument("--scans", type=int, default=60, help="how many tumor-free scans to take, and tumor scans")
    changes.add_argument("--seed", type=int, default=0)
    changes.add_argument("--out", type=Path, help="write the results there as JSON instead of printing them")
    changes.set_defaults(run=_changes)

    marks = verbs.add_parser("marks", help="teach a model to notice marks drawn over the head")
    marks.add_argument("--bundle", type=Path, required=True, help="folder of the model; takes the result")
    marks.add_argument("--data", type=Path, required=True, help="the data that the model was trained on")
    marks.add_argument("--seed", type=int, default=0)
    marks.set_defaults(run=_marks)

    train = verbs.add_parser("train", help="train a network and write its bundle; goes on after a stop")
    train.add_argument("--data", type=Path, required=True, help="folder with pictures in class folders or an index.csv")
    train.add_argument("--network", default=settings.DEFAULT_MODEL, help="see docs/model-bundles.md")
    train.add_argument(
        "--weights",
        type=_weights,
        help="file of ImageNet weights, or a model.keras, to start from; imagenet: fetch them",
    )
    train.add_argument("--task", default=FOUR_CLASS, help=f"{FOUR_CLASS}, or {BINARY}: tumor or not")
    train.add_argument("--loss", help="marginal, categorical, sparse_categorical or binary (default: the network's)")
    train.add_argument("--name", help="name of the bundle (default: the network's)")
    train.add_argument("--version", default="1.0.0")
    train.add_argument("--size", type=int, help="side of the input in pixels (default: the network's)")
    train.add_argument("--epochs", type=int, help="default: the network's")
    train.add_argument("--folds", type=int, default=5)
    train.add_argument("--fold", type=int, default=0)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--learning-rate", type=float, help="default: the network's")
    train.add_argument("--recipe", help="how pictures are drawn; see docs/model-bundles.md (default: the network's)")
    train.add_argument(
        "--unfreeze",
        action="store_true",
        help="also train what keeps its ImageNet weights, but the first convolution",
    )
    train.add_argument("--bfloat16", action="store_true", help="compute in bfloat16: faster on processors that can")
    train.add_argument("--sensitivity", type=float, default=0.95, help="share of tumors the operating point must find")
    _add_hospitals(train)
    train.add_argument("--runs", type=Path, default=settings.ROOT / "runs", help="folder for checkpoints")
    train.set_defaults(run=_train)

    refit = verbs.add_parser("refit", help="decide anew, on hospitals it never saw, what a model answers when")
    refit.add_argument("--bundle", type=Path, required=True, help="folder of the model, which is written anew")
    refit.add_argument("--data", type=Path, required=True, help="the data it was trained on, with hospitals besides")
    refit.add_argument("--version", required=True, help="of the new model")
    _add_hospitals(refit)
    refit.add_argument("--runs", type=Path, default=settings.ROOT / "runs", help="folder for prepared pictures")
    refit.set_defaults(run=_refit)

    compare = verbs.add_parser("compare", help="train networks on the same folds and write one results file")
    compare.add_argument("--data", type=Path, required=True, help="as for train")
    compare.add_argument(
        "--networks", nargs="+", default=[], help="those to train; without, write the results of finished ones anew"
    )
    compare.add_argument("--folds", type=int, default=5)
    compare.add_argument(
        "--run-folds", type=int, nargs="*", default=[0], help="numbers of the folds to train, from 0; or no number"
    )
    compare.add_argument("--published", action="store_true", help="also on the split as published, which leaks")
    compare.add_argument(
        "--br35h-to-navoneel",
        action="store_true",
        help="also trained on Br35H and tested on Navoneel's set, as some publish, with and without what both share",
    )
    compare.add_argument("--task", default=FOUR_CLASS, help=f"{FOUR_CLASS}, or {BINARY}: tumor or not")
    compare.add_argument("--epochs", type=int, help="default: each network's own")
    compare.add_argument(
        "--weights",
        type=_weights_of,
        action="append",
        default=[],
        metavar="NETWORK=FILE",
        help="file of ImageNet weights to start from; NETWORK=imagenet: fetch them",
    )
    compare.add_argument("--bfloat16", action="store_true", help="compute in bfloat16: faster on processors that can")
    compare.add_argument("--close", action="store_true", help="take stopped runs as they are, instead of going on")
    compare.add_argument("--bundle", type=Path, help="a bundle that stands for the default network on its own fold")
    compare.add_argument(
        "--write-bundles",
        action="store_true",
        help="also write each network of a leak-free fold as the bundle NETWORK-foldN",
    )
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument("--sensitivity", type=float, default=0.95, help="share of tumors to choose each threshold for")
    compare.add_argument("--runs", type=Path, default=settings.ROOT / "runs", help="folder for checkpoints and results")
    compare.add_argument("--out", type=Path, default=settings.ROOT / "models" / "comparison")
    compare.set_defaults(run=_compare)

    convert = verbs.add_parser("convert-card", help="give a model of version 5.2 or before a card of today's shape")
    convert.add_argument("bundle", type=Path, metavar="DIR")
    convert.set_defaults(run=_convert_card)

    export = verbs.add_parser("export", help="write a bundle's network as .keras, .h5 or .tflite")
    export.add_argument("--bundle", type=Path, required=True)
    export.add_argument("--to", type=Path, required=True, metavar="FILE")
    export.set_defaults(run=_export)

    account = verbs.add_parser("account", help="help out on the server").add_subparsers(required=True, metavar="WHAT")
    recover = account.add_parser("recover", help="print a temporary password and forget wrong ones")
    recover.add_argument("username")
    recover.set_defaults(run=_recover)

    data = verbs.add_parser("data", help="fetch and audit datasets").add_subparsers(required=True, metavar="WHAT")
    audit = data.add_parser("audit", help="find near-duplicates, leakage and label conflicts")
    audit.add_argument("folder", type=Path, metavar="DIR")
    audit.add_argument("--out", type=Path, default=Path("audit"), help="folder to write audit.json and index.csv to")
    audit.set_defaults(run=_audit)
    download = data.add_parser("download", help="fetch a public dataset from Kaggle")
    download.add_argument("name")
    download.set_defaults(run=_download)
    return parser


def _predict(options: argparse.Namespace) -> int:
    from braintumor.inference import Predictor

    configured = settings.load()
    predictor = Predictor.load(options.bundle or configured.models_dir / configured.model)
    masks = MaskFolder(options.masks, walk(options.paths)) if options.masks else None
    status = OK
    for outcomes, predictions in _answers(predictor, options.paths):
        for row in _rows(outcomes, predictions, predictor.bundle.name, masks, outlined=options.json):
            status = SOME_FAILED if row["status"] == "error" else status
            sys.stdout.write((json.dumps(row) if options.json else _line(row)) + "\n")
    return status


def _answers(
    predictor: "Predictor", paths: Iterable[Path]
) -> Iterator[tuple[list[Scan | ScanError], list["Prediction"]]]:
    """Give files and answers chunk by chunk; while one is measured and written, the next is answered."""

    def answer(outcomes: list[Scan | ScanError]) -> tuple[list[Scan | ScanError], list["Prediction"]]:
        return outcomes, predictor.predict([outcome for outcome in outcomes if isinstance(outcome, Scan)])

    coming = None
    with ThreadPoolExecutor(1) as pool:
        for outcomes in _chunks(_read_paths(paths), _FILES_AT_ONCE):
            ready, coming = coming, pool.submit(answer, outcomes)
            if ready:
                yield ready.result()
        if coming:
            yield coming.result()


def _rows(
    outcomes: Sequence[Scan | ScanError],
    predictions: Iterable["Prediction"],
    bundle: str,
    masks: "MaskFolder | None",
    *,
    outlined: bool,
) -> Iterator[dict[str, Any]]:
    answers = iter(predictions)
    for outcome in outcomes:
        if isinstance(outcome, Scan):
            prediction = next(answers)
            row = prediction_row(prediction, outlined=outlined)
            if masks is not None:
                row["mask"] = masks.write(prediction)
            yield row
        else:
            yield error_row(outcome, bundle)


def _read_paths(paths: Iterable[Path]) -> Iterator[Scan | ScanError]:
    with ThreadPoolExecutor(2) as pool:
        files = (file for path in paths for file in _files_of(path))
        for chunk in _chunks(files, _FILES_AT_ONCE):
            for outcomes in pool.map(_read_path, chunk):
                yield from outcomes


def _files_of(path: Path) -> list[Path]:
    """List what a path stands for: itself, or all in a folder but notes, so that what cannot be read gets its reason.

    A folder without any such file stands for itself, so that it does not go unnoticed.
    """
    taken, others = survey(path) if path.is_dir() else ([], [])
    return [*taken, *others] or [path]


def _read_path(path: Path) -> list[Scan | ScanError]:
    try:
        if path.is_dir():
            return [ScanError("This folder holds no pictures.", "Name one that does.", str(path))]
        if path.stat().st_size > DEFAULT_LIMITS.max_archive_bytes:
            return [ScanError("This file is too large for a picture.", "Check that it is one.", str(path))]
        return [_named(outcome, path) for outcome in read_all(path.read_bytes(), path.name)]
    except OSError as error:
        reason = "There is no such file." if isinstance(error, FileNotFoundError) else "This file cannot be opened."
        return [ScanError(reason, "Check its name and your right to read it.", str(path))]


def _named(outcome: Scan | ScanError, path: Path) -> Scan | ScanError:
    """Give an outcome its full path: what is cut or cleaned for a page would make two files look like one."""
    inside = outcome.source.removeprefix(safe_name(path.name))
    if isinstance(outcome, ScanError):
        return ScanError(outcome.reason, outcome.hint, f"{path}{inside}")
    return replace(outcome, source=f"{path}{inside}")


def _add_hospitals(verb: argparse.ArgumentParser) -> None:
    for part, purpose in (("validation", "choose on"), ("test", "only measure")):
        said = f"hospitals or datasets to hold out and {purpose}"
        verb.add_argument(f"--{part}-hospitals", nargs="+", default=[], metavar="NAME", help=said)
    verb.add_argument("--tumor-free", type=Path, metavar="DIR", help="folder of volumes of heads without a tumor")


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _line(row: dict[str, Any]) -> str:
    if row["status"] == "error":
        return f"{row['source']}: {row['error']}"
    from braintumor.reports import NOTE_WORDS

    words = f"{row['decision']}, finding {row['finding'] or 'none'}, P(tumor) {row['p_tumor']:.3f}"
    said = [*row["reasons"], *(NOTE_WORDS[note] for note in row["notes"])]
    return f"{row['source']}: {words}" + "".join(f" {sentence}" for sentence in said)


def _evaluate(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.evaluating import evaluate_bundle

    report, predictions = evaluate_bundle(load_bundle(options.bundle), options.data)
    if options.out:
        predictions.to_csv(options.out, index=False, float_format="%.8f")
    _print_json(report)
    return OK


def _heatmaps(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.explaining import question_bundle, write_heatmap_figures

    bundle = load_bundle(options.bundle)
    report, table = question_bundle(bundle, options.data, options.images, options.seed)
    write_heatmap_figures(report, table, bundle.folder)
    _print_json({name: value for name, value in report.items() if name not in ("curves", "share")})
    return OK


def _changes(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.robustness import measure_changes
    from braintumor.training.writing import write_whole

    report = measure_changes(load_bundle(options.bundle), options.data, options.scans, options.seed).as_json()
    if options.out:
        write_whole(options.out, json.dumps(report, indent=2) + "\n")
    else:
        _print_json(report)
    return OK


def _marks(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.marks import teach_marks

    _print_json(teach_marks(load_bundle(options.bundle), options.data, seed=options.seed))
    return OK


def _train(options: argparse.Namespace) -> int:
    from braintumor.datasets import Hospitals
    from braintumor.training.run import RunOptions, run

    wanted = RunOptions(
        data=options.data,
        network=options.network,
        weights=options.weights,
        name=options.name or options.network,
        version=options.version,
        size=options.size,
        epochs=options.epochs,
        folds=options.folds,
        fold=options.fold,
        seed=options.seed,
        learning_rate=options.learning_rate,
        recipe=options.recipe,
        unfreeze=options.unfreeze,
        bfloat16=options.bfloat16,
        sensitivity=options.sensitivity,
        task=options.task,
        loss=options.loss,
        runs=options.runs,
        models=settings.load().models_dir,
        hospitals=Hospitals(tuple(options.validation_hospitals), tuple(options.test_hospitals)),
        tumor_free=options.tumor_free,
    )
    card = run(wanted)
    _print_json(card.model_dump(mode="json")["metrics"]["test"])
    return OK


def _refit(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.datasets import Hospitals
    from braintumor.training.refitting import RefitOptions, refit

    hospitals = Hospitals(tuple(options.validation_hospitals), tuple(options.test_hospitals))
    wanted = RefitOptions(options.data, options.version, hospitals, options.tumor_free, options.runs)
    card = refit(load_bundle(options.bundle), wanted)
    _print_json(card.model_dump(mode="json")["stacks"])
    return OK


def _weights(text: str) -> Path | str:
    return text if text == "imagenet" else Path(text)


def _weights_of(text: str) -> tuple[str, Path | str]:
    network, given, weights = text.partition("=")
    if not given:
        raise argparse.ArgumentTypeError(f"{text!r} names no network; write NETWORK=FILE")
    return network, _weights(weights)


def _compare(options: argparse.Namespace) -> int:
    from braintumor.training.comparing import CompareOptions, compare

    wanted = CompareOptions(
        data=options.data,
        runs=options.runs,
        out=options.out,
        networks=tuple(options.networks),
        folds=options.folds,
        run_folds=tuple(options.run_folds),
        published=options.published,
        br35h_to_navoneel=options.br35h_to_navoneel,
        task=options.task,
        epochs=options.epochs,
        weights=dict(options.weights),
        bfloat16=options.bfloat16,
        close=options.close,
        bundle=options.bundle,
        bundles=settings.load().models_dir if options.write_bundles else None,
        seed=options.seed,
        sensitivity=options.sensitivity,
    )
    report, skipped = compare(wanted)
    for trial, reason in skipped.items():
        sys.stderr.write(f"{trial}: {reason}\n")
    found = {name: facts["leak_free"] for name, facts in report["networks"].items() if facts.get("leak_free")}
    told = "accuracy" if options.task == FOUR_CLASS else "accuracy_tumor"
    _print_json({name: figures[told] for name, figures in found.items()})
    return SOME_FAILED if skipped else OK


def _convert_card(options: argparse.Namespace) -> int:
    from braintumor.evaluation.card_conversion import convert_card

    convert_card(options.bundle)
    return OK


def _export(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.export import export_bundle

    export_bundle(load_bundle(options.bundle), options.to)
    sys.stdout.write(f"{options.to}\n")
    return OK


def _audit(options: argparse.Namespace) -> int:
    from braintumor import datasets

    index = datasets.build_index(options.folder)
    marks, failed = datasets.signatures(options.folder, list(index["path"]))
    pairs = datasets.near_duplicates(marks)
    grouped = datasets.assign_groups(index, pairs)
    report = {**datasets.audit(grouped), "unreadable": failed}
    if (index["group"] != "").all():
        report["agreement_with_given_groups"] = datasets.agreement_with(grouped, pairs, index["group"])
    datasets.write_audit(report, grouped, options.out)
    _print_json(report)
    return SOME_FAILED if failed else OK


def _download(options: argparse.Namespace) -> int:
    from braintumor.datasets import CATALOGUE, download

    if options.name not in CATALOGUE:
        raise InputError(f"there is no dataset {options.name!r}; choose one of {', '.join(CATALOGUE)}")
    sys.stdout.write(f"{download(options.name)}\n")
    return OK


def _recover(options: argparse.Namespace) -> int:
    from braintumor.records import Accounts, connect

    configured = settings.load()
    temporary = Accounts(connect(configured.database), configured).recover(options.username)
    sys.stdout.write(f"{temporary}\n")
    return OK


def _print_json(report: Any) -> None:
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
