"""Registry, verified files and downloads against a real HTTP server, and the model file reader."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agvae import weights
from agvae.cli import main
from agvae.settings import options
from agvae.weights import download, places, registries
from tests.support.http_server import Reply, Server, serving

if TYPE_CHECKING:
    import torch

CONTENT = bytes(range(256)) * 4096
ENTRY: weights.ModelEntry = {
    "preset": "light",
    "file": "tiny-1.safetensors",
    "size": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "quality_range": [1.0, 6.0],
    "metric": "mse",
}
FIND = """
import pathlib, sys
from agvae import weights
from agvae.weights import places, registries
registries.BUNDLED = pathlib.Path(sys.argv[1])
weights.find("tiny-1")
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, a registry of one model that is not bundled, and no settings from outside."""
    home = tmp_path / "home"
    home.mkdir()
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    write_registry(bundled)
    monkeypatch.setattr(registries, "BUNDLED", bundled)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CACHE_HOME", weights.URL_VARIABLE, weights.OFFLINE_VARIABLE, "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    return home


def write_registry(folder: Path, base_url: str = "") -> None:
    content: weights.Registry = {"base_url": base_url, "default": "tiny-1", "models": {"tiny-1": ENTRY}}
    (folder / "registry.json").write_text(json.dumps(content))


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_bundled_file_is_used_without_a_network(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    (registries.BUNDLED / ENTRY["file"]).write_bytes(CONTENT)
    assert weights.find("tiny-1") == registries.BUNDLED / ENTRY["file"]
    assert server.requests == []


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT + b"\0", b"\1" + CONTENT[1:], b""])
def test_damaged_files_on_disk_are_not_used_but_fetched_anew(
    damage: bytes, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    cached = weights.cache_folder() / ENTRY["file"]
    cached.parent.mkdir(parents=True)
    for path in (registries.BUNDLED / ENTRY["file"], cached):
        path.write_bytes(damage)
    assert weights.locate("tiny-1") is None
    assert weights.find("tiny-1") == cached
    assert cached.read_bytes() == CONTENT


def test_download_goes_to_the_cache_once_and_nowhere_else(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_registry(registries.BUNDLED, server.origin + "/")
    monkeypatch.chdir(home)
    path = weights.find("tiny-1")
    assert path.parent == weights.cache_folder()
    assert weights.find("tiny-1") == weights.locate("tiny-1") == path
    assert server.requests == [(f"/{ENTRY['file']}", "")]
    written = files_below(home)
    assert written.pop(path.relative_to(home).as_posix()) == CONTENT
    assert all(name.endswith(".lock") and (home / name).parent == path.parent for name in written)


@pytest.mark.parametrize("reply", [Reply(drop_after=1000), Reply(content=CONTENT[::-1]), Reply(403)])
def test_a_failed_download_says_what_to_do_and_the_next_one_succeeds(
    reply: Reply, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    server.replies = [reply]
    with pytest.raises(weights.WeightsError, match=weights.URL_VARIABLE) as caught:
        weights.find("tiny-1")
    assert f"{server.origin}/{ENTRY['file']}" in str(caught.value)
    assert weights.locate("tiny-1") is None
    assert {Path(name).suffix for name in files_below(home)} <= {".lock", ".part"}
    server.replies = [Reply()]
    assert weights.find("tiny-1").read_bytes() == CONTENT
    assert {Path(name).suffix for name in files_below(home)} <= {".lock", ".safetensors"}


def test_a_broken_download_is_resumed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    server.replies = [Reply(drop_after=1000), Reply()]
    assert weights.find("tiny-1").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == ["", "bytes=1000-"]


def test_passwords_in_the_address_are_not_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin.replace("//", "//user:s3cret@"))
    server.replies = [Reply(404)]
    with pytest.raises(weights.WeightsError, match="the server answers 404") as caught:
        weights.find("tiny-1")
    assert "s3cret" not in str(caught.value)
    assert server.origin in str(caught.value)
    server.replies = [Reply()]
    assert weights.find("tiny-1").read_bytes() == CONTENT
    monkeypatch.setenv(weights.URL_VARIABLE, "s3://user:s3cret@bucket")
    with pytest.raises(weights.WeightsError, match="s3://bucket") as caught:
        weights.find("tiny-1")
    assert "s3cret" not in str(caught.value)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came from, shown in tracebacks or not."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    "address",
    [
        "http://user:a/s3cret@{}",
        "http://user:a s3cret@{}",
        "http://user:a?s3cret@{}",
        "http://user:a#s3cret@{}",
        "http://user:a\\s3cret@{}",
        "http://user:a@s3cret@{}",
        "http://user:\u20acs3cret@{}",
        "http://us\u2100er:s3cret@{}",
        "http://user:s3cret%40{}",
        "http://{}/?token=s3cret",
        "http://{}/#s3cret",
        "http:/user:s3cret@{}",
        "http//user:s3cret@{}",
        "//user:s3cret@{}",
        "user:s3cret@{}",
        "u:s3cret@{}",
        "s3cret@{}",
        "ftp://user:a s3cret@{}",
        "file://user:s3cret@{}/none",
    ],
)
def test_nothing_secret_is_told_however_the_address_is_written(
    address: str, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, address.format(f"127.0.0.1:{server.server_port}"))
    server.replies = [Reply(404)]
    for name in ("tiny-1", "other-9"):
        with pytest.raises(weights.WeightsError) as caught:
            weights.find(name)
        assert [str(error) for error in chain(caught.value) if "s3cret" in str(error) + repr(vars(error))] == []
    assert not [path for path, _ in server.requests if "s3cret" in path and "?token=s3cret" not in path]
    assert "user:" not in caplog.text


@pytest.mark.parametrize("reply", [Reply(raw=b"no status\r\n\r\n"), Reply(302, headers={"Location": "http://x:y@/"})])
def test_what_the_http_client_says_of_a_signed_address_is_not_told(
    reply: Reply, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, f"{server.origin}/a?token=s3cret")
    server.replies = [reply]
    with pytest.raises(weights.WeightsError, match=f"{server.origin}/a/{ENTRY['file']} failed") as caught:
        weights.find("tiny-1")
    assert not any("s3cret" in str(error) for error in chain(caught.value))
    assert server.requests[0][0] == f"/a/{ENTRY['file']}?token=s3cret"


@pytest.mark.parametrize(
    "proxy",
    [
        "http://user:a/s3cret@x:1",
        "http://user:a s3cret@127.0.0.1:1",
        "http://u:s3cret@:1",
        "http://u:s3cret@",
        "socks5://u:s3cret@",
    ],
)
def test_passwords_of_proxies_are_not_told(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv(weights.URL_VARIABLE, "http://weights.invalid")
    with pytest.raises(weights.WeightsError, match=r"(?i)proxy") as caught:
        weights.find("tiny-1")
    assert not any("s3cret" in str(error) for error in chain(caught.value))


def test_a_wrong_option_is_not_told() -> None:
    with pytest.raises(ValueError, match="not bytes") as caught:
        options.weights = b"http://user:s3cret@host"  # type: ignore[assignment]
    assert "s3cret" not in str(caught.value)


def test_folders_that_cannot_be_looked_into_are_a_weights_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one without permission, which would not keep root out: a name that no folder can have."""
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    monkeypatch.setattr(places, "cache_folder", lambda: Path("/") / ("x" * 300))
    with pytest.raises(weights.WeightsError, match=os.strerror(errno.ENAMETOOLONG)):
        weights.find("tiny-1")
    monkeypatch.setenv(weights.URL_VARIABLE, "/" + "x" * 300)
    for name in ("tiny-1", "other-9"):
        with pytest.raises(weights.WeightsError, match=os.strerror(errno.ENAMETOOLONG)):
            weights.find(name)
    assert weights.registry()["default"] == "tiny-1"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing keeps root out")
