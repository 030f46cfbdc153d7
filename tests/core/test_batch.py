"""Many files: which are taken, where they go, and how a batch ends, whatever ends it."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

import agvae
from agvae import images
from agvae.batch import Batch, Result
from agvae.batch.inputs import Search, Source
from agvae.batch.plan import Job, check_pattern, planned
from agvae.batch.processes import in_processes
from agvae.batch.work import Work
from agvae.cli.bars import Bar
from agvae.conversion.to_agv import Encoding
from agvae.whole_file import remove_leftovers, whole_file
from tests.support.commands import run
from tests.support.doubling import Doubling, Unready
from tests.support.helpers import picture

SOURCE = Path(agvae.__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


def _keeps_attributes() -> bool:
    with TemporaryDirectory() as folder:
        try:
            os.setxattr(folder, "user.test", b"value")
        except (AttributeError, OSError):
            return False
    return True


attributes = pytest.mark.skipif(not _keeps_attributes(), reason="no extended attributes")


def pictures(folder: Path, names: Sequence[str | bytes], side: int = 24) -> None:
    for seed, name in enumerate(names):
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(side, side, seed)).save(path)


def lossless(sources: Sequence[str | Path], out: Path, **options: object) -> list[Result]:
    """What becomes of a batch in one process, in order."""
    results = agvae.batch.encode(sources, out, lossless=True, jobs=1, **options)  # type: ignore[arg-type]
    return sorted(results, key=lambda result: result.source)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def statuses(results: Sequence[Result]) -> dict[str, str]:
    return {result.source.name: result.status for result in results}


class TestInputs:
    def found(self, *inputs: str | Path, apart: Path = Path("none")) -> tuple[list[tuple[str, str]], Search]:
        search = Search(lambda path: path.suffix == ".png", apart)
        sources = list(search(inputs))
        assert [source.error for source in sources] == [None] * len(sources)
        return [(str(source.path), str(source.folder)) for source in sources], search

    def test_folders_and_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        pictures(tmp_path, ["in/a.png", "in/x/b.png", "in/x/y/c.png", "in/.hidden.png", "in/.git/d.png", "e.png"])
        (tmp_path / "in/notes.txt").write_text("text")
        found, search = self.found("in", "e.png")
        separated = [(name.replace(os.sep, "/"), folder.replace(os.sep, "/")) for name, folder in found]
        assert separated == [("in/a.png", "."), ("in/x/b.png", "x"), ("in/x/y/c.png", "x/y"), ("e.png", ".")]
        assert search.left_out == {"hidden": 2, ".txt": 1}

    def test_patterns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        pictures(tmp_path, ["in/a.png", "in/x/b.png", "in/x/y/c.png", "in/[1].png"])
        for pattern, expected in (
            ("in/*.png", {("in/a.png", "."), ("in/[1].png", ".")}),
            ("in/**/*.png", {("in/a.png", "."), ("in/[1].png", "."), ("in/x/b.png", "x"), ("in/x/y/c.png", "x/y")}),
            ("in/x/**", {("in/x/b.png", "."), ("in/x/y/c.png", "y")}),
            ("in/?", {("in/x/b.png", "x"), ("in/x/y/c.png", "x/y")}),
            ("in/[1].png", {("in/[1].png", ".")}),
        ):
            found, _ = self.found(pattern)
            assert {(str(PurePath(name).as_posix()), PurePath(folder).as_posix()) for name, folder in found} == expected
        (nothing,) = Search(lambda _: True, tmp_path)(["in/*.jpg"])
        assert nothing.error == "matches no file"

    @posix
    def test_links_to_folders_are_followed_where_they_are_named(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["in/a.png", "in/x/b.png", "other/c.png"])
        (tmp_path / "in/link.png").symlink_to("a.png")
        for name, target in (("folder", "../other"), ("up", ".."), ("x/again", "../x"), ("self", "self")):
            (tmp_path / "in" / name).symlink_to(target)
        for given in ("in", "in/**", "in/**/*.png"):
            found, search = self.found(tmp_path / given)
            assert sorted(Path(name).name for name, _ in found if Path(name).suffix) == ["a.png", "b.png", "link.png"]
            assert search.left_out["links to folders"] == 3
        for given in ("in/folder", "in/f*"):
            found, _ = self.found(tmp_path / given)
            assert [Path(name).name for name, _ in found] == ["c.png"]

    @posix
    def test_diamonds_of_links(self, tmp_path: Path) -> None:
        """Each folder has two links to the next one: 2 to the 30th ways to one file."""
        for number in range(30):
            (tmp_path / str(number)).mkdir()
            for name in "ab":
                (tmp_path / str(number) / name).symlink_to(f"../{number + 1}")
        pictures(tmp_path, ["30/a.png"])
        for given in (tmp_path, tmp_path / "**" / "*.png"):
            found, _ = self.found(given)
            assert [Path(name).name for name, _ in found] == ["a.png"]

    def test_the_folder_of_the_targets_is_not_searched(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["in/a.png", "in/out/b.png"])
        found, _ = self.found(tmp_path / "in", apart=tmp_path / "in" / "out")
        assert [Path(name).name for name, _ in found] == ["a.png"]

    @posix
    @pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read all")
    def test_a_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "closed").mkdir(mode=0)
        (source,) = Search(lambda _: True, Path("none"))([tmp_path])
        assert source.error == "Permission denied"

    @pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
    def test_names_that_cannot_be_looked_at(self, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As links into closed folders, or those of a share that is gone: each is one failure, the others go on."""
        pictures(tmp_path, ["in/a.png", "in/z.png"])
        (tmp_path / "in" / "closed").mkdir()
        look = os.stat

        def refused(path: str | Path, **options: bool) -> os.stat_result:
            if not isinstance(path, int) and PurePath(os.fspath(path)).name == "closed":
                raise OSError(number, os.strerror(number), os.fspath(path))
            return look(path, **options)

        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", refused)
            for given in ([tmp_path / "in"], sorted((tmp_path / "in").iterdir()), [tmp_path / "in" / "*"]):
                sources = list(Search(lambda _: True, Path("none"))(given))
                assert [(source.path.name, source.error) for source in sources] == [
                    ("a.png", None),
                    ("closed", os.strerror(number)),
                    ("z.png", None),
                ]
            batch = agvae.batch.encode([tmp_path / "in"], tmp_path / "out", lossless=True, jobs=1)
        assert sorted(result.status for result in batch) == ["done", "done", "failed"]

    def test_deep_folders(self, tmp_path: Path) -> None:
        deep = tmp_path.joinpath(*["d"] * 300)
        pictures(deep, ["a.png"])
        found, _ = self.found(tmp_path)
        assert [Path(name).name for name, _ in found] == ["a.png"]


