"""What a page shows of a picture, and the page of one or several."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, UnidentifiedImageError

import agvae
from agvae.boxes import Box
from agvae.container import SIGNATURE, Reader
from agvae.conversion.depths import bits_of, has_unread_signs
from agvae.conversion.from_agv import damage_of
from agvae.conversion.originals import options_of
from agvae.conversion.reasons import about, text_of
from agvae.errors import DamagedFileError, TruncatedFileError
from agvae.file.info import frames_in_words, in_words, info_of
from agvae.images import check_regular, count_frames, opened
from agvae.pages import data_url, pieces, printable
from agvae.viewing.described import Described, arrays_in_words, described
from agvae.viewing.displayed import LEAST, PIXELS, Displayed, of_agv, of_image

_NAMED_OTHERWISE = ("XML:com.adobe.xmp", "xmp", "comment")
"""Texts of PNG files that Pillow has in `info`, too."""
_LEAST_BITS = {"I": 16, "F": 32}
_COLOURS = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey and alpha",
    "P": "colours of a palette",
    "PA": "colours of a palette, and alpha",
    "RGB": "red, green and blue",
    "RGBA": "red, green, blue and alpha",
    "I": "integers",
    "F": "floating point",
}
_SHOWN_AS_THEY_ARE = (*_COLOURS, "La", "RGBa", "RGBX")


@dataclass(frozen=True)
class View:
    """What a page shows of a picture.

    Attributes:
        name: of its file, printable.
        facts: numbers by their names, in words.
        frames: those that are shown.
        metadata: what the file says besides.
        notes: sentences about what is not shown as it is.
        missing: sentences about what of the file is damaged or not there.
    """

    name: str
    facts: Mapping[str, str]
    frames: Sequence[Displayed]
    metadata: Sequence[Described]
    notes: Sequence[str]
    missing: Sequence[str]


def read_view(path: Path, *, box: Sequence[int] | None = None, frame: int | None = None, pixels: int = PIXELS) -> View:
    """A picture of any format that Pillow reads, as far as it can be read.

    Args:
        box: (left, top, right, bottom) in pixels as they are stored: only these.
        frame: only this one, from 0.
        pixels: the most that is shown, of all frames together; what has more is reduced.

    Raises:
        ValueError: there is no such frame or box, or not one tile is left.
        Exception: whatever Pillow's readers raise at what they do not know.
    """
    check_regular(path)
    part = None if box is None else Box(*box)
    with path.open("rb") as file:
        own = file.read(len(SIGNATURE)) == SIGNATURE
    if own:
        return _view_of_agv(path, part, frame, pixels)
    try:
        return _view_of_other(path, part, frame, pixels, None)
    except (UnidentifiedImageError, MemoryError, Image.DecompressionBombError, _WrongChoiceError):
        raise
    except Exception as error:  # Pillow's readers raise all kinds at broken files
        with about(path), _cut_short_or_not():
            return _view_of_other(path, part, frame, pixels, text_of(error))


def view_page(views: Iterable[View], title: str, *, single: bool) -> Iterator[str]:
    """The page, piece by piece; each view is asked for when its turn comes.

    Args:
        single: whether there is only one.
    """
    values = {"title": title, "single": single, "pictures": map(_section, views)}
    return pieces("view.html", version=agvae.__version__, **values)


class _WrongChoiceError(ValueError):
    """There is no such frame or box."""


def _view_of_agv(path: Path, box: Box | None, frame: int | None, pixels: int) -> View:
    missing = _Missing()
    with path.open("rb") as file:
        try:
            reader = Reader(file)
        except DamagedFileError as error:
            file.seek(0)
            reader = Reader(file, damaged_ok=True)
            missing.add(f"the file is damaged ({error.reason})")
        header, metadata = reader.header, reader.metadata
        numbers, share, notes = _chosen(header.frames, frame, pixels, header.mode)
        _check_box(box, (header.width, header.height))
        _check_work(header.box if box is None else box)
        frames = _frames_of_agv(reader, numbers, box, share, missing)
    found = info_of(reader, path.stat().st_size)
    words = in_words(found)
    facts = _facts("AG-VAE", found["bytes"], found["bpp"], words["image"], header.mode, 16 if header.range else 8)
    facts |= {name: words[name] for name in ("frames", "quality", "model", "tiles", "thumbnail")}
    told = described(metadata.to_info(), {"Arrays": arrays_in_words(metadata.arrays)})
    notes += _notes(frames, header.mode, box, profiled=metadata.icc_profile is not None)
    if metadata.arrays is not None:
        notes.append("Values are those of pixels; what they stand for is told under Arrays.")
    return View(printable(path.name), facts, frames, told, notes, missing.sentences(header.frames))


def _frames_of_agv(
    reader: Reader, numbers: Iterable[int], box: Box | None, share: int, missing: _Missing
) -> list[Displayed]:
    """The frames of which something is left.

    Raises:
        ValueError: there are none.
    """
    frames, lost = [], dict[int, str]()
    for number in numbers:
        try:
            frames.append(of_agv(reader, number, box, share))
        except (DamagedFileError, TruncatedFileError) as error:
            try:
                missing.add(damage_of(reader, [number], error.reason), [number])
            except ValueError:
                lost[number] = error.reason
            else:
                frames.append(of_agv(reader, number, box, share, damaged_ok=True))
    if lost:
        missing.add(f"every tile is lost ({next(iter(lost.values()))})", lost)
    if not frames:
        raise ValueError("; ".join(missing.sentences(reader.header.frames)))
    return frames


def _view_of_other(path: Path, box: Box | None, frame: int | None, pixels: int, damage: str | None) -> View:
    """A picture of another format; with what its damage is, as much of it as there is."""
    missing = _Missing()
    if damage is not None:
        missing.add(f"the file is damaged ({damage})")
    with opened(path) as image:
        form, mode, bits = image.format or "", image.mode, max(bits_of(image), _LEAST_BITS.get(image.mode, 1))
        count = getattr(image, "n_frames", 1) if damage is None else count_frames(path)
        count = 1 if form == "PSD" else count  # layers are no pictures
        numbers, share, notes = _chosen(count, frame, pixels, mode)
        shown = _frames_of_other(image, numbers if count > 1 else [None], box, share, cut_short=damage is not None)
        frames = [next(shown)]
        (width, height), info, texts = image.size, options_of(image), _texts(image)
        notes += _parts(image)
        frames += shown
    if len(frames) < len(numbers):
        missing.add(f"only {len(frames)} of {count} frames can be read")
    if bits > 8 and frames[0].kind == "uint8":
        notes.append(f"8 of its {bits} bits are shown, as Pillow reads it so.")
    area = width * height * count
    if len(frames) == count and box is None:  # which may be of several sizes
        area = sum(frame.width * frame.height for frame in frames)
    size = path.stat().st_size
    facts = _facts(form, size, 8 * size / area, f"{width} x {height} {mode}", mode, bits)
    durations = [frame.duration or 0 for frame in frames]
    facts["frames"] = frames_in_words(count, durations if len(frames) == count > 1 and any(durations) else None, None)
    notes += _notes(frames, mode, box, profiled="icc_profile" in info)
    return View(printable(path.name), facts, frames, described(info, texts), notes, missing.sentences(count))


def _frames_of_other(
    image: Image.Image, numbers: Iterable[int | None], box: Box | None, share: int, *, cut_short: bool
) -> Iterator[Displayed]:
    """Frames by their numbers, None for the current one; of what is cut short as many as can be read.

    Raises:
        Exception: whatever Pillow's readers raise, at the first frame of what is cut short or at any.
    """
    for place, number in enumerate(numbers):
        try:
            if number is not None:
                image.seek(number)
            _check_box(box, image.size)
            image.load()
        except Exception:
            if cut_short and place:
                return
            raise
        yield of_image(image, box, share)


def _parts(image: Image.Image) -> list[str]:
    """Sentences about what a file has beside the picture that is shown."""
    sizes = len(set(image.info.get("sizes", ())))
    if image.format in ("ICO", "ICNS") and sizes > 1:
        return [f"Shown is the largest of its {sizes} sizes."]
    if has_unread_signs(image):
        return ["Values from 128 on are those of the file and 256, as Pillow reads no signs of 8 bits."]
    return ["Its layers are shown together."] if image.format == "PSD" else []


class _Missing:
    """What is damaged, and of which frames."""

    def __init__(self) -> None:
        self._found: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, sentence: str, frames: Iterable[int] = ()) -> None:
        self._found[sentence] += frames

    def sentences(self, frames: int) -> list[str]:
        return [sentence if frames == 1 else f"{_listed(of)}{sentence}" for sentence, of in self._found.items()]


def _listed(frames: Sequence[int]) -> str:
    if not frames:
        return ""
    numbers = ", ".join(str(number + 1) for number in frames[:5])
    more = f" and {len(frames) - 5} more" if len(frames) > 5 else ""
    return f"frame{'s' if len(frames) > 1 else ''} {numbers}{more}: "


def _chosen(count: int, frame: int | None, pixels: int, mode: str) -> tuple[range, int, list[str]]:
    """The frames to show, how many pixels each may have, and what is said of that.

    Raises:
        _WrongChoiceError: there is no such frame.
    """
    if frame is not None and frame >= count:
        msg = f"there is no frame {frame}: it has {count}, from 0"
        raise _WrongChoiceError(msg)
    if mode.startswith(("I", "F")):
        pixels //= 2  # each has up to four bytes, and is drawn by a program
    most = max(pixels // LEAST, 1)
    if frame is not None:
        numbers, notes = range(frame, frame + 1), [f"Shown is frame {frame + 1} of {count}."] if count > 1 else []
    elif count > most:
        numbers, notes = range(most), [f"Shown are the first {most} of {count} frames; --frame N shows another."]
    else:
        numbers, notes = range(count), []
    return numbers, pixels // len(numbers), notes


def _check_box(box: Box | None, size: tuple[int, int]) -> None:
    if box is not None and not (0 <= box.left < box.right <= size[0] and 0 <= box.top < box.bottom <= size[1]):
        msg = f"box {','.join(map(str, box))} is not within the {size[0]} x {size[1]} pixels of the picture"
        raise _WrongChoiceError(msg)


def _check_work(area: Box) -> None:
    """Pillow's rule against decompression bombs, also of what is decoded in bands."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and area.area > 2 * limit:
        msg = f"{area.width} x {area.height} pixels exceed the limit of {2 * limit}; --box L,T,R,B shows a part"
        raise Image.DecompressionBombError(msg)


