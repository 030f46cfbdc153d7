"""Running an existing program with the .agv format active, unchanged and as if Python had been given it.

The program is `__main__`, with its own `sys.argv` and `sys.path[0]`; its exit code and the tracebacks of its errors
are its own.  The format is active in it, in processes that it forks, and in those that `multiprocessing` starts in
any other way; not in programs that it starts by other means (`subprocess`, joblib's loky).
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import multiprocessing.spawn
import os
import pkgutil
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

import pillow_agvae

USAGE = """\
usage: python -m pillow_agvae run SCRIPT [ARGUMENT ...]
       python -m pillow_agvae run -m MODULE [ARGUMENT ...]

Run a Python program (a file, a folder or zip file with a __main__.py, or a module) with the .agv format active.\
"""

_preparation_data: Callable[[str], dict[str, Any]] = multiprocessing.spawn.get_preparation_data


def main(arguments: list[str]) -> None:
    """Do what the command line says; returns when the program has come to its end.

    Raises:
        SystemExit: the program's own, or there is no such program (the codes are Python's: 2 for a missing file,
            1 for a missing module).
    """
    match arguments:
        case ["-h" | "--help"] | ["run", "-h" | "--help"]:
            print(USAGE)
        case ["run", "-m", name, *rest]:
            activate()
            run_module(name, rest)
        case ["run", path, *rest] if not path.startswith("-"):
            activate()
            run_path(path, rest)
        case _:
            print(USAGE, file=sys.stderr)
            raise SystemExit(2)


def activate() -> None:
    """Register the format here, and in every process that `multiprocessing` starts from here or from there."""
    pillow_agvae.register()
    multiprocessing.spawn.get_preparation_data = _preparation_data_with_activation


def run_path(path: str, arguments: list[str]) -> None:
    """Run a file, or a folder or zip file with a `__main__.py`."""
    sys.argv = [path, *arguments]
    file = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118 - as Python does, which normalizes nothing
    if pkgutil.get_importer(file) is not None:
        _set_first_path(file, replace=not _safe_path())
        spec = PathFinder.find_spec("__main__", [file])
        if spec is None:
            _stop(1, f"can't find '__main__' module in {file!r}")
        _run_spec(spec)
        return
    try:
        with io.open_code(file) as source:
            text = source.read()
    except OSError as error:
        _stop(2, f"can't open file {file!r}: [Errno {error.errno}] {error.strerror}")
    if not _safe_path():
        _set_first_path(str(Path(file).resolve().parent))
    module = ModuleType("__main__")
    module.__dict__.update(__file__=file, __cached__=None, __loader__=SourceFileLoader("__main__", file))
    _run(module, lambda: compile(text, file, "exec", dont_inherit=True))


def run_module(name: str, arguments: list[str]) -> None:
    """Run a module, or the `__main__` of a package, as `python -m` does."""
    sys.argv = ["-m", *arguments]
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
            if spec is None:
                _stop(1, f"No module named {name}.__main__; {name!r} is a package and cannot be directly executed")
    except (ImportError, ValueError) as error:
        missing = error.name if isinstance(error, ImportError) else name
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise
        _stop(1, f"Error while finding module specification for {name!r} ({type(error).__name__}: {error})")
    if spec is None:
        _stop(1, f"No module named {name}")
    sys.argv[0] = spec.origin or name
    _run_spec(spec)


class _Activation:
    """Pickled, it is a call of `activate` in the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return activate, ()


def _preparation_data_with_activation(name: str) -> dict[str, Any]:
    """What `multiprocessing` sends to a new process ahead of all else; keys that it does not know do no harm."""
    return {**_preparation_data(name), "pillow_agvae": _Activation()}


def _safe_path() -> bool:
    """Whether Python was told (by -P or -I) to leave the program's folder out of `sys.path`."""
    return bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))


def _set_first_path(path: str, *, replace: bool = True) -> None:
    sys.path[: 1 if replace else 0] = [path]


def _run_spec(spec: ModuleSpec) -> None:
    def code() -> CodeType:
        found = getattr(spec.loader, "get_code", lambda name: None)(spec.name)
        if not isinstance(found, CodeType):
            _stop(1, f"No code object available for {spec.name}")
        return found

    module = importlib.util.module_from_spec(spec)
    module.__name__ = "__main__"
    _run(module, code)


def _run(module: ModuleType, code: Callable[[], CodeType]) -> None:
    """Run code as `__main__`, which it stays: atexit handlers and threads may outlive the code."""
    module.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        module.__dict__.update(__annotations__={})
    sys.modules["__main__"] = module
    try:
        exec(code(), module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _hide_this_module(error)
        raise


def _hide_this_module(error: BaseException) -> None:
    """Have the error shown, by whatever hook the program has set, without the frames that lie around the program."""
    hook, trace = sys.excepthook, error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.excepthook = lambda kind, value, _: hook(kind, value.with_traceback(trace), trace)


def _stop(code: int, message: str) -> NoReturn:
    print(f"{sys.executable}: {message}", file=sys.stderr)
    raise SystemExit(code)
