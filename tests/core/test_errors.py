"""Errors: one hierarchy, and each says which file it is about."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

import agvae
import pillow_agvae  # noqa: F401
from agvae import container, errors, weights
from agvae.weights import download
from tests.support.helpers import picture

pytestmark = pytest.mark.usefixtures("tiny_weights")


def kinds() -> list[type[errors.AgvError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AgvError)]


def test_one_hierarchy() -> None:
    assert agvae.AgvError is container.AgvError is errors.AgvError
    assert weights.WeightsError in kinds()
    assert download.DownloadError in kinds()
    assert issubclass(errors.AgvError, OSError)


@pytest.mark.parametrize("kind", kinds())
def test_errors_travel_between_processes(kind: type[errors.AgvError]) -> None:
    error = kind("some reason")
    error.filename = "a.agv"
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.filename, copy.reason) == (kind, str(error), "a.agv", error.reason)
    assert str(error).startswith("a.agv: ")
    assert "some reason" in error.reason


def damaged(data: bytes) -> bytes:
    return data[:-20] + bytes(byte ^ 1 for byte in data[-20:-19]) + data[-19:]


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda data: b"", errors.NotAgvError),
        (lambda data: b"GIF89a" + data, errors.NotAgvError),
        (lambda data: data[:12], errors.TruncatedFileError),
        (lambda data: data[:-3], errors.TruncatedFileError),
        (damaged, errors.DamagedFileError),
        (lambda data: with_model(data, "other"), errors.WeightsError),
        (lambda data: with_model(data, "tiny", bytes(8)), errors.UnsupportedFileError),
        (lambda data: with_payload(data, b"12345"), errors.DamagedFileError),
        (lambda data: with_payload(data, b"12345678"), errors.DamagedFileError),
    ],
)
@pytest.mark.parametrize("read", [agvae.decode, lambda path: agvae.decode_batch([path]), lambda path: opened(path)])
def test_the_message_begins_with_the_file(
    spoil: Callable[[bytes], bytes], kind: type[errors.AgvError], read: Callable[[Any], object], tmp_path: Path
) -> None:
    path = tmp_path / "a.agv"
    data = spoil(agvae.encode(picture(20, 20)))
    path.write_bytes(data)
    with pytest.raises(kind) as found:
        read(path)
    assert found.value.filename == str(path)
    assert str(found.value).startswith(f"{path}: ")
    with pytest.raises(kind) as found:
        agvae.decode(data)
    assert found.value.filename is None


def opened(path: Path) -> object:
    with path.open("rb") as file:
        return agvae.decode(file)


def with_model(data: bytes, name: str, digest: bytes | None = None) -> bytes:
    reader = container.Reader(BytesIO(data))
    header = replace(reader.header, model=name, digest=digest or reader.header.digest)
    return container.write_container(header, reader.metadata, reader.tiles())


def with_payload(data: bytes, payload: bytes) -> bytes:
    reader = container.Reader(BytesIO(data))
    return container.write_container(reader.header, reader.metadata, [container.TileData(payload)])


def test_a_damaged_alpha_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.agv"
    reader = container.Reader(BytesIO(agvae.encode(np.dstack((picture(20, 20), np.full((20, 20), 7, np.uint8))))))
    (tile,) = reader.tiles()
    spoiled = container.TileData(tile.payload, b"\x09")
    path.write_bytes(container.write_container(reader.header, reader.metadata, [spoiled]))
    with pytest.raises(errors.DamagedFileError) as found:
        agvae.decode(path)
    assert found.value.filename == str(path)


def test_names_that_a_terminal_would_obey_are_quoted() -> None:
    error = errors.TruncatedFileError("reason")
    error.filename = "\x1b[2J.agv"
    assert "\x1b" not in str(error)


def test_pillow_gets_the_error_by_which_it_asks_others(tmp_path: Path) -> None:
    path = tmp_path / "a.agv"
    path.write_bytes(b"no picture")
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)
