"""Programs and commands of the documentation run as they stand, and the messages that it quotes are those."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import agvae
from agvae.cli import main
from agvae.container import SIGNATURE
from tests.support.helpers import picture

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {"RECIPES.md": "pillow", "RESEARCH.md": "core", "napari.md": "napari"}
"""Pages whose programs have tests of their own, in a file of this folder that names the page."""
IN_PROCESSES_OF_THEIR_OWN = ("BATCH.md", "servers.md")
"""Pages whose programs start processes, or change options for good."""


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def pages(language: str) -> list[Path]:
    return [
        page
        for page in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))
        if blocks(page, language) and page.name not in ELSEWHERE
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("photos", "photographs"):
        (tmp_path / name).mkdir()
    Image.fromarray(picture(192, 128)).save(tmp_path / "photo.jpg", exif=exif, icc_profile=b"profile", dpi=(72, 72))
    Image.fromarray(picture(96, 64)).save(tmp_path / "photo.png")
    Image.new("P", (64, 48)).save(tmp_path / "chart.png")
    for number in range(2):
        Image.fromarray(picture(48, 32, number)).save(tmp_path / "photos" / f"{number}.png")
        shutil.copy(tmp_path / "photos" / f"{number}.png", tmp_path / "photographs")
    return tmp_path


def finished(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"AGVAE_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment)


def run(command: list[str], folder: Path) -> str:
    done = finished(command, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", pages("python"), ids=lambda page: page.name)
def test_programs_of_a_page_run_one_after_the_other(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "\n".join(blocks(page, "python"))
    if page.name in IN_PROCESSES_OF_THEIR_OWN:
        (folder / "program.py").write_text(program, encoding="utf-8")
        run([sys.executable, "program.py"], folder)
        return
    monkeypatch.chdir(folder)
    exec(compile(program, page.name, "exec", dont_inherit=True), {"__name__": "__main__"})
    for path in folder.glob("back.*"):
        with Image.open("photo.jpg") as photo, Image.open(path) as back:
            assert ImageOps.exif_transpose(back).size == ImageOps.exif_transpose(photo).size
            assert back.info["icc_profile"] == photo.info["icc_profile"]


UPLOADS = """
from dataclasses import replace
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from agvae.container import Reader, write_container

