"""`agvae integrate`: have this user's desktop know .agv files and show thumbnails of them."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path

from agvae.whole_file import make_folder, write_whole

_MARK = "written by agvae integrate"
_TOOL = "update-mime-database"
_SYSTEMS = ("linux", "freebsd", "openbsd", "netbsd", "dragonfly")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--remove", action="store_true", help="remove what this command has written")


def run(args: argparse.Namespace) -> int:
    if not sys.platform.startswith(_SYSTEMS):
        msg = f"only desktops that follow freedesktop.org can be told of .agv files, none is known for {sys.platform}"
        raise OSError(msg)
    tool = shutil.which(_TOOL)
    if tool is None:
        msg = f"{_TOOL} is not here: install shared-mime-info"
        raise OSError(msg)
    places = _contents()
    for path in places:
        _check_own(path)
    changed = _remove(list(places)) if args.remove else _write(places)
    mime = _data_home() / "mime"
    if changed and mime.exists():
        _update(tool, mime)
    if args.remove:
        print("the desktop no longer knows .agv files from here" if changed else "there was nothing to remove")
    else:
        print("the desktop knows .agv files; file managers show thumbnails of them after their next start")
    return 0


def _data_home() -> Path:
    """The user's folder of the XDG base directory specification, which ignores relative ones."""
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "share"


def _contents() -> dict[Path, str]:
    """The files and what is in them: media type and thumbnailer."""
    head, _, entry = (files("agvae") / "data" / "agvae.xml").read_text(encoding="utf-8").partition("\n")
    command = _command()
    call = shlex.quote(str(command)).replace("%", "%%")
    thumbnailer = (
        f"# {_MARK}\n[Thumbnailer Entry]\nTryExec={command}\nExec={call} thumbnail --force --size %s %i %o\n"
        "MimeType=image/x-agv;\n"
    )
    home = _data_home()
    return {
        home / "mime" / "packages" / "agvae.xml": f"{head}\n<!-- {_MARK} -->\n{entry}",
        home / "thumbnailers" / "agvae.thumbnailer": thumbnailer,
    }


def _command() -> Path:
    """The command that is running, or that of this Python."""
    own = Path(sys.argv[0])
    if own.name == "agvae" and own.is_file():
        return _absolute(own)
    installed = Path(sysconfig.get_path("scripts")) / "agvae"
    found = installed if installed.is_file() else shutil.which("agvae")
    if found is None:
        msg = "the command agvae, which makes thumbnails, is not to be found: install the package"
        raise OSError(msg)
    return _absolute(found)


def _absolute(path: str | Path) -> Path:
    """Without dots, and with links as they are: a virtual environment is one."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _check_own(path: Path) -> None:
    if path.exists() and _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        msg = f"{path}: is there and was not written by this command, so it stays as it is"
        raise FileExistsError(msg)


def _write(places: dict[Path, str]) -> bool:
    for path, content in places.items():
        make_folder(path.parent)
        write_whole(path, content.encode())
        print(f"wrote {path}")
    return True


def _update(tool: str, mime: Path) -> None:
    done = subprocess.run([tool, str(mime)], capture_output=True, text=True, errors="replace")
    if done.returncode:
        msg = f"{_TOOL} {mime} failed: {done.stderr.strip()}"
        raise OSError(msg)


def _remove(paths: list[Path]) -> bool:
    found = [path for path in paths if path.exists()]
    for path in found:
        path.unlink()
        print(f"removed {path}")
    return bool(found)
