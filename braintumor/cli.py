"""``python -m braintumor VERB``: predict, evaluate, train, and look after data and accounts."""

import argparse
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braintumor import __version__, settings
from braintumor.errors import InputError
from braintumor.federated.arguments import add_verbs as add_federated_verbs
from braintumor.processes import start_early
from braintumor.taxonomy import BINARY, FOUR_CLASS

if TYPE_CHECKING:
    from braintumor.batch import Finding
    from braintumor.datasets import Roles
    from braintumor.scans import ScanError, Series

_MASKS = ("mask", "segmentation")
OK, SOME_FAILED, WRONG_USAGE = 0, 1, 2


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


def finding_row(finding: "Finding") -> dict[str, Any]:
    """Give a finding as the JSON object that ``predict --json`` prints; slices are numbered from 0."""
    measured = finding.measurements
    return {
        "source": finding.source,
        **_series_row(finding.series),
        "status": "ok",
        "judged": finding.finding is not None,
        "error": None,
        "p_tumor": finding.p_tumor,
        "probabilities": finding.probabilities,
        "decision": finding.decision,
        "finding": finding.finding,
        "slice": finding.slice_number,
        "rests_on": list(finding.rests_on),
        "outline": None if measured is None else asdict(measured),
        "mask": None,
        "segmentation": None,
        "reasons": _reason_words(finding),
        "notes": list(finding.notes),
        "seconds": finding.seconds,
        "bundle": finding.bundle,
    }


def _reason_words(finding: "Finding") -> list[str]:
    if not finding.reasons:
        return []
    # What words reports loads pandas, for longer than most answers take.
    from braintumor.reports import reason_words

    return list(reason_words(finding.reasons, finding.probabilities))


def _series_row(series: "Series | None") -> dict[str, Any]:
    """Give what a DICOM study calls a series, by UIDs as its PACS does, and its kind; None of other scans."""
    if series is None:
        return {"study": None, "series": None, "sequence": None}
    return {"study": series.study, "series": series.uid, "sequence": series.weighting.value}


def error_row(error: "ScanError", bundle: str) -> dict[str, Any]:
    """Give a file that could not be read, or a series that is not judged, as a JSON object with the same keys."""
    from braintumor.scans import NotJudgedError

    not_judged = isinstance(error, NotJudgedError)
    empty = dict.fromkeys(("p_tumor", "probabilities", "decision", "finding", "slice", "rests_on", "outline", *_MASKS))
    return {
        "source": error.source,
        **_series_row(error.series if isinstance(error, NotJudgedError) else None),
        "status": "not judged" if not_judged else "error",
        "judged": False,
        "error": None if not_judged else str(error),
        **empty,
        "reasons": [str(error)] if not_judged else [],
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

    def write(self, finding: "Finding") -> dict[str, str | None]:
        """Write the mask of the scan's own size and give its file's path; None from a network that does not locate.

        That of a DICOM series, where it is not empty, is written as DICOM Segmentation beside it.
        A second source of the same name gets a number behind it, so that no mask takes another one's place; one that
        would replace one of ``sources`` gets the word "mask", and then a number rather than replace anything.
        """
        if finding.mask is None or finding.mask_ending is None:
            return {"mask": None, "segmentation": None}
        path = self._free_path(Path(finding.source), finding.mask_ending)
        path.write_bytes(finding.mask)
        if finding.segmentation is None:
            return {"mask": str(path), "segmentation": None}
        beside = path.with_name(path.name.removesuffix(finding.mask_ending) + ".dcm")
        beside.write_bytes(finding.segmentation)
        return {"mask": str(path), "segmentation": str(beside)}

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
    parser.add_argument("--version", action="version", version=__version__)
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
    train.add_argument("--loss", help="marginal, categorical or binary (default: the network's)")
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
    train.add_argument("--modality", default="MR", help="of the pictures to learn from, as DICOM codes it: MR or CT")
    train.add_argument("--bfloat16", action="store_true", help="compute in bfloat16: faster on processors that can")
    train.add_argument("--sensitivity", type=float, default=0.95, help="share of tumors the operating point must find")
    _add_hospitals(train)
    _add_roles(train)
    train.add_argument("--runs", type=Path, default=settings.ROOT / "runs", help="folder for checkpoints")
    train.set_defaults(run=_train)

    federated = verbs.add_parser("federated", help="train a network at several sites whose scans stay where they are")
    add_federated_verbs(federated, settings.ROOT, settings.load().models_dir)

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
    _add_roles(compare)
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
    compare.add_argument("--bundles", type=Path, nargs="+", default=[], help="trained models that count too")
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument("--sensitivity", type=float, default=0.95, help="share of tumors to choose each threshold for")
    compare.add_argument("--runs", type=Path, default=settings.ROOT / "runs", help="folder for checkpoints and results")
    compare.add_argument("--out", type=Path, default=settings.ROOT / "results" / "comparison")
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
    start_early(options.paths)
    from braintumor.batch import Batch
    from braintumor.scans import NotJudgedError, ScanError, files_at, gather, walk

    configured = settings.load()
    bundle = options.bundle or configured.models_dir / configured.model
    masks = MaskFolder(options.masks, walk(options.paths)) if options.masks else None
    batch = Batch(bundle, measurements=options.json, masks=masks is not None)
    status = OK
    counted: Counter[str] = Counter()
    for outcome in batch.answer(gather(files_at(options.paths), batch.limits)):
        if isinstance(outcome, ScanError):
            row = error_row(outcome, batch.bundle_name)
            # What is not for the model has not failed.
            status = status if isinstance(outcome, NotJudgedError) else SOME_FAILED
        else:
            row = finding_row(outcome)
            row |= {} if masks is None else masks.write(outcome)
        counted[row["decision"] or row["status"]] += 1
        sys.stdout.write((json.dumps(row) if options.json else _line(row)) + "\n")
        _say_progress(counted)
    _say_progress(counted, ended=True)
    return status


def _say_progress(counted: Counter[str], *, ended: bool = False) -> None:
    """Say on a terminal how many scans were answered how, in the end only where the answers appear on it themselves."""
    if sys.stderr.isatty() and (ended or not sys.stdout.isatty()):
        words = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counted.most_common())
        start, end = ("", "\n") if ended else ("\r", "\r")
        sys.stderr.write(f"{start}{counted.total()} scans: {words}{end}")


