"""Lock every package with its hashes, and tell what the app is made of: a bill of materials and the licenses.

``lock`` writes requirements/lock/, ``describe`` writes requirements/sbom.json and docs/licenses.md from the lock of the
app and the packages installed here, and ``check``, which needs no network, exits with 1 where one of them does not fit.
`make lock` runs the first two, `make lint` the last.
"""

import argparse
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LIMITS = Path("requirements", "limits.txt")
BILL = Path("requirements", "sbom.json")
LICENSES = Path("docs", "licenses.md")
LOCKS = Path("requirements", "lock")
APP = "app"
_APP_INPUT = Path("requirements.txt")
_FEDERATED_INPUT, _PACS_INPUT, _POSTGRESQL_INPUT, _TRAIN_INPUT = (
    Path("requirements", f"{extra}.txt") for extra in ("federated", "pacs", "postgresql", "train")
)
INPUTS = {
    APP: (_APP_INPUT,),
    "postgresql": (_APP_INPUT, _POSTGRESQL_INPUT),
    "pacs": (_APP_INPUT, _POSTGRESQL_INPUT, _PACS_INPUT),
    "train": (_APP_INPUT, _TRAIN_INPUT),
    "federated": (_APP_INPUT, _TRAIN_INPUT, _FEDERATED_INPUT),
    "test": (
        _APP_INPUT,
        _POSTGRESQL_INPUT,
        _TRAIN_INPUT,
        _FEDERATED_INPUT,
        _PACS_INPUT,
        Path("requirements", "test.txt"),
    ),
}
"""What each lock is made from; pyproject.toml reads the same files for the package and its extras."""
PYTHON = "3.11"

_STAMP = "# Made by `make lock`, not by hand. SHA-256 of what was asked for: "
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})(?= |$)")
# The machine that installs chooses where to fetch packages from.
_ADDRESS = re.compile(r"https?:|file:|index-url|find-links|(?<!-)\b[a-z0-9-]+\.(?:org|com|io|net)\b")
# Read in their license files: two are for other systems, so not installed here, and one has no license in its metadata.
_KNOWN = {"tensorflow": "Apache-2.0", "colorama": "BSD-3-Clause", "namex": "Apache-2.0"}
# One license by several names; others stay as the package states them.
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_UNSTATED = "not stated"


@dataclass(frozen=True)
class Pin:
    """One version of a package in a lock, where it is installed, and what its files hash to."""

    name: str
    version: str
    marker: str = ""
    hashes: frozenset[str] = field(default=frozenset(), compare=False)


def requested(*paths: Path, root: Path = ROOT) -> list[str]:
    """The requirements of files, without comments, sorted."""
    lines = [line for path in paths for line in (root / path).read_text(encoding="utf-8").splitlines()]
    return sorted({bare for line in lines if (bare := re.sub(r"(^|\s)#.*", "", line).strip())})


def digest(name: str, root: Path = ROOT) -> str:
    """What tells whether a lock was made from its input as it is now."""
    asked = [*requested(*INPUTS[name], root=root), "limits:", *requested(LIMITS, root=root)]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()