class TestPlan:
    def planned(self, out: Path, *paths: Path, pattern: str = "{stem}.agv") -> tuple[list[str], list[str]]:
        jobs, refused = planned([Source(path, PurePath()) for path in paths], out, pattern)
        return [job.source.name for job in jobs], [f"{each.source.name} {each.reason}" for each in refused]

    def test_two_of_one_target(self, tmp_path: Path) -> None:
        a, b, c = (tmp_path / name for name in ("a.png", "a.jpg", "c.png"))
        good, refused = self.planned(tmp_path, a, b, c)
        assert good == ["c.png"]
        assert [text.partition(",")[0] for text in refused] == [
            "a.png has the same target as another file",
            "a.jpg has the same target as another file",
        ]
        assert self.planned(tmp_path, a, b, c, pattern="{name}.agv") == (["a.png", "a.jpg", "c.png"], [])

    def test_a_file_named_twice_is_one(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png"])
        (tmp_path / "x").mkdir()
        assert self.planned(tmp_path, tmp_path / "a.png", tmp_path / "x" / ".." / "a.png") == (["a.png"], [])

    def test_a_target_that_is_read(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png", "b.png"])
        for name in ("a.agv", "b.agv"):
            (tmp_path / name).write_bytes(b"")
        good, refused = self.planned(tmp_path, tmp_path / "a.agv", tmp_path / "b.png")
        assert (good, refused) == (["b.png"], ["a.agv is itself the file to write"])
        good, refused = self.planned(tmp_path / "x", tmp_path / "a.agv", tmp_path / "b.png")
        assert (good, refused) == (["a.agv", "b.png"], [])

    @posix
    def test_behind_links(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png", "b.png"])
        (tmp_path / "out").mkdir()
        (tmp_path / "out/a.agv").symlink_to("b.agv")
        good, refused = self.planned(tmp_path / "out", tmp_path / "a.png", tmp_path / "b.png")
        assert (good, len(refused)) == ([], 2)
        (tmp_path / "link").symlink_to(".")
        (tmp_path / "c.agv").touch()
        _, refused = self.planned(tmp_path / "link", tmp_path / "c.agv")
        assert refused == ["c.agv is itself the file to write"]

    @pytest.mark.parametrize("pattern", ["", "a/{stem}", "{stem", "{folder}.agv", "{stem!r}", ".{stem}", "{0}", "a\0b"])
    def test_bad_patterns(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="pattern"):
            check_pattern(pattern)

    def test_names_with_braces(self, tmp_path: Path) -> None:
        jobs, _ = planned([Source(Path("{suffix}.png"), PurePath())], tmp_path, "{stem}-{suffix}.agv")
        assert jobs[0].target.name == "{suffix}-.png.agv"


class TestEncode:
    def test_structure_and_what_is_known_of_each(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png", "x/y/b.png"])
        batch = agvae.batch.encode(tmp_path / "in", tmp_path / "out", lossless=True, jobs=2)
        assert isinstance(batch, Batch)
        assert len(batch) == 2
        results = list(batch)
        assert names(tmp_path / "out") == ["a.agv", os.path.join("x", "y", "b.agv")]  # noqa: PTH118
        for result in results:
            assert result.status == "done"
            assert result.target is not None
            assert result.bytes_before == result.source.stat().st_size
            assert result.bytes_after == result.target.stat().st_size
            assert result.bpp == agvae.read_info(result.target)["bpp"]
            with Image.open(result.source) as image:
                np.testing.assert_array_equal(agvae.decode(result.target), np.asarray(image))

    def test_names_in_bytes(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png"])
        source, target = os.fsencode(tmp_path / "in" / "a.png"), os.fsencode(tmp_path / "out")
        for sources in (source, [source]):
            (result,) = agvae.batch.encode(sources, target, lossless=True, jobs=1, force=True)  # type: ignore[arg-type]
            assert (result.status, result.target) == ("done", tmp_path / "out" / "a.agv")

    def test_with_a_model(self, tmp_path: Path, tiny_weights_folder: Path) -> None:
        pictures(tmp_path / "in", ["a.png", "b.png"])
        with agvae.options.using(weights=tiny_weights_folder, offline=True):
            results = list(
                agvae.batch.encode([tmp_path / "in"], tmp_path / "out", 2, model="tiny", jobs=2, tile_size=64)
            )
            assert [result.error for result in results] == [None, None]
            info = agvae.read_info(tmp_path / "out" / "a.agv")
            assert (info["model"], info["quality"], info["tile_size"]) == ("tiny", 2, 64)
            assert (tmp_path / "out" / "a.agv").read_bytes() == agvae.encode(
                picture(24, 24, 0), 2, model="tiny", tile_size=64
            )
            (back, *_) = agvae.batch.decode([tmp_path / "out"], tmp_path / "back", "webp", quality=70, jobs=1)
        assert back.error is None
        assert names(tmp_path / "back") == ["a.webp", "b.webp"]

    def test_skipped_unless_older(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png", "b.png"])
        out = tmp_path / "out"
        lossless([tmp_path / "in"], out)
        before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
        os.utime(out / "b.agv", ns=(0, before["a.agv"] - 10**12))
        pictures(tmp_path / "in", ["b.png"])
        assert statuses(lossless([tmp_path / "in"], out)) == {"a.png": "skipped", "b.png": "done"}
        assert (out / "a.agv").stat().st_mtime_ns == before["a.agv"]
        assert statuses(lossless([tmp_path / "in"], out, force=True)) == {"a.png": "done", "b.png": "done"}
        (out / "a.agv").write_bytes(b"")  # what a crash may leave where there are no hard links
        assert statuses(lossless([tmp_path / "in"], out)) == {"a.png": "done", "b.png": "skipped"}

    def test_what_is_there_and_not_whole_is_done_again(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png", "b.png", "c.png", "d.png"])
        out = tmp_path / "out"
        lossless([tmp_path / "in"], out)
        data = (out / "a.agv").read_bytes()
        (out / "a.agv").write_bytes(b"garbage")
        (out / "b.agv").write_bytes(data[:-1])
        (out / "d.agv").write_bytes((out / "d.agv").read_bytes())
        expected = {"a.png": "done", "b.png": "done", "c.png": "skipped", "d.png": "skipped"}
        assert statuses(lossless([tmp_path / "in"], out)) == expected
        for suffix in ("png", "pdf"):
            list(agvae.batch.decode([out], tmp_path / suffix, suffix, jobs=1))
        picture_data = (tmp_path / "png" / "a.png").read_bytes()
        (tmp_path / "png" / "a.png").write_bytes(picture_data[: len(picture_data) // 2])
        (cut, *others) = sorted(agvae.batch.decode([out], tmp_path / "png", jobs=1), key=lambda result: result.source)
        assert "is there, and is not what this file gives: it stays" in str(cut.error)
        assert [result.status for result in others] == ["skipped"] * 3
        assert {result.status for result in agvae.batch.decode([out], tmp_path / "pdf", "pdf", jobs=1)} == {"skipped"}

    def test_sources_of_the_future(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png"])
        os.utime(tmp_path / "in" / "a.png", (time.time() + 10**6,) * 2)
        for status in ("done", "skipped"):
            assert [result.status for result in lossless([tmp_path / "in"], tmp_path / "out")] == [status]
        (agv,) = (tmp_path / "out").iterdir()
        agv.write_bytes(agv.read_bytes())  # so that it does not say what it was made of
        os.utime(agv, (time.time() + 10**7,) * 2)
        for status in ("done", "skipped"):
            (result,) = agvae.batch.decode([tmp_path / "out"], tmp_path / "back", jobs=1)
            assert result.status == status

    @attributes
    def test_two_sources_of_one_target_in_two_calls(self, tmp_path: Path) -> None:
        """Whichever is newer, the second neither counts as done nor replaces what the first one gave."""
        pictures(tmp_path, ["one/a.png", "two/a.png"], side=30)
        pictures(tmp_path, ["two/a.png"])
        out = tmp_path / "out"
        for seconds in (-(10**6), 10**6):
            shutil.rmtree(out, ignore_errors=True)
            lossless([tmp_path / "one"], out)
            before = (out / "a.agv").read_bytes()
            os.utime(tmp_path / "two" / "a.png", (time.time() + seconds,) * 2)
            (result,) = lossless([tmp_path / "two"], out)
            assert result.error == f"{out / 'a.agv'}: was made of another file, and is replaced only by force (--force)"
            assert (out / "a.agv").read_bytes() == before
        assert statuses(lossless([tmp_path / "one"], out)) == {"a.png": "skipped"}
        (tmp_path / "one").rename(tmp_path / "three")
        assert statuses(lossless([tmp_path / "three"], out)) == {"a.png": "skipped"}
        lossless([tmp_path / "two"], tmp_path / "more")
        list(agvae.batch.decode([out / "a.agv"], tmp_path / "back", jobs=1))
        (result,) = agvae.batch.decode([tmp_path / "more" / "a.agv"], tmp_path / "back", jobs=1)
        assert "was made of another file" in str(result.error)
        assert statuses(lossless([tmp_path / "two"], out, force=True)) == {"a.png": "done"}

    @attributes
    def test_sources_of_one_size_and_time(self, tmp_path: Path) -> None:
        """As of programs that write without compression, or set all times."""
        pictures(tmp_path, ["one/a.bmp", "one/b.bmp"])
        pictures(tmp_path, ["two/b.bmp", "two/a.bmp"])
        for path in tmp_path.rglob("*.bmp"):
            os.utime(path, (10**9, 10**9))
        lossless([tmp_path / "one"], tmp_path / "out")
        assert {result.status for result in lossless([tmp_path / "two"], tmp_path / "out")} == {"failed"}
        shutil.copytree(tmp_path / "one", tmp_path / "copy", copy_function=shutil.copyfile)
        assert {result.status for result in lossless([tmp_path / "copy"], tmp_path / "out")} == {"skipped"}

    def test_a_folder_that_is_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pictures(tmp_path, ["a.png"])
        monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path / "out")  # root may write all
        with pytest.raises(PermissionError, match="no file can be made in this folder"):
            lossless([tmp_path / "a.png"], tmp_path / "out")

    @attributes
    def test_a_source_that_is_an_older_one_again(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png"])
        lossless([tmp_path / "a.png"], tmp_path / "out")
        pictures(tmp_path, ["a.png"], side=30)
        os.utime(tmp_path / "a.png", (1, 1))
        assert statuses(lossless([tmp_path / "a.png"], tmp_path / "out")) == {"a.png": "done"}
        assert agvae.decode(tmp_path / "out" / "a.agv").shape == (30, 30, 3)

    def test_times_and_permissions(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png"])
        source, out = tmp_path / "a.png", tmp_path / "out"
        source.chmod(0o600)
        os.utime(source, ns=(10**18, 10**18 + 1))
        lossless([source], out, preserve=True)
        status = (out / "a.agv").stat()
        assert status.st_mtime_ns >= source.stat().st_mtime_ns
        assert status.st_mtime_ns <= source.stat().st_mtime_ns + 3 * 10**9
        assert os.name != "posix" or stat.S_IMODE(status.st_mode) == 0o600
        assert statuses(lossless([source], out, preserve=True)) == {"a.png": "skipped"}

    def test_files_of_its_own_are_no_pictures_of_a_folder(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png"])
        for _ in range(2):
            results = lossless([tmp_path], tmp_path)
            assert [result.error for result in results] == [None]
        assert names(tmp_path) == ["a.agv", "a.png"]
        (result,) = lossless([tmp_path / "a.agv"], tmp_path / "again")
        assert result.status == "done"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"quality": 7}, "quality must be"),
            ({"quality": 3, "target_bpp": 1}, "only one of"),
            ({"name": "{stem}.png"}, "has the extension .agv"),
            ({"name": "{x}.agv"}, "a pattern of names has the fields"),
            ({"model": "none-such"}, "none-such"),
            ({"metadata": ["foo"]}, "some of icc, exif, xmp, comment, dpi, not 'foo'"),
            ({"metadata": "icc,exif"}, "not 'icc,exif'"),
            ({"jobs": 0}, "jobs must be a positive number, not 0"),
            ({"jobs": -1}, "jobs must be a positive number, not -1"),
            ({"threads": 0}, "threads must be a positive number"),
            ({"max_pixels": -1}, "max_pixels must be a positive number"),
            ({"tile_size": 100}, "tile_size must be a multiple of 64"),
            ({"thumbnail": 5}, "the longer side in pixels from 16 to 1024"),
        ],
    )
    def test_bad_options_before_any_work(self, options: dict[str, object], message: str, tmp_path: Path) -> None:
        with pytest.raises((ValueError, agvae.AgvError), match=message):
            agvae.batch.encode([tmp_path], tmp_path / "out", **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("metadata", "found"),
        [("dpi", ["dpi"]), (["comment"], ["comment"]), ("all", ["comment", "dpi"]), ("none", []), ([], [])],
    )
    def test_metadata_by_name(self, metadata: str | list[str], found: list[str], tmp_path: Path) -> None:
        Image.fromarray(picture(24, 24, 0)).save(tmp_path / "a.jpg", dpi=(72, 72), comment="text")
        (result,) = lossless([tmp_path / "a.jpg"], tmp_path, metadata=metadata)
        assert result.target is not None
        assert sorted(agvae.read_info(result.target)["metadata"]) == found

    def test_many_bad_files_among_good_ones(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", [f"{number}.png" for number in range(20)])
        for number in range(10):
            (tmp_path / "in" / f"bad{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(number))
            (tmp_path / "in" / f"cut{number}.png").write_bytes((tmp_path / "in" / f"{number}.png").read_bytes()[:200])
        (tmp_path / "in" / "folder.png").mkdir()
        results = list(
            agvae.batch.encode([tmp_path / "in", tmp_path / "none.png"], tmp_path / "out", lossless=True, jobs=2)
        )
        failed = [result for result in results if result.status == "failed"]
        assert len(failed) == 21
        assert all(str(result.source) in str(result.error) for result in failed)
        assert len(names(tmp_path / "out")) == 20

    @posix
    def test_odd_names(self, tmp_path: Path) -> None:
        odd = ["new\nline.png", b"\xff\xfe.png", "-q.png", " .png", "a{stem}.png", "\u202e.png"]
        pictures(tmp_path / "in", odd)
        results = lossless([tmp_path / "in"], tmp_path / "out", preserve=True)
        assert [result.error for result in results] == [None] * 6
        assert (tmp_path / "out" / os.fsdecode(b"\xff\xfe.agv")).is_file()

    @posix
    def test_what_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        os.mkfifo(tmp_path / "in" / "pipe.png")
        (tmp_path / "in" / "broken.png").symlink_to("none")
        results = lossless([tmp_path / "in"], tmp_path / "out")
        assert [str(result.error).partition(": ")[2] for result in results] == [
            "leads to no file",
            "is no regular file",
        ]

    def test_pictures_of_too_many_pixels(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png"])
        (result,) = lossless([tmp_path / "in"], tmp_path / "out", max_pixels=24 * 24 - 1)
        assert "24 x 24 pixels are more than 575" in str(result.error)
        assert result.warnings == ()
        (result,) = lossless([tmp_path / "in"], tmp_path / "out", max_pixels=100)
        assert str(result.error) == f"{tmp_path / 'in' / 'a.png'}: 576 pixels are more than 100"
        (result,) = lossless([tmp_path / "in"], tmp_path / "out", max_pixels=24 * 24)
        assert result.status == "done"


class TestDecode:
    def test_no_original_is_replaced(self, tmp_path: Path) -> None:
        """An original is older than the .agv file that was made of it."""
        pictures(tmp_path, ["a.png"])
        os.utime(tmp_path / "a.png", ns=(0, 10**18))
        before = (tmp_path / "a.png").read_bytes()
        lossless([tmp_path], tmp_path)
        (result,) = agvae.batch.decode([tmp_path], tmp_path, jobs=1)
        assert "is there, is older, and may be the original" in str(result.error)
        assert (tmp_path / "a.png").read_bytes() == before
        (result,) = agvae.batch.decode([tmp_path], tmp_path, jobs=1, force=True)
        assert result.status == "done"

    def test_options(self, tmp_path: Path) -> None:
        alpha = np.zeros((20, 30, 4), np.uint8)
        (tmp_path / "a.agv").write_bytes(agvae.encode(alpha, lossless=True))
        options = {"box": (2, 3, 12, 9), "background": "#0f0", "quality": 95, "jobs": 1}
        (result,) = agvae.batch.decode([tmp_path], tmp_path / "out", "jpg", **options)  # type: ignore[arg-type]
        assert result.warnings == ()
        with Image.open(tmp_path / "out" / "a.jpg") as image:
            assert image.size == (10, 6)
            np.testing.assert_allclose(image.getpixel((5, 3)), (0, 255, 0), atol=3)

    def test_bad_options(self, tmp_path: Path) -> None:
        for options, message in (
            ({"format": "none"}, "Pillow writes no format"),
            ({"format": "png", "quality": 5}, "PNG has no quality"),
            ({"background": "no colour"}, "unknown color"),
            ({"name": "{stem}.jpg"}, "this is no name for PNG"),
            ({"metadata": "foo"}, "not 'foo'"),
            ({"jobs": 0}, "jobs must be"),
            ({"frame": -1}, "no frame -1"),
            ({"box": (0, 0, 0, 5)}, "a box is left, top, right and bottom in pixels, not 0, 0, 0, 5"),
        ):
            with pytest.raises(ValueError, match=message):
                agvae.batch.decode([tmp_path], tmp_path / "out", **options)  # type: ignore[arg-type]


class TestInBetween:
    """What happens to files while they are worked on."""

    def work(self, during: object, monkeypatch: pytest.MonkeyPatch, job: Job) -> Result:
        """The result of a job, something having happened between reading and writing."""
        converted = Work._converted

        def also(self: Work, job: Job) -> tuple[bytes, list[str], float]:
            result = converted(self, job)
            during()  # type: ignore[operator]
            return result

        monkeypatch.setattr(Work, "_converted", also)
        return Work(Encoding({"lossless": True}), {}, None, force=False, preserve=False)(job)

    @pytest.fixture
    def job(self, tmp_path: Path) -> Job:
        pictures(tmp_path, ["a.png"])
        return Job(tmp_path / "a.png", tmp_path / "x" / "a.agv")

    def test_a_source_that_changes(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        result = self.work(lambda: os.utime(job.source, ns=(0, 5)), monkeypatch, job)
        assert result.status == "failed"
        assert "changed while it was read" in str(result.error)
        assert names(job.target.parent) == []

    def test_a_source_that_vanishes(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        result = self.work(job.source.unlink, monkeypatch, job)
        assert (result.status, result.warnings) == ("done", ("is gone since it was read",))

    def test_a_target_that_comes(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        def come() -> None:
            job.target.parent.mkdir()
            job.target.write_bytes(theirs)

        theirs = agvae.encode(picture(8, 8, 1), lossless=True)
        assert self.work(come, monkeypatch, job).status == "skipped"
        assert job.target.read_bytes() == theirs

    @posix
    def test_a_target_that_is_a_pipe_or_a_folder(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", ["a.png", "b.png"])
        (tmp_path / "out" / "b.agv").mkdir(parents=True)
        os.mkfifo(tmp_path / "out" / "a.agv")
        results = lossless([tmp_path / "in"], tmp_path / "out")
        assert [result.error for result in results] == [
            f"{tmp_path / 'out' / 'a.agv'}: is a pipe",
            f"{tmp_path / 'out' / 'b.agv'}: Is a directory",
        ]

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
    def test_a_full_disk_ends_the_batch(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", [f"{number}.png" for number in range(5)])
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "1.agv").symlink_to("/dev/full")
        batch = agvae.batch.encode([tmp_path / "in"], tmp_path / "out", lossless=True, jobs=1)
        results = iter(batch)
        assert [next(results).status for _ in range(2)] == ["done", "failed"]
        with pytest.raises(OSError, match="No space left on device; the rest is not tried"):
            next(results)


class TestLeftovers:
    @posix
    def test_only_those_that_nobody_writes(self, tmp_path: Path) -> None:
        (tmp_path / ".agvae-0123456789abcdef.part").write_bytes(b"killed")
        (tmp_path / ".agvae-mine.part").write_bytes(b"of a user")
        with whole_file(tmp_path / "a") as file:
            file.write(b"content")
            remove_leftovers(tmp_path)
        assert names(tmp_path) == [".agvae-mine.part", "a"]
        assert (tmp_path / "a").read_bytes() == b"content"

    def test_finish_may_refuse(self, tmp_path: Path) -> None:
        def refuse(part: Path) -> None:
            assert part.read_bytes() == b"content"
            msg = "no"
            raise ValueError(msg)

        with pytest.raises(ValueError, match="no"), whole_file(tmp_path / "a", finish=refuse) as file:
            file.write(b"content")
        assert names(tmp_path) == []


@posix
class TestProcesses:
    def test_a_death_costs_one_job(self) -> None:
        jobs = [*range(1, 6), -signal.SIGKILL, *range(6, 12), -signal.SIGSEGV]
        done = dict(in_processes(jobs, Doubling(), 2))
        deaths = {job: str(done.pop(job)) for job in jobs if job < 0}
        assert done == {job: 2 * job for job in range(1, 12)}
        assert deaths[-9] == "its process was ended by SIGKILL, as happens when memory is short"
        assert deaths[-11] == "its process was ended by SIGSEGV"
        assert multiprocessing.active_children() == []

    def test_nothing_is_taken_before_it_is_wanted(self) -> None:
        taken = []

        def jobs() -> Iterator[int]:
            for number in range(1, 100):
                taken.append(number)
                yield number

        results = in_processes(jobs(), Doubling(), 2)
        next(results)
        assert len(taken) <= 4
        results.close()  # type: ignore[attr-defined]
        assert multiprocessing.active_children() == []

    def test_no_jobs_need_no_process(self) -> None:
        assert list(in_processes([], Doubling(), 2)) == []

    def test_processes_that_never_begin(self) -> None:
        with pytest.raises(RuntimeError, match="end before they begin, with status 3"):
            list(in_processes([1, 2], Unready(), 1))

    def test_a_killed_process_is_made_up_for(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", [f"{number}.png" for number in range(12)])
        results = []
        for result in agvae.batch.encode([tmp_path / "in"], tmp_path / "out", lossless=True, jobs=2):
            if not results:
                multiprocessing.active_children()[0].kill()
            results.append(result)
        assert {result.status for result in results} <= {"done", "skipped"}
        assert len(results) == len(names(tmp_path / "out")) == 12


def started(*arguments: str | Path, folder: Path, **options: object) -> subprocess.Popen[bytes]:
    """The command in a session of its own, as a terminal has it, whatever signals the tests were started to ignore."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "agvae", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command,
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        **pipes,
    )


def until(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def alive(session: int) -> list[int]:
    """Processes of a session that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no such file system")
class TestEnds:
    COUNT = 60

    @pytest.fixture
    def work(self, tmp_path: Path) -> Path:
        pictures(tmp_path / "in", [f"{'x/' * (number % 2)}{number}.png" for number in range(self.COUNT)], side=64)
        return tmp_path

    def sound(self, folder: Path) -> int:
        """Targets, all of which are whole."""
        paths = list((folder / "out").rglob("*.agv"))
        for path in paths:
            assert agvae.decode(path).shape == (64, 64, 3)
        return len(paths)

    def test_killed_again_and_again(self, work: Path) -> None:
        arguments = ["encode", "in", "--out", "out", "--lossless", "--jobs", "2", "--log", "log"]
        for number in range(0, self.COUNT - 10, 10):
            child = started(*arguments, folder=work)
            wanted = number + random.randrange(1, 10)
            until(lambda wanted=wanted: len(list((work / "out").rglob("*.agv"))) >= wanted)
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            until(lambda child=child: not alive(child.pid), 10)
            self.sound(work)
        with (work / "log").open("ab") as log:
            log.write(b'{"torn')
        child = started(*arguments, folder=work)
        out, _ = child.communicate()
        assert child.returncode == 0
        assert b"skipped, which are there already" in out
        assert self.sound(work) == self.COUNT
        assert list((work / "out").rglob(".*")) == []
        lines = (work / "log").read_text().splitlines()
        found = [json.loads(line) for line in lines if line != '{"torn']
        done = [line["source"] for line in found if line["status"] == "done"]
        assert len(done) == len(set(done))
        assert {line["source"] for line in found} == {str(path.relative_to(work)) for path in work.rglob("*.png")}

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted(self, number: signal.Signals, work: Path) -> None:
        child = started("encode", "in", "--out", "out", "--lossless", "-j2", folder=work)
        until(lambda: len(list((work / "out").rglob("*.agv"))) >= 5)
        os.killpg(child.pid, number)
        out, error = child.communicate()
        until(lambda: not alive(child.pid), 10)
        assert (child.returncode, error) == (130 if number == signal.SIGINT else -number, b"")
        assert b" not tried, in " in out
        assert list((work / "out").rglob(".*")) == []
        assert 5 <= self.sound(work) < self.COUNT

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("whom", [os.kill, os.killpg])
    def test_interrupted_in_native_code(
        self, whom: Callable[[int, int], None], number: signal.Signals, tmp_path: Path
    ) -> None:
        (tmp_path / "in").mkdir()
        Image.new("L", (8, 8)).save(tmp_path / "in" / "0.png")
        pictures(tmp_path / "in", ["1.png"], side=256)
        child = started("encode", "in", "--out", "out", "--effort", "9", "-j1", "--threads", "3", folder=tmp_path)
        until((tmp_path / "out" / "0.agv").exists)
        time.sleep(random.uniform(0.5, 1.5))
        whom(child.pid, number)
        out, error = child.communicate()
        assert (child.returncode, error) == (130 if number == signal.SIGINT else -number, b"")
        assert b"1 not tried, in " in out
        until(lambda: not alive(child.pid), 10)
        assert names(tmp_path / "out") == ["0.agv"]

    def test_a_worker_that_is_told_to_end_costs_nothing(self, work: Path) -> None:
        child = started("encode", "in", "--out", "out", "--lossless", "-j1", folder=work)
        until(lambda: len(list((work / "out").rglob("*.agv"))) >= 5)
        for number in alive(child.pid):
            if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGTERM)
        _, error = child.communicate()
        assert (child.returncode, error) == (0, b"")
        assert self.sound(work) == self.COUNT
        assert list((work / "out").rglob(".*")) == []

    def test_two_at_once(self, work: Path) -> None:
        arguments = ["encode", "in", "--out", "out", "--lossless", "-j1", "--log"]
        children = [started(*arguments, f"log{number}", folder=work) for number in range(2)]
        for child in children:
            _, error = child.communicate()
            assert (child.returncode, error) == (0, b"")
        lines = [json.loads(line) for path in work.glob("log*") for line in path.read_text().splitlines()]
        assert len([line for line in lines if line["status"] == "done"]) == self.sound(work) == self.COUNT
        assert len(lines) == 2 * self.COUNT

    def test_interrupted_while_processes_start(self, work: Path) -> None:
        child = started("encode", "in", "--out", "out", "--lossless", "-j2", folder=work)
        until(lambda: len(alive(child.pid)) > 2)
        os.killpg(child.pid, signal.SIGINT)
        _, error = child.communicate()
        assert (child.returncode, error) == (130, b"")
        until(lambda: not alive(child.pid), 10)

    def test_a_reader_that_has_enough(self, work: Path) -> None:
        child = started("encode", "in", "--out", "out", "--lossless", "-j2", "--log", "-", folder=work)
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["status"] == "done"
        child.stdout.close()
        assert child.wait() == 141
        assert child.stderr is not None
        until(lambda: not alive(child.pid), 10)
        assert b"Traceback" not in child.stderr.read()
        child.stderr.close()

    def on_terminal(self, *arguments: str, folder: Path, columns: int = 100) -> tuple[bytes, bytes]:
        """Standard output, and what a terminal of so many columns shows of standard error."""
        termios = pytest.importorskip("termios")
        ours, theirs = pytest.importorskip("pty").openpty()
        pytest.importorskip("fcntl").ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        child = started(*arguments, folder=folder, stderr=theirs)
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # nobody holds the other end
            while part := os.read(ours, 1 << 16):
                shown += part
        os.close(ours)
        out, _ = child.communicate()
        return out, shown

    @pytest.mark.parametrize("columns", [0, 100])
    @pytest.mark.parametrize("quiet", [[], ["--quiet"]])
    def test_progress_on_a_terminal_alone(self, quiet: list[str], columns: int, work: Path) -> None:
        arguments = ["encode", "in/x", "--out", "out", "--lossless", *quiet]
        out, shown = self.on_terminal(*arguments, folder=work, columns=columns)
        assert (b"30/30" in shown and b" files/s" in shown) == (not quiet)
        assert bool(out) == (not quiet)

    @pytest.mark.parametrize(
        ("options", "total"), [([], b"/2.30k "), (["--target-psnr", "30"], b"k pixels ["), (["--quiet"], b"")]
    )
    def test_progress_of_one_picture(self, options: list[str], total: bytes, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png"], side=48)
        out, shown = self.on_terminal("encode", "a.png", "a.agv", "--effort", "9", *options, folder=tmp_path)
        if "--quiet" in options:
            assert (out, shown) == (b"", b"")
        else:
            assert total in shown
            assert b"a.agv: " in out

    @pytest.mark.parametrize(("seconds", "pace"), [(4, "2.00 s/file]"), (1, "2.00 files/s]")])
    def test_words_of_progress(self, seconds: float, pace: str) -> None:
        assert Bar.format_meter(2, 4, seconds, unit=" files").endswith(pace)


class TestCommand:
    def test_summary_log_and_status(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pictures(tmp_path / "in", ["a.png", "x/b.png"])
        (tmp_path / "in" / "bad.png").write_bytes(b"none")
        (tmp_path / "in" / "notes.txt").write_bytes(b"none")
        arguments = [
            "encode",
            tmp_path / "in",
            "--out",
            tmp_path / "out",
            "--lossless",
            "--log",
            tmp_path / "log",
            "-j1",
        ]
        assert run(*arguments) == 1
        out, error = capsys.readouterr()
        assert error == f"agvae: error: {tmp_path / 'in' / 'bad.png'}: cannot identify image file\n"
        assert out.startswith("2 encoded (")
        assert "1 failed, in " in out
        assert out.endswith("left out of folders: 1 .txt\n")
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert {line["status"] for line in lines} == {"done", "failed"}
        assert {"source", "target", "bytes_before", "bytes_after", "bpp", "seconds", "error"} <= lines[0].keys()
        (tmp_path / "in" / "bad.png").unlink()
        assert run(*arguments, "--quiet") == 0
        assert capsys.readouterr() == ("", "")

    def test_pictures_whose_plugin_is_missing_fail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(images, "_PLUGINS", {".heic": ("not_there", "pillow-heif")})
        monkeypatch.delitem(Image.EXTENSION, ".heic", raising=False)
        pictures(tmp_path / "in", ["a.png"])
        (tmp_path / "in" / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        arguments = ["encode", tmp_path / "in", "--out", tmp_path / "out", "--lossless", "--log", tmp_path / "log"]
        assert run(*arguments, "--quiet", "-j1") == 1
        reason = f"{tmp_path / 'in' / 'a.HEIC'}: cannot identify image file (pip install pillow-heif)"
        assert capsys.readouterr() == ("", f"agvae: error: {reason}\n")
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert {line["status"]: line["error"] for line in lines} == {"failed": reason, "done": None}

    def test_what_is_lost_is_counted_and_fails_without_loss(
        self, tiny_weights_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pictures(tmp_path / "in", ["a.png"])
        (tmp_path / "in" / "bits.ppm").write_bytes(b"P6 4 4 1023\n" + bytes(range(96)))
        first, second = Image.new("RGB", (9, 8)), Image.new("RGB", (8, 9))
        first.save(tmp_path / "in" / "pages.tif", save_all=True, append_images=[second])
        arguments = ["encode", tmp_path / "in", "--out", tmp_path / "out", "-j1"]
        assert run(*arguments, "--lossless") == 1
        out, error = capsys.readouterr()
        assert names(tmp_path / "out") == ["a.agv"]
        assert out.startswith("1 encoded (")
        assert "2 failed, in " in out
        assert sorted(error.splitlines()) == [
            f"agvae: error: {tmp_path / 'in' / 'bits.ppm'}: cannot be kept without loss: "
            "8 of its 10 bits are kept, as Pillow reads it so",
            f"agvae: error: {tmp_path / 'in' / 'pages.tif'}: cannot be kept without loss: "
            "only the first picture, without 1 of its 2 pictures, as they are not of one size",
        ]
        with agvae.options.using(weights=tiny_weights_folder, offline=True):
            assert run(*arguments, "--model", "tiny") == 0
        out, error = capsys.readouterr()
        assert "1 skipped, which are there already, 2 with warnings, in " in out
        assert error.count("agvae: warning: ") == 2

    def test_a_log_is_added_to_logs_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pictures(tmp_path, ["a.png"])
        before = (tmp_path / "a.png").read_bytes()
        assert run("encode", tmp_path, "--out", tmp_path / "out", "--log", tmp_path / "a.png") == 1
        assert "is there and is no log" in capsys.readouterr().err
        assert (tmp_path / "a.png").read_bytes() == before

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pictures(tmp_path, ["a.png"])
        assert run("encode", tmp_path / "a.png", "--out", tmp_path / "a.png") == 1
        assert "is there, but is no folder" in capsys.readouterr().err
        shutil.rmtree(tmp_path)

    def test_names_between_options(self, tmp_path: Path) -> None:
        pictures(tmp_path, ["a.png", "b.png"])
        options = ["--lossless", "--out", tmp_path / "out", "-j1", "--quiet"]
        assert run("encode", tmp_path / "a.png", *options, tmp_path / "b.png", "--name", "{name}.agv") == 0
        assert names(tmp_path / "out") == ["a.png.agv", "b.png.agv"]
