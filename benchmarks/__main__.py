"""Run every benchmark, print a line each, and write ``docs/benchmarks.json``; exit 1 when a goal is missed."""

import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import (
    attacks,
    duplicates,
    federated,
    folder,
    localization,
    login_page,
    memory,
    one_scan,
    pacs,
    patients,
    study,
    viewer,
)
from benchmarks.result import Result

RESULTS = Path(__file__).parent.parent / "docs" / "benchmarks.json"


def main() -> int:
    results: list[Result] = []
    for benchmark in (
        login_page,
        memory,
        attacks,
        folder,
        duplicates,
        one_scan,
        localization,
        study,
        viewer,
        patients,
        pacs,
        federated,
    ):
        found = benchmark.run()
        for result in found if isinstance(found, list) else [found]:
            print(result, flush=True)
            results.append(result)
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    report = {"machine": machine, "results": [{**asdict(result), "met": result.met} for result in results]}
    RESULTS.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if all(result.met for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
