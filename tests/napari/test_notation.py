"""Numbers in other notations, without Qt."""

from __future__ import annotations

import pytest

from napari_agvae.docks.notation import may_become_number, parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("4.25", 4.25), ("4,25", 4.25), ("38,123", 38.123), ("1.500", 1.5), (" 12,5 ", 12.5), (",5", 0.5), ("2,", 2)),
        *(("1,500.5", 1500.5), ("1.500,5", 1500.5), ("1.500.000", 1500000), ("1,500,000", 1500000)),
        *(("12,34,567.5", 1234567.5), ("1 500,5", 1500.5), ("1\u202f500,5", 1500.5), ("1'500.5", 1500.5)),
        *(("1e3", 1000), ("1,5E-2", 0.015), ("+7", 7), ("\u22127", -7), ("\uff14\uff0c\uff12\uff15", 4.25)),
        *(("\u0664\u066b\u0662\u0665", 4.25), ("\u06f4\u066b\u06f2", 4.2)),
        *(("", None), ("abc", None), ("1..5", None), ("1,5,2", None), ("1.5.2,3", None), ("1e", None), ("5 dB", None)),
    ],
)
def test_a_number_is_what_its_text_says(text: str, number: float | None) -> None:
    assert parse_number(text) == number
    if number is not None:
        assert all(may_become_number(text[:end]) for end in range(len(text) + 1))


@pytest.mark.parametrize("text", ["a", "1a", "1-2", "e1x", "1,5 dB"])
def test_what_becomes_no_number_is_not_taken(text: str) -> None:
    assert not may_become_number(text)
