"""`python -m pillow_agvae run` against Python itself: the same programs in child processes, run both ways."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import zipapp
from dataclasses import dataclass
from pathlib import Path

import pytest

RUN = ("-m", "pillow_agvae", "run")
PHOTO = str(Path(__file__).parents[1] / "data" / "rgb-q1.agv")


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str
    errors: str


def python(*arguments: str, folder: Path, options: tuple[str, ...] = ()) -> Outcome:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    result = subprocess.run(
        [sys.executable, *options, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment,
    )
    errors = re.sub(
        r'  File "[^"]*\brunpy\b[^"]*", .*\n(    .*\n)*', "", result.stderr
    )  # how Python itself runs modules
    return Outcome(result.returncode, result.stdout, re.sub(" at 0x[0-9a-f]+", "", errors))


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")


NEIGHBOURS = {
    "neighbour.py": "NAME = 'neighbour'",
    "package/__init__.py": "",
    "package/__main__.py": """
        import sys
        from . import sibling
        from .sibling import NAME
        print(__name__, __package__, __spec__.name, sys.argv, sys.path[0], NAME)
    """,
    "package/sibling.py": "NAME = 'sibling'",
    "package/tool.py": """
        import sys
        from .sibling import NAME
        print(__name__, __package__, __spec__.name, __file__, sys.argv, NAME)
        if __name__ == "__main__":
            sys.exit(5)
    """,
    "package/broken.py": "import nothing_of_that_name",
    "package/wrong.py": "a = (1,",
    "folder/__main__.py": """
        import beside, sys
        print(__name__, repr(__package__), __spec__.name, __file__, sys.argv, sys.path[0])
        raise LookupError("from a folder")
    """,
    "folder/beside.py": "",
    "empty/nothing.txt": "",
}

SCRIPTS = {
    "names": """
        import builtins, sys, types
        print(__name__, __file__, __package__, __spec__, type(__loader__), __builtins__ is builtins, __doc__)
        print(sys.argv, sys.path[0], sorted(set(globals()) - {"__cached__"}))
        assert sys.modules["__main__"].__dict__ is globals()
    """,
    "neighbour": "import neighbour, package.sibling; print(neighbour.NAME, package.sibling.NAME)",
    "guard": """
        def main():
            print("main")
        if __name__ == "__main__":
            main()
    """,
    "parsing": """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("-m", "--module")
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("files", nargs="*")
        print(parser.parse_args())
    """,
    "exit_number": "import sys; sys.exit(7)",
    "exit_text": "import sys; sys.exit('no such luck')",
    "exit_none": "import sys; sys.exit()",
    "exit_at_once": "import os; print('x', flush=True); os._exit(3)",
    "exception": """
        def inner(): raise ValueError("deep")
        def outer():
            try:
                inner()
            except ValueError as error:
                raise RuntimeError("outer") from error
        outer()
    """,
    "exception_without_cause": """
        try:
            1 / 0
        except ZeroDivisionError:
            {}["missing"]
    """,
    "syntax_error": "print('never')\nif True print(1)",
    "interrupt": "raise KeyboardInterrupt",
    "own_hook": """
        import sys, traceback
        def hook(kind, value, trace):
            frames = [frame.name for frame in traceback.extract_tb(trace)]
            print(kind.__name__, value, frames, value.__traceback__ is trace)
        sys.excepthook = hook
        def function(): raise ValueError("hooked")
        function()
    """,
    "at_exit": """
        import atexit, pickle
        class Kept: pass
        atexit.register(lambda: print("bye", type(pickle.loads(pickle.dumps(Kept()))) is Kept))
        raise SystemExit(4)
    """,
    "threads": """
        import threading, time
        text = "from a thread"
        def work():
            time.sleep(0.1)
            import __main__
            print(text, __main__.text)
        threading.Thread(target=work).start()
    """,
    "pickling": """
        import pickle
        class Thing: pass
        print(pickle.loads(pickle.dumps(Thing())).__class__ is Thing, Thing.__module__)
    """,
    "features": """
        import inspect
        def f(x: int): return x
        print(f.__annotations__, inspect.getsource(f), __annotations__)
    """,
    "encoding": "# -*- coding: latin-1 -*-\nprint('sch\u00c3\u00b6n')",
    "input": "import sys; print(sys.stdin.read())",
    "warning": "import warnings; warnings.warn('careful')",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs").resolve()
    write(folder, NEIGHBOURS | {f"{name}.py": text for name, text in SCRIPTS.items()})
    zipapp.create_archive(folder / "folder", folder / "program.pyz")
    (folder / "link.py").symlink_to(folder / "package" / "sibling.py")
    return folder


def same_both_ways(*arguments: str, folder: Path, options: tuple[str, ...] = ()) -> Outcome:
    direct = python(*arguments, folder=folder, options=options)
    through = python(*RUN, *arguments, folder=folder, options=options)
    assert through == direct
    return through


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(name: str, folder: Path) -> None:
    outcome = same_both_ways(f"{name}.py", folder=folder)
    assert outcome.output or outcome.errors or name in ("exit_none", "exit_number")


def test_outcomes_are_told_apart(folder: Path) -> None:
    """What the comparison above rests on."""
    assert python(*RUN, "exit_number.py", folder=folder).code == 7
    assert python(*RUN, "exit_text.py", folder=folder) == Outcome(1, "", "no such luck\n")
    exception = python(*RUN, "exception.py", folder=folder)
    assert exception.code == 1
    assert exception.errors.count('exception.py", line') == 4
    assert "pillow_agvae" not in exception.errors
    assert python(*RUN, "interrupt.py", folder=folder).code in (-signal.SIGINT, 130)


@pytest.mark.parametrize("arguments", [("--help",), ("--count", "3", "-m", "x", "a", "--", "-b"), ("--count", "x")])
def test_arguments_are_the_programs(arguments: tuple[str, ...], folder: Path) -> None:
    same_both_ways("parsing.py", *arguments, folder=folder)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "package", "-m", "x"),
        ("-m", "package.tool", "a", "-h"),
        ("-m", "neighbour"),
        ("-m", "package.broken"),
        ("-m", "package.wrong"),
        ("-m", "package.missing"),
        ("-m", "missing.module"),
        ("-m", "missing"),
        ("-m", "json"),
        ("-m", "this"),
    ],
)
def test_module(arguments: tuple[str, ...], folder: Path) -> None:
    same_both_ways(*arguments, folder=folder)


@pytest.mark.parametrize("path", ["./names.py", "package/../names.py", "missing.py", "package/tool.py", "link.py"])
def test_paths(path: str, folder: Path) -> None:
    same_both_ways(path, folder=folder)


@pytest.mark.parametrize("path", ["folder", "program.pyz", "empty"])
def test_folders_and_archives(path: str, folder: Path) -> None:
    same_both_ways(path, "argument", folder=folder)


@pytest.mark.parametrize("options", [("-O",), ("-OO",), ("-W", "error"), ("-X", "dev"), ("-u",)])
def test_options_of_the_interpreter(options: tuple[str, ...], folder: Path) -> None:
    for name in ("names", "warning", "exception"):
        same_both_ways(f"{name}.py", folder=folder, options=options)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="-P is new in Python 3.11")
def test_safe_path(folder: Path) -> None:
    for arguments in (("names.py",), ("neighbour.py",), ("folder",)):
        same_both_ways(*arguments, folder=folder, options=("-P",))


def test_usage(folder: Path) -> None:
    for arguments in ((), ("nonsense",), ("run",), ("run", "-m"), ("run", "-c", "pass")):
        outcome = python("-m", "pillow_agvae", *arguments, folder=folder)
        assert (outcome.code, outcome.output) == (2, "")
        assert outcome.errors.startswith("usage: python -m pillow_agvae run ")
    for arguments in (("--help",), ("run", "-h")):
        outcome = python("-m", "pillow_agvae", *arguments, folder=folder)
        assert (outcome.code, outcome.errors) == (0, "")
        assert outcome.output.startswith("usage: python -m pillow_agvae run ")


OPEN = """
    import sys
    from PIL import Image, UnidentifiedImageError

    def mode(path):
        try:
            with Image.open(path) as im:
                return im.mode
        except UnidentifiedImageError:
            return "unidentified"
