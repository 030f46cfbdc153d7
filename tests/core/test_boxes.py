"""Boxes: areas, overlaps and grids against sets of pixels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agvae.boxes import Box, grid, grid_box, grid_size


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    return Box(left, top, left + draw(st.integers(1, 20)), top + draw(st.integers(1, 20)))


def pixels(box: Box | None) -> set[tuple[int, int]]:
    return set() if box is None else {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


@given(boxes(), boxes())
def test_overlap_is_what_both_have(a: Box, b: Box) -> None:
    assert a.area == len(pixels(a)) == a.width * a.height
    assert pixels(a.overlap(b)) == pixels(a) & pixels(b)


@given(boxes(), st.integers(1, 9))
def test_split_covers_every_pixel_once(box: Box, side: int) -> None:
    parts = box.split(side)
    assert set().union(*map(pixels, parts)) == pixels(box)
    assert sum(part.area for part in parts) == box.area
    assert all(part.width <= side and part.height <= side for part in parts)


@given(boxes(), st.integers(1, 9))
def test_aligned_is_the_smallest_box_at_multiples_that_holds_it(box: Box, unit: int) -> None:
    outer = box.aligned(unit)
    assert pixels(box) <= pixels(outer)
    assert all(side % unit == 0 for side in outer)
    assert all(abs(a - b) < unit for a, b in zip(box, outer, strict=True))


@given(boxes(), boxes())
def test_rows_and_columns_within_another(box: Box, outer: Box) -> None:
    shared = box.overlap(outer)
    if shared is None:
        return
    rows, columns = shared.within(outer)
    assert (rows.start, columns.start) == (shared.top - outer.top, shared.left - outer.left)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (shared.height, shared.width)
    assert Box(0, 0, outer.right, outer.bottom).slices == (slice(0, outer.bottom), slice(0, outer.right))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20))
def test_grid_boxes_by_number_are_those_of_the_grid(width: int, height: int, side: int) -> None:
    boxes = grid(width, height, side)
    assert boxes == [grid_box(width, height, side, k) for k in range(grid_size(width, height, side))]
    assert boxes == Box(0, 0, width, height).split(side)
