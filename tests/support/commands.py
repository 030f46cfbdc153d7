"""The command line, called in this process."""

from __future__ import annotations

from pathlib import Path

from agvae.cli import main


def run(*arguments: str | Path) -> int:
    """Exit status of a command, also where argparse leaves by itself."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
