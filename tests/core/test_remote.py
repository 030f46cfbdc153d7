"""Batches of files by URL: a real server, chains of fsspec, and what is never to be written elsewhere."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

import agvae
import agvae.batch
from agvae.batch import Result
from agvae.batch.plan import Job
from agvae.batch.remote import Remote, place_of
from agvae.batch.work import Work
from agvae.cli import main
from agvae.conversion.from_agv import decoding
from agvae.conversion.to_agv import Encoding
from tests.support.helpers import picture

fsspec = pytest.importorskip("fsspec")


def pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(24, 16, seed)).save(folder / name)


def chain(folder: Path, path: str) -> str:
    """A URL of a file or folder below another, which is none of files here for fsspec."""
    return f"dir://{path}::{folder.as_uri()}"


def told(results: list[Result]) -> dict[str, str]:
    return {result.source.name: result.error or result.status for result in results}


def encode(*sources: str | Path, to: str | Path, **options: object) -> list[Result]:
    return list(agvae.batch.encode(sources, to, lossless=True, jobs=1, **options))  # type: ignore[arg-type]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


class TestServer:
    def test_files_folders_and_patterns(self, server: str, tmp_path: Path) -> None:
        pictures(tmp_path / "served", "a.png", "x/b.png", "x/y/a c.png", "x/.hidden.png")
        (tmp_path / "served" / "x" / "notes.txt").write_text("text")
        results = encode(f"{server}/a.png?token=secret", f"{server}/x/", to=tmp_path / "out")
        assert told(results) == {"a.png": "done", "b.png": "done", "a c.png": "done"}
        assert "secret" not in "".join(str(result.source) for result in results)
        for name, seed in (("a", 0), ("b", 1), ("y/a c", 2)):
            np.testing.assert_array_equal(agvae.decode(tmp_path / "out" / f"{name}.agv"), picture(24, 16, seed))
        assert set(told(encode(f"{server}/x/", to=tmp_path / "out")).values()) == {"skipped"}
        assert told(encode(f"{server}/x/*.png", to=tmp_path / "two")).keys() >= {"b.png"}

    def test_what_is_not_there(self, server: str, tmp_path: Path) -> None:
        (tmp_path / "served" / "bad.png").write_bytes(b"none")
        results = encode(f"{server}/none.png", f"{server}/bad.png", to=tmp_path / "out")
        assert told(results) == {
            "none.png": f"{server}/none.png: is not there",
            "bad.png": f"{server}/bad.png: cannot identify image file",
        }
        (result,) = encode(f"{server}/?token=secret/../x.png", to=tmp_path / "out")
        assert "secret" not in str(result.error)
        assert list((tmp_path / "out").iterdir()) == []


class TestTargets:
    def test_there_and_back(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pictures(tmp_path / "in", "a.png", "x/b.png")
        out = chain(tmp_path, "out/coded")
        for status in ("done", "skipped"):
            assert told(encode(tmp_path / "in", to=out)) == {"a.png": status, "b.png": status}
        assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == ["a.agv", "b.agv"]
        assert main(["decode", out, "--out", chain(tmp_path, "back"), "--quiet", "-j1"]) == 0
        with Image.open(tmp_path / "back" / "x" / "b.png") as image:
            np.testing.assert_array_equal(np.asarray(image), picture(24, 16, 1))
        assert capsys.readouterr() == ("", "")

    def test_archives(self, tmp_path: Path) -> None:
        import zipfile

        pictures(tmp_path, "a.png")
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.write(tmp_path / "a.png", "folder/a.png")
        url = f"zip://**/*.png::{(tmp_path / 'all.zip').as_uri()}"
        assert told(encode(url, to=tmp_path / "out")) == {"a.png": "done"}
        np.testing.assert_array_equal(agvae.decode(tmp_path / "out" / "folder" / "a.agv"), picture(24, 16, 0))

    def test_files_here_by_url(self, tmp_path: Path) -> None:
        pictures(tmp_path / "in", "a.png")
        (result,) = encode((tmp_path / "in").as_uri(), to=(tmp_path / "out").as_uri())
        assert (result.status, result.target) == ("done", tmp_path / "out" / "a.agv")

    def test_in_memory(self) -> None:
        """Of this process, and so by a worker that runs in it."""
        source, target, back = (Remote(f"memory://{name}") for name in ("in/a.png", "out/a.agv", "back/a.png"))
        with fsspec.open(source.url, "wb") as file:
            Image.fromarray(picture(24, 16)).save(file, "PNG")
        work = Work(Encoding({"lossless": True}), {}, None, force=False, preserve=False)
        for status in ("done", "skipped"):
            assert work(Job(source, target)).status == status
        undo = Work(decoding("PNG"), {}, None, force=False, preserve=False)
        assert undo(Job(target, back)).status == "done"
        assert [str(path) for path, _ in Remote("memory://back").files()] == [str(back)]

    @pytest.mark.parametrize("url", ["memory://whole/a.agv", "chain"])
    def test_whole_or_not_at_all(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from fsspec.implementations.local import LocalFileSystem
        from fsspec.implementations.memory import MemoryFile

        target = Remote(chain(tmp_path, "a.agv") if url == "chain" else url)
        target.write(b"old")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(LocalFileSystem, "mv", fail)
            patched.setattr(MemoryFile, "write", fail)
            with pytest.raises(OSError, match="No space left"):
                target.write(b"new data")
        assert target.read() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == (["a.agv"] if url == "chain" else [])


class TestNames:
    def test_a_server_names_nothing_outside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from fsspec.implementations.memory import MemoryFileSystem

        for name in ("../b.png", "x/../../b.png", "x/./b.png"):
            monkeypatch.setattr(MemoryFileSystem, "find", lambda *_, name=name: [f"/a/{name}"])
            with pytest.raises(ValueError, match="may lie outside"):
                list(Remote("memory://a").files())

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            ("https://host/a/b%20c.png?x=1", "b c.png"),
            ("https://host/%2e%2e%2f%2e%2e%2fb.png", "b.png"),
            ("https://host/..%5Cb.png", "b.png"),
            ("s3://bucket/a?b.png", "a?b.png"),
            ("zip://x/y.png::s3://bucket/z.zip", "y.png"),
        ],
    )
    def test_last_part(self, url: str, name: str) -> None:
        assert Remote(url).name == name

    def test_below(self) -> None:
        assert Remote("s3://b/c") / PurePosixPath("x/y") / "a.agv" == Remote("s3://b/c/x/y/a.agv")
        assert Remote("dir://c::file:///a") / PurePosixPath() / "a.agv" == Remote("dir://c/a.agv::file:///a")

    def test_a_file_of_such_a_name_is_that_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        pictures(tmp_path, "s3:/a.png")
        assert place_of("s3://a.png") == Path("s3:/a.png")

    def test_secrets(self) -> None:
        shown = str(Remote("zip://a.png::https://user:s3cret@host/b.zip?token=s3cret"))
        assert shown == "zip://a.png::https://host/b.zip"


class TestUsage:
    def test_bad_urls(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="none://a: Protocol not known"):
            encode("none://a", to=tmp_path)
        with pytest.raises(ValueError, match="files here alone"):
            encode("memory://a", to=tmp_path, preserve=True)

    def test_one_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["encode", "https://host/a.png", "a.agv"])
        assert "URLs need --out DIR" in capsys.readouterr().err

    def test_without_fsspec(self, tmp_path: Path) -> None:
        program = "import sys; sys.modules['fsspec'] = None; from agvae.cli import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, "encode", "s3://bucket/a", "--out", tmp_path, "--lossless"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (
            1,
            "agvae: error: this command needs fsspec: pip install 'agvae[remote]'\n",
        )
