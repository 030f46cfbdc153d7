"""Fuzzing of the plugin through Pillow, from open to save.  The tests run it over seeded mutations; with atheris:

    pip install atheris
    python -m tests.support.fuzz_plugin -max_total_time=600 -rss_limit_mb=2048 CORPUS_FOLDER

Without a corpus folder it starts from nothing; `--seeds CORPUS_FOLDER` writes small valid files to start from.
Checksums are made right in every input that has chunks, so that the fuzzer gets past them.  Nothing is imported from
`__future__`, since OSS-Fuzz puts lines in front of this file where it measures coverage.
"""

import io
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

FUZZING = __name__ == "__main__" and sys.argv[1:2] != ["--seeds"]
followed: AbstractContextManager[Any] = nullcontext()
if FUZZING:
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

    followed = atheris.instrument_imports(include=["agvae", "pillow_agvae"])

with followed:
    import agvae
    import pillow_agvae  # noqa: F401
    from agvae.container import SIGNATURE
    from tests.support.checksums import repair_checksums

    if FUZZING:
        import agvae.coding.loaded

ALLOWED = (OSError, Image.DecompressionBombError)
"""What a program must be ready for; nothing else may come out of a file, whatever it holds."""
MAX_PIXELS = 2**17


def one_input(data: bytes) -> None:
    """Do with a file what programs do; any exception but the allowed ones is a finding."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    _passes(_verify, data)
    sound = _passes(_load, data)
    if b"thmb" in data:
        _passes(_thumbnail, data)
    if data.startswith(SIGNATURE):
        _passes(_part, data)
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    if not sound:
        _passes(_load, data)
    _passes(_verify, data)


def _passes(action: Callable[[bytes], None], data: bytes) -> bool:
    try:
        action(data)
    except ALLOWED:
        return False
    return True


def _load(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as im:
        size, mode = im.size, im.mode
        im.load()
        assert (im.size, im.mode) == (size, mode)
        last = min(getattr(im, "n_frames", 1), 3) - 1
        im.seek(last)
        turned = im.rotate(90, expand=True)
        assert turned.size == size[::-1]
        turned.save(io.BytesIO(), "PNG")


def _verify(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as im:
        im.verify()


def _thumbnail(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as im:
        im.thumbnail((8, 8), reducing_gap=None)  # the default is more than Pillow can do with 16 bits
        assert max(im.size) <= 8


def _part(data: bytes) -> None:
    info = agvae.read_info(data)
    right, bottom = min(info["width"], 70), min(info["height"], 9)
    pixels = agvae.decode(data, (right // 2, 0, right, bottom), frame=info["frames"] - 1, damaged_ok=True)
    assert pixels.shape[:2] == (bottom, right - right // 2)


def write_seeds(folder: Path) -> None:
    from tests.support.corpus import small_files

    folder.mkdir(parents=True, exist_ok=True)
    for name, data in small_files().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    if not FUZZING:
        write_seeds(Path(sys.argv[2]))
    else:
        agvae.options.offline, agvae.options.device = True, "cpu"
        agvae.coding.loaded.load_model()  # which is none of the time for inputs
        atheris.Setup(sys.argv, lambda data: one_input(repair_checksums(data)))
        atheris.Fuzz()