"""

POOLS = f"""
    {OPEN}
    def here_and_in_a_child(path):
        with multiprocessing.Pool(1) as pool:
            return mode(path), pool.apply(mode, (path,))

    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    AT_IMPORT = mode(sys.argv[2])

    if __name__ == "__main__":
        multiprocessing.set_start_method(sys.argv[1])
        with ProcessPoolExecutor(2) as pool:  # its workers may have children, those of a Pool not
            print(AT_IMPORT, *pool.submit(here_and_in_a_child, sys.argv[2]).result())
"""


def test_format_is_active(tmp_path: Path) -> None:
    write(tmp_path, {"program.py": f"{OPEN}\n    print(mode(sys.argv[1]))"})
    for arguments in (("program.py",), ("-m", "program")):
        assert python(*arguments, PHOTO, folder=tmp_path).output == "unidentified\n"
        assert python(*RUN, *arguments, PHOTO, folder=tmp_path).output == "RGB\n"


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("form", [("program.py",), ("-m", "program")])
def test_format_is_active_in_processes(method: str, form: tuple[str, ...], tmp_path: Path) -> None:
    """In the program, in its children while they import it, and in theirs."""
    write(tmp_path, {"program.py": POOLS})
    outcome = python(*RUN, *form, method, PHOTO, folder=tmp_path)
    assert outcome == Outcome(0, "RGB RGB RGB\n", "")


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_children_know_nothing_without_it(method: str, tmp_path: Path) -> None:
    """An import in the guarded part of a program does not reach them: why the test above is one."""
    guarded = POOLS.replace(
        '    if __name__ == "__main__":', '    if __name__ == "__main__":\n        import pillow_agvae'
    )
    write(tmp_path, {"program.py": guarded})
    outcome = python("program.py", method, PHOTO, folder=tmp_path)
    assert outcome.output == "unidentified unidentified unidentified\n"
