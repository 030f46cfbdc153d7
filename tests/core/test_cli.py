"""The command line, run as a user does."""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import warnings
import zlib
from importlib.abc import MetaPathFinder
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file

import agvae
from agvae import images, weights
from agvae.cli import arguments as types
from agvae.cli import main
from agvae.cli.running import _COMMANDS
from agvae.coding.lossless import encode_colour
from agvae.container import Header, Metadata, Reader, TileData, write_container
from agvae.conversion.originals import parts_lost
from agvae.file import header
from agvae.file.payload import MIXED, join_mixed
from agvae.metrics import psnr
from agvae.quality import parse_quality
from agvae.weights import registries
from tests.support.commands import run
from tests.support.helpers import picture

SOURCE = Path(agvae.__file__).parents[1]


def python(*arguments: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter run in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, *arguments]
    result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert result.returncode == status, result.stderr
    return result


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(picture(72, 50)).save(path)
    return path


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """A sound file of two tiles that no model wrote."""
    header = Header(80, 60, "RGB", parse_quality(2.25), "some-model", bytes(range(8)), tile_size=64)
    path = tmp_path / "coded.agv"
    path.write_bytes(write_container(header, Metadata(comment=b"hello"), [TileData(b"1234"), TileData(b"567")]))
    return path


