import json
import shutil

import pytest

from braintumor.settings import ROOT
from scripts.supply_chain import (
    BILL,
    INPUTS,
    LICENSES,
    LIMITS,
    bill_of_materials,
    description_faults,
    license_of,
    lock_faults,
    lock_path,
    not_as_locked,
    pins,
    requested,
)


@pytest.fixture
def copy(tmp_path):
    for path in [*INPUTS["test"], *INPUTS["postgresql"], *map(lock_path, INPUTS), LIMITS, BILL, LICENSES]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("name", INPUTS)
def test_locks_fit_what_is_asked_for(name):
    assert lock_faults(name) == [], "run: make lock"


def test_bill_and_licenses_hold_the_locked_packages():
    assert description_faults() == [], "run: make lock"


def test_every_lock_has_the_versions_of_the_app():
    app = set(pins((ROOT / lock_path("app")).read_text(encoding="utf-8")))
    names = {pin.name for pin in app}
    for name in INPUTS:
        found = pins((ROOT / lock_path(name)).read_text(encoding="utf-8"))
        versions = {(pin.name, pin.version) for pin in found if pin.name in names}
        assert versions == {(pin.name, pin.version) for pin in app}, name


def test_every_license_is_stated():
    bill = json.loads((ROOT / BILL).read_text(encoding="utf-8"))
    assert [one["name"] for one in bill["components"] if "licenses" not in one] == []


def test_a_changed_requirement_is_noticed_in_every_lock_that_holds_it(copy):
    edit(copy / INPUTS["app"][0], "numpy==2.4.6", "numpy==2.4.7")
    for name in INPUTS:
        faults = lock_faults(name, copy)
        assert len(faults) == 2
        assert "does not meet: numpy==2.4.7" in faults[1]


def test_another_comment_changes_nothing(copy):
    edit(copy / INPUTS["app"][0], "# ", "# Also: ")
    assert lock_faults("app", copy) == []


def test_a_lock_without_hash_is_noticed(copy):
    path = copy / lock_path("app")
    path.write_text(path.read_text(encoding="utf-8") + "unknown==1.0\n", encoding="utf-8")
    assert lock_faults("app", copy) == [f"{lock_path('app')}: unknown has no hash"]
    assert len(description_faults(copy)) == 2


@pytest.mark.parametrize("line", ["--index-url somewhere", "--find-links here", "# from https://host/x", "# host.org"])
def test_a_lock_that_names_an_address_is_noticed(copy, line):
    path = copy / lock_path("app")
    path.write_text(path.read_text(encoding="utf-8") + line.replace("--", "# --") + "\n", encoding="utf-8")
    (fault,) = lock_faults("app", copy)
    assert "names an address" in fault


def test_a_missing_lock_is_noticed(copy):
    (copy / lock_path("train")).unlink()
    assert lock_faults("train", copy) == [f"{lock_path('train')} is missing"]


def test_included_requirements_are_among_those_asked_for():
    app, train, test = (set(requested(*INPUTS[name])) for name in ("app", "train", "test"))
    assert app < train < test


def test_pins_keep_version_marker_and_every_hash():
    first, second = "a" * 64, "b" * 64
    text = f"# x\none==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{first} \\\n    --hash=sha256:{second}\n"
    (pin,) = pins(text)
    assert (pin.name, pin.version, pin.marker) == ("one", "1.0", 'sys_platform == "win32"')
    assert pin.hashes == {f"sha256:{first}", f"sha256:{second}"}


def test_only_packages_of_this_system_are_compared_with_what_is_installed():
    text = "no-such-package==1.0\nnor-this==1.0 ; sys_platform == 'none'\n"
    assert not_as_locked(pins(text)) == ["no-such-package 1.0 is locked, none is installed"]


def test_a_package_that_states_no_license_says_so():
    assert license_of("no-such-package") == "not stated"
    assert license_of("tensorflow") == "Apache-2.0"


def test_the_same_locks_give_the_same_bill():
    found = pins("one==1.0\ntwo==2.0 ; sys_platform == 'win32'\n")
    licenses = {"one": "MIT OR Apache-2.0", "two": "not stated"}
    bill = bill_of_materials(found, licenses)
    assert bill == bill_of_materials(found, licenses)
    one, two = bill["components"]
    assert one["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert "licenses" not in two
    assert two["properties"][0]["value"] == 'sys_platform == "win32"'
