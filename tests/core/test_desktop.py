"""What desktops learn of .agv files, and the thumbnails that file managers ask for."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
import sys
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import agvae
from agvae.cli import cmd_thumbnail, main
from agvae.coding.loaded import forget_models
from agvae.container import Reader, write_container
from agvae.weights import registries
from tests.support.helpers import picture

pytestmark = pytest.mark.usefixtures("tiny_weights")
freedesktop = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("update-mime-database") is None, reason="no shared-mime-info"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data home"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.agv"
    path.write_bytes(agvae.encode(picture(120, 80)))
    return path


def listed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("agvae.*")}


@freedesktop
def test_a_desktop_knows_files_until_that_is_removed(
    home: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "without suffix").write_bytes(photo.read_bytes())
    for _ in range(2):
        assert main(["integrate"]) == 0
        assert listed(home) == {"mime/packages/agvae.xml", "thumbnailers/agvae.thumbnailer"}
    assert str(home / "thumbnailers" / "agvae.thumbnailer") in capsys.readouterr().out
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "GNOME")  # xdg-mime then asks gio, which reads the entry
    if gio := shutil.which("gio"):
        for name in ("photo.agv", "without suffix"):
            assert "content-type: image/x-agv" in output(gio, "info", "-a", "standard::content-type", tmp_path / name)
        if xdg := shutil.which("xdg-mime"):
            assert output(xdg, "query", "filetype", photo) == "image/x-agv\n"
    assert main(["integrate", "--remove"]) == 0
    assert listed(home) == set()
    assert [path for path in home.rglob("*") if path.is_file() and b"agv" in path.read_bytes()] == []
    if gio:
        assert "image/x-agv" not in output(gio, "info", "-a", "standard::content-type", photo)
    capsys.readouterr()
    assert main(["integrate", "--remove"]) == 0
    assert capsys.readouterr().out == "there was nothing to remove\n"


def output(*command: object) -> str:
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@freedesktop
def test_the_thumbnailer_is_a_command_that_runs(
    home: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "100 % mine" / "agvae"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m agvae "$@"\n')
    command.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(command.parent / ".." / command.parent.name / "agvae"), "integrate"])
    assert main(["integrate"]) == 0
    parser = ConfigParser(interpolation=None)
    parser.read(home / "thumbnailers" / "agvae.thumbnailer", encoding="utf-8")
    entry = parser["Thumbnailer Entry"]
    assert (entry["TryExec"], entry["MimeType"]) == (str(command), "image/x-agv;")
    target = tmp_path / "small.png"
    values = {"%%": "%", "%s": "64", "%i": str(photo), "%o": str(target)}
    words = [values.get(word, word.replace("%%", "%")) for word in shlex.split(entry["Exec"])]
    photo.write_bytes(agvae.encode(picture(120, 80), lossless=True))  # that process has no model "tiny"
    subprocess.run(words, check=True, timeout=120)
    assert Image.open(target).size == (64, 43)


@freedesktop
def test_what_others_wrote_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "thumbnailers" / "agvae.thumbnailer"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for words in (["integrate"], ["integrate", "--remove"]):
        assert main(words) == 1
        assert "agvae.thumbnailer: is there and was not written by this command" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert listed(home) == {"thumbnailers/agvae.thumbnailer"}


@freedesktop
def test_a_relative_data_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["integrate"]) == 0
    assert len(listed(tmp_path / ".local" / "share")) == 2


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_other_systems_are_refused(
    system: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    assert main(["integrate"]) == 1
    assert f"none is known for {system}" in capsys.readouterr().err
    assert not home.exists()


def test_without_the_tool_nothing_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", "")
    assert main(["integrate"]) == 1
    assert "install shared-mime-info" in capsys.readouterr().err
    assert not home.exists()


def small(path: Path, size: int = 64) -> Image.Image:
    target = path.with_suffix(".png")
    assert main(["thumbnail", str(path), str(target), "--size", str(size), "--force"]) == 0
    image = Image.open(target)
    assert image.format == "PNG"
    return image


def test_thumbnails_of_all_modes(tmp_path: Path) -> None:
    colour = picture(120, 80)
    deep = colour[..., 0].astype(np.uint16) * 100 + 7
    path = tmp_path / "a.agv"
    for pixels, mode in (
        (colour, "RGB"),
        (colour[..., 0], "L"),
        (np.dstack([colour] * 2)[..., :4], "RGBA"),
        (deep, "L"),
    ):
        path.write_bytes(agvae.encode(pixels, lossless=True))
        image = small(path)
        assert (image.mode, image.size) == (mode, (64, 43))
        shown = np.asarray(image.convert("L"), float)
        expected = np.asarray(
            Image.fromarray(colour if mode != "L" else colour[..., 0]).convert("L").resize((64, 43)), float
        )
        if pixels is not deep:
            assert np.abs(shown - expected).mean() < 6
        else:
            assert (shown.min(), shown.max()) > (-1, 200)
    path.write_bytes(agvae.encode(picture(20, 10), lossless=True))
    assert small(path).size == (20, 10)


def test_thumbnails_are_upright_and_keep_their_profile(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    metadata = agvae.Metadata(exif=exif, icc_profile=b"profile")  # type: ignore[arg-type]
    path = tmp_path / "a.agv"
    path.write_bytes(agvae.encode(picture(120, 80), lossless=True, metadata=metadata))
    image = small(path)
    assert image.size == (43, 64)
    assert image.info["icc_profile"] == b"profile"
    path.write_bytes(agvae.encode(picture(120, 80), lossless=True, metadata=agvae.Metadata(exif=b"nonsense")))
    assert small(path).size == (64, 43)


def test_the_thumbnail_in_the_file_is_taken_where_it_does(tmp_path: Path) -> None:
    """It is black here, and the picture is not."""
    data = agvae.encode(picture(120, 80), lossless=True, thumbnail=60)
    reader = Reader(io.BytesIO(data))
    black = agvae.encode(np.zeros((40, 60, 3), np.uint8), lossless=True)
    path = tmp_path / "a.agv"
    for inner, sizes in ((black, {60: True, 64: False}), (black[:-20], {60: False})):
        path.write_bytes(
            write_container(reader.header, replace(reader.metadata, thumbnail=inner), list(reader.tiles()))
        )
        for size, taken in sizes.items():
            assert (np.asarray(small(path, size)).max() == 0) == taken


def test_a_thumbnail_takes_no_more_time_and_memory_than_it_may(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "small.png"
    target.write_bytes(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(cmd_thumbnail, "MAX_PIXELS", 120 * 80)  # 128 * 96 are decoded
        assert main(["thumbnail", str(photo), str(target), "--force"]) == 1
        assert "photo.agv: 120 x 80 pixels are too many" in capsys.readouterr().err
    monkeypatch.setattr(cmd_thumbnail, "SECONDS", -1)
    assert main(["thumbnail", str(photo), str(target), "--force"]) == 1
    assert "takes more than" in capsys.readouterr().err
    photo.write_bytes(b"nothing")
    assert main(["thumbnail", str(photo), str(target), "--force"]) == 1
    assert main(["thumbnail", str(photo), str(photo), "--force"]) == 1
    assert photo.read_bytes() == b"nothing"
    assert target.read_bytes() == b"before"


def test_a_thumbnail_downloads_nothing(
    photo: Path,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = json.loads((tiny_weights / "registry.json").read_text())
    registry["base_url"] = "http://127.0.0.1:9/"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "registry.json").write_text(json.dumps(registry))
    monkeypatch.setattr(registries, "BUNDLED", tmp_path / "empty")
    forget_models()
    assert main(["thumbnail", str(photo), str(tmp_path / "small.png")]) == 1
    assert "offline" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "1025", "x"])
def test_sizes_of_thumbnails_are_checked(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["thumbnail", "a.agv", "b.png", "-s", size])
    assert "must be an integer from 1 to 1024" in capsys.readouterr().err


def test_a_thumbnail_replaces_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, kept = tmp_path / "a.agv", tmp_path / "kept.png"
    path.write_bytes(agvae.encode(picture(40, 30), lossless=True))
    kept.write_bytes(b"kept")
    other = shutil.copy(path, tmp_path / "b.agv")
    for target, said in ((kept, "only with --force"), (other, "extension .png"), (tmp_path / "new.jpg", "extension")):
        assert main(["thumbnail", str(path), str(target)]) == 1
        assert said in capsys.readouterr().err
    assert (kept.read_bytes(), other.read_bytes()) == (b"kept", path.read_bytes())
    assert not (tmp_path / "new.jpg").exists()
    assert main(["thumbnail", str(path), str(kept), "--force"]) == 0
    assert Image.open(kept).size == (40, 30)