class TestUsage:
    @pytest.mark.parametrize("command", _COMMANDS)
    def test_help_of_every_command(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("--help") == 0
        assert command in capsys.readouterr().out
        assert run(command, "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: agvae {command} ")

    @pytest.mark.parametrize("command", ["encode", "decode"])
    def test_help_has_defaults_and_examples(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        run(command, "--help")
        shown = capsys.readouterr().out
        assert f"\nexamples:\n  agvae {command} " in shown
        text = " ".join(shown.split())
        if command == "encode":
            assert f"default {weights.registry()['default']}" in text
            assert f"default {header.TILE_SIZE}" in text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "Encode images"),
            (["paint"], "invalid choice: 'paint'"),
            (["encode", "a.png"], "required: OUT"),
            (["encode", "a.png", "b.agv", "-q", "7"], "quality must be a real number from 1 to 6"),
            (["encode", "a.png", "b.agv", "-q", "nan"], "quality must be a real number from 1 to 6"),
            (["evaluate", ".", "--limit", "0"], "--limit: must be an integer from 1 on, not '0'"),
            (["encode", "a.png", "b.png", "c.png"], "one IN and one OUT are needed, not 3 files"),
            (["decode", "a.agv", "b.agv", "c.agv", "d.agv"], "one IN and one OUT are needed, not 4 files"),
            (["encode", "a.png", "b.agv/"], "'b.agv/' is the name of a folder"),
            (["decode", "a.agv", "b.png/."], "'b.png/.' is the name of a folder"),
            (["info", "-"], "standard input and output cannot be used"),
            (["encode", "-", "--out", "d"], "what comes from standard input has no name in DIR"),
            (["encode", ".", "b.agv"], ". is a folder, whose files need --out DIR"),
            (["encode", "a.png", "b.agv", "--jobs", "2"], "--jobs is for many files, which need --out DIR"),
            (["encode", "a.png", "b.agv", "-q", "3", "--lossless"], "not allowed with argument"),
            (["encode", "a.png", "b.agv", "--metadata", "gps"], "'gps' is not all, none, or some of icc,exif"),
            (
                ["decode", "a.agv", "b.png", "--box", "1,2,3"],
                "four integers from 0 on, left,top,right,bottom, not '1,2,3'",
            ),
            (["decode", "a.agv", "b.png", "--box=-1,2,3,4"], "four integers from 0 on"),
            (["view", "a.agv", "--box", "1,2,1.5,4"], "four integers from 0 on"),
            (["compare", "a.png", "-o", "a.html", "--box", "3,0,3,1"], "left before right and top before bottom"),
            (["decode", "a.agv", "b.png", "--frame", "-1"], "--frame: must be an integer from 0 on, not '-1'"),
            (["view", "a.agv", "--frame", "x"], "--frame: must be an integer from 0 on, not 'x'"),
            (["thumbnail", "a.agv", "a.png", "-s", "1025"], "must be an integer from 1 to 1024, not '1025'"),
            (["encode", "a.png", "b.agv", "-q", "x"], "quality must be a real number from 1 to 6"),
            (["demo", "-q", "7"], "quality must be a real number from 1 to 6"),
            (["encode", ".", "-o", "d", "--jobs", "1.5"], "--jobs: must be an integer from 1 on, not '1.5'"),
            (["encode", ".", "-o", "d", "--threads", "0"], "--threads: must be an integer from 1 on, not '0'"),
            (["decode", ".", "-o", "d", "--max-pixels", "0"], "--max-pixels: must be an integer from 1 on, not '0'"),
            (["train", "--stop-after", "nan"], "must be a positive number of minutes, not 'nan'"),
            (["info", "a.agv", "--nothing"], "unrecognized arguments: --nothing"),
            (["train", "--data", "x"], "required: --output"),
            (["evaluate", ".", "-o", ""], "the name of a folder is needed"),
            (["evaluate", ""], "the name of a folder is needed"),
            (["demo", "--out", ""], "the name of a folder is needed"),
        ],
    )
    def test_wrong_usage(self, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(*arguments) == 2
        assert message in capsys.readouterr().err

    @pytest.mark.parametrize("target", [["b.agv"], ["--out", "d"]])
    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            *(("effort", value, "effort must be an integer from 1 to 9, not ") for value in ("0", "1.5", "10", "x")),
            ("tile-size", "0", "tile_size must be an integer from 64 to 1024, not 0"),
            ("tile-size", "1.5", "tile_size must be an integer from 64 to 1024, not 1.5"),
            ("tile-size", "100", "tile_size must be a multiple of 64, not 100"),
            ("thumbnail-side", "8", "the longer side in pixels from 16 to 1024, not 8"),
            ("thumbnail-side", "x", "the longer side in pixels from 16 to 1024, not 'x'"),
            ("target-size", "0", "target_size must be a positive number up to 1e+15, not 0"),
            ("target-size", "-5k", "target_size must be a positive number up to 1e+15, not -5000"),
            ("target-size", "x", "'x' is no number of bytes"),
            ("target-bpp", "nan", "target_bpp must be a positive number up to 1e+15, not nan"),
            ("target-psnr", "-1", "target_psnr must be a positive number up to 1e+15, not -1"),
            ("target-psnr", "x", "target_psnr must be a positive number up to 1e+15, not x"),
        ],
    )
    def test_values_outside_their_range_are_wrong_usage(
        self,
        target: list[str],
        option: str,
        value: str,
        message: str,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Image.new("L", (8, 8)).save("a.png")
        assert run("encode", "a.png", *target, f"--{option}={value}") == 2
        assert message in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]

    @pytest.mark.parametrize(
        ("arguments", "forbidden"),
        [
            (["--help"], {"torch", "numpy", "PIL"}),
            (["encode", "--help"], {"torch", "numpy", "PIL"}),
            (["weights", "list"], {"torch", "numpy", "PIL"}),
            (["info", "coded.agv"], {"torch"}),
        ],
    )
    def test_imports(self, arguments: list[str], forbidden: set[str], coded: Path) -> None:
        code = (
            "import sys, contextlib\nfrom agvae.cli import main\n"
            f"with contextlib.suppress(SystemExit): main({arguments!r})\n"
            f"print(*sorted({forbidden!r} & set(sys.modules)), file=sys.stderr)"
        )
        result = python("-c", code, folder=coded.parent)
        assert len(result.stdout) > 50
        assert result.stderr.strip() == ""

    def test_runs_as_a_module(self, coded: Path) -> None:
        result = python("-m", "agvae", "info", "coded.agv", "--json", folder=coded.parent)
        assert json.loads(result.stdout)["model"] == "some-model"

    def test_version(self, tmp_path: Path) -> None:
        assert python("-m", "agvae", "--version", folder=tmp_path).stdout.startswith("agvae")

    def test_any_name_is_printed_in_any_encoding(self, coded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        coded.rename(coded.with_name("\u00fc.agv"))
        result = python("-m", "agvae", "info", "\u00fc.agv", folder=coded.parent)
        assert "\\xfc.agv, " in result.stdout

    @pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    @pytest.mark.parametrize("arguments", [["info", "coded.agv"], ["--help"]])
    def test_a_reader_that_has_enough(self, arguments: list[str], unbuffered: str, coded: Path) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "agvae", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": unbuffered}
        result = subprocess.run(command, env=environment, cwd=coded.parent, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert result.stderr == b""
        assert result.returncode == 141 or (arguments, unbuffered) == (["--help"], "1")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_output_that_cannot_be_written(self, unbuffered: str, coded: Path) -> None:
        command = [sys.executable, "-m", "agvae", "info", "coded.agv"]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": unbuffered}
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(command, env=environment, cwd=coded.parent, stdout=full, stderr=subprocess.PIPE)
        assert (result.returncode, result.stderr) == (
            1,
            b"agvae: error: standard output: No space left on device\n",
        )

    @pytest.mark.parametrize("arguments", [["train", "--help"], ["encode", "a.png", "a.agv"]])
    def test_an_interrupt_while_modules_are_imported(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The arguments of `train` alone need torch, whose import takes most of the time of many commands."""

        class Interrupted(MetaPathFinder):
            def find_spec(self, name: str, *_: object) -> None:
                if name.startswith("agvae.") or name == "pillow_agvae":
                    raise KeyboardInterrupt

        for name in list(sys.modules):
            if name.startswith(("agvae.training", "pillow_agvae")):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
        assert run(*arguments) == 130

    def test_warnings_look_like_other_messages(
        self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 72 * 50 - 1)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            show = warnings.showwarning
            run("encode", photo, tmp_path / "a.agv", "--model", "none-such")
            assert warnings.showwarning is show
        first, second = capsys.readouterr().err.splitlines()
        assert first.startswith("agvae: warning: Image size (3600 pixels) exceeds limit")
        assert second.startswith("agvae: error: ")

    def test_traceback_on_request(self, tmp_path: Path) -> None:
        arguments = ("-m", "agvae", "info", "none.agv")
        assert "Traceback" not in python(*arguments, folder=tmp_path, status=1).stderr
        assert "Traceback" in python("-X", "dev", *arguments, folder=tmp_path, status=1).stderr


class TestErrors:
    """One line on standard error, status 1, no traceback."""

    def check(self, capsys: pytest.CaptureFixture[str], message: str, *arguments: str | Path) -> None:
        assert run(*arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("agvae: error: ")
        assert error.count("\n") == 1
        assert message in error

    def test_missing_input(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.check(capsys, "none.png: No such file", "encode", tmp_path / "none.png", tmp_path / "out.agv")
        self.check(capsys, "none.agv: No such file", "decode", tmp_path / "none.agv", tmp_path / "out.png")
        self.check(capsys, "none.agv: No such file", "info", tmp_path / "none.agv")
        self.check(capsys, "none: No such file", "evaluate", tmp_path / "none", "--peers")

    def test_input_of_another_kind(self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = tmp_path / "text"
        text.write_text("hello")
        self.check(capsys, "cannot identify image file", "encode", text, tmp_path / "out.agv")
        self.check(capsys, "not an AGV file", "info", photo)
        self.check(capsys, "not an AGV file", "decode", photo, tmp_path / "out.png")
        self.check(capsys, "is not a checkpoint of agvae train", "export", text)
        torch.save({"version": 1}, tmp_path / "other.pt")
        self.check(capsys, "is not a checkpoint of agvae train", "export", tmp_path / "other.pt")
        torch.save([1], tmp_path / "other.pt")
        self.check(capsys, "is not a checkpoint of agvae train", "export", tmp_path / "other.pt")
        self.check(capsys, "is not a checkpoint of agvae train", "train", "--resume", text)

    def test_what_is_no_model_file(
        self, tiny_checkpoint: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        export = "it is no model file, but a zip, as checkpoints are: agvae export makes the model file of a checkpoint"
        start = ("train", "--data", tmp_path, "--output", tmp_path / "run", "--init-from")
        for command in (("info", "--model"), start):
            self.check(capsys, f"checkpoint.pt': {export}", *command, tiny_checkpoint)
            self.check(capsys, "photo.png': it is no model file\n", *command, photo)
        (tmp_path / "empty").touch()
        self.check(capsys, "empty': it is no model file\n", "info", "--model", tmp_path / "empty")
        save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
        self.check(capsys, "it is no model file of agvae\n", "info", "--model", tmp_path / "other.safetensors")
        for command, target in (("encode", ["o.agv"]), ("compare", ["-o", "o.html"])):
            assert run(command, photo, *target, "--model", tiny_checkpoint) == 2
            assert "checkpoint.pt' is a file, and a model is wanted by its name: agvae" in capsys.readouterr().err

    def test_every_error_names_the_file(
        self, photo: Path, coded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Image.new("CMYK", (4, 4)).save(tmp_path / "ink.tif")
        self.check(capsys, "ink.tif: cannot write mode CMYK as AGV", "encode", tmp_path / "ink.tif", tmp_path / "o.agv")
        self.check(capsys, f"{photo}: not an AGV file", "info", photo)
        self.check(capsys, f"{photo}: not an AGV file", "decode", photo, tmp_path / "o.png")
        Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png", transparency=5)
        deep = "deep.png: has a transparent grey of 16 bits (in PNG the chunk tRNS)"
        self.check(capsys, deep, "encode", tmp_path / "deep.png", tmp_path / "o.agv")
        data = coded.read_bytes()
        coded.write_bytes(data[:30])
        for arguments in (["info", coded], ["decode", coded, tmp_path / "o.png"]):
            self.check(capsys, f"{coded}: ", *arguments)

    def test_nothing_is_written_on_an_error(self, photo: Path, tmp_path: Path) -> None:
        before = sorted(tmp_path.iterdir())
        assert run("decode", photo, tmp_path / "out.png") == 1
        assert sorted(tmp_path.iterdir()) == before

    def test_readers_that_raise_all_kinds(
        self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refuse(*_: object) -> None:
            raise KeyError("tag")  # noqa: EM101

        monkeypatch.setattr(Image.Image, "load", refuse)
        self.check(capsys, f"{photo}: KeyError: 'tag'", "encode", photo, tmp_path / "out.agv")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    def test_a_full_device_is_named(self, photo: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.check(capsys, "/dev/full: No space left on device", "encode", photo, "/dev/full")

    def test_unknown_extension(self, coded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.check(capsys, "Pillow writes no format", "decode", coded, tmp_path / "out.xyz")
        self.check(capsys, "Pillow writes no format", "decode", coded, tmp_path / "out")

    def test_a_package_that_would_read_a_file_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(images, "find_spec", lambda _: None)
        for suffix, package in ((".HEIC", "pillow-heif"), (".jxl", "pillow-jxl-plugin"), (".txt", "")):
            path = tmp_path / f"a{suffix}"
            path.write_bytes(b"not known")
            hint = f" (pip install {package})" if package else ""
            self.check(capsys, f"{path}: cannot identify image file{hint}\n", "encode", path, tmp_path / "a.agv")

    @pytest.mark.parametrize("command", ["demo", "train"])
    def test_a_file_where_a_folder_is_wanted(
        self, command: str, photo: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments: dict[str, list[str | Path]] = {
            "demo": ["--out", photo],
            "train": ["--data", photo, "--output", photo, "--device", "cpu", "--crop", "64"],
        }
        self.check(capsys, f"{photo}: is there, but is no folder", command, *arguments[command])

    def test_export_writes_model_files_alone(
        self, photo: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = photo.read_bytes()
        (tmp_path / "link.safetensors").symlink_to(photo)
        for name, message in (
            (photo.name, "has the extension .safetensors"),
            ("m.agv", "has the extension .safetensors"),
            ("link.safetensors", "a name for files of another kind"),
        ):
            self.check(capsys, message, "export", tiny_checkpoint, tmp_path / name, "--force")
        assert photo.read_bytes() == before
        assert not (tmp_path / "m.agv").exists()

    def test_the_folder_of_a_run_is_no_checkpoint(
        self, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        message = f"{tiny_checkpoint.parent}: is a folder: name a checkpoint in it, such as {tiny_checkpoint}"
        self.check(capsys, message, "train", "--resume", tiny_checkpoint.parent)
        self.check(capsys, message, "export", tiny_checkpoint.parent)

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
    def test_what_has_no_end(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "zero.agv").symlink_to("/dev/zero")
        self.check(capsys, "zero.agv: not an AGV file", "decode", tmp_path / "zero.agv", tmp_path / "a.png")

    def test_refused_mode(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "real.tif"
        Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
        self.check(capsys, "cannot write mode F", "encode", path, tmp_path / "out.agv")

    @pytest.mark.parametrize(
        ("dtypes", "reason"),
        [
            ("BBH", "frame 2 has 16 bits, those before it 8: convert them to one depth"),
            ("HB", "frame 1 has 8 bits, those before it 16: convert them to one depth"),
            ("Bf", "frame 1: cannot write mode F as AGV"),
        ],
    )
    def test_pages_of_mixed_depths_are_named(
        self, dtypes: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first, *others = (Image.fromarray(np.zeros((4, 4), dtype)) for dtype in dtypes)
        first.save(tmp_path / "pages.tif", save_all=True, append_images=others)
        self.check(capsys, reason, "encode", tmp_path / "pages.tif", tmp_path / "out.agv")

    def test_model_name(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.check(capsys, "not a model name", "export", tmp_path / "none.pt", "--name", "a b")

    @pytest.mark.parametrize("error", [MemoryError, OverflowError("too large"), EOFError, struct.error("bad")])
    def test_what_pillow_raises(
        self,
        error: Exception,
        photo: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def refuse(*_: object) -> None:
            raise error

        monkeypatch.setattr(Image, "open", refuse)
        self.check(capsys, "", "encode", photo, tmp_path / "out.agv")

    def test_unknown_model(
        self, coded: Path, photo: Path, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.check(capsys, "some-model", "decode", coded, tmp_path / "out.png")
        self.check(capsys, "none-such", "encode", photo, tmp_path / "out.agv", "--model", "none-such")

    def test_missing_extra(
        self, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in [name for name in sys.modules if name.startswith("agvae.evaluation.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "scipy.interpolate", None)
        self.check(capsys, "pip install 'agvae[eval]'", "evaluate", photo.parent)
        for name in [name for name in sys.modules if name.startswith("agvae.networks.reference")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "compressai", None)
        self.check(capsys, "pip install 'agvae[train]'", "info", "--model", "agvae2021")


class TestInfo:
    def test_json(self, coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("info", coded, "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["width"], found["height"], found["mode"], found["frames"]) == (80, 60, "RGB", 1)
        assert (found["quality"], found["s"], found["l"]) == (2.25, 2, 0.25)
        assert (found["model"], found["digest"]) == ("some-model", "0001020304050607")
        assert (found["tiles"], found["tile_size"], found["damage"]) == (2, 64, None)
        assert found["bytes"] == coded.stat().st_size
        assert found["metadata"] == ["comment"]

    def test_several_files(self, coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = Path(__file__).parents[1] / "data"
        assert run("info", coded, data / "rgb-q1.agv") == 0
        first, second = capsys.readouterr().out.split("\n\n")
        assert first.startswith(f"file:       {coded}, ")
        assert second.startswith(f"file:       {data / 'rgb-q1.agv'}, ")
        assert run("info", coded, "none.agv", "--json", data / "rgb-q1.agv") == 1
        out, err = capsys.readouterr()
        found = [json.loads(line) for line in out.splitlines()]
        assert [one["file"] for one in found] == [str(coded), str(data / "rgb-q1.agv")]
        assert "none.agv: No such file" in err
        assert run("info", "--json") == 2
        assert run("info", coded, "--model", "base-1") == 2

    def test_for_people(self, coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("info", coded) == 0
        out = capsys.readouterr().out
        assert "80 x 60 RGB" in out
        assert "2.25 (s = 2, l = 0.25)" in out
        assert "metadata:   comment" in out

    def test_frames_range_and_thumbnail(self, capsys: pytest.CaptureFixture[str]) -> None:
        data = Path(__file__).parents[1] / "data"
        assert run("info", data / "frames-q2.agv") == 0
        out = capsys.readouterr().out
        assert "frames:     3, 73.367 ms in all, shown 3 times" in out
        assert "thumbnail:  none" in out
        assert run("info", data / "deep-q5.agv") == 0
        assert "image:      60 x 44 I;16, values from 2568 to 5080" in capsys.readouterr().out
        assert run("info", data / "thumbnail-q1.5.agv") == 0
        out = capsys.readouterr().out
        assert "frames:     1\n" in out
        assert "thumbnail:  384 x 29" in out

    @pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no such device")
    def test_of_a_pipe(self, coded: Path) -> None:
        command = [sys.executable, "-m", "agvae", "info", "/dev/stdin", "--json"]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        found = subprocess.run(command, env=environment, input=coded.read_bytes(), stdout=subprocess.PIPE, check=True)
        assert json.loads(found.stdout)["bytes"] == coded.stat().st_size

    def test_hash_is_of_all_frames(self, capsys: pytest.CaptureFixture[str]) -> None:
        data = Path(__file__).parents[1] / "data"
        expected = json.loads((data / "conformance.json").read_text())
        for name in ("frames-q2.agv", "rgb-q3.5.agv"):
            assert run("info", data / name, "--json", "--hash") == 0
            assert json.loads(capsys.readouterr().out)["latents_sha256"] == expected[name]["latents_sha256"]

    def test_damaged_tile(self, coded: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = bytearray(coded.read_bytes())
        data[-5] ^= 1
        coded.write_bytes(data)
        assert run("info", coded, "--json") == 1
        assert "checksum" in json.loads(capsys.readouterr().out)["damage"]
        assert run("info", coded) == 1
        assert "DAMAGED" in capsys.readouterr().out

    def test_other_weights_are_no_damage(
        self, coded: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("info", coded, "--json", "--hash") == 1
        found = json.loads(capsys.readouterr().out)
        assert found["damage"] is None
        assert "some-model" in found["hash_error"]
        assert run("info", coded, "--hash") == 1
        out = capsys.readouterr().out
        assert "checksums:  right" in out
        assert "latents:    not decoded: " in out


class TestWeights:
    def test_list_and_path(
        self, tiny_weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tiny_weights / "tiny.safetensors"
        assert run("weights", "list") == 0
        assert capsys.readouterr().out == f"tiny (default): tiny, mse, quality 1 to 6, {file}\n"
        for action in ("path", "fetch"):
            assert run("weights", action) == 0
            assert capsys.readouterr().out == f"{file}\n"
        assert run("weights", "path", "nope") == 1
        assert "unknown model 'nope'" in capsys.readouterr().err

    def test_another_model_under_a_released_name_is_told_of(
        self, tiny_weights_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        entry = json.loads((tiny_weights_folder / "registry.json").read_text())["models"]["tiny"]
        (tmp_path / "registry.json").write_text(json.dumps({"models": {"base-1": entry, "tiny": entry}}))
        with agvae.options.using(weights=tmp_path):
            assert run("weights", "list") == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"agvae: warning: the registry in {tmp_path} has another model under the name 'base-1'")

    def test_not_here(
        self,
        tiny_weights: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "registry.json").write_bytes((tiny_weights / "registry.json").read_bytes())
        monkeypatch.setattr(registries, "BUNDLED", tmp_path)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv(weights.OFFLINE_VARIABLE, "1")
        monkeypatch.delenv(weights.URL_VARIABLE, raising=False)
        assert run("weights", "list") == 0
        assert "not here" in capsys.readouterr().out
        assert run("weights", "path") == 1
        assert "agvae weights fetch tiny" in capsys.readouterr().err
        assert run("weights", "fetch") == 1
        assert weights.OFFLINE_VARIABLE in capsys.readouterr().err


@pytest.mark.usefixtures("tiny_weights")
class TestCoding:
    def test_round_trip(self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded, back = tmp_path / "photo.agv", tmp_path / "back.png"
        assert run("encode", photo, coded, "-q", "4.5") == 0
        assert run("decode", coded, back) == 0
        out = capsys.readouterr().out
        assert f"{coded}: {coded.stat().st_size} bytes" in out
        assert f"{8 * coded.stat().st_size / (72 * 50):.4f} bpp, quality 4.5" in out
        with Image.open(photo) as before, Image.open(back) as after:
            assert (after.mode, after.size) == ("RGB", (72, 50))
            assert psnr(np.asarray(before), np.asarray(after)) > 25
        assert run("info", coded, "--json", "--hash") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["quality"], found["model"]) == (4.5, "tiny")
        assert len(bytes.fromhex(found["latents_sha256"])) == 32

    def test_links_to_files_of_another_kind(
        self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before, link = photo.read_bytes(), tmp_path / "link.agv"
        other = tmp_path / "other.png"
        other.write_bytes(before)
        for target in ("other.png", "new.png"):
            link.symlink_to(target)
            assert run("encode", photo, link, "--force") == 1
            assert "a name for files of another kind" in capsys.readouterr().err
            link.unlink()
        assert run("encode", photo, tmp_path / "a.agv") == 0
        (tmp_path / "b.jpg").symlink_to("b.bmp")
        assert run("decode", tmp_path / "a.agv", tmp_path / "b.jpg") == 1
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.agv", "other.png", "photo.png"]
        assert other.read_bytes() == before

    @pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
    def test_pipes_get_png(self, photo: Path, tmp_path: Path) -> None:
        assert run("encode", photo, tmp_path / "a.agv", "--model", "tiny") == 0
        code = (
            "import sys; from pathlib import Path; from agvae.cli import main; from agvae.weights import registries\n"
            f"registries.BUNDLED = Path({str(registries.BUNDLED)!r})\n"
            "sys.exit(main(['decode', 'a.agv', '/dev/stdout']))"
        )
        command = [sys.executable, "-c", code]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=True)
        with Image.open(BytesIO(result.stdout)) as image:
            assert (image.format, image.size) == ("PNG", (72, 50))
        assert result.stderr == b"/dev/stdout: 72 x 50, RGB\n"

    def test_heic_is_read_and_written(self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("pillow_heif")
        for registry in (Image.OPEN, Image.SAVE, Image.EXTENSION):
            for key in [key for key, value in registry.items() if "HEIF" in (key, value)]:
                monkeypatch.delitem(registry, key)
        monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
        assert run("encode", photo, tmp_path / "a.agv") == 0
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.heic") == 0
        assert run("encode", tmp_path / "a.heic", tmp_path / "b.agv") == 0
        assert agvae.read_info(tmp_path / "b.agv")["width"] == 72

    def test_quality_decides_the_size(self, photo: Path, tmp_path: Path) -> None:
        sizes = []
        for quality in ("1", "50", "6"):
            assert run("encode", photo, tmp_path / "x.agv", "-q", quality, "--force") == 0
            sizes.append((tmp_path / "x.agv").stat().st_size)
        assert sizes == sorted(set(sizes))

    @pytest.mark.parametrize(
        ("mode", "expected"), [("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("1", "L"), ("P", "RGB")]
    )
    def test_modes(self, mode: str, expected: str, tmp_path: Path) -> None:
        source = tmp_path / "image.png"
        Image.fromarray(picture(40, 24)).convert(mode).save(source)
        assert run("encode", source, tmp_path / "image.agv") == 0
        assert run("decode", tmp_path / "image.agv", tmp_path / "back.png") == 0
        with Image.open(tmp_path / "back.png") as back:
            assert (back.mode, back.size) == (expected, (40, 24))

    @pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
    def test_metadata(self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        exif = Image.Exif()
        exif[0x010F] = "a camera"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        source, back = tmp_path / "image.jpg", tmp_path / f"back.{extension}"
        image = Image.fromarray(picture(40, 24))
        image.save(source, exif=exif, icc_profile=profile, xmp=b"<xmp/>", dpi=(72, 72), comment=b"hello")
        assert run("encode", source, tmp_path / "image.agv") == 0
        assert run("info", tmp_path / "image.agv", "--json") == 0
        printed = capsys.readouterr().out
        names = json.loads(printed[printed.index("{") :])["metadata"]
        assert names == ["icc_profile", "exif", "xmp", "comment", "dpi"]
        assert run("decode", tmp_path / "image.agv", back) == 0
        with Image.open(back) as image:
            assert image.getexif()[0x010F] == "a camera"
            assert image.info["icc_profile"] == profile
            assert image.info["xmp"] == b"<xmp/>"
            if extension != "webp":
                assert image.info["dpi"] == pytest.approx((72, 72), rel=1e-3)
            held = image.info.get("Comment" if extension == "png" else "comment")
        assert held in ("hello", b"hello", None)
        assert ("without its comment" in capsys.readouterr().err) == (held is None)

    @pytest.mark.parametrize("comment", ["caf\u00e9 \U0001f600", "two\nlines", "x" * 10**6])
    def test_comments_go_through_png(self, comment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded, back, again = (tmp_path / name for name in ("a.agv", "back.png", "again.agv"))
        coded.write_bytes(agvae.encode(picture(40, 24), lossless=True, metadata=Metadata(comment=comment)))
        assert run("decode", coded, back) == 0
        assert run("encode", back, again, "--lossless") == 0
        assert capsys.readouterr().err == ""
        assert agvae.read_metadata(again).comment == comment.encode()

    @pytest.mark.parametrize("comment", [b"caf\xe9", b"a\0b"])
    def test_comments_that_are_no_text_are_told_of(
        self, comment: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.agv").write_bytes(
            agvae.encode(picture(40, 24), lossless=True, metadata=Metadata(comment=comment))
        )
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png") == 0
        assert "without its comment, which PNG cannot hold" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "metadata",
        [Metadata(dpi=(1e-3, 1e6)), Metadata(exif=b"x" * 70000), Metadata(comment=b"x" * 70000, dpi=(1e6, 1e6))],
    )
    @pytest.mark.parametrize("extension", ["png", "jpg", "tif", "bmp", "webp"])
    def test_metadata_that_the_format_cannot_hold(
        self, metadata: Metadata, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        coded, back = tmp_path / "image.agv", tmp_path / f"back.{extension}"
        coded.write_bytes(agvae.encode(picture(40, 24), metadata=metadata))
        assert run("decode", coded, back) == 0
        with Image.open(back) as image:
            assert image.size == (40, 24)
        if extension == "jpg" and (metadata.exif or metadata.comment):
            assert "warning" in capsys.readouterr().err

    @pytest.mark.parametrize("extension", ["gif", "png", "webp", "tif", "agv"])
    def test_all_frames(self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded, back = tmp_path / "film.agv", tmp_path / f"back.{extension}"
        frames = [picture(40, 24)[::step] for step in (1, -1, 1)]
        coded.write_bytes(agvae.encode(frames, 2, metadata=Metadata(durations=(40, 100.0, 70), loop=3)))
        assert run("decode", coded, back) == 0
        output = capsys.readouterr()
        assert "3 frames of 40 x 24" in output.out
        said = {"gif": "at most 256 colours are left", "tif": "without its durations and number of loops"}.get(
            extension
        )
        assert output.err.count("warning") == bool(said)
        assert (said or "") in output.err
        with Image.open(back) as image:
            assert image.n_frames == 3  # type: ignore[attr-defined]
            times = [(image.seek(frame), image.load(), image.info.get("duration"))[2] for frame in range(3)]
            loop = {"tif": None, "gif": 2}.get(extension, 3)  # a GIF file says how often it is shown again
            assert image.info.get("loop") == loop
            pixels = np.asarray(image.convert("RGB")).astype(int)
        assert times == ([None] * 3 if extension == "tif" else [40, 100, 70])
        assert np.abs(pixels - agvae.decode(coded, frame=2)).mean() < 10

    @pytest.mark.parametrize("extension", ["gif", "png", "webp", "tif", "avif"])
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
    def test_transparent_frames(
        self, order: tuple[int, ...], extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if Image.registered_extensions().get(f".{extension}") not in Image.SAVE_ALL:
            pytest.skip("not in this Pillow")
        frames = np.stack([np.dstack((picture(64, 48, seed), np.zeros((48, 64), np.uint8))) for seed in range(3)])
        frames[0, 8:24, 4:28, 3] = frames[1, 24:40, 36:60, 3] = frames[2, ..., 3] = 255
        frames[2, ..., :3] = 0
        frames = frames[list(order)]
        coded, back = tmp_path / "film.agv", tmp_path / f"back.{extension}"
        coded.write_bytes(agvae.encode(list(frames), 4, metadata=Metadata(durations=(40, 50, 60))))
        assert run("decode", coded, back) == 0
        assert "what is transparent" not in capsys.readouterr().err
        with Image.open(back) as image:
            for number, frame in enumerate(frames):
                image.seek(number)
                found = np.asarray(image.convert("RGBA")).astype(int)
                assert np.abs(found[..., 3] - frame[..., 3]).mean() < 2, number
                seen = frame[..., 3] > 0
                assert np.abs(found - agvae.decode(coded, frame=number))[seen].mean() < 10, number

    def test_frames_that_cannot_be_read_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Pillow's writer of MPO says of all frames but the first three that they are elsewhere."""
        coded, back = tmp_path / "film.agv", tmp_path / "back.mpo"
        frames = [picture(40, 24, seed) for seed in range(4)]
        coded.write_bytes(agvae.encode(frames, 2))
        if run("decode", coded, back) == 0:
            with Image.open(back) as image:
                for number in range(4):
                    image.seek(number)
                    assert np.abs(np.asarray(image).astype(int) - agvae.decode(coded, frame=number)).mean() < 20
        else:
            assert "back.mpo: frame 4 of 4 cannot be read again" in capsys.readouterr().err
            assert not back.exists()
        coded.write_bytes(agvae.encode(frames[:3], 2))
        assert run("decode", coded, back) == 0

    @pytest.mark.parametrize("extension", ["gif", "png", "webp", "avif"])
    def test_pages_are_shown_for_long_enough(
        self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if Image.registered_extensions().get(f".{extension}") not in Image.SAVE_ALL:
            pytest.skip("not in this Pillow")
        coded, back = tmp_path / "pages.agv", tmp_path / f"back.{extension}"
        coded.write_bytes(agvae.encode([picture(40, 24)[..., 0], picture(40, 24, 1)[..., 0]], 2))
        assert run("decode", coded, back) == 0
        assert "each frame is shown for a second" in capsys.readouterr().err
        with Image.open(back) as image:
            for number in range(2):
                image.seek(number)
                image.load()
                assert image.info["duration"] == 1000

    def test_durations_that_a_format_rounds(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded = tmp_path / "film.agv"
        frames = [picture(40, 24)[..., 0], picture(40, 24, 1)[..., 0]]
        coded.write_bytes(agvae.encode(frames, 2, metadata=Metadata(durations=(40, 76))))
        assert run("decode", coded, tmp_path / "a.gif") == 0
        assert "durations change by up to 6 ms" in capsys.readouterr().err
        assert run("decode", coded, tmp_path / "a.webp") == 0
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize(("extension", "milliseconds"), [("gif", 700_000), ("png", 100_001)])
    def test_durations_beyond_a_format(
        self, extension: str, milliseconds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frames = [picture(40, 24), picture(40, 24, 1)]
        (tmp_path / "a.agv").write_bytes(agvae.encode(frames, 2, metadata=Metadata(durations=(40, milliseconds))))
        target = tmp_path / f"a.{extension}"
        assert run("decode", tmp_path / "a.agv", target) == 1
        said = f"{target}: Pillow writes no frames of {milliseconds} ms as {extension.upper()}: take another format"
        assert said in capsys.readouterr().err
        assert not target.exists()

    def test_colours_of_a_palette(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for pixels, said in ((picture(40, 24), True), (np.full((24, 40, 3), (9, 80, 200), np.uint8), False)):
            (tmp_path / "a.agv").write_bytes(agvae.encode(pixels, 6))
            assert run("decode", tmp_path / "a.agv", tmp_path / "a.gif", "--force") == 0
            assert ("at most 256 colours are left" in capsys.readouterr().err) is said

    def test_the_first_frame_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded, back = tmp_path / "film.agv", tmp_path / "back.bmp"
        coded.write_bytes(agvae.encode([picture(40, 24), picture(40, 24)[::-1]], 2))
        assert run("decode", coded, back) == 0
        assert "only the first of 2 frames" in capsys.readouterr().err
        with Image.open(back) as image:
            assert np.array_equal(np.asarray(image), agvae.decode(coded))

    def test_agv_to_agv(self, photo: Path, tmp_path: Path) -> None:
        first, second, third = (tmp_path / f"{number}.agv" for number in range(3))
        assert run("encode", photo, first) == 0
        assert run("encode", first, second, "-q", "2") == 0
        assert run("decode", second, third) == 0
        assert agvae.read_info(second)["quality"] == 2
        assert agvae.read_info(third)["width"] == 72

    def test_truncated_file(self, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded = tmp_path / "photo.agv"
        assert run("encode", photo, coded) == 0
        coded.write_bytes(coded.read_bytes()[:-9])
        assert run("decode", coded, tmp_path / "back.png") == 1
        assert "truncated" in capsys.readouterr().err
        assert run("decode", coded, tmp_path / "back.png", "--damaged-ok") == 1
        assert f"{coded}: every tile is lost" in capsys.readouterr().err
        assert not (tmp_path / "back.png").exists()

    def test_demo(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("demo", "--out", tmp_path / "out") == 0
        out = capsys.readouterr().out
        assert "bpp, PSNR" in out
        encoded = (tmp_path / "out" / "chelsea.agv").read_bytes()
        assert f"{len(encoded)} bytes" in out
        with Image.open(tmp_path / "out" / "chelsea.png") as decoded:
            assert np.array_equal(np.asarray(decoded), agvae.decode(encoded))

    def test_evaluate(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        images, output = tmp_path / "images", tmp_path / "results"
        images.mkdir()
        for name, size in (("a.png", (176, 168)), ("b.png", (48, 80))):
            Image.fromarray(picture(*size)).save(images / name)
        anchors = tmp_path / "anchors.json"
        anchors.write_text(
            json.dumps({"paper": {"bpp": [0.01, 20], "psnr": [5, 60]}, "other": {"bpp": [1], "psnr": [30]}})
        )
        arguments: list[str | Path] = ["evaluate", images, "-o", output, "-q", "5", "1", "3", "2", "--peers", "jpeg"]
        assert run(*arguments, "--anchors", anchors, "paper") == 0
        streams = capsys.readouterr()
        assert "2 of 2 images, b.png" in streams.err
        assert streams.out.strip() == (output / "report.md").read_text().strip()

        header, *rows = (output / "rows.csv").read_text().splitlines()
        assert header.startswith("codec,setting,image,width,height,bytes,bpp,psnr,ms_ssim,encode_s,decode_s")
        assert len(rows) == 2 * (4 + 7)
        with Image.open(images / "b.png") as image:
            length = len(agvae.encode(image, quality=2))
        assert any(row.startswith(f"agvae,2.0,b.png,48,80,{length},") for row in rows)

        summary = json.loads((output / "summary.json").read_text())
        assert summary["command"].startswith(f"agvae evaluate {images} -o {output} -q 5 1 3 2")
        assert summary["model"]["name"] == "tiny"
        file = (registries.BUNDLED / "tiny.safetensors").read_bytes()
        assert weights.registry()["models"]["tiny"]["size"] == len(file)
        assert len(summary["model"]["sha256"]) == 64
        assert summary["curves"]["agvae"]["setting"] == [1, 2, 3, 5]
        assert summary["curves"]["agvae"]["bpp"] == sorted(summary["curves"]["agvae"]["bpp"])
        assert {delta["anchor"] for delta in summary["bd"]} == {"jpeg", "paper"}
        assert summary["continuity"]["mean_size_rises"] is True
        assert summary["machine"]["cores"] == os.cpu_count()
        with Image.open(BytesIO((output / "psnr.png").read_bytes())) as plot:
            assert plot.format == "PNG"


@pytest.mark.usefixtures("tiny_weights")
class TestNothingIsReplaced:
    """No command writes where it reads, replaces what it was not told to, or gives a file a wrong extension."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> dict[str, bytes]:
        for seed, name in enumerate(("a.png", "b.png")):
            Image.fromarray(picture(24, 16, seed)).save(tmp_path / name)
        for name in ("a", "b"):
            (tmp_path / f"{name}.agv").write_bytes(agvae.encode(Image.open(tmp_path / f"{name}.png"), 2))
        (tmp_path / "link.agv").symlink_to("a.agv")
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    @pytest.mark.parametrize(
        ("command", "names", "message"),
        [
            ("encode", ["a.png", "b.png"], "b.png: an AGV file has the extension .agv"),
            ("encode", ["a.png", "a.png"], "a.png: an AGV file has the extension .agv"),
            ("encode", ["a.png", "new.webp"], "new.webp: an AGV file has the extension .agv"),
            ("encode", ["a.png", "new"], "new: an AGV file has the extension .agv"),
            ("encode", ["a.png", "b.agv"], "b.agv: exists already"),
            ("encode", ["a.png", "link.agv"], "link.agv: exists already"),
            ("decode", ["a.agv", "b.agv"], "b.agv: exists already"),
            ("decode", ["a.agv", "b.png"], "b.png: exists already"),
            ("decode", ["a.agv", "a.agv", "--force"], "a.agv: is the file to read"),
            ("encode", ["a.agv", "link.agv", "--force"], "link.agv: is the file to read"),
            ("encode", ["link.agv", "a.agv", "--force"], "a.agv: is the file to read"),
        ],
    )
    def test_refused(
        self,
        command: str,
        names: list[str],
        message: str,
        files: dict[str, bytes],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert run(command, *(name if name.startswith("-") else tmp_path / name for name in names)) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files

    def test_replaced_when_told_to(self, files: dict[str, bytes], tmp_path: Path) -> None:
        assert run("encode", tmp_path / "b.png", tmp_path / "link.agv", "-f") == 0
        assert (tmp_path / "a.agv").read_bytes() != files["a.agv"]
        assert (tmp_path / "link.agv").is_symlink()
        assert run("decode", tmp_path / "a.agv", tmp_path / "b.png", "--force") == 0
        assert (tmp_path / "b.png").read_bytes() != files["b.png"]

    def test_the_demonstration(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "chelsea.png").write_bytes(b"mine")
        assert run("demo", "--out", tmp_path) == 1
        assert "chelsea.png: exists already" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["chelsea.png"]
        assert (tmp_path / "chelsea.png").read_bytes() == b"mine"

    @pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
    def test_standard_output_is_no_file_to_replace(self, files: dict[str, bytes], tmp_path: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), weights.URL_VARIABLE: str(registries.BUNDLED)}
        command = [sys.executable, "-m", "agvae", "encode", "a.png", "/dev/stdout", "--model", "tiny"]
        with (tmp_path / "out.agv").open("wb") as file:
            subprocess.run(command, env=environment, cwd=tmp_path, stdout=file, check=True)
        assert agvae.read_info(tmp_path / "out.agv")["model"] == "tiny"


@pytest.mark.usefixtures("tiny_weights")
class TestNothingIsLost:
    """What is read is written, or a line says what is not."""

    def encoded(self, source: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
        """What a file made of a picture holds, and the warnings."""
        target = source.with_suffix(".agv")
        assert run("encode", source, target, "-q", "6") == 0
        return agvae.read_info(target), capsys.readouterr().err

    @pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif"])
    def test_all_frames(self, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, *rest = (Image.fromarray(picture(40, 24, seed)) for seed in range(3))
        first.save(tmp_path / name, save_all=True, append_images=rest, duration=[40, 50, 60], loop=2)
        found, error = self.encoded(tmp_path / name, capsys)
        assert found["frames"] == 3
        assert found["durations"] == (None if name == "a.tif" else [40, 50, 60])
        assert found["loop"] == {"a.tif": None, "a.gif": 3}.get(name, 2)  # a GIF file says how often it is shown again
        tiles = Reader(BytesIO((tmp_path / "a.agv").read_bytes())).tiles()
        others = name == "a.gif" and any(tile.kind != b"WEBP" for tile in tiles)
        assert error.count("warning") == error.count("its few colours may have become others") == others
        for frame, image in enumerate((first, *rest)):
            assert psnr(np.asarray(image), agvae.decode(tmp_path / "a.agv", frame=frame)) > 12

    def test_all_frames_of_16_bits(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, *rest = (Image.fromarray(picture(40, 24, seed)[..., 0].astype(np.uint16) * 200) for seed in range(3))
        first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
        found, error = self.encoded(tmp_path / "a.tif", capsys)
        assert (found["frames"], found["mode"], error) == (3, "I;16", "")

    @pytest.mark.parametrize("form", ["TIFF", "MPO"])
    def test_pictures_of_several_sizes(self, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        first, *others = (Image.fromarray(picture(*size)) for size in ((40, 24), (40, 24), (20, 12)))
        first.save(tmp_path / "a.x", form, save_all=True, append_images=others)
        found, error = self.encoded(tmp_path / "a.x", capsys)
        assert (found["frames"], found["width"], found["height"]) == (1, 40, 24)
        assert "a.x: only the first picture, without 2 of its 3 pictures, as they are not of one size" in error
        assert psnr(np.asarray(first), agvae.decode(tmp_path / "a.agv")) > 20
        first.save(tmp_path / "a.x", form, save_all=True, append_images=others[:1])
        (tmp_path / "a.agv").unlink()
        found, error = self.encoded(tmp_path / "a.x", capsys)
        assert (found["frames"], error) == (2, "")

    def test_depth(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.ppm").write_bytes(b"P6 4 4 1023\n" + bytes(range(96)))
        assert "a.ppm: 8 of its 10 bits are kept" in self.encoded(tmp_path / "a.ppm", capsys)[1]
        (tmp_path / "b.png").write_bytes(png_of_16_bits())
        assert "b.png: 8 of its 16 bits are kept" in self.encoded(tmp_path / "b.png", capsys)[1]
        for form, letter in (("JPEG2000", "c"), ("TIFF", "d"), ("PNG", "e"), ("AVIF", "f")):
            if form in Image.SAVE:
                Image.new("RGB", (16, 16)).save(tmp_path / f"{letter}.x", form)
                assert self.encoded(tmp_path / f"{letter}.x", capsys)[1] == ""

    def test_depth_of_headers(self) -> None:
        file = BytesIO()
        Image.new("RGB", (16, 16)).save(file, "JPEG2000")
        data = bytearray(file.getvalue())
        at = data.find(b"\xff\x4f\xff\x51")
        data[at + 42 : at + 51 : 3] = bytes([11]) * 3
        with Image.open(BytesIO(data)) as image:
            assert parts_lost(image)[0] == ["8 of its 12 bits are kept, as Pillow reads it so"]

    @pytest.mark.parametrize("extension", ["bmp", "ppm", "gif", "jp2", "pdf", "jpg", "png", "webp", "tif", "avif"])
    def test_orientation(self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        if Image.registered_extensions().get(f".{extension}") not in Image.SAVE:
            pytest.skip("not in this Pillow")
        exif = Image.Exif()
        exif[0x0112] = 6
        pixels = picture(40, 24)
        pixels[:, :20] = 0
        coded, back = tmp_path / "a.agv", tmp_path / f"a.{extension}"
        Image.fromarray(pixels).save(coded, quality=6, exif=exif)
        assert run("decode", coded, back) == 0
        held = extension in ("jpg", "png", "webp", "tif", "avif")
        assert ("turned upright" in capsys.readouterr().err) is not held
        if extension == "pdf":
            assert b"/MediaBox [ 0 0 24.0 40.0 ]" in back.read_bytes() or b"0 0 24 40" in back.read_bytes()
            return
        with Image.open(back) as image:
            upright = np.asarray(ImageOps.exif_transpose(image).convert("L")).astype(int)
        assert upright.shape == (40, 24)
        assert upright[:18].mean() + 50 < upright[22:].mean()

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    @pytest.mark.parametrize("extension", ["bmp", "ppm", "jpg", "gif", "png", "webp", "pcx"])
    def test_alpha(self, mode: str, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        image = Image.fromarray(np.full((24, 40), 60, np.uint8)).convert(mode)
        alpha = np.full((24, 40), 255, np.uint8)
        image.putalpha(Image.fromarray(alpha))
        image.save(tmp_path / "opaque.agv")
        assert run("decode", tmp_path / "opaque.agv", tmp_path / f"opaque.{extension}") == 0
        assert capsys.readouterr().err == ""
        alpha[:, :20], alpha[:12, :20] = 0, 128
        image.putalpha(Image.fromarray(alpha))
        image.save(tmp_path / "a.agv")
        assert run("decode", tmp_path / "a.agv", tmp_path / f"a.{extension}") == 0
        error = capsys.readouterr().err
        with Image.open(tmp_path / f"a.{extension}") as back:
            if extension in ("png", "webp"):
                assert not error
                assert np.array_equal(np.asarray(back.convert("RGBA"))[..., 3], alpha)
            elif extension == "gif":
                assert "a.gif: pixels are either transparent or opaque" in error
                assert not np.asarray(back.convert("RGBA"))[12:, :20, 3].any()
            else:
                assert f"a.{extension}: transparency is put on white" in error
                assert np.asarray(back.convert("L"))[12:, :18].min() > 240

    @pytest.mark.parametrize("extension", ["webp", "avif", "gif", "icns", "jpg", "bmp", "png", "tif", "jp2", "pgm"])
    def test_16_bits(self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        if Image.registered_extensions().get(f".{extension}") not in Image.SAVE:
            pytest.skip("not in this Pillow")
        values = np.repeat(np.linspace(1000, 3000, 64).astype(np.uint16)[:, None], 64, axis=1)
        Image.fromarray(values).save(tmp_path / "a.agv", quality=6)
        decoded = agvae.decode(tmp_path / "a.agv")
        assert run("decode", tmp_path / "a.agv", tmp_path / f"a.{extension}") == 0
        error = capsys.readouterr().err
        with Image.open(tmp_path / f"a.{extension}") as image:
            if extension in ("png", "tif", "jp2", "pgm"):
                assert np.array_equal(np.asarray(image), decoded)
                assert not error
                return
            found = np.asarray(image.convert("L").resize((64, 64))).astype(float)
        assert f"a.{extension}: 16 bits are scaled to 8" in error
        wanted = (decoded.astype(float) - decoded.min()) * 255 / (decoded.max() - decoded.min())
        assert np.abs(found - wanted).mean() < 8

    def test_metadata_that_cannot_be_held_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        Image.fromarray(picture(24, 16)).save(tmp_path / "a.agv", icc_profile=profile, comment="hello")
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.ppm") == 0
        assert "a.ppm: without its colour profile and comment, which PPM cannot hold" in capsys.readouterr().err

    def test_metadata_that_agv_cannot_hold_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        text = PngInfo()
        text.add_text("prompt", "a cat")
        Image.new("RGB", (16, 16)).save(tmp_path / "a.png", pnginfo=text)
        assert "a.png: without its text prompt" in self.encoded(tmp_path / "a.png", capsys)[1]
        arrays = json.dumps({"layers": [{"name": "cells"}]}).encode()
        (tmp_path / "b.agv").write_bytes(agvae.encode(picture(16, 16), metadata=Metadata(arrays=arrays)))
        for command, name in (("encode", "c.agv"), ("decode", "c.png")):
            assert run(command, tmp_path / "b.agv", tmp_path / name) == 0
            assert "without what it says of arrays" in capsys.readouterr().err

    def test_tags_of_tiff_are_exif_data(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "a camera", 6
        exif[0x8825], exif[0x8769] = {1: "N", 2: (1.0, 2.0, 3.0)}, {0x829A: 0.5}
        Image.fromarray(picture(40, 24)).save(tmp_path / "a.tif", exif=exif.tobytes())
        found, error = self.encoded(tmp_path / "a.tif", capsys)
        assert (found["width"], found["height"], error) == (24, 40, "")  # Pillow has turned it
        with Image.open(tmp_path / "a.agv") as image:
            kept = image.getexif()
        assert dict(kept)[0x010F] == "a camera"
        assert 0x0112 not in kept
        assert 0x0111 not in kept  # where the rows lie in the file
        assert kept.get_ifd(0x8825)[2] == (1.0, 2.0, 3.0)
        assert kept.get_ifd(0x8769)[0x829A] == 0.5

    @pytest.mark.parametrize("extension", ["webp", "gif", "png"])
    def test_more_loops_than_a_format_counts(
        self, extension: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frames = [picture(24, 16), picture(24, 16)[::-1]]
        (tmp_path / "a.agv").write_bytes(agvae.encode(frames, 2, metadata=Metadata(loop=65537)))
        assert run("decode", tmp_path / "a.agv", tmp_path / f"a.{extension}") == 0
        assert "shown for ever and not 65537 times" in capsys.readouterr().err
        with Image.open(tmp_path / f"a.{extension}") as image:
            assert image.info["loop"] == 0

    def test_lost_tiles_are_counted(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        coded = tmp_path / "a.agv"
        header = Header(*read_header(agvae.encode(picture(80, 40))), tile_size=64)
        tiles = [agvae.encode(picture(64, 40)), agvae.encode(picture(16, 40))]
        payloads = [next(iter(Reader(BytesIO(tile)).tiles())) for tile in tiles]
        data = write_container(header, Metadata(), payloads)
        coded.write_bytes(data[:-6])
        assert run("decode", coded, tmp_path / "a.png") == 1
        assert run("decode", coded, tmp_path / "a.png", "--damaged-ok") == 0
        assert "1 of 2 tiles is lost" in capsys.readouterr().err
        with Image.open(tmp_path / "a.png") as back:
            assert back.crop((64, 0, 80, 40)).getextrema() == ((128, 128),) * 3
            assert back.crop((0, 0, 64, 40)).getextrema() != ((128, 128),) * 3

    def test_tiles_of_both_kinds_are_not_lost_with_metadata(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reader = Reader(BytesIO(agvae.encode(picture(80, 40))))
        exact = encode_colour(picture(80, 40), np.arange(80) + np.zeros((40, 1)) < 32)
        tile = TileData(join_mixed(exact, reader.tile(0, 0).payload or b""), kind=MIXED)
        data = bytearray(write_container(reader.header, Metadata(comment=b"hello"), [tile]))
        data[data.index(b"hello")] ^= 1
        (tmp_path / "a.agv").write_bytes(data)
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png", "--damaged-ok") == 0
        assert "the colour of all tiles is there" in capsys.readouterr().err

    def test_damaged_metadata_are_left_out(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        data = bytearray(agvae.encode(picture(40, 24), metadata=Metadata(comment=b"hello")))
        data[data.index(b"hello")] ^= 1
        (tmp_path / "a.agv").write_bytes(data)
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png") == 1
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.png", "--damaged-ok") == 0
        assert "the file is damaged" in (error := capsys.readouterr().err)
        assert "the colour of all tiles is there" in error

    def test_frames_and_sizes_that_a_format_changes(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "a.agv").write_bytes(agvae.encode([picture(300, 40)] * 2, 2))
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.gif") == 0
        out, error = capsys.readouterr()
        assert "a.gif: 1 frame, as GIF makes one of neighbours that are equal" in error
        assert " frames of" not in out
        assert run("decode", tmp_path / "a.agv", tmp_path / "a.ico") == 0
        assert "a.ico: resized to " in capsys.readouterr().err


def read_header(data: bytes) -> tuple[int, int, str, int, str, bytes]:
    header = Reader(BytesIO(data)).header
    return header.width, header.height, header.mode, header.level, header.model, header.digest


def png_of_16_bits() -> bytes:
    """4 x 4 RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_train_resume_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for seed in range(2):
        Image.fromarray(picture(96, 80, seed)).save(data / f"{seed}.png")
    options: list[str | Path] = ["--data", data, "--valid", "", "--output", output, "--batch", "1", "--crop", "64"]
    assert run("train", *options, "--patches", "1", "--precision", "fp32", "--device", "cpu") == 0
    checkpoint = output / "checkpoint.pt"
    assert run("train", "--resume", checkpoint, "--patches", "2") == 0
    capsys.readouterr()
    exported = tmp_path / "models" / "mine.safetensors"
    assert run("export", checkpoint, exported, "--name", "mine") == 0
    entry = json.loads(capsys.readouterr().out)["mine"]
    model = weights.read_model_file(exported)
    assert (entry["sha256"], entry["size"]) == (model.sha256, exported.stat().st_size)
    assert (entry["preset"], entry["quality_range"]) == ("light", [1, 6])
    assert model.card["patches"] == 2


def test_info_of_a_model_and_of_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--model", "base-1", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)
    assert main(["info", "--model", "base", "--json"]) == 0
    preset = json.loads(capsys.readouterr().out)
    assert model["complexity"] == preset["complexity"]
    assert len(model["sha256"]) == 64
    costs = model["complexity"]
    parts = [costs[name] for name in ("g_a", "h_a", "entropy", "g_s")]
    assert sum(part["parameters"] for part in parts) == costs["all"]["parameters"]
    # the last layer of g_s: 256 x 192 multiplications for each 8 x 8 pixels
    assert costs["g_s"]["kmac_per_pixel"] > 256 * 192 / 64 / 1000
    assert main(["info", "--model", "base-1"]) == 0
    assert "kMAC/pixel" in capsys.readouterr().out
    assert main(["info", "--model", "no-such"]) == 1
    assert "no-such" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20000", 20_000),
        ("2e4", 20_000),
        ("20k", 20_000),
        ("20K", 20_000),
        ("20 kB", 20_000),
        ("1.5M", 1_500_000),
        ("2Ki", 2048),
        ("1.5MiB", 1.5 * 2**20),
        ("7b", 7),
        ("20kk", None),
        ("k", None),
        ("", None),
        ("20 g", None),
    ],
)
def test_numbers_of_bytes(text: str, expected: float | None) -> None:
    if expected is None:
        with pytest.raises(argparse.ArgumentTypeError, match="no number of bytes, such as 20000, 20k"):
            types.size(text)
    else:
        assert types.size(text) == expected


@pytest.mark.usefixtures("tiny_weights")
@pytest.mark.parametrize("command", ["encode", "compare"])
def test_target_sizes_have_units(command: str, tmp_path: Path) -> None:
    Image.fromarray(picture(96, 64)).save(tmp_path / "a.png")
    target = ["-o", tmp_path / "a.html", "--peers"] if command == "compare" else [tmp_path / "a.agv"]
    assert run(command, "--target-size", "0.4k", tmp_path / "a.png", *target) == 0
    if command == "encode":
        assert 200 < (tmp_path / "a.agv").stat().st_size <= 400
    assert run(command, "--target-size", "2q", tmp_path / "a.png", *target) == 2
