"""Every page, fragment and dialog asks the gate before it does anything else."""

import ast

import pytest

from braintumor.settings import ROOT

PAGES = sorted((ROOT / "pages").glob("*.py"))
DASHBOARD = sorted((ROOT / "braintumor" / "dashboard").rglob("*.py"))
RUN_ON_THEIR_OWN = {"fragment", "dialog"}
DEFINITIONS = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def asks_the_gate(statement):
    is_plain = isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and statement.value is not None
    return is_plain and ast.unparse(statement.value) == "gate.current()"


def first(body):
    """The first statement that is not a docstring; None for an empty body."""
    rest = [statement for statement in body if not is_text(statement)]
    return rest[0] if rest else None


def is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def is_constant(statement):
    """Whether it only names a value, and so nothing of Streamlit."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return False
    return not {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} & {"st", "gate"}


def first_executed(tree):
    """The first thing that running the file does, seen through a call of ``main``."""
    done = [node for node in tree.body if not isinstance(node, DEFINITIONS) and not is_constant(node)]
    statement = first(done)
    if statement is not None and ast.unparse(statement) == "main()":
        [main] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
        return first(main.body)
    return statement


def ungated(tree):
    """Names of the functions that Streamlit runs again without their page, and that do not ask first."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        function.name
        for function in functions
        if {name(decorator) for decorator in function.decorator_list} & RUN_ON_THEIR_OWN
        and not asks_the_gate(first(function.body))
    ]


def name(decorator):
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).split(".")[-1]


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_page_asks_first(path):
    assert asks_the_gate(first_executed(parsed(path)))


@pytest.mark.parametrize("path", [*PAGES, *DASHBOARD], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_fragment_and_dialog_asks_first(path):
    assert ungated(parsed(path)) == []


@pytest.mark.parametrize(
    ("source", "gated"),
    [
        ("gate.current()", True),
        ("A = 1\nsession = gate.current()", True),
        ('"""Text."""\nimport x\ndef main():\n    """Text."""\n    session: S = gate.current()\nmain()', True),
        ("st.title('x')\ngate.current()", False),
        ("x = st.text_input('x')\ngate.current()", False),
        ("def main():\n    st.title('x')\n    gate.current()\nmain()", False),
        ("def main():\n    if False:\n        gate.current()\nmain()", False),
        ("", False),
    ],
)
def test_the_check_of_pages_itself(source, gated):
    assert asks_the_gate(first_executed(ast.parse(source))) is gated


@pytest.mark.parametrize("decorator", ["st.fragment", "st.fragment(run_every=1)", "st.dialog('x')", "fragment"])
def test_the_check_of_fragments_itself(decorator):
    body = "def f():\n    'Text.'\n    gate.current()\n    st.write(1)\n"
    assert ungated(ast.parse(f"@{decorator}\n{body}")) == []
    assert ungated(ast.parse(f"@{decorator}\n{body.replace('gate.current()', 'st.write(0)')}")) == ["f"]
    assert ungated(ast.parse(body.replace("gate.current()", "st.write(0)"))) == []
