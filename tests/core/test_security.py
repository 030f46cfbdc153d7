"""What docs/SECURITY.md promises: the tests and limits that it names are there, and no data become code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from agvae import container
from agvae.weights import download, model_file, registries

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")


def test_the_tests_that_the_page_names_are_there() -> None:
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", PAGE)
    assert len(named) > 40
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not any(f"def {name}(" in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file))
    ]
    assert missing == []
    files = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_defence_has_a_test() -> None:
    rows = re.findall(r"^\| (.*) \|$", PAGE.partition("## Threats")[2], re.MULTILINE)
    rows = [row for row in rows if not row.startswith(("threat |", "---"))]
    without = [row for row in rows if "`test_" not in row]
    assert len(rows) > 25
    assert [row.partition(" | ")[0] for row in without] == ["errors of memory in native code"]


def test_limits_are_those_of_the_page() -> None:
    limits = dict(re.findall(r"^\| (.*?) \| (.*) \|$", PAGE.partition("## Limits")[2], re.MULTILINE))
    assert limits["width, height, frames"].startswith("2^31 - 1 each")
    assert container.MAX_SIDE == container.MAX_FRAMES == 2**31 - 1
    assert limits["side of a tile"] == f"{container.MAX_TILE_SIZE} pixels"
    assert limits["metadata chunk, thumbnail"].startswith("2^26 bytes")
    assert container.MAX_METADATA == 2**26
    assert limits["tile"].startswith("2^28 bytes")
    assert container.MAX_TILE == 2**28
    assert limits["`registry.json`"] == "2^20 bytes"
    assert registries.MAX_REGISTRY == 2**20
    assert limits["model file"] == "2^28 bytes; its header 2^20 bytes"
    assert (model_file.MAX_MODEL, model_file.MAX_HEADER) == (2**28, 2**20)
    times = limits["a connection; silence of a server; a whole download"]
    assert times == "10 s; 30 s; 60 s and 1 s for every 2^14 bytes"
    assert (download.CONNECT_TIMEOUT, download.STALL_TIMEOUT) == (10, 30)
    assert (download.GRACE, download.MIN_RATE) == (60, 2**14)
    assert limits["attempts in a row that bring less than 2^20 bytes"] == "4"
    assert (download.ATTEMPTS, download.PROGRESS) == (4, 2**20)


def test_no_data_become_code() -> None:
    """Nothing unpickles, evaluates, or starts programs, but for what the page says."""
    modules = {"pickle", "marshal", "shelve", "subprocess", "ctypes", "yaml"}
    calls = {"eval", "exec", "__import__", "os.system", "os.popen"}
    loads = {"torch.load", "numpy.load", "np.load"}
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported = [*(alias.name for alias in node.names), getattr(node, "module", None) or ""]
                names = [name for name in imported if name.partition(".")[0] in modules]
            elif isinstance(node, ast.Call):
                function = ast.unparse(node.func)
                restricted = "weights_only=True" in map(ast.unparse, node.keywords)
                names = [function] if function in calls or (function in loads and not restricted) else []
            found |= {(path.relative_to(ROOT / "src").as_posix(), name) for name in names}
    training = {(path, name) for path, name in found if path.startswith("agvae/training/")}
    assert {name for _, name in training} == {"pickle"}  # for the name of what torch's restricted reader raises
    assert found - training == {
        ("agvae/cli/cmd_integrate.py", "subprocess"),  # update-mime-database, at the user's command
        ("agvae/coding/turns.py", "ctypes"),  # the C library's malloc_trim, with no data
        ("pillow_agvae/runner.py", "exec"),  # of the program that the user names
    }