def pins(text: str) -> list[Pin]:
    """The packages of a lock."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        wanted = line.split("--hash=")[0].strip()
        if wanted and not wanted.startswith("#"):
            one = Requirement(wanted)
            (exact,) = one.specifier
            found.append(Pin(one.name, exact.version, str(one.marker or ""), frozenset(_HASH.findall(line))))
    return found


def lock_path(name: str) -> Path:
    """Where a lock lies."""
    return LOCKS / f"{name}.txt"


def lock(*, upgrade: bool = False) -> None:
    """Write every lock. Versions stay unless their requirement changed, or ``upgrade`` is set."""
    (ROOT / LOCKS).mkdir(exist_ok=True)
    for name, sources in INPUTS.items():
        options = ["--universal", "--generate-hashes", "--python-version", PYTHON, "--no-header", "--no-annotate"]
        options += ["--no-emit-index-url", "--no-emit-find-links", "--constraints", str(LIMITS)]
        if name != APP:
            options += ["--constraints", str(lock_path(APP))]
        if upgrade:
            options.append("--upgrade")
        path = lock_path(name)
        command = [sys.executable, "-m", "uv", "--quiet", "--no-config", "pip", "compile", *options]
        subprocess.run([*command, "--output-file", str(path), *map(str, sources)], cwd=ROOT, check=True)
        text = (ROOT / path).read_text(encoding="utf-8")
        (ROOT / path).write_text(f"{_STAMP}{digest(name)}\n{text}", encoding="utf-8")


def lock_faults(name: str, root: Path = ROOT) -> list[str]:
    """What is wrong with a lock, seen without network."""
    path = root / lock_path(name)
    if not path.exists():
        return [f"{lock_path(name)} is missing"]
    text = path.read_text(encoding="utf-8")
    found = pins(text)
    faults = []
    if text.splitlines()[:1] != [_STAMP + digest(name, root)]:
        faults.append(f"{lock_path(name)} was made from another {INPUTS[name][-1]}")
    faults += [f"{lock_path(name)}: {pin.name} has no hash" for pin in found if not pin.hashes]
    faults += [f"{lock_path(name)} names an address: {line}" for line in text.splitlines() if _ADDRESS.search(line)]
    for line in requested(*INPUTS[name], root=root):
        asked = Requirement(line)
        met = [pin for pin in found if canonicalize_name(pin.name) == canonicalize_name(asked.name)]
        if not any(asked.specifier.contains(pin.version, prereleases=True) for pin in met):
            faults.append(f"{lock_path(name)} does not meet: {line}")
    return faults


def license_of(name: str) -> str:
    """The license that an installed package states: as SPDX expression, else as its classifier or text names it."""
    try:
        facts = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return _KNOWN.get(canonicalize_name(name), _UNSTATED)
    if "License-Expression" in facts:
        return facts["License-Expression"]
    first = ", ".join(facts.get_all("License") or []).strip().split("\n")[0]
    classified = [line.split(" :: ")[-1] for line in facts.get_all("Classifier") or [] if line.startswith("License ::")]
    # A whole license text begins with its copyright, and a bare "BSD" or "UNKNOWN" says less than the classifier.
    stated = first if first and len(first) < 40 and first not in {"UNKNOWN", "BSD"} else ", ".join(classified)
    return _SPDX.get(stated, stated) or _KNOWN.get(canonicalize_name(name), _UNSTATED)


def bill_of_materials(found: list[Pin], licenses: Mapping[str, str]) -> dict[str, Any]:
    """A CycloneDX bill of what the app is made of; the same locks give the same bill."""
    components = []
    for pin in found:
        stated = licenses[pin.name]
        component: dict[str, Any] = {"type": "library", "name": pin.name, "version": pin.version}
        component["purl"] = component["bom-ref"] = f"pkg:pypi/{canonicalize_name(pin.name)}@{pin.version}"
        if stated != _UNSTATED:
            component["licenses"] = [_license(stated)]
        if pin.marker:
            component["properties"] = [{"name": "braintumor:installed-where", "value": pin.marker}]
        components.append(component)
    text = json.dumps(components, sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "braintumor",
                "name": "braintumor",
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": "braintumor", "dependsOn": [component["bom-ref"] for component in components]}],
    }


def _license(stated: str) -> dict[str, Any]:
    if re.search(r" (?:AND|OR|WITH) ", stated):
        return {"expression": stated}
    return {"license": {"id" if stated in _SPDX.values() or re.search(r"-\d|^MIT|^0BSD", stated) else "name": stated}}


def licenses_page(found: list[Pin], licenses: Mapping[str, str]) -> str:
    """The document of the licenses."""
    rows = [
        f"| {pin.name} | {pin.version} | {licenses[pin.name]} | {f'`{pin.marker}`' if pin.marker else 'everywhere'} |"
        for pin in found
    ]
    return "\n".join(
        [
            "# Licenses",
            "",
            "Every package that the app runs with, and the license that the package itself states. The code is under",
            "the [MIT license](../LICENSE). `make lock` writes this page and a bill of materials in CycloneDX's",
            "format, [sbom.json](../requirements/sbom.json), from the [locked packages](../requirements/lock/app.txt).",
            "What only training, tests, PostgreSQL, the node or its API need is not here. Packages may bundle",
            "libraries with licenses of their own; their texts lie with the installed package, in its folder that",
            "ends in `.dist-info`.",
            "",
            "Reports embed fonts that lie in the package: DejaVu Sans and DejaVu Sans Bold under the",
            "[Bitstream Vera and Arev licenses](../braintumor/reports/fonts/LICENSE-DejaVu.txt), and Noto Sans",
            "Devanagari under the [SIL Open Font License 1.1](../braintumor/reports/fonts/LICENSE-Noto.txt).",
            "",
            "| Package | Version | License | Installed |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def described() -> dict[Path, str]:
    """The bill and the page as they should read, from the lock of the app and the packages installed here."""
    found = pins((ROOT / lock_path(APP)).read_text(encoding="utf-8"))
    licenses = {pin.name: license_of(pin.name) for pin in found}
    bill = json.dumps(bill_of_materials(found, licenses), indent=1) + "\n"
    return {BILL: bill, LICENSES: licenses_page(found, licenses)}


def description_faults(root: Path = ROOT) -> list[str]:
    """Where bill or page and the lock do not hold the same packages."""
    locked = {(pin.name, pin.version) for pin in pins((root / lock_path(APP)).read_text(encoding="utf-8"))}
    bill = json.loads((root / BILL).read_text(encoding="utf-8"))
    page = (root / LICENSES).read_text(encoding="utf-8")
    told = {
        BILL: {(component["name"], component["version"]) for component in bill["components"]},
        LICENSES: set(re.findall(r"^\| (\S+) \| (\d\S*) \|", page, re.MULTILINE)),
    }
    return [f"{path} does not fit {lock_path(APP)}" for path, packages in told.items() if packages != locked]


def not_as_locked(found: list[Pin]) -> list[str]:
    """Packages whose version here is not the locked one, so that their license may be another."""
    faults = []
    for pin in found:
        if pin.marker and not Marker(pin.marker).evaluate():
            continue
        try:
            here = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            here = "none"
        if here != pin.version:
            faults.append(f"{pin.name} {pin.version} is locked, {here} is installed")
    return faults


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["lock", "describe", "check"])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the requirements allow")
    chosen = parser.parse_args(arguments)
    if chosen.command == "lock":
        lock(upgrade=chosen.upgrade)
        return 0
    if chosen.command == "describe":
        faults = not_as_locked(pins((ROOT / lock_path(APP)).read_text(encoding="utf-8")))
        if not faults:
            for path, text in described().items():
                (ROOT / path).write_text(text, encoding="utf-8")
    else:
        faults = [fault for name in INPUTS for fault in lock_faults(name)] + description_faults()
    for fault in faults:
        sys.stderr.write(f"{fault}; run: make lock\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