def test_a_cache_folder_without_permission_is_a_weights_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    weights.cache_folder().mkdir(parents=True, mode=0)
    with pytest.raises(weights.WeightsError, match=os.strerror(errno.EACCES)):
        weights.find("tiny-1")


def test_options_go_before_the_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    monkeypatch.setenv(weights.OFFLINE_VARIABLE, "1")
    (tmp_path / ENTRY["file"]).write_bytes(CONTENT)
    try:
        options.weights = tmp_path
        assert weights.find("tiny-1") == tmp_path / ENTRY["file"]
        options.weights, options.offline = None, False
        assert weights.find("tiny-1").parent == weights.cache_folder()
    finally:
        options.weights = options.offline = None


def test_without_a_home_nothing_is_written(
    server: Server, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    monkeypatch.setattr(places, "cache_folder", lambda: Path("~/.cache/agvae/weights"))  # what appdirs then says
    monkeypatch.chdir(home)
    with pytest.raises(weights.WeightsError, match="no home"):
        weights.find("tiny-1")
    assert server.requests == []
    assert files_below(home) == {}


def test_no_server_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(CONTENT) as closed:
        url = closed.origin
    monkeypatch.setenv(weights.URL_VARIABLE, url)
    with pytest.raises(weights.WeightsError, match=r"download of .* failed: no connection"):
        weights.find("tiny-1")


def test_offline_forbids_downloads_only(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    monkeypatch.setenv(weights.OFFLINE_VARIABLE, "1")
    with pytest.raises(
        weights.WeightsError, match=r"AGVAE_OFFLINE.* forbids downloads.* copy that file into"
    ) as caught:
        weights.find("tiny-1")
    assert str(weights.cache_folder()) in str(caught.value)
    assert server.requests == []
    assert files_below(home) == {}
    weights.cache_folder().mkdir(parents=True)
    (weights.cache_folder() / ENTRY["file"]).write_bytes(CONTENT)
    assert weights.find("tiny-1").read_bytes() == CONTENT


@pytest.mark.parametrize("as_address", [False, True])
def test_a_local_folder_serves_in_place(
    as_address: bool, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my models"
    folder.mkdir()
    monkeypatch.setenv(weights.URL_VARIABLE, folder.as_uri() if as_address else str(folder))
    with pytest.raises(weights.WeightsError, match="is missing or is not the released file"):
        weights.find("tiny-1")
    (folder / ENTRY["file"]).write_bytes(CONTENT)
    assert weights.find("tiny-1") == folder / ENTRY["file"]
    assert files_below(home) == {}


def test_a_local_folder_may_register_models_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv(weights.URL_VARIABLE, str(folder))
    own = {**ENTRY, "file": "own.safetensors"}
    (folder / "own.safetensors").write_bytes(CONTENT)
    (folder / "registry.json").write_text(json.dumps({"models": {"own": own, "tiny-1": own}}))
    assert weights.find("own") == folder / "own.safetensors"
    assert weights.registry()["models"]["tiny-1"] == ENTRY  # released models are not redefined
    assert weights.registry()["default"] == "tiny-1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"models": []}',
        b'{"models": {"a": 1}}',
        b'{"models": {"a": {}}}',
        b"[" * 1_000_000,
        b'{"models":' * 100_000,
        b"\xff" * 9,
        b"1" * 5000,
        b" " * 2**20 + b"{}",
    ],
)
def test_a_bad_registry_is_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, str(tmp_path))
    (tmp_path / "registry.json").write_bytes(content)
    with pytest.raises(weights.WeightsError, match=r"registry\.json"):
        weights.find("tiny-1")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file", 5),
        ("file", "../x.safetensors"),
        ("file", "a/b"),
        ("file", "a\\b"),
        ("file", ".."),
        ("file", ""),
        ("file", "/etc/passwd"),
        ("file", "C:x"),
        ("file", "x\0"),
        ("file", "x" * 129),
        ("size", "1"),
        ("size", 2**28 + 1),
        ("size", 10**400),
        ("size", 1e6),
        ("size", True),
        ("size", -1),
        ("sha256", "0" * 63),
        ("sha256", None),
        ("preset", []),
        ("metric", 1),
        ("quality_range", [1]),
        ("quality_range", [2, 1]),
        ("quality_range", ["1", "6"]),
        ("quality_range", [float("nan"), 6]),
        ("quality_range", [1, float("inf")]),
        ("quality_range", [1, 10**400]),
        ("quality_range", None),
    ],
)
def test_bad_values_in_a_registry_are_named(
    key: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, str(tmp_path))
    (tmp_path / "registry.json").write_text(json.dumps({"models": {"own": {**ENTRY, key: value}}}))
    with pytest.raises(weights.WeightsError, match=r"registry\.json.*" + ("unpack" if value == [1] else "")):
        weights.registry()


