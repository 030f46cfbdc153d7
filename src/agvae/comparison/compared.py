"""`agvae.compare`, and the page of one comparison or many."""

from __future__ import annotations

import html
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image, features

import agvae
from agvae.comparison import perceptual
from agvae.comparison.subject import Subject, read_subject
from agvae.comparison.versions import EQUAL, Equal, Version, own_version, peer_version
from agvae.evaluation.peers import available_peers, make_peers
from agvae.pages import data_url, pieces
from agvae.whole_file import whole_file

PEERS = ("avif", "webp", "jpeg", "jxl", "heic-420")
"""What is compared with, as far as it is installed."""
_LARGEST_WEBP = 16383
_SOUGHT = {
    "size": "equal size, as near as each codec's qualities allow",
    "psnr": "equal PSNR, as near as each codec's qualities allow",
}
_LIKE_SIZE, _LIKE_PSNR = 0.1, 0.5
"""How far a file may be from ours, as a part of its size or in dB, before that is said in words."""
_FRAME_HEIGHT = 760


@dataclass(frozen=True)
class Comparison:
    """A picture by several codecs.  In a notebook it shows itself.

    Attributes:
        subject: the original, as far as it is compared.
        versions: what the codecs made of it, our own first.
        equal: "size" or "psnr".
        left_out: sentences about codecs that did not make any.
    """

    subject: Subject
    versions: Sequence[Version]
    equal: Equal
    left_out: Sequence[str] = ()

    def html(self) -> str:
        """The page, with all that it shows."""
        return "".join(_page([self], self.equal))

    def save(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write the page, whole or not at all.

        Args:
            replace: whether a file that is there is replaced.

        Raises:
            FileExistsError: it is there, and must not be replaced.
            OSError: it cannot be written.
        """
        write_page(path, [self], self.equal, replace=replace)

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its style nor its program meets those of the notebook."""
        style = f"width: 100%; height: {_FRAME_HEIGHT}px; border: 0; resize: vertical"
        title = html.escape(f"{self.subject.name}, compared")
        page = html.escape("".join(_page([self], self.equal, alone=False)))
        return f'<iframe sandbox="allow-scripts" title="{title}" style="{style}" srcdoc="{page}"></iframe>'

    def __repr__(self) -> str:
        sizes = ", ".join(f"{v.title} {len(v.data)} bytes {v.psnr:.2f} dB" for v in self.versions)
        return f"<Comparison of {self.subject.name}: {sizes}>"


def compare(
    image: str | os.PathLike[str] | Image.Image | NDArray[Any],
    quality: float | None = None,
    *,
    target_size: float | None = None,
    target_bpp: float | None = None,
    target_psnr: float | None = None,
    model: str | None = None,
    peers: str | Sequence[str] | None = None,
    equal: Equal = "size",
    box: Sequence[int] | None = None,
    reduce: bool = False,
    name: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """A picture as .agv and by other codecs that Pillow writes, at qualities that make their files alike.

    Of a picture of more than 1600 x 1200 pixels the middle is compared, as if it were all.

    Args:
        image: a path, a Pillow image (its current frame), or an array of shape (H, W), (H, W, 3) or (H, W, 4) uint8 or
            (H, W) uint16.  More than 8 bits are reduced to 8, for all codecs.
        quality, target_size, target_bpp, target_psnr, model: of the .agv file, as `agvae.encode` takes them.
        peers: one name or several that `agvae evaluate --peers` takes; AVIF, WebP, JPEG, and JPEG XL and HEIC if their
            plugins are installed, if not given.
        equal: "size", to have the other files of the size of the .agv file; "psnr", of its PSNR.
        box: (left, top, right, bottom) in pixels: compare this part.
        reduce: instead of a part compare the whole, reduced to such a size.
        name: for the page; that of the file if not given.
        progress: called with the title of each codec before its turn.

    Raises:
        ValueError: an argument is outside its range, or a codec unknown or not installed.
        OSError: the picture cannot be read.
        What `agvae.encode` raises.
    """
    if equal not in EQUAL:
        msg = f"equal must be one of {', '.join(EQUAL)}, not {equal!r}"
        raise ValueError(msg)
    codecs = make_peers([p for p in PEERS if p in available_peers()] if peers is None else peers)
    subject = read_subject(image, name, box, reduce=reduce)
    targets = {"target_size": target_size, "target_bpp": target_bpp, "target_psnr": target_psnr}
    progress("AGV")
    own = own_version(subject.image, {"quality": quality, **targets}, model)
    versions, left_out = [own], []
    for codec in codecs:
        progress(codec.title)
        if subject.image.mode == "RGBA" and not codec.alpha:
            left_out.append(f"{codec.title} is left out, as it holds no transparency.")
            continue
        try:
            versions.append(peer_version(codec, subject.image, own, equal))
        except (OSError, ValueError, RuntimeError) as error:  # of libraries, at sizes that they do not know
            left_out.append(f"{codec.title} is left out, as it failed: {error}.")
    return Comparison(subject, versions, equal, left_out)


def write_page(
    path: str | os.PathLike[str], comparisons: Iterable[Comparison], equal: Equal, *, replace: bool = False
) -> None:
    """Write a page of any number of comparisons, each of which is asked for when its turn comes; whole or not at all.

    Raises:
        OSError: it cannot be written, or is there and must not be replaced.
        What going through the comparisons raises.
    """
    with whole_file(path, replace=replace) as file:
        for piece in _page(comparisons, equal):
            file.write(piece.encode())


def _page(comparisons: Iterable[Comparison], equal: Equal, *, alone: bool = True) -> Iterator[str]:
    """The page, piece by piece.

    Args:
        alone: whether there is nothing around it that says what it is.
    """
    pictures = map(_section, comparisons)
    values = {"title": "Pictures compared", "version": agvae.__version__, "sought": _SOUGHT[equal], "alone": alone}
    return pieces("compare.html", **values, pictures=pictures)


def _section(comparison: Comparison) -> dict[str, Any]:
    """What the template shows of a comparison."""
    subject, versions = comparison.subject, comparison.versions
    shown = [{"title": "Original", "label": "Original", "source": _source(subject.image, subject.profile)}]
    for version in versions:
        label = f"{version.title}: {len(version.data):,} bytes"
        source = _source(version.image, subject.profile)
        shown.append({"title": version.title, "label": label, "source": source})
    made = [f"{v.title}: {v.description}; quality {v.setting:.4g}" for v in versions[1:]]
    if not perceptual.available():
        made.append("SSIMULACRA2 is not measured, as it is not installed: pip install 'agvae[eval]'")
    return {
        "name": subject.name,
        "facts": subject.facts,
        "notes": [*subject.notes, *comparison.left_out, *_unlike(comparison)],
        "width": subject.image.width,
        "height": subject.image.height,
        "alpha": subject.image.mode == "RGBA",
        "shown": shown,
        "table": _table(versions),
        "made": [f"{versions[0].title}: {versions[0].description}", *made],
    }


def _unlike(comparison: Comparison) -> list[str]:
    """Sentences about versions whose codec has no quality at which it is like ours."""
    own, *others = comparison.versions
    if comparison.equal == "size":
        ratios = {v.title: len(v.data) / len(own.data) - 1 for v in others}
        return [f"{t} comes no nearer in size than {100 * r:+.0f} %." for t, r in ratios.items() if abs(r) > _LIKE_SIZE]
    far = [v for v in others if v.psnr != own.psnr and not abs(v.psnr - own.psnr) <= _LIKE_PSNR]
    return [f"{v.title} comes no nearer in PSNR than {v.psnr:.2f} dB." for v in far]


def _table(versions: Sequence[Version]) -> list[list[str]]:
    own = len(versions[0].data)
    rows = [["Format", "Bytes", "against AGV", "PSNR (dB)", "MS-SSIM", "SSIMU\u00adLACRA2", "bits per pixel"]]
    for v in versions:
        against = f"{100 * (len(v.data) / own - 1):+.1f} %" if v is not versions[0] else ""
        psnr = "no loss" if math.isinf(v.psnr) else f"{v.psnr:.2f}"
        similar = [_number(v.ms_ssim, ".4f"), _number(v.ssimulacra2, ".1f")]
        rows.append([v.title, f"{len(v.data):,}", against, psnr, *similar, f"{v.bpp:.3f}"])
    return rows if perceptual.available() else [row[:5] + row[6:] for row in rows]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _source(image: Image.Image, profile: bytes | None) -> Markup:
    """An address that holds the image, without loss and in a format that all browsers know."""
    file = io.BytesIO()
    webp = "webp" in features.get_supported() and max(image.size) <= _LARGEST_WEBP
    options: dict[str, Any] = {"lossless": True, "method": 3} if webp else {}
    kind = "webp" if webp else "png"
    image.save(file, kind, icc_profile=profile, **options)
    return data_url(kind, file.getvalue())
