"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import agvae
from agvae.whole_file import (
    ORIGIN,
    append_whole,
    check_target,
    csv_line,
    is_stream,
    whole_file,
    write_in_place,
    write_whole,
)
from tests.support.helpers import files_of_at_most

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
ROOT = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.glob("*") if file.is_file()}


def refused(path: Path, message: str) -> None:
    """Neither checked nor written, and the folder is as it was."""
    before = contents(path.parent)
    for attempt in (check_target, lambda name: write_whole(name, b"new")):
        with pytest.raises(OSError, match=message) as raised:
            attempt(path)
        assert raised.value.filename == str(path)
    assert contents(path.parent) == before


def test_the_name_of_a_folder_makes_no_file(tmp_path: Path) -> None:
    for attempt in (check_target, lambda name: write_whole(name, b"new")):
        with pytest.raises(IsADirectoryError, match=r"new\.agv/"):
            attempt(f"{tmp_path}/new.agv/")
    assert not list(tmp_path.iterdir())


class TestReplacing:
    @POSIX
    @pytest.mark.parametrize("permissions", [0o600, 0o640, 0o666, 0o755])
    def test_permissions_stay(self, permissions: int, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(permissions)
        os.utime(path, (1, 1))
        write_whole(path, b"new")
        assert path.read_bytes() == b"new"
        assert mode(path) == permissions
        assert path.stat().st_mtime > 1
        assert list(tmp_path.iterdir()) == [path]

    @POSIX
    def test_what_a_killed_process_leaves_is_as_private_as_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.write_bytes(b"old")
        path.chmod(0o600)
        code = (
            "import os, signal; from agvae.whole_file import whole_file\n"
            "with whole_file('secret') as file:\n"
            "    file.write(b'new'), file.flush(), os.kill(os.getpid(), signal.SIGKILL)"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1])}
        assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment).returncode < 0
        assert path.read_bytes() == b"old"
        assert [(mode(part), part.read_bytes()) for part in tmp_path.glob(".agvae-*.part")] == [(0o600, b"new")]

    @POSIX
    @ROOT
    def test_the_owner_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(0o640)
        os.chown(path, 12345, 23456)
        write_whole(path, b"new")
        assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (12345, 23456, 0o640)

    @POSIX
    def test_an_owner_that_cannot_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "chown", refuse)
        write_whole(path, b"new")
        owner = path.stat()
        monkeypatch.setattr(Path, "stat", lambda self, **options: owner_of_another(os.lstat(self), owner))
        with pytest.raises(PermissionError, match="belongs to someone else"):
            write_whole(path, b"newer")
        monkeypatch.undo()
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes")
    def test_extended_attributes_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        try:
            os.setxattr(path, "user.origin", b"camera")
            os.setxattr(path, ORIGIN, b"what the old data were made of")
        except OSError:
            pytest.skip("a file system without extended attributes")
        write_whole(path, b"new")
        assert os.getxattr(path, "user.origin") == b"camera"
        assert os.listxattr(path) == ["user.origin"]

    @POSIX
    def test_a_new_file_has_the_permissions_of_any_new_file(self, tmp_path: Path) -> None:
        (tmp_path / "other").touch()
        for replace in (True, False):
            path = tmp_path / f"file-{replace}"
            write_whole(path, b"data", replace=replace)
            assert mode(path) == mode(tmp_path / "other")


def owner_of_another(status: os.stat_result, mine: os.stat_result) -> os.stat_result:
    """The status of a new file as if another user had made it."""
    return status if status.st_ino == mine.st_ino else os.stat_result((*status[:4], status.st_uid + 1, *status[5:]))


