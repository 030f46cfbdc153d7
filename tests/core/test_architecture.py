"""The rooms of the house: imports lead down, in no circle, and each module has a name and a job of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import agvae

ROOT = Path(__file__).parents[2]
TOPS = ("src", "tests", "benchmarks", "reproduction", "weights")
SOURCE = Path(agvae.__file__).parents[1]
GROUND = {
    *("addresses", "boxes", "callers", "ending", "errors", "images", "lazy", "metrics", "processors", "progress"),
    *("quality", "runtime", "settings", "shortage", "streams", "whole_file", "words"),
}
ROOMS = [
    GROUND,
    {"file", "container", "entropy", "pages"},
    {"networks"},
    {"weights"},
    {"coding"},
    {"encoding"},
    {"api"},
    {"training", "evaluation", "pillow_agvae", "napari_agvae"},
    {"conversion"},
    {"batch", "comparison", "viewing"},
    {"cli"},
]
"""From the ground up; those of one floor do not use each other, but for those of the ground and of the topmost."""


def modules() -> dict[str, Path]:
    """The files of all modules by their dotted names."""
    paths = [path for package in ("agvae", "pillow_agvae", "napari_agvae") for path in (SOURCE / package).rglob("*.py")]
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


def public_names() -> dict[str, str]:
    """The modules that the names of `agvae` itself come from."""
    tree = ast.parse((SOURCE / "agvae" / "__init__.py").read_text("utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {f"agvae.{alias.name}": node.module or "" for node in froms for alias in node.names}


PUBLIC = public_names()


def imports(code: str, known: set[str]) -> set[str]:
    """The modules of the distribution that code imports anywhere but for its annotations, be it as names of `agvae`."""
    found = set()
    tree = ast.parse(code)
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & (known | PUBLIC.keys()) or {str(node.module)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "agvae":
            found.add(f"agvae.{node.attr}")
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return {name if name in known else PUBLIC.get(name, name) for name in found} & known


@pytest.mark.parametrize(
    "code",
    [
        "from agvae.api import encode",
        "import agvae.api",
        "from agvae import api",
        "from agvae import encode",
        "import agvae\ndef f():\n    return agvae.encode(1)",
        "def f():\n    from agvae.api import encode",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from agvae.api import encode",
        "import importlib\nimportlib.import_module('agvae.api')",
    ],
)
def test_an_import_is_seen_however_it_is_written(code: str) -> None:
    assert imports(code, set(modules())) - {"agvae"} == {"agvae.api"}
    with pytest.raises(AssertionError, match="relative"):
        imports("from .. import api", set(modules()))


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "agvae" and len(parts) > 1 else parts[0]


def test_imports_lead_down() -> None:
    floors = {name: floor for floor, names in enumerate(ROOMS) for name in names}
    known = set(modules())
    wrong = []
    for name, path in modules().items():
        if name == "agvae" or name.endswith("__main__"):
            continue
        for other in imports(path.read_text("utf-8"), known):
            a, b = room(name), room(other)
            beside = floors.get(b) == floors[a] and (a in GROUND or a == "container" or floors[a] == len(ROOMS) - 1)
            if a != b and b != "agvae" and floors[b] >= floors[a] and not beside:
                wrong.append(f"{name} -> {other}")
    assert wrong == []


def test_imports_run_in_no_circle() -> None:
    known = set(modules())
    graph = {name: imports(path.read_text("utf-8"), known) - {"agvae", name} for name, path in modules().items()}
    assert set(TopologicalSorter(graph).static_order()) >= known - {"agvae"}  # raises CycleError


def test_no_name_twice() -> None:
    names = Counter(name.rpartition(".")[2] for name, path in modules().items() if path.name[0] != "_")
    assert [name for name, count in names.items() if count > 1] == []


def test_a_module_begins_with_its_job() -> None:
    for name, path in modules().items():
        text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert text, name
        assert re.match(r"[A-Z`.\"].*[.:]$", text.splitlines()[0]), f"{name}: {text.splitlines()[0]}"


def test_files_that_the_document_names_are_there() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    files = [f"/{path.relative_to(ROOT).as_posix()}" for top in TOPS for path in (ROOT / top).rglob("*.*")]
    names = set(re.findall(r"`([\w./]+\.(?:py|json))`", text))
    assert len(names) > 30
    assert {name for name in names if not any(file.endswith(f"/{name}") for file in files)} <= {"noxfile.py"}


def test_the_contract_of_networks_leaves_no_type_open() -> None:
    names = [f"agvae.networks.{name}" for name in ("contract", "autoencoder", "model", "inference")]
    assert [name for name in names if re.search(r"\bAny\b", modules()[name].read_text("utf-8"))] == []


def test_previews_are_worked_out_without_qt() -> None:
    names = [name for name in modules() if name.startswith("napari_agvae.preview")]
    assert len(names) > 5
    blocked = "for name in ('qtpy', 'superqt', 'magicgui', 'PyQt6', 'PySide6'): sys.modules[name] = None"
    code = f"import sys, importlib\n{blocked}\nfor name in {names}: importlib.import_module(name)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_what_a_forked_child_would_wait_for_is_made_anew() -> None:
    """A lock or queue of a module, or of a class in it, may be held by a thread that a child has not."""
    held = {"Lock", "RLock", "Condition", "Event", "Semaphore", "Queue", "SimpleQueue", "ThreadPoolExecutor"}
    apart = {"agvae.batch.cluster"}  # tasks of a Dask worker, which no child does
    for name, path in modules().items():
        tree = ast.parse(path.read_text("utf-8"))
        classes = [statement for statement in tree.body if isinstance(statement, ast.ClassDef)]
        calls = [
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for statement in [*tree.body, *(inner for kind in classes for inner in kind.body)]
            if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr)
            for node in ast.walk(statement)
            if isinstance(node, ast.Call)
        ]
        assert held.isdisjoint(calls) or "after_fork" in calls or name in apart, name


@pytest.mark.parametrize(("walk", "row"), [("open", "opened and loaded"), ("save", "saved")])
def test_pixels_turn_back_to_no_more_rooms_than_the_document_says(walk: str, row: str) -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    found = re.search(rf"^\| {row} \| \d+ \| \d+ \| (\d+) \|", text, re.MULTILINE)
    assert found
    command = [sys.executable, ROOT / "benchmarks" / "walks.py", walk, "--route"]
    route = subprocess.check_output(command, text=True, timeout=120)
    assert route.count(" in another room") <= int(found[1]), route
