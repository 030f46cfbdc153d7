"""Pillow's incremental parser."""

from __future__ import annotations

import pytest
from PIL import ImageFile

pytestmark = pytest.mark.usefixtures("tiny_weights")


@pytest.mark.parametrize("step", [1, 100])
def test_parser(step: int, data: bytes, expected: bytes) -> None:
    parser = ImageFile.Parser()
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    assert parser.close().tobytes() == expected


@pytest.mark.parametrize("missing", [1, 100])
def test_parser_with_missing_tail(missing: int, data: bytes) -> None:
    parser = ImageFile.Parser()
    parser.feed(data[:-missing])
    with pytest.raises(OSError, match="truncated"):
        parser.close()