class TestRefusals:
    def test_read_only(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(0o444)
        refused(path, "is read-only")
        assert not path.stat().st_mode & 0o222

    def test_hard_links(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        os.link(path, tmp_path / "again")
        refused(path, "has other hard links")

    def test_folders(self, tmp_path: Path) -> None:
        refused(tmp_path, "Is a directory")
        refused(tmp_path / "none" / "file", "No such file")
        (tmp_path / "file").touch()
        refused(tmp_path / "file" / "file2", "Not a directory") if os.name == "posix" else None

    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "link")
        refused(tmp_path / "link", "symbolic links")

    def test_links_to_names_of_another_kind(self, tmp_path: Path) -> None:
        """Also where nothing is there yet: the bytes would lie under that name."""
        (tmp_path / "photo.png").write_bytes(b"photo")
        for target in ("photo.png", "new.png", "nothing"):
            link = tmp_path / "link.agv"
            link.symlink_to(target)
            refused(link, f"is a link to .*{target}, a name for files of another kind")
            link.unlink()
        (tmp_path / "a.jpg").symlink_to("b.jpeg")
        write_whole(tmp_path / "a.jpg", b"new")
        assert (tmp_path / "b.jpeg").read_bytes() == b"new"

    def test_what_is_there_already(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        for attempt in (check_target, lambda name, replace: write_whole(name, b"new", replace=replace)):
            with pytest.raises(FileExistsError, match="exists already") as raised:
                attempt(path, replace=False)
            assert raised.value.filename == str(path)
        assert path.read_bytes() == b"old"

    @pytest.mark.parametrize("links", [True, False])
    def test_what_comes_meanwhile(self, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError

        path = tmp_path / "file"
        if not links:
            monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(FileExistsError), whole_file(path, replace=False):
            path.write_bytes(b"theirs")
        assert path.read_bytes() == b"theirs"
        assert list(tmp_path.iterdir()) == [path]
        write_whole(tmp_path / "other", b"data", replace=False)
        assert (tmp_path / "other").read_bytes() == b"data"
        assert len(list(tmp_path.iterdir())) == 2


class TestFailures:
    def test_errors_in_the_block(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt), whole_file(path):
            raise KeyboardInterrupt
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_errors_of_the_last_step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError("disk on fire")  # noqa: EM101

        path = tmp_path / "file"
        path.write_bytes(b"old")
        monkeypatch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="disk on fire"):
            write_whole(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_data_are_on_the_disk_before_they_have_the_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, synced, fsync = tmp_path / "file", [], os.fsync
        path.write_bytes(b"old")

        def watched(descriptor: int) -> None:
            status = os.fstat(descriptor)
            synced.append((None if stat.S_ISDIR(status.st_mode) else status.st_size, path.read_bytes()))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", watched)
        write_whole(path, b"newer")
        assert synced[0] == (5, b"old")
        assert synced[1:] == ([(None, b"newer")] if os.name == "posix" else [])

    @pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
    def test_a_full_disk_is_an_error_of_the_file(self, tmp_path: Path) -> None:
        code = (
            "import resource, signal; from agvae.whole_file import write_whole\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "try: write_whole('file', bytes(2000))\n"
            "except OSError as error: print(error.filename)"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True)
        assert result.stdout.decode().strip() == "file"
        assert not list(tmp_path.iterdir())


class TestInPlace:
    @pytest.mark.parametrize("length", [0, 2, 5, 9])
    def test_all_names_show_the_new_content(self, length: int, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"older")
        os.link(path, tmp_path / "again")
        write_in_place(path, b"123456789"[:length])
        assert contents(tmp_path) == dict.fromkeys((path, tmp_path / "again"), b"123456789"[:length])

    @POSIX
    def test_read_only(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"old")
        path.chmod(0o444)
        with pytest.raises(PermissionError, match=r"file") as raised:
            write_in_place(path, b"new")
        assert raised.value.filename == str(path)
        assert path.read_bytes() == b"old"

    @pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
    @pytest.mark.parametrize(("old", "limit"), [(4000, 5000), (5500, 2000), (8000, 2000), (6000, 9000), (8000, 9000)])
    def test_the_old_content_is_put_back(self, old: int, limit: int, tmp_path: Path) -> None:
        """Whether it is longer or shorter, and wherever writing ends: in a longer tail, in the head, or last."""
        code = (
            "import os, resource; from agvae.whole_file import write_in_place\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "def fail(_): raise KeyboardInterrupt\n"
            "os.fsync = fail\n"
            "try: write_in_place('file', bytes(6000))\n"
            "except OSError as error: print(error.filename)\n"
            "except KeyboardInterrupt: print('stopped')\n"
        )
        content = os.urandom(old)
        (tmp_path / "file").write_bytes(content)
        environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1])}
        result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True)
        assert result.stdout.decode().strip() == ("stopped" if limit == 9000 else "file")
        assert contents(tmp_path) == {tmp_path / "file": content}

    def test_lines_are_appended(self, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        for values in (("a", "b"), (1.5, 'x,"y"')):
            append_whole(path, csv_line(values))
        assert path.read_bytes() == b'a,b\r\n1.5,"x,""y"""\r\n'

    def test_no_half_of_a_line(self, tmp_path: Path) -> None:
        path = tmp_path / "table.csv"
        with files_of_at_most(10), pytest.raises(OSError, match=r"File too large: .*table\.csv"):
            append_whole(path, bytes(11))
        assert not path.exists()
        append_whole(path, b"12345\n")
        with files_of_at_most(10), pytest.raises(OSError, match=r"File too large: .*table\.csv"):
            append_whole(path, b"67890\n")
        assert path.read_bytes() == b"12345\n"


class TestOtherTargets:
    def test_links_stay(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("file")
        for data in (b"first", b"second"):
            write_whole(tmp_path / "link", data)
            assert (tmp_path / "link").is_symlink()
            assert (tmp_path / "file").read_bytes() == data

    def test_devices_stay_devices(self) -> None:
        write_whole(os.devnull, b"data")
        write_whole(os.devnull, b"data", replace=False)
        assert is_stream(os.devnull)

    @pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device")
    def test_standard_output(self, tmp_path: Path) -> None:
        code = "from agvae.whole_file import write_whole; write_whole('/dev/stdout', b'data', replace=False)"
        environment = {**os.environ, "PYTHONPATH": str(Path(agvae.__file__).parents[1])}
        command = [sys.executable, "-c", code]
        assert subprocess.run(command, env=environment, capture_output=True).stdout == b"data"
        with (tmp_path / "file").open("wb") as file:
            assert subprocess.run(command, env=environment, stdout=file).returncode == 0
        assert (tmp_path / "file").read_bytes() == b"data"

    def test_no_other_module_replaces_files(self) -> None:
        """One module writes; but a download keeps a part to resume from, and Pillow's users may write into any file."""
        source = Path(agvae.__file__).parents[1]
        ways = re.compile(r"os\.(replace|rename)\(|\.write_(bytes|text)\(|part\.replace\(")
        found = {str(path.relative_to(source)) for path in source.rglob("*.py") if ways.search(path.read_text("utf-8"))}
        assert found <= {
            "agvae/weights/download.py",
            "agvae/evaluation/run.py",
            "agvae/training/export.py",
            "agvae/weights/registration.py",
            "agvae/whole_file.py",
        }
