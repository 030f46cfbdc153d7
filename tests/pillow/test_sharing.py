"""Threads with images of their own, and with one that they share."""

from __future__ import annotations

import io
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.support.plugin import opened, saved

pytestmark = pytest.mark.usefixtures("tiny_weights")


def test_threads_with_own_images(data: bytes, expected: bytes) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: opened(data).tobytes(), range(32)))
    assert set(results) == {expected}


def test_threads_sharing_an_image(path: Path, expected: bytes) -> None:
    for _ in range(25):
        with Image.open(path) as im:
            barrier = threading.Barrier(4)

            def read(im: Image.Image = im, barrier: threading.Barrier = barrier) -> bytes:
                barrier.wait()
                return im.tobytes()

            with ThreadPoolExecutor(4) as pool:
                results = [future.result() for future in [pool.submit(read) for _ in range(4)]]
        assert set(results) == {expected}


def test_threads_sharing_a_broken_image(data: bytes) -> None:
    im = opened(data[:-1])
    with ThreadPoolExecutor(4) as pool:
        errors = [future.exception() for future in [pool.submit(im.tobytes) for _ in range(16)]]
    assert all(isinstance(error, OSError) and "truncated" in str(error) for error in errors)


def test_threads_encoding(photo: Image.Image, data: bytes) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: saved(photo), range(16))) == {data}


def test_threads_sharing_frames(frames_path: Path, expected_frames: list[bytes]) -> None:
    """Whoever seeks and loads meanwhile, each result is one whole frame."""
    with Image.open(frames_path) as im:
        barrier = threading.Barrier(4)

        def read(seed: int) -> set[bytes]:
            rng, results = random.Random(seed), set()
            barrier.wait()
            for _ in range(30):
                im.seek(rng.randrange(3))
                results.add(im.tobytes())
            return results

        with ThreadPoolExecutor(4) as pool:
            found = set().union(*pool.map(read, range(4)))
    assert found == set(expected_frames)


@pytest.mark.parametrize("format", ["AGV", "PNG"])
def test_threads_saving_the_frames_of_one_image(format: str, frames_data: bytes) -> None:
    def save(im: Image.Image, loop: int) -> bytes:
        fp = io.BytesIO()
        im.save(fp, format, save_all=True, loop=loop)
        return fp.getvalue()

    shared = opened(frames_data)
    wanted = [save(opened(frames_data), loop) for loop in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda loop: save(shared, loop), range(6))) == wanted
    if format == "AGV":  # Pillow's own writers leave an image at its last frame
        assert shared.tell() == 0


def test_threads_saving_images_that_append_each_other(frames_data: bytes, photo: Image.Image) -> None:
    images = [opened(frames_data), opened(frames_data)]
    firsts = [*images, photo.copy(), *images, photo.copy()]

    def save(first: Image.Image) -> bytes:
        return saved(first, save_all=True, append_images=[im for im in images[::-1] if im is not first], quality=1)

    wanted = [save(first) for first in firsts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(save, firsts)) == wanted


def test_seek_while_another_thread_loads(frames_data: bytes, expected_frames: list[bytes]) -> None:
    im = opened(frames_data)
    with ThreadPoolExecutor(2) as pool:
        for frame in (1, 2, 0) * 5:
            loading = pool.submit(im.load)
            im.seek(frame)
            loading.result()
            assert im.tell() == frame
            assert im.tobytes() == expected_frames[frame]


def test_threads_verifying_and_loading(path: Path, expected: bytes) -> None:
    for _ in range(20):
        with Image.open(path) as im, ThreadPoolExecutor(2) as pool:
            loading, verifying = pool.submit(im.tobytes), pool.submit(im.verify)  # type: ignore[attr-defined]
            try:
                assert loading.result() == expected
            except ValueError as error:  # verify was first, and closed the file
                assert "Operation on closed image" in str(error)  # noqa: PT017
            verifying.result()
