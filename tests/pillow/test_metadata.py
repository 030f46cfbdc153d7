"""Exif, profile, XMP, comment and resolution: what is written, and what is not taken along."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from tests.support.plugin import SIZE, reopened, saved, some_exif

pytestmark = pytest.mark.usefixtures("tiny_weights")


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'


def test_plain_file_has_no_info(photo: Image.Image) -> None:
    photo.info |= {"dpi": (1, 1), "exif": b"Exif\0\0x", "xmp": b"x", "comment": b"c", "jfif": 3, (1, 2): 3}
    im = reopened(photo)
    assert im.info == {}
    assert dict(im.getexif()) == {}
    assert im.getxmp() == {}


def test_exif_object_round_trips(photo: Image.Image) -> None:
    exif = some_exif()
    before = dict(exif)
    read = reopened(photo, exif=exif).getexif()
    assert dict(exif) == before
    assert read[ExifTags.Base.Orientation] == 6
    assert read[ExifTags.Base.Make] == "maker"
    itself = Image.Exif()
    itself.load(exif.tobytes())
    assert read.get_ifd(ExifTags.IFD.Exif) == itself.get_ifd(ExifTags.IFD.Exif)


def test_exif_with_nothing_but_a_directory(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:01:02 03:04:05"
    assert reopened(photo, exif=exif).info.get("exif", Image.Exif().tobytes()) == exif.tobytes()


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_exif_bytes_are_stored_verbatim(prefix: bytes, photo: Image.Image) -> None:
    raw = some_exif().tobytes().removeprefix(b"Exif\0\0")
    im = reopened(photo, exif=prefix + raw)
    assert im.info["exif"] == b"Exif\0\0" + raw
    assert im.getexif()[ExifTags.Base.Orientation] == 6


@pytest.mark.parametrize("exif", [None, b"", b"Exif\0\0", Image.Exif()])
def test_no_exif(exif: Any, photo: Image.Image) -> None:
    assert "exif" not in reopened(photo, exif=exif).info


def test_garbage_exif_is_kept_and_harmless(photo: Image.Image) -> None:
    im = reopened(photo, exif=b"garbage")
    im.load()
    assert im.info["exif"] == b"Exif\0\0garbage"


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("as_bytes", [False, True])
def test_orientation_is_left_to_the_reader(orientation: int, as_bytes: bool, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    im = reopened(photo, exif=exif.tobytes() if as_bytes else exif)
    plain = reopened(photo)
    assert im.tobytes() == plain.tobytes()
    plain.info["exif"] = exif.tobytes()
    turned = ImageOps.exif_transpose(im)
    assert turned is not None
    assert turned.size == (SIZE if orientation < 5 else SIZE[::-1])
    assert turned.tobytes() == ImageOps.exif_transpose(plain).tobytes()
    assert ExifTags.Base.Orientation not in turned.getexif()


def test_exif_is_not_taken_from_the_source(photo: Image.Image) -> None:
    fp = io.BytesIO()
    photo.save(fp, "JPEG", exif=some_exif())
    with Image.open(fp) as jpeg:
        assert "exif" not in reopened(jpeg).info
        assert jpeg.getexif()
        assert reopened(jpeg, exif=jpeg.getexif()).getexif()[ExifTags.Base.Make] == "maker"


def test_exif_can_be_edited(photo: Image.Image) -> None:
    im = reopened(photo, exif=some_exif())
    im.getexif()[ExifTags.Base.Make] = "x"
    assert reopened(im, exif=im.getexif()).getexif()[ExifTags.Base.Make] == "x"


def test_icc_profile(photo: Image.Image) -> None:
    profile = bytes(range(256))
    assert reopened(photo, icc_profile=profile).info == {"icc_profile": profile}
    photo.info["icc_profile"] = profile
    assert reopened(photo).info == {"icc_profile": profile}
    assert reopened(photo, icc_profile=None).info == {}
    assert reopened(photo, icc_profile=b"").info == {}


def test_xmp(photo: Image.Image) -> None:
    im = reopened(photo, xmp=XMP)
    assert im.info == {"xmp": XMP}
    assert reopened(photo, xmp=XMP.decode()).info == {"xmp": XMP}
    assert reopened(im).info == {}


def test_xmp_can_be_parsed(photo: Image.Image) -> None:
    pytest.importorskip("defusedxml")
    assert "xmpmeta" in reopened(photo, xmp=XMP).getxmp()


@pytest.mark.parametrize("dpi", [(300, 300), (72.009, 1e-3), [96, 48], (np.float32(1.5), np.int64(2))])
def test_dpi(dpi: Any, photo: Image.Image) -> None:
    assert reopened(photo, dpi=dpi).info == {"dpi": tuple(float(v) for v in dpi)}


@pytest.mark.parametrize(
    "dpi", [300, (300,), (1, 2, 3), (0, 1), (-1, 1), (float("nan"), 1), ("a", "b"), "12", (10**400, 1)]
)
def test_wrong_dpi(dpi: Any, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="dpi"):
        saved(photo, dpi=dpi)


def test_comment(photo: Image.Image) -> None:
    assert reopened(photo, comment="grün").info == {"comment": "grün".encode()}
    assert reopened(photo, comment=b"\xff\0").info == {"comment": b"\xff\0"}


@pytest.mark.parametrize("option", ["exif", "icc_profile", "xmp", "comment", "model"])
def test_wrong_types_of_options(option: str, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match=option):
        saved(photo, **{option: 12})


def test_large_metadata(photo: Image.Image) -> None:
    blob = random.Random(0).randbytes(5_000_000)
    im = reopened(photo, icc_profile=blob, xmp=blob[::-1])
    assert im.info == {"icc_profile": blob, "xmp": blob[::-1]}
