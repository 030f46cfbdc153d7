"""A preview is what a file would hold, tile by tile, and can be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import agvae
from agvae.coding.frames import Frames
from agvae.coding.preview import Original, Preview
from agvae.progress import watched
from tests.support.helpers import picture

GREY = picture(150, 90)[..., 0]
PICTURES = {
    "rgb": picture(150, 90),
    "grey": GREY,
    "alpha": np.dstack((picture(150, 90), GREY)),
    "16 bits": GREY.astype(np.uint16) * 200 + 17,
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_preview_is_the_file_and_its_pixels(name: str) -> None:
    preview = Preview(Original(PICTURES[name]), 9000)
    ((box, pixels),) = preview.parts()
    data = agvae.encode(PICTURES[name], 1 + 9000 / 4096)
    assert box == (0, 0, 150, 90)
    assert preview.file() == data
    np.testing.assert_array_equal(pixels, agvae.decode(data))


def test_tiles_come_from_the_centre_outwards_and_make_the_whole(tiny_weights: Path) -> None:
    image = picture(2100, 1100)
    preview = Preview(Original(image), 9000, "tiny")
    shown = np.zeros_like(image)
    boxes = []
    for box, pixels in preview.parts(centre=(2090, 1090)):
        boxes.append(box)
        shown[box[1] : box[3], box[0] : box[2]] = pixels
    data = agvae.encode(image, 1 + 9000 / 4096, model="tiny")
    assert boxes[0] == (2048, 1024, 2100, 1100)
    assert len(boxes) == 6
    assert preview.file() == data
    np.testing.assert_array_equal(shown, agvae.decode(data))


def test_the_first_part_comes_before_all_tiles_are_coded_and_then_there_is_no_file(tiny_weights: Path) -> None:
    noise = np.random.default_rng(0).integers(100, 156, (40, 4100, 3), np.uint8)
    preview = Preview(Original(noise), 0, "tiny")
    next(preview.parts())
    assert len(preview.tiles) == 2
    with pytest.raises(ValueError, match="2 of 5 tiles"):
        preview.file()


class Stop(Exception):
    pass


def test_the_codec_reports_its_pixels_and_stops_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGVAE_THREADS", "1")  # of several the caller waits as it comes, and counts so
    image = picture(600, 400)
    done: list[int] = []
    with watched(done.append):
        data = agvae.encode(image)
        calls = len(done)
        assert sum(done) == 600 * 400
        agvae.decode(data)
    assert sum(done) == 2 * 600 * 400

    for wanted in (1, calls // 3, calls - 1):
        seen = 0

        def stop(pixels: int, wanted: int = wanted) -> None:
            nonlocal seen
            seen += 1
            if seen == wanted:
                raise Stop

        with pytest.raises(Stop), watched(stop):
            agvae.encode(image)
        assert seen == wanted
    np.testing.assert_array_equal(agvae.encode(image), data)


def test_the_pass_over_many_frames_can_be_stopped() -> None:
    class Stop(Exception):
        pass

    seen: list[int] = []

    def stop(_: int) -> None:
        if len(seen) == 3:
            raise Stop

    class Stack:
        def __iter__(self) -> Iterator[np.ndarray]:
            for number in range(100):
                seen.append(number)
                yield np.full((4, 4), number, np.uint8)

    with pytest.raises(Stop), watched(stop):
        Frames(Stack())
    assert len(seen) == 3


def test_watching_ends_with_its_block_and_nests() -> None:
    outer: list[int] = []
    inner: list[int] = []
    with watched(outer.append):
        with watched(inner.append):
            agvae.encode(picture(32, 32))
        assert not outer
        agvae.encode(picture(32, 32))
    assert sum(inner) == sum(outer) == 32 * 32
    agvae.encode(picture(32, 32))
    assert sum(outer) == 32 * 32
