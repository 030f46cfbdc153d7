"""Files written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that no half of it is ever seen; anything but a regular file is written through.

    What a killed process leaves beside it is named `.agvae-*.part`.

    Raises:
        OSError: it cannot be written; a file that was there is unchanged.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()
    part = target.with_name(f".agvae-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)  # noqa: PTH105
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename:
            error.filename = str(path)
        raise
