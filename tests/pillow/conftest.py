"""Pictures and files of them, by the small model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFile

import agvae
from agvae.container import Header, Metadata, TileData, write_container
from tests.support.helpers import picture
from tests.support.plugin import SIZE, opened, saved


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(picture(*SIZE))


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return saved(photo)


@pytest.fixture
def path(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "photo.agv"
    path.write_bytes(data)
    return path


@pytest.fixture
def expected(data: bytes) -> bytes:
    return opened(data).tobytes()


@pytest.fixture
def truncated_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.fixture
def photos() -> list[Image.Image]:
    return [Image.fromarray(picture(*SIZE, seed)) for seed in range(3)]


@pytest.fixture
def frames_data(photos: list[Image.Image]) -> bytes:
    return saved(photos[0], save_all=True, append_images=photos[1:], duration=[40, 20.5, 0], loop=0, comment="c")


@pytest.fixture
def frames_path(frames_data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "frames.agv"
    path.write_bytes(frames_data)
    return path


@pytest.fixture
def expected_frames(frames_data: bytes) -> list[bytes]:
    """The frames as the codec gives them, which is not what is tested here."""
    frames = [agvae.decode(frames_data, frame=index).tobytes() for index in range(3)]
    assert len(set(frames)) == 3
    return frames


@pytest.fixture
def bomb(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file that claims more pixels than are allowed meanwhile."""
    header = Header(9000, 9000, "RGB", 0, "tiny", bytes(8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    return write_container(header, Metadata(), [TileData(b"?")] * header.tile_count)
