"""Options, errors, targets and sources of `save`."""

from __future__ import annotations

import copy
import errno
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import PIL
import pytest
from PIL import ExifTags, Image

from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import SIZE, opened, reopened, run, saved, some_exif

pytestmark = pytest.mark.usefixtures("tiny_weights")


class Slow(io.RawIOBase):
    """An unbuffered file that takes `step` bytes at a time, None for one that takes none now."""

    def __init__(self, step: int | None) -> None:
        self.step, self.data = step, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if self.step is None:
            return None
        if self.step < 0:
            return self.step
        self.data += bytes(data[: self.step])
        return len(data[: self.step])


@pytest.mark.parametrize("wrapped", [False, True])
def test_short_writes_are_continued(wrapped: bool, photo: Image.Image) -> None:
    def target(step: int | None) -> Any:
        return tempfile._TemporaryFileWrapper(Slow(step), "x", delete=False) if wrapped else Slow(step)  # type: ignore[type-var]

    fp = target(100)
    photo.save(fp, "AGV")
    assert fp.data == saved(photo)
    for step in (0, None, -1):
        with pytest.raises(OSError, match="could not write"):
            photo.save(target(step), "AGV")


@pytest.mark.parametrize("answer", [None, True, False, 0, -1, 7, 10**9, "", "all"])
def test_only_raw_files_count_what_they_wrote(answer: Any, photo: Image.Image, data: bytes) -> None:
    """Compressors say how much came out of them, others anything else."""

    class Written(list[bytes]):
        def write(self, part: bytes) -> Any:
            self.append(bytes(part))
            return answer

    target = Written()
    photo.save(target, "AGV")  # type: ignore[call-overload]
    assert target == [data]


@pytest.mark.filterwarnings("error")
def test_options_of_other_formats_are_taken(photo: Image.Image, data: bytes) -> None:
    """How hard JPEG, PNG, WebP or AVIF would try: programs pass them whatever the format is."""
    for options in (
        {"optimize": True, "progressive": True, "subsampling": 0, "keep_rgb": True},
        {"compress_level": 9, "compression": "tiff_lzw", "interlace": 1, "disposal": 2},
        {"method": 6, "lossless": False, "alpha_quality": 100, "allow_mixed": True, "minimize_size": True},
        {"speed": 4, "codec": "aom", "max_threads": 2, "advanced": {}, "pnginfo": None, "transparency": None},
    ):
        assert saved(photo, **options) == data


def test_unknown_options_are_warned_of(photo: Image.Image, data: bytes) -> None:
    """Once for a line of a program, as Python does, however many files it saves."""
    for im in (photo, opened(data)):
        for name in ("qualtiy", "pnginfo", "transparency"):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("default")
                for _ in range(3):
                    im.save(io.BytesIO(), "AGV", **{name: 1})
            assert [str(warning.message) for warning in caught] == [f"AGV has no option {name!r}: it is ignored"]
            assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error:AGV has no option")
@pytest.mark.parametrize(("suffix", "options"), [("gif", {"transparency": 3}), ("jpg", {}), ("png", {"dpi": (72, 72)})])
def test_info_of_another_format_may_be_handed_on(suffix: str, options: dict[str, Any], tmp_path: Path) -> None:
    """As programs do, `save(name, **image.info)`: what a format says of itself there is no wish."""
    Image.new("RGB", (16, 16)).quantize().convert("P" if suffix == "gif" else "RGB").save(
        tmp_path / f"a.{suffix}", **options
    )
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert len(image.info) >= 1
        image.save(tmp_path / "a.agv", lossless=True, **image.info)
        with pytest.warns(UserWarning, match="no option 'background'"):
            image.copy().save(tmp_path / "a.agv", lossless=True, background=(1, 2, 3))


def test_options_that_cannot_be_met(photo: Image.Image, path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="append_images"):
        saved(photo, append=True)
    with pytest.raises(ValueError, match="append_images"):
        photo.save(path, append=True)
    assert path.read_bytes() == data


def test_duration_and_loop_of_one_image(photo: Image.Image) -> None:
    assert reopened(photo, duration=40, loop=2).info == {"duration": 40, "loop": 2}


