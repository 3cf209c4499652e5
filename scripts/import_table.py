"""The table of docs/architecture.md as a contract of import-linter: which part may import which.

``make lint`` runs it; ``[tool.importlinter]`` in pyproject.toml names it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_ROW = re.compile(r"^\| `(\w+)` \|(?:.*\|)? ([^|]+) \|$", re.MULTILINE)
_PACKAGE = "braintumor"


def read_table(path: Path) -> dict[str, set[str]]:
    """For each part, in the order of the document, the parts that it may import."""
    return {name: set(re.findall(r"`(\w+)`", others)) for name, others in _ROW.findall(path.read_text("utf-8"))}


class TableContract(Contract):
    """Every import of one part by another stands in the table, and no part imports one that stands below it."""

    type_name = "table"
    document = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Hold every import of the graph against the table."""
        table = read_table(Path(str(self.document)))
        wrong = [*_out_of_order(table), *_unlisted(graph, table)]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what the table does not allow."""
        for sentence in check.metadata["wrong"]:
            output.print_error(sentence)


def _out_of_order(table: dict[str, set[str]]) -> Iterator[str]:
    above: set[str] = set()
    for name, others in table.items():
        for other in sorted(others - above):
            yield f"{name} may import {other}, which does not stand above it in the table."
        above.add(name)


def _unlisted(graph: ImportGraph, table: dict[str, set[str]]) -> Iterator[str]:
    modules = {module: part for module in sorted(graph.modules) if (part := _part(module))}
    for part in sorted({*modules.values()} - table.keys()):
        yield f"{part} has no row in the table."
    for part in sorted(table.keys() - {*modules.values()}):
        yield f"{part} has a row in the table but no module."
    for module, part in modules.items():
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            other = modules.get(imported, part)
            if other not in {part, *table.get(part, ())}:
                yield f"{module} imports {imported}, and {part} may not import {other}."


def _part(module: str) -> str | None:
    """Give the part that a module belongs to; None for what stands above all parts."""
    package, _, name = module.partition(".")
    if package != _PACKAGE:
        return package if package == "pages" else None
    part = name.partition(".")[0]
    return None if part in ("", "__main__") else part
