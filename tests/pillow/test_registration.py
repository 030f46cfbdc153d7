"""Names under which Pillow knows the format, in whatever order things are imported."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import pillow_agvae
from pillow_agvae.AgvImagePlugin import AgvImageFile
from tests.support.plugin import run

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_registered() -> None:
    assert Image.registered_extensions()[".agv"] == "AGV"
    assert {"AGV"} <= Image.OPEN.keys() & Image.SAVE.keys() & Image.SAVE_ALL.keys()


def test_registering_again_changes_nothing() -> None:
    pillow_agvae.register()
    pillow_agvae.register()
    assert Image.ID.count("AGV") == 1


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "image/x-agv .agv"),
        ("mimetypes.init(); ", "image/x-agv .agv"),
        ("mimetypes.add_type('text/x', '.agv'); ", "text/x None"),
        ("mimetypes.init([sys.argv[1]]); ", "text/mine None"),
        ("import pillow_agvae; mimetypes.init([sys.argv[1]]); ", "text/mine .agv"),
    ],
)
def test_the_media_type_is_added_unless_the_system_has_one(before: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "mime.types").write_text("text/mine agv\n")
    code = f"import sys, mimetypes; {before}import pillow_agvae; guess = mimetypes.guess_type('a.AGV')[0]\n"
    code += "print(guess, mimetypes.guess_extension('image/x-agv'))"
    assert run(code, tmp_path / "mime.types") == expected


def test_format_names(path: Path) -> None:
    with Image.open(path) as im:
        assert im.format == "AGV"
        assert im.format_description
        assert isinstance(im, AgvImageFile)
        assert im.get_format_mimetype() == Image.MIME["AGV"] == "image/x-agv"


@pytest.mark.parametrize(
    "order",
    [
        "import pillow_agvae",
        "Image.preinit(); import pillow_agvae",
        "Image.init(); import pillow_agvae",
        "import pillow_agvae; Image.init()",
    ],
)
def test_order_of_imports_does_not_matter(order: str, path: Path) -> None:
    code = f"import sys; from PIL import Image; {order}; print(Image.open(sys.argv[1]).size, Image.EXTENSION['.agv'])"
    assert run(code, path) == "(96, 64) AGV"


def test_without_the_plugin(path: Path) -> None:
    code = """
import sys
from PIL import Image
for call in (lambda: Image.open(sys.argv[1]), lambda: Image.open(sys.argv[1], formats=["AGV"]),
             lambda: Image.new("L", (1, 1)).save("x.agv"), lambda: Image.new("L", (1, 1)).save("x", "AGV")):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""
    lines = run(code, path).splitlines()
    assert lines[0].startswith("UnidentifiedImageError cannot identify image file")
    assert lines[1:] == ["KeyError 'AGV'", "ValueError unknown file extension: .agv", "KeyError 'AGV'"]


def test_import_and_open_are_light(path: Path) -> None:
    code = """
import sys
from PIL import Image
import pillow_agvae
im = Image.open(sys.argv[1])
im.size, im.mode, im.info, im.n_frames, im.verify()
print(sorted({"torch", "numpy", "constriction"} & set(sys.modules)))
"""
    assert run(code, path) == "[]"