@pytest.mark.parametrize("name", ["lossless", "quality", "comment", "dpi"])
def test_errors_of_saving_name_the_file(name: str, photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^\S*photo\.agv: \S"):
        photo.save(tmp_path / "photo.agv", **{name: 7})
    with pytest.raises(ValueError, match=rf"^(?!.*\.agv).*{name}"):
        saved(photo, **{name: 7})
    with pytest.raises(OSError, match=r"photo\.agv: cannot write mode CMYK as AGV"):
        photo.convert("CMYK").save(os.fsencode(tmp_path / "photo.agv"))


def test_errors_of_reading_name_the_file(path: Path, frames_path: Path) -> None:
    for file in (path, frames_path):
        file.write_bytes(file.read_bytes()[:-1])
        for call in (AgvImageFile.load, AgvImageFile.verify):
            with Image.open(file) as im:
                if file == frames_path:
                    im.seek(2)
                with pytest.raises(OSError, match=rf"{file.name}: image file is truncated"):
                    call(im)  # type: ignore[arg-type]
        file.write_bytes(file.read_bytes()[:40])
        with pytest.raises(OSError, match=rf"{file.name}: Truncated File Read"):
            Image.open(file)


def test_same_image_same_bytes(photo: Image.Image, data: bytes, tiny_weights: Path, tmp_path: Path) -> None:
    assert saved(photo) == data
    photo.save(tmp_path / "a.png")
    code = """
import pathlib, sys
import torch, pillow_agvae
from PIL import Image
from agvae.weights import registries
registries.BUNDLED = pathlib.Path(sys.argv[1])
torch.set_num_threads(2)
Image.open(sys.argv[2] + "/a.png").save(sys.argv[2] + "/a.agv")
"""
    run(code, tiny_weights, tmp_path)
    assert (tmp_path / "a.agv").read_bytes() == data


def test_saving_changes_nothing(photo: Image.Image) -> None:
    photo.info["icc_profile"] = b"icc"
    pixels, info = photo.tobytes(), dict(photo.info)
    saved(photo, quality=2, exif=some_exif())
    assert photo.tobytes() == pixels
    assert photo.info == info
    frames = [photo, photo.convert("P"), photo.convert("LA")]
    before = [(frame.mode, frame.tobytes(), dict(frame.info)) for frame in frames]
    options = {"append_images": frames[1:], "duration": [1, 2, 3]}
    given = copy.deepcopy(options["duration"])
    saved(photo, save_all=True, **options)
    assert [(frame.mode, frame.tobytes(), frame.info) for frame in frames] == before
    assert (options["duration"], len(options["append_images"])) == (given, 2)
    if int(PIL.__version__.split(".")[0]) >= 12:  # older Pillows leave the options there
        assert photo.encoderinfo == {}


def test_targets(photo: Image.Image, data: bytes, tmp_path: Path) -> None:
    for name, options in (("a.AGV", {}), ("b.agv", {}), ("c.bin", {"format": "agv"})):
        photo.save(tmp_path / name, **options)
        photo.save(str(tmp_path / name), **options)
        assert (tmp_path / name).read_bytes() == data
    fp = io.BytesIO(b"head")
    fp.seek(4)
    photo.save(fp, "AGV")
    assert fp.getvalue() == b"head" + data


class OnlyWrite:
    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.calls.append(bytes(data))
        return len(data)


class Full:
    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "disk full")


def test_one_write_is_all_it_takes(photo: Image.Image, data: bytes) -> None:
    target = OnlyWrite()
    photo.save(target, "AGV")  # type: ignore[arg-type]
    assert target.calls == [data]


def test_errors_of_the_target_pass(photo: Image.Image) -> None:
    with pytest.raises(OSError, match="disk full") as caught:
        photo.save(Full(), "AGV")  # type: ignore[arg-type]
    assert caught.value.errno == errno.ENOSPC


def test_saving_over_the_source(path: Path) -> None:
    with Image.open(path) as im:
        im.save(path)
    with Image.open(path) as im:
        im.load()
        assert im.size == SIZE


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_lazy_image_saves_as_other_formats(format: str, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "maker"
    im = reopened(photo, exif=exif)
    fp = io.BytesIO()
    im.save(fp, format, exif=im.getexif())
    with Image.open(fp) as read:
        assert read.size == SIZE
        assert read.getexif()[ExifTags.Base.Make] == "maker"