def _facts(form: str, size: int, bpp: float, image: str, mode: str, bits: int) -> dict[str, str]:
    colours = _COLOURS.get(mode, "grey" if mode.startswith("I") else mode)
    each = "1 bit each" if mode == "1" else f"{bits} bits each"
    return {
        "file": f"{form}, {size:,} bytes, {bpp:.4g} bits per pixel",
        "image": image,
        "values": f"{colours}, {each}",
    }


def _notes(frames: Sequence[Displayed], mode: str, box: Box | None, profiled: bool) -> list[str]:
    """Sentences about what of a picture is not shown as it is."""
    notes = []
    if box is not None:
        notes.append(
            f"Shown is the part from ({box.left}, {box.top}) to ({box.right}, {box.bottom}), which is counted from 0."
        )
    if (step := max(frame.step for frame in frames)) > 1:
        more = "" if box is not None else "; --box L,T,R,B shows all pixels of a part"
        notes.append(f"It is large, and shown reduced: each pixel here is the mean of {step} x {step}{more}.")
    if frames[0].turned:
        notes.append("It is turned upright, as its orientation says.")
    if not (mode in _SHOWN_AS_THEY_ARE or mode.startswith("I;")):
        notes.append(f"Its mode {mode} is shown as RGB.")
    if profiled and not frames[0].profiled:
        notes.append("Its colour profile is not applied to what is shown.")
    return notes


def _texts(image: Image.Image) -> dict[str, Any]:
    """Texts of a PNG file by their keys."""
    found: Mapping[str, Any] = getattr(image, "text", {})
    return {name: value for name, value in found.items() if name not in _NAMED_OTHERWISE}


@contextlib.contextmanager
def _cut_short_or_not() -> Iterator[None]:
    """Have Pillow read files that end too early as far as they go."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _section(view: View) -> dict[str, Any]:
    """What the template shows of a picture."""
    ends = [end for frame in view.frames for end in (frame.low, frame.high) if end is not None]
    return {
        "name": view.name,
        "facts": view.facts,
        "notes": view.notes,
        "missing": view.missing,
        "metadata": view.metadata,
        "alpha": any(frame.alpha for frame in view.frames),
        "deep": any(frame.kind != "uint8" for frame in view.frames),
        "low": f"{min(ends, default=0):.9g}",
        "high": f"{max(ends, default=0):.9g}",
        "frames": [{"shown": frame, "source": data_url("png", frame.data)} for frame in view.frames],
    }
