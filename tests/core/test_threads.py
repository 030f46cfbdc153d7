"""One process, several threads: right pixels, and the same bytes for any number of threads."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from tests.support.helpers import picture

THREADS = 4
ROUNDS = 300


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(picture(96, 64))


def saved(im: Image.Image) -> bytes:
    fp = io.BytesIO()
    im.save(fp, "AGV")
    return fp.getvalue()


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as im:
        return im.tobytes()


def at_once(*calls: Callable[[], bytes]) -> list[bytes]:
    """The results of calls that start at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], bytes]) -> bytes:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.usefixtures("tiny_weights")
def test_threads_on_one_lazy_image(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "photo.agv"
    photo.save(path)
    with Image.open(path) as im:
        expected = im.tobytes()
    for _ in range(ROUNDS):
        with Image.open(path) as im:
            assert at_once(*[im.tobytes] * THREADS) == [expected] * THREADS


@pytest.mark.usefixtures("tiny_weights")
def test_threads_seeking_in_one_image(photo: Image.Image) -> None:
    """Which frame a thread gets is a matter of chance, but it is one frame, and whole."""
    flipped = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = agvae.encode([photo, flipped, photo])
    frames = [agvae.decode(data, frame=frame).tobytes() for frame in range(3)]

    def read(im: Image.Image, frame: int) -> bytes:
        im.seek(frame)
        return im.tobytes()

    for _ in range(ROUNDS // 10):
        with Image.open(io.BytesIO(data)) as im:
            results = at_once(*[lambda frame=frame: read(im, frame) for frame in (0, 1, 2, 1)])  # type: ignore[misc]
        assert set(results) <= set(frames)


@pytest.mark.usefixtures("tiny_weights")
def test_encoding_and_decoding_at_the_same_time(photo: Image.Image) -> None:
    data = saved(photo)
    expected = pixels(data)
    for _ in range(20):
        results = at_once(*[lambda: saved(photo), lambda: pixels(data)] * (THREADS // 2))
        assert results == [data, expected] * (THREADS // 2)


@pytest.fixture
def thread_counts() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    agvae.options.threads = None
    torch.set_num_threads(before)


@pytest.mark.usefixtures("tiny_weights", "thread_counts")
@pytest.mark.parametrize("how", ["option", "environment", "torch"])
def test_any_number_of_threads_gives_the_same(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Image.fromarray(picture(300, 200))
    found = set()
    for count in range(1, THREADS + 1):
        if how == "option":
            agvae.options.threads = count
        elif how == "environment":
            monkeypatch.setenv("AGVAE_THREADS", str(count))
        else:
            torch.set_num_threads(count)
        data = saved(photo)
        found.add((data, hashlib.sha256(pixels(data)).hexdigest()))
    assert len(found) == 1


@pytest.mark.usefixtures("thread_counts")
def test_any_number_of_threads_gives_the_same_with_large_networks() -> None:
    """Whose sums in float32 are long enough to be split among threads."""
    array = picture(768, 512, seed=1)
    found = set()
    for count in (1, 2, 4):
        agvae.options.threads = count
        data = agvae.encode(array, 6)
        found.add((data, agvae.decode(data).tobytes()))
    assert len(found) == 1