def _add_hospitals(verb: argparse.ArgumentParser) -> None:
    for part, purpose in (("validation", "choose on"), ("test", "only measure")):
        said = f"hospitals or datasets to hold out and {purpose}"
        verb.add_argument(f"--{part}-hospitals", nargs="+", default=[], metavar="NAME", help=said)
    verb.add_argument("--tumor-free", type=Path, metavar="DIR", help="folder of volumes of heads without a tumor")


def _add_roles(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--train-on", nargs="+", default=[], metavar="DATASET", help="only these train (default: all)")
    verb.add_argument("--test-on", nargs="+", default=[], metavar="DATASET", help="the test, instead of a fold")
    verb.add_argument(
        "--as-published",
        action="store_true",
        help="split as others have it, with copies of test pictures in training: inflated figures",
    )


def _roles(options: argparse.Namespace) -> "Roles":
    from braintumor.datasets import Roles

    return Roles(tuple(options.train_on), tuple(options.test_on), options.as_published)


def _line(row: dict[str, Any]) -> str:
    if row["status"] != "ok":
        return f"{row['source']}: {row['status']}. {row['error'] or row['reasons'][0]}"
    words = f"{row['decision']}, finding {row['finding'] or 'none'}, P(tumor) {row['p_tumor']:.3f}"
    said = [*row["reasons"], *_note_words(row["notes"])]
    return f"{row['source']}: {words}" + "".join(f" {sentence}" for sentence in said)


def _note_words(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    from braintumor.reports import NOTE_WORDS

    return [NOTE_WORDS[note] for note in notes]


def _evaluate(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.evaluate import evaluate_bundle

    report, predictions = evaluate_bundle(load_bundle(options.bundle), options.data)
    if options.out:
        predictions.to_csv(options.out, index=False, float_format="%.8f")
    _print_json(report)
    return OK


def _heatmaps(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.faithfulness import question_bundle, write_heatmap_figures

    bundle = load_bundle(options.bundle)
    report, table = question_bundle(bundle, options.data, options.images, options.seed)
    write_heatmap_figures(report, table, bundle.folder)
    _print_json({name: value for name, value in report.items() if name not in ("curves", "share")})
    return OK


def _changes(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.training.files import write_whole
    from braintumor.training.robustness import measure_changes

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
        roles=_roles(options),
        tumor_free=options.tumor_free,
        modality=options.modality,
    )
    card = run(wanted)
    _print_json(card.model_dump(mode="json")["metrics"]["test"])
    return OK


def _refit(options: argparse.Namespace) -> int:
    from braintumor.bundles import load_bundle
    from braintumor.datasets import Hospitals
    from braintumor.training.refit import RefitOptions, refit

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
    from braintumor.training.compare import CompareOptions, compare

    wanted = CompareOptions(
        data=options.data,
        runs=options.runs,
        out=options.out,
        networks=tuple(options.networks),
        folds=options.folds,
        run_folds=tuple(options.run_folds),
        roles=_roles(options),
        task=options.task,
        epochs=options.epochs,
        weights=dict(options.weights),
        bfloat16=options.bfloat16,
        bundles=tuple(options.bundles),
        seed=options.seed,
        sensitivity=options.sensitivity,
    )
    report, skipped = compare(wanted)
    for training, reason in skipped.items():
        sys.stderr.write(f"{training}: {reason}\n")
    told = "accuracy" if options.task == FOUR_CLASS else "accuracy_tumor"
    found = {name: row.figures for name, row in report.networks.items() if row.figures}
    _print_json({name: {key: getattr(one, told) for key, one in figures.items()} for name, figures in found.items()})
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
