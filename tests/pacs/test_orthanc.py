"""Studies and results between the node and Orthanc, as Debian ships it, in a network of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pacs.beside_orthanc import SECOND, STUDY
from tests.pacs.nodes import needed

APART = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"')
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
KINDS = {
    "Comprehensive 3D SR Storage",
    "Encapsulated PDF Storage",
    "Secondary Capture Image Storage",
    "Segmentation Storage",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    if shutil.which("Orthanc") is None or not PLUGIN.is_file():
        pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc orthanc-dicomweb)")
    needed("storescu")
    try:
        subprocess.run([*APART, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("Orthanc listens on all addresses; a network of its own needs unshare, ip and the right to use it")
    folder = tmp_path_factory.mktemp("orthanc")
    inside = [*APART, sys.executable, "-m", "tests.pacs.beside_orthanc", str(folder)]
    done = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_results_arrive_beside_their_study(report):
    assert report["sent"] == 0
    assert {one["kind"] for one in report["results"]} == KINDS
    for one in report["results"]:
        assert (one["StudyInstanceUID"], one["PatientID"], one["PatientName"]) == (STUDY, "12345", "Doe^Jane")


@pytest.mark.parametrize("kind", ["Segmentation Storage", "Comprehensive 3D SR Storage"])
def test_results_refer_to_the_objects_that_they_are_of(report, kind):
    [one] = [one for one in report["results"] if one["kind"] == kind]
    assert set(one["references"]) & set(report["source"])
    results = {other["SOPInstanceUID"] for other in report["results"]}
    assert set(one["references"]) <= set(report["source"]) | results, "and to nothing that is not there"


def test_an_archive_that_knows_modalities_is_searched_by_them(report):
    assert sorted(report["found"]["MR"]) == sorted([STUDY, SECOND["StudyInstanceUID"]])
    assert (report["found"]["SEG"], report["found"]["CT"]) == ([STUDY], [])


def test_a_study_that_was_fetched_is_answered_like_any_other(report):
    assert report["fetched"] == 3
    assert report["patients"] == [[{"name": "Doe, Jane", "findings": [1]}]] * 2


def test_results_are_stored_over_the_web(report):
    assert report["stored"] == [True] * len(report["results"]) + [False]
    assert report["by_web"] == sorted(one["SOPInstanceUID"] for one in report["results"])
