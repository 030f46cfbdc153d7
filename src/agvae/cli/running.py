"""The command line as a whole: the command that is asked for, and its errors as messages and an exit status.

Exit status: 0 done, 1 a file or an argument's value is no good (one line on standard error says why), 2 wrong
usage, 130 interrupted, 141 nobody reads on.  `python -X dev -m agvae` shows the traceback of an error.  Every command
imports what it needs only when it runs: help and `info` start without torch.  No command writes where it reads, nor
replaces a file unless it was told to.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper

from agvae.cli.telling import fail, say
from agvae.conversion.reasons import text_of, user_errors
from agvae.ending import ended_by_sigterm

_COMMANDS = {
    "encode": "Encode images",
    "decode": "Decode .agv files",
    "info": "Show what .agv files hold, and check them",
    "view": "Show pictures in the browser, with their numbers and metadata",
    "weights": "List, find and download weights",
    "compare": "Make a page that shows pictures as .agv and by other codecs",
    "evaluate": "Measure rate, quality and time on a folder of images",
    "reproduce": "Make a figure or table of the paper from trained models",
    "train": "Train a model",
    "export": "Make a model file from a checkpoint; prints its registry entry",
    "demo": "Encode and decode the bundled photograph",
    "thumbnail": "Make a small PNG file of an .agv file, as file managers need it",
    "integrate": "Have the desktop of this user know .agv files and show thumbnails of them",
}
"""Each is the module `agvae.cli.cmd_NAME`, with `add_arguments(parser)` and `run(args) -> status`."""
_EXTRAS = {
    "distributed": "dask",
    "fsspec": "remote",
    "scipy": "eval",
    "matplotlib": "eval",
    "compressai": "train",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return ended_by_sigterm(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # any name of a file can be printed
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(write_through=False)  # so that what cannot be printed shows when it is flushed
    try:
        with _told_warnings():
            return _run(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        return 130
    finally:
        _flush()


@contextlib.contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings in the form of all other messages, unless the traceback of errors is wanted, too."""
    with warnings.catch_warnings():
        if not sys.flags.dev_mode:
            warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    say("warning", str(message))


def _flush() -> None:
    """Have what was printed written now, and Python end without a word of its own if that cannot be."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(141) from None
        raise SystemExit(fail(f"standard output: {text_of(error)}")) from None


def _run(arguments: Sequence[str]) -> int:
    try:
        args = _parsed(arguments)
        args.command_line = shlex.join(["agvae", *arguments])
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except KeyboardInterrupt:
        return 130
    except (BrokenPipeError, SystemExit):
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module == "torch":  # for those who installed no more than what files without loss need
            return fail("this command needs torch: pip install torch")
        extra = _EXTRAS.get(module)
        if extra is None:
            raise
        return fail(f"this command needs {error.name}: pip install 'agvae[{extra}]'")
    except user_errors() as error:
        if sys.flags.dev_mode:
            raise
        return fail(text_of(error))


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments; names of files may stand anywhere between options."""
    parser = _parser(arguments)
    if not arguments:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    args, more = parser.parse_known_args(arguments)
    if more and (not hasattr(args, "paths") or any(text.startswith("-") and text != "-" for text in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if more:
        args.paths += more
    return args


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the command that was asked for is imported and gets its arguments."""
    parser = argparse.ArgumentParser(prog="agvae", description="AG-VAE image codec: one model for all rates.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, help_text in _COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_text, description=f"{help_text}.")
        if name == asked:
            command = importlib.import_module(f"agvae.cli.cmd_{name}")
            subparser.set_defaults(run=command.run)
            command.add_arguments(subparser)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import agvae

        print(f"agvae {agvae.__version__}")
        parser.exit()