def answer(body, **environ):
    asked = {"QUERY_STRING": "", "CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body), **environ}
    setup_testing_defaults(asked)
    told = []
    parts = validator(application)(asked, lambda status, headers: told.extend((status, headers)))
    content = b"".join(parts)
    parts.close()
    return int(told[0][:3]), dict(told[1])["Content-Type"], content

def written(image, form, **options):
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()

def check(body, kind, form, mode, size=(48, 64)):
    status, found, content = answer(body)
    assert (status, found) == (200, kind), (status, found)
    with Image.open(BytesIO(content)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == (form, mode, size), image
        assert image.info.get("icc_profile") == b"profile"
        assert not image.getexif() and "comment" not in image.info

exif = Image.Exif()
exif[0x0112], exif[0x010F] = 6, "camera"
about = {"exif": exif, "icc_profile": b"profile"}
colour = Image.new("RGB", (64, 48), "red")
few = colour.quantize(2)
clear = colour.convert("RGBA")
clear.putpixel((3, 4), (0, 0, 0, 0))
grey = colour.convert("L")
for form, image, mode in (("JPEG", colour, "RGB"), ("PNG", few, "RGB"), ("WEBP", clear, "RGBA"), ("PNG", grey, "L")):
    check(written(image, form, **about), "image/x-agv", "AGV", mode)
check(written(few, "PNG", transparency=0, **about), "image/x-agv", "AGV", "RGBA")
check(written(colour, "AGV", comment=b"somewhere", **about), "image/jpeg", "JPEG", "RGB")
check(written(clear, "AGV", **about), "image/png", "PNG", "RGBA")

own = written(colour, "AGV", quality=1)
reader = Reader(BytesIO(own))
foreign = write_container(replace(reader.header, model="unknown"), reader.metadata, list(reader.tiles()))
large = written(Image.new("1", (8000, 8000)), "PNG")
for status, body in (
    (400, own[:-20]),
    (400, written(colour, "PNG")[:-30]),
    (413, large),
    (413, written(Image.new("1", (4000, 3001)), "PNG")),
    (413, written(Image.new("L", (187_501, 1)), "PNG")),
    (413, bytes(MOST + 1)),
    (415, b""),
    (415, b"<html>"),
    (415, written(few, "GIF")),
    (415, written(Image.new("I;16", (8, 8)), "AGV")),
    (415, written(colour.convert("CMYK"), "JPEG")),
    (415, foreign),
    (415, written(Image.new("RGB", (65_501, 1)), "AGV", lossless=True)),
):
    found, kind, said = answer(body)
    assert (found, kind) == (status, "text/plain") and said, (status, found, body[:50])
assert answer(own, CONTENT_LENGTH="")[0] == 411
"""


def test_uploads_to_the_server_of_the_page(folder: Path) -> None:
    program = "\n".join([*blocks(DOCS / "servers.md", "python"), UPLOADS])
    (folder / "program.py").write_text(program, encoding="utf-8")
    run([sys.executable, "program.py"], folder)


@pytest.mark.skipif(sys.platform == "win32", reason="the pages are for a POSIX shell")
@pytest.mark.parametrize("name", ["../README.md", "first-steps.md", "command-line.md"])
def test_commands_of_a_page_run_one_after_the_other(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(DOCS / name, "sh")
    lines = "".join(block for block in found if "README" not in name or block.startswith("agvae ")).splitlines()
    assert len(lines) > 3
    monkeypatch.chdir(folder)
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "agvae"
        if "<" in words:
            run(["bash", "-c", f'agvae() {{ "{sys.executable}" -m agvae "$@"; }}; {line}'], folder)
        else:
            assert main(words) == 0
    assert (folder / "coded" / "0.agv").exists()


def commands() -> list[tuple[str, list[str]]]:
    """Pages, and the commands in them, also those in a sentence."""
    found = []
    for page in (*ROOT.glob("*.md"), *DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
        found += [(page.name, line.split()) for line in lines]
    return found


def test_commands_have_the_options_that_pages_name(capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, str] = {}
    seen, wrong = 0, []
    for page, words in commands():
        if words[:1] != ["agvae"] or len(words) < 2 or not words[1].isalpha() or words[1].isupper():
            continue
        command = words[1:3] if words[1] == "weights" and len(words) > 2 else words[1:2]
        name = " ".join(command)
        if name not in known:
            with pytest.raises(SystemExit) as left:
                main([*command, "--help"])
            known[name] = capsys.readouterr().out if left.value.code == 0 else ""
        options = [word.partition("=")[0] for word in words if re.match("--?[a-z]", word)]
        wrong += [(page, name, option) for option in options if not re.search(rf"{option}\b", known[name])]
        wrong += [(page, name, "")] if not known[name] else []
        seen += 1
    assert seen > 80
    assert wrong == []


def test_benchmarks_have_the_options_that_pages_name() -> None:
    seen, wrong = 0, []
    for page, words in commands():
        for word in words:
            if not re.fullmatch(r"(?:benchmarks|docs|examples|reproduction)/\w+\.py", word):
                continue
            text = (ROOT / word).read_text(encoding="utf-8") if (ROOT / word).exists() else ""
            options = [option for option in words[words.index(word) :] if option.startswith("--")]
            wrong += [(page, word, option) for option in options if f'"{option}"' not in text]
            wrong += [(page, word, "")] if not text else []
            seen += 1
    assert seen > 20
    assert wrong == []


def test_programs_of_other_pages_are_tested_elsewhere() -> None:
    for page, room in ELSEWHERE.items():
        tests = (path.read_text(encoding="utf-8") for path in (ROOT / "tests" / room).glob("test_*.py"))
        assert any(f'"docs" / "{page}"' in text for text in tests), page


def test_extras_that_pages_install_are_there() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))
    text = "".join(page.read_text(encoding="utf-8") for page in [*ROOT.glob("*.md"), *DOCS.glob("*.md")])
    named = {name for names in re.findall(r"(?:agvae|\.)\[([\w,]+)\]", text) for name in names.split(",")}
    assert named
    assert named - known == set()


def flat() -> np.ndarray[Any, Any]:
    return np.zeros((64, 64, 3), np.uint8) + np.arange(64, dtype=np.uint8)[:, None, None]


def bomb() -> None:
    data = agvae.encode(np.zeros((64, 64, 3), np.uint8))
    Image.MAX_IMAGE_PIXELS = 10
    agvae.decode(data)


def on_cuda() -> None:
    with agvae.options.using(device="cuda"):
        agvae.encode(flat())


def changed() -> bytes:
    data = bytearray(agvae.encode(flat(), 3))
    data[-20] ^= 1
    return bytes(data)


def newer() -> bytes:
    """A file of a later version, as far as can be said today."""
    return SIGNATURE + b"HEAD\0\0\0\1\2" + zlib.crc32(b"HEAD\2").to_bytes(4, "big")


SMALL = Image.new("RGB", (8, 8))
PROVOKED: dict[str, Callable[[], object]] = {
    "cannot write mode": lambda: Image.new("CMYK", (8, 8)).save("picture.agv"),
    "pixels must be": lambda: agvae.encode(np.zeros((8, 8, 3), np.float32)),
    "image must be pixels": lambda: agvae.encode("photo.png"),  # type: ignore[arg-type]
    "Invalid quality": lambda: SMALL.save(Path(os.devnull), "AGV", quality=7),
    "cannot be reached": lambda: agvae.encode(np.zeros((8, 8, 3), np.uint8), target_size=3),
    "has no option": lambda: SMALL.save(Path(os.devnull), "AGV", qualty=3),
    "not an AGV file": lambda: agvae.decode(b"hello"),
    "is truncated": lambda: agvae.decode(agvae.encode(flat(), 3)[:-10]),
    "wrong checksum": lambda: agvae.decode(changed()),
    "unsupported AGV version": lambda: agvae.decode(newer()),
    "unknown model": lambda: agvae.encode(flat(), model="foo"),
    "exceeds limit": bomb,
    "cannot use the device": on_cuda,
}
TOLD = {
    "exists already": ("encode photo.png photo.agv", "torch"),
    "cannot identify image file (pip": ("encode photo.jxl another.agv", "pillow_jxl"),
    "needs matplotlib": ("evaluate photos -o results", "matplotlib"),
    "needs torch": ("encode photo.png another.agv", "torch"),
}
"""What commands say on the command line, and a package that is not there."""


@pytest.mark.filterwarnings("error:AGV has no option")
@pytest.mark.parametrize("part", PROVOKED)
def test_messages_of_the_questions_are_real(part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    import pillow_agvae  # noqa: F401

    (quoted,) = (message.strip() for message in blocks(DOCS / "faq.md", "text") if part in message)
    if part == "cannot use the device" and torch.backends.cuda.is_built():
        pytest.skip("this PyTorch has another message")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
    with pytest.raises((Exception, Warning)) as raised:
        PROVOKED[part]()
    kind = type(raised.value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    text = re.sub(rf"^{re.escape(os.devnull)}: ", "", str(raised.value))
    numbers = re.compile(r"\d+")
    assert numbers.sub("0", f"{name}: {text}") == numbers.sub("0", quoted)


@pytest.mark.parametrize("part", TOLD)
def test_messages_of_commands_are_real(part: str, folder: Path) -> None:
    (quoted,) = (message for message in blocks(DOCS / "faq.md", "text") if part in message)
    for name in ("photo.agv", "photo.jxl"):
        (folder / name).write_bytes(b"something")
    command, missing = TOLD[part]
    program = f"import sys; sys.modules[{missing!r}] = None; from agvae.cli import main; sys.exit(main(sys.argv[1:]))"
    done = finished([sys.executable, "-c", program, *command.split()], folder)
    assert (done.returncode, done.stderr) == (1, quoted)


def test_all_messages_of_the_questions_are_tested() -> None:
    """The first three are those of a missing import; `test_packaging` has them."""
    messages = blocks(DOCS / "faq.md", "text")
    others = [message.strip() for message in messages if not any(part in message for part in (*PROVOKED, *TOLD))]
    assert len(messages) == len(PROVOKED) + len(TOLD) + len(others)
    assert others == [message.strip() for message in messages[:3]]


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"(?:- |: )([\w-]+\.md)$", text, re.MULTILINE)
    assert sorted(named) == sorted(page.name for page in DOCS.glob("*.md"))


def test_numbers_of_the_page_about_qualities_have_their_pictures() -> None:
    text = (DOCS / "quality.md").read_text(encoding="utf-8")
    for name in re.findall(r"images/([\w.-]+)\)", text) if (DOCS / "images").exists() else ():  # not in an sdist
        assert (DOCS / "images" / name).exists()
    with Image.open(ROOT / "src" / "agvae" / "data" / "chelsea.png") as photograph:
        size = len(agvae.encode(photograph.convert("RGB"), 2))
    assert abs(int(re.findall(r"^\| 2 \| ([\d,]+)", text, re.MULTILINE)[0].replace(",", "")) - size) <= 4