@pytest.mark.parametrize("content", [{}, {"default": 3}, {"default": "other-1"}, {"base_url": None}])
def test_a_bundled_registry_without_its_default_is_named(content: dict[str, object]) -> None:
    (registries.BUNDLED / "registry.json").write_text(json.dumps({"models": {"tiny-1": ENTRY}, **content}))
    with pytest.raises(weights.WeightsError, match=r"registry\.json"):
        weights.registry()


@pytest.mark.parametrize("source", ["~nosuchuser/x", "ftp://127.0.0.1/models", "http://[", "s3://bucket"])
def test_an_impossible_address_is_named(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, source)
    with pytest.raises(weights.WeightsError, match=weights.URL_VARIABLE) as caught:
        weights.find("tiny-1")
    assert source in str(caught.value)


@pytest.mark.parametrize("source", ["ftp://127.0.0.1/models", "~nosuchuser/x", "/no/such/folder"])
def test_an_impossible_address_does_not_matter_for_a_bundled_model(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (registries.BUNDLED / ENTRY["file"]).write_bytes(CONTENT)
    monkeypatch.setenv(weights.URL_VARIABLE, source)
    assert weights.registry()["default"] == "tiny-1"
    assert weights.find("tiny-1") == registries.BUNDLED / ENTRY["file"]
    with pytest.raises(weights.WeightsError) as caught:
        weights.find("other-9")
    assert source in str(caught.value)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (str(tmp_path / "none"), (tmp_path / "none").as_uri()):
        monkeypatch.setenv(weights.URL_VARIABLE, source)
        for name in ("tiny-1", "other-9"):
            with pytest.raises(weights.WeightsError) as caught:
                weights.find(name)
            assert f"there is no folder {tmp_path / 'none'}" in str(caught.value)


def test_schemes_may_be_in_upper_case(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin.replace("http:", "HTTP:"))
    assert weights.find("tiny-1").parent == weights.cache_folder()
    (tmp_path / ENTRY["file"]).write_bytes(CONTENT)
    monkeypatch.setenv(weights.URL_VARIABLE, tmp_path.as_uri().replace("file:", "FILE:"))
    assert weights.find("tiny-1") == tmp_path / ENTRY["file"]


def test_a_damaged_bundled_file_is_called_damaged() -> None:
    path = registries.BUNDLED / ENTRY["file"]
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(weights.WeightsError, match="is damaged") as caught:
        weights.find("tiny-1")
    assert str(path) in str(caught.value)


def test_without_any_address_the_error_says_what_to_set() -> None:
    with pytest.raises(weights.WeightsError, match=r"no address .* Either set AGVAE_WEIGHTS_URL"):
        weights.find("tiny-1")


def test_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(weights.WeightsError, match=r"unknown model 'other-9'.*tiny-1.*newer agvae"):
        weights.find("other-9")


def test_unwritable_cache_is_a_weights_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    weights.cache_folder().parent.mkdir(parents=True)
    weights.cache_folder().write_bytes(b"a file where the folder should be")
    with pytest.raises(weights.WeightsError, match=r"download of .* failed"):
        weights.find("tiny-1")


def test_processes_that_need_a_model_at_once_download_it_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    server.replies = [Reply(pause=0.05)]
    command = [sys.executable, "-c", FIND, str(registries.BUNDLED)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert len(server.requests) == 1
    assert weights.find("tiny-1").read_bytes() == CONTENT


def test_the_command_line_fetches(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    server.replies = [Reply(503)]
    assert main(["weights", "fetch"]) == 1
    assert "the server answers 503 (0 of 1048576 bytes came" in capsys.readouterr().err
    server.replies = [Reply(drop_after=1000), Reply()]
    assert main(["weights", "fetch", "tiny-1"]) == 0
    assert main(["weights", "path"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{weights.cache_folder() / ENTRY['file']}\n" * 2
    assert err == ""


def test_finding_weights_does_not_import_torch() -> None:
    (registries.BUNDLED / ENTRY["file"]).write_bytes(CONTENT)
    check = FIND + "assert not {'torch', 'numpy', 'requests'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check, str(registries.BUNDLED)], check=True, timeout=60)


CONFIG = {
    "preset": "none",
    **dict.fromkeys(("width8", "width16", "latent", "hyper_latent"), 4),
    "entropy_width": 1,
    **dict.fromkeys(("analysis8", "analysis16", "synthesis16", "synthesis8"), 0),
    "betas": [0.1, 0.2],
}
METADATA = {
    "format": weights.FILE_FORMAT,
    "config": json.dumps(CONFIG),
    "entropy_bits": json.dumps({"entropy.prior": 16, "entropy.context.bias": 14}),
    "card": json.dumps({"data": "none"}),
}


def model_bytes(metadata: dict[str, str] | None = None, tensors: dict[str, torch.Tensor] | None = None) -> bytes:
    """A model file of hardly any weights, but for what is given."""
    import torch
    from safetensors.torch import save

    defaults = {
        "analysis.weight": torch.tensor([[0.5, -1.25]], dtype=torch.float16),
        "gain.log2": torch.full((8,), 1 / 3),
        "entropy.prior": torch.tensor([-32768, 1, 98304], dtype=torch.int32),
        "entropy.context.bias": torch.tensor([-32768, 16384], dtype=torch.int16),
        "tables.z_lengths": torch.tensor([3, 5, 7, 9], dtype=torch.int16),
    }
    return save(defaults | (tensors or {}), METADATA | (metadata or {}))


def with_config(**values: object) -> bytes:
    return model_bytes({"config": json.dumps(CONFIG | values)})


def with_reference(**values: object) -> bytes:
    config = {"preset": "none", "backbone": "balle2018", "width": 4, "latent": 4, "rate": "hcvr", "asymmetric": True}
    return model_bytes({"config": json.dumps(config | {"betas": [0.1, 0.2]} | values)})


def with_header(header: str, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header.encode() + body


def hostile_model_files() -> dict[str, bytes]:
    """Model files that claim more than they hold, or what no network can be made of."""
    import torch

    tensor = '{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}'
    start = json.dumps({"__metadata__": METADATA})[:-1]
    integers = torch.zeros(4, dtype=torch.int64)
    return {
        "empty": b"",
        "short": b"\1\2\3",
        "header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
        "header of 2^64 - 1 bytes": b"\xff" * 8,
        "header beyond the end": (500).to_bytes(8, "little") + b"{}",
        "header of 2 MiB": with_header(" " * 2**21 + "{}"),
        "no JSON": with_header("nonsense"),
        "no object": with_header("[]"),
        "deep JSON": with_header("[" * 500_000),
        "deep metadata": with_header('{"__metadata__":' + "[" * 500_000),
        "not UTF-8": (8).to_bytes(8, "little") + b"\xff" * 8,
        "shape of 2^80": with_header(f'{start},"x":{tensor % (f"[{2**40},{2**40}]", 0, 4)}}}', bytes(4)),
        "shape of 2^40 bytes": with_header(f'{start},"x":{tensor % (f"[{2**38}]", 0, 2**40)}}}', bytes(4)),
        "empty shape of 2^62": with_header(f'{start},"x":{tensor % (f"[0,{2**62},8]", 0, 0)}}}'),
        "offsets beyond the end": with_header(f'{start},"x":{tensor % ("[2]", 0, 8)}}}', bytes(4)),
        "offsets backwards": with_header(f'{start},"x":{tensor % ("[1]", 4, 0)}}}', bytes(4)),
        "overlap": with_header(f'{start},"x":{tensor % ("[1]", 0, 4)},"y":{tensor % ("[1]", 0, 4)}}}', bytes(4)),
        "wide": with_config(width8=2**40),
        "wide by the rules": with_config(width8=1024, analysis8=1),
        "deep": with_config(synthesis16=2**40),
        "deep by the rules": with_config(synthesis16=64),
        "no width": with_config(entropy_width=0),
        "negative": with_config(latent=-4),
        "not in quarters": with_config(latent=6),
        "truth": with_config(analysis8=True),
        "border": with_config(border="mirror"),
        "fraction": with_config(width16=4.0),
        "text": with_config(hyper_latent="4"),
        "wide entropy model": with_config(entropy_width=2),
        "levels": with_config(betas=[0.1] * 65),
        "no level": with_config(betas=[]),
        "no number": with_config(betas=[0.1, None]),
        "infinite": with_config(betas=[0.1, float("inf")]),
        "huge number": with_config(betas=[0.1, 10**400]),
        "more settings": with_config(more=1),
        "wide reference": with_reference(width=2**40),
        "wide reference by the rules": with_reference(width=1024, latent=1024),
        "unknown backbone": with_reference(backbone="../x"),
        "backbone of a wrong type": with_reference(backbone=[], rate={}),
        "reference without a rate": with_reference(rate=None),
        "tables too few": model_bytes(tensors={"tables.z_lengths": torch.zeros(3, dtype=torch.int16)}),
        "tables of no dimension": model_bytes(tensors={"tables.x": torch.tensor(1, dtype=torch.int16)}),
        "tables of numbers": model_bytes(tensors={"tables.x": torch.zeros(4, dtype=torch.bfloat16)}),
        "not finite": model_bytes(tensors={"x": torch.tensor([float("nan")])}),
        "complex": with_header(f'{start},"x":{tensor.replace("F32", "C64") % ("[1]", 0, 8)}}}', bytes(8)),
        "unknown type": with_header(f'{start},"x":{tensor.replace("F32", "F31") % ("[1]", 0, 4)}}}', bytes(4)),
        "integer": model_bytes(tensors={"x": integers}),
        "entropy not integer": model_bytes(tensors={"entropy.prior": torch.zeros(4)}),
        "entropy too large": model_bytes(tensors={"entropy.prior": integers}),
        "entropy without bits": model_bytes(tensors={"entropy.x": integers.short()}),
    }


def test_model_file_restores_tensors(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "m.safetensors"
    path.write_bytes(model_bytes())
    model = weights.read_model_file(path)
    assert model.config.to_dict() == {
        **CONFIG,
        "betas": (0.1, 0.2),
        "asymmetric": True,
        "border": "zeros",
        "context_blocks": 1,
    }
    assert model.card == {"data": "none"}
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = {
        "analysis.weight": torch.tensor([[0.5, -1.25]], dtype=torch.float32),
        "gain.log2": torch.full((8,), 1 / 3),
        "entropy.prior": torch.tensor([-0.5, 2.0**-16, 1.5], dtype=torch.float64),
        "entropy.context.bias": torch.tensor([-2.0, 1.0], dtype=torch.float64),
    }
    assert model.state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert model.state[name].dtype == tensor.dtype
        assert torch.equal(model.state[name], tensor)
    assert model.tables.keys() == {"z_lengths"}
    assert model.tables["z_lengths"].dtype == torch.int16
    assert model.tables["z_lengths"].tolist() == [3, 5, 7, 9]


@pytest.mark.parametrize("name", ["base-1", "tiny-float64"])
def test_a_written_model_file_is_the_read_one(name: str, float64_model: Path) -> None:
    import torch

    folder = float64_model.parent if name == float64_model.stem else Path(__file__).parents[2] / "weights"
    path = folder / f"{name}.safetensors"
    model = weights.read_model_file(path)
    again = weights.model_file_bytes(model)
    other = content_of(again)
    assert (other.config, other.card, other.buffers) == (model.config, model.card, frozenset())
    for found, expected in ((other.state, model.state), (other.tables, model.tables)):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key].dtype == value.dtype
            assert torch.equal(found[key], value)


def content_of(data: bytes) -> weights.ModelFile:
    with TemporaryDirectory() as folder:
        (Path(folder) / "m.safetensors").write_bytes(data)
        return weights.read_model_file(Path(folder) / "m.safetensors")


def test_buffers_are_written_as_they_are() -> None:
    import torch

    plain = content_of(model_bytes())
    buffers = {
        "entropy.order": torch.tensor([3, 1, 2]),
        "entropy.mask": torch.tensor([[1.0, 0.0], [0.5, -3.0]], dtype=torch.float64),
        "analysis.mean": torch.tensor(0.125),
        "analysis.seen": torch.tensor(7),
        "analysis.flags": torch.tensor([True, False]),
        "analysis.none": torch.zeros(0),
    }
    found = content_of(
        weights.model_file_bytes(replace(plain, state=plain.state | buffers, buffers=frozenset(buffers)))
    )
    assert found.buffers == buffers.keys()
    for name, value in buffers.items():
        assert found.state[name].dtype == value.dtype
        assert torch.equal(found.state[name], value)


def test_what_could_not_be_read_is_not_written() -> None:
    plain = content_of(model_bytes())
    with pytest.raises(ValueError, match="must be finite"):
        weights.model_file_bytes(replace(plain, state=plain.state | {"x": plain.state["gain.log2"] * float("inf")}))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": "agvae-model-2"}, "agvae-model-2.*this version of agvae reads"),
        ({"config": "{"}, "cannot read model file"),
        ({"config": "{}"}, "cannot read model file"),
        ({"config": "[" * 100_000}, "cannot read model file"),
        ({"buffers": '{"entropy.prior": 1}'}, "buffers must be a list"),
        ({"architecture": "four", "package": "fourpkg"}, "'four' is not known here: the package 'fourpkg'"),
        ({"architecture": "../four", "package": "\x1b[2J"}, "name of its architecture is none"),
        ({"architecture": "four", "package": "\x1b[2J"}, "'four' is not known here: the module that registers it"),
        ({"card": "no JSON"}, "cannot read model file"),
        ({"card": "[]"}, "card"),
        ({"card": "[" * 100_000}, "cannot read model file"),
        ({"entropy_bits": "{}"}, "cannot read model file"),
        ({"entropy_bits": "[]"}, "cannot read model file"),
        ({"entropy_bits": '{"entropy.prior": -17, "entropy.context.bias": 0}'}, "entropy_bits"),
        ({"entropy_bits": '{"entropy.prior": true, "entropy.context.bias": 0}'}, "entropy_bits"),
        ({"entropy_bits": f'{{"entropy.prior": 1{"0" * 4000}, "entropy.context.bias": 0}}'}, "entropy_bits"),
    ],
)
def test_model_file_with_other_metadata_is_refused(metadata: dict[str, str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(model_bytes(metadata))
    with pytest.raises(weights.WeightsError, match=message):
        weights.read_model_file(path)


def test_model_file_without_metadata_or_absent_is_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    for name in ("plain.safetensors", "absent.safetensors"):
        with pytest.raises(weights.WeightsError, match=name):
            weights.read_model_file(tmp_path / name)


@pytest.mark.parametrize("name", hostile_model_files())
def test_hostile_model_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(hostile_model_files()[name])
    with pytest.raises(weights.WeightsError, match="cannot read model file"):
        weights.read_model_file(path)


def test_hostile_model_files_take_no_memory(tmp_path: Path) -> None:
    """The most that a process needs grows by less than 100 MiB, though they claim up to 2^63 bytes."""
    pytest.importorskip("resource")
    for name, content in hostile_model_files().items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "good").write_bytes(model_bytes())
    code = """
import pathlib, resource, sys
from agvae import weights
from agvae.weights import places, registries
folder = pathlib.Path(sys.argv[1])
weights.read_model_file(folder / "good")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in folder.iterdir():
    try:
        weights.read_model_file(path)
        assert path.name == "good"
    except weights.WeightsError:
        assert path.name != "good"
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (2**20 if sys.platform == "darwin" else 2**10))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(weights.WeightsError, match="not a regular file"):
            weights.read_model_file(path)


def test_a_network_that_does_not_fit_its_file_is_refused(tiny_weights_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from agvae.coding.engine import Model

    model = weights.read_model_file(tiny_weights_folder / "tiny.safetensors")
    tensors = load_file(tiny_weights_folder / "tiny.safetensors")
    bits = {name: 0 for name in tensors if name.startswith("entropy.")}
    path = tmp_path / "m.safetensors"
    for change in ({"width8": 32}, {"analysis16": 2}, {"latent": 64}, {"betas": [0.1, 0.2]}, {"entropy_width": 24}):
        config = json.dumps(model.config.to_dict() | change)
        save_file(tensors, path, METADATA | {"config": config, "entropy_bits": json.dumps(bits)})
        with pytest.raises(weights.WeightsError, match="does not fit its own configuration"):
            Model(path, "m", "cpu")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_model_file_is_an_error_or_read(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    good = model_bytes()
    content = bytearray(good)
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    try:
        model = weights.read_model_file(path)
    except weights.WeightsError:
        assert content != good
    else:
        assert model.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("here", [True, False])
def test_a_digest_that_cannot_match_loads_and_downloads_nothing(
    here: bool, server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agvae.coding.loaded import load_model
    from agvae.errors import UnsupportedFileError

    monkeypatch.setenv(weights.URL_VARIABLE, server.origin)
    if here:
        (registries.BUNDLED / ENTRY["file"]).write_bytes(CONTENT)  # no model: loading it would be another error
    with pytest.raises(UnsupportedFileError, match="SHA-256 0123456789abcdef"):
        load_model("tiny-1", digest=bytes.fromhex("0123456789abcdef"))
    assert server.requests == []
    assert files_below(home) == {}
