"""Rate control: the search on curves, and targets met with the real codec."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import agvae
import pillow_agvae  # noqa: F401
from agvae.coding.assemble import psnr
from agvae.coding.frames import Frames
from agvae.coding.rate_control import PSNR_TOLERANCE, encode_to_psnr, encode_to_size, find_level
from agvae.quality import LEVEL_STEPS, MAX_LEVEL
from tests.support.helpers import picture

BOUNDS = (-0.01, 0.0)


@given(st.floats(-4, 4), st.floats(0.2, 5), st.floats(0.3, 3))
def test_smooth_curves_take_few_trials(offset: float, rise: float, bend: float) -> None:
    trials = []

    def error(level: int) -> float:
        trials.append(level)
        return offset + rise * ((level + 1) / MAX_LEVEL) ** bend

    level = find_level(error, BOUNDS, 3 / MAX_LEVEL)
    assert len(trials) <= 40
    if level is None:
        assert error(0) > BOUNDS[1]
    elif level == MAX_LEVEL:
        assert error(level) <= BOUNDS[1]
    else:
        assert error(level) <= BOUNDS[1]
        assert error(level) >= BOUNDS[0] or error(level + 1) > BOUNDS[1]


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=30), st.floats(1e-9, 1))
def test_stairs_end(stairs: list[float], slope: float) -> None:
    """Steps wider than the bounds, infinite slopes, wrong first guesses: the highest level that is not too high."""
    stairs = sorted(stairs)
    trials = []

    def error(level: int) -> float:
        trials.append(level)
        return stairs[level * len(stairs) // (MAX_LEVEL + 1)]

    level = find_level(error, BOUNDS, slope)
    assert len(trials) == len(set(trials)) <= 80
    assert (level is None) == (stairs[0] > BOUNDS[1])
    if level is not None:
        assert level in trials
        assert error(level) <= BOUNDS[1]
        assert error(level) >= BOUNDS[0] or level == MAX_LEVEL or error(level + 1) > BOUNDS[1]


@given(st.data())
def test_noise_does_not_keep_it_from_ending(data: st.DataObject) -> None:
    values = st.one_of(st.floats(-1, 1), st.just(math.inf))
    level = find_level(lambda _: data.draw(values), (-1e-6, 0.0), 1e-4)
    assert level is None or 0 <= level <= MAX_LEVEL


def test_a_size_that_is_too_small() -> None:
    with pytest.raises(ValueError, match=r"10 bytes cannot be reached.* 500 bytes, at quality 1$"):
        encode_to_size(lambda level: bytes(500 + level), 10)
    with pytest.raises(ValueError, match="0 bytes cannot be reached"):
        encode_to_size(lambda level: bytes(500 + level), 0.5)


def test_a_size_that_is_larger_than_the_best() -> None:
    assert len(encode_to_size(lambda level: bytes(500 + level), 1e9)) == 500 + MAX_LEVEL


def test_a_psnr_that_is_out_of_reach() -> None:
    def psnr(data: bytes) -> float:
        return 30 + len(data) / MAX_LEVEL

    with pytest.raises(ValueError, match=r"45 dB cannot be reached.* is 6, with 31\.00 dB"):
        encode_to_psnr(bytes, psnr, 45)
    assert encode_to_psnr(bytes, psnr, 10) == b""
    assert psnr(encode_to_psnr(bytes, psnr, 30.4)) == pytest.approx(30.4, abs=0.05)


def test_sizes_that_do_not_rise() -> None:
    """The best of what was tried, and in errors the truth about it."""
    sizes = {0: 94, MAX_LEVEL // 2: 90}
    assert len(encode_to_size(lambda level: bytes(sizes.get(level, 200)), 92)) == 90
    with pytest.raises(ValueError, match=r"of 3 files that were tried has 90 bytes, at quality 3\.5$"):
        encode_to_size(lambda level: bytes(sizes.get(level, 200)), 50)


@given(st.lists(st.floats(20, 50), min_size=11, max_size=11), st.floats(20, 50), st.booleans())
def test_psnr_that_rises_and_falls(values: list[float], target: float, jumps: bool) -> None:
    """Met wherever the curve goes through the target between half qualities, else exceeded, else refused."""
    step = MAX_LEVEL // 10
    tried: dict[int, float] = {}

    def psnr(data: bytes) -> float:
        position = len(data) / step
        k = min(int(position), 9)
        share = float(position - k >= 0.5) if jumps else position - k
        tried[len(data)] = values[k] + share * (values[k + 1] - values[k])
        return tried[len(data)]

    try:
        data = encode_to_psnr(bytes, psnr, target)
    except ValueError as error:
        assert max(values) < target - PSNR_TOLERANCE
        assert f"with {max(tried.values()):.2f} dB" in str(error)  # noqa: PT017
    else:
        assert len(tried) < 150
        assert len(data) == min(size for size, value in tried.items() if value >= target - PSNR_TOLERANCE)
        if not jumps and values[0] <= target:
            assert any(abs(value - target) <= PSNR_TOLERANCE for value in tried.values())


@pytest.mark.parametrize(
    ("target", "size", "gain", "reached", "found"),
    [
        (35, 4000, 8, 35, 4267),
        (40, 4000, 8, 40, 4833),
        (40, 20_000, 8, 40, 11_267),
        (46, 4000, 8, 46, 8033),
        (40, 3000, math.inf, math.inf, 3000),
        (40, 12_000, math.inf, 40, 11_267),
        (50, 12_000, math.inf, math.inf, 12_000),
    ],
    ids=["below", "with more", "without it", "above", "exact and small", "exact and large", "only exact"],
)
def test_psnr_where_more_becomes_worth_keeping(
    target: float, size: int, gain: float, reached: float, found: int
) -> None:
    """From quality 3 on more of a picture is without loss, which has a size and makes the PSNR better."""
    trials, psnrs = [], dict[bytes, float]()

    def encode(level: int, other: int | None = None) -> bytes:
        trials.append(level)
        more = (level if other is None else other) >= 2 * LEVEL_STEPS
        quality = 1 + level / LEVEL_STEPS
        length = size + 300 * quality**2 * math.isfinite(gain) if more else 600 * quality**2
        psnrs[data := bytes([more]) * round(length)] = 27 + 3 * quality + (gain if more else 0)
        return data

    data = encode_to_psnr(encode, psnrs.__getitem__, target, encode)
    assert psnrs[data] == pytest.approx(reached, abs=PSNR_TOLERANCE)
    assert len(data) == pytest.approx(found, rel=0.02)
    assert len(trials) < 25


def test_psnr_met_by_a_larger_file_than_one_that_exceeds_it() -> None:
    """As where a page of text with a photograph becomes worth keeping, and takes fewer bytes."""
    psnrs = dict[bytes, float]()

    def encode(level: int) -> bytes:
        data = bytes(level if level < MAX_LEVEL // 2 else level // 2)
        psnrs[data] = 30 + 10 * level / MAX_LEVEL
        return data

    assert len(encode_to_psnr(encode, psnrs.__getitem__, 34)) == MAX_LEVEL // 4
    assert len(encode_to_psnr(encode, psnrs.__getitem__, 31)) == pytest.approx(MAX_LEVEL / 10, rel=0.05)


def test_psnr_where_what_is_kept_is_better_elsewhere() -> None:
    """Of sets of what is without loss the target lies beside one that costs more than one further away."""
    sets = [(2.0, 600, 0, 0), (2.5, 300, 9000, 5), (6.0, 300, 4000, 8)]
    psnrs = dict[bytes, float]()

    def encode(level: int, other: int | None = None) -> bytes:
        quality, chosen = (1 + k / LEVEL_STEPS for k in (level, level if other is None else other))
        number = next(n for n, entry in enumerate(sets) if chosen < entry[0] or n == 2)
        _, bits, more, gain = sets[number]
        psnrs[data := bytes([number]) * round(more + bits * quality**2)] = 27 + 3 * quality + gain
        return data

    sizes = [len(encode_to_psnr(encode, psnrs.__getitem__, target, encode)) for target in range(31, 50)]
    assert sizes == sorted(sizes)
    assert sizes[36 - 31] == 4300


@pytest.mark.parametrize("target", [49.2, 49.4])
def test_target_psnr_of_a_picture_that_gets_worse(target: float) -> None:
    """Noise in the dark: its PSNR is highest at a quality of about 4 with `base-1`."""
    pixels = np.random.default_rng(0).normal(1, 1, (128, 128, 3)).clip(0, 255).astype(np.uint8)
    frames = Frames([pixels])
    reached = psnr(agvae.encode(pixels, target_psnr=target, model="base-1"), frames)
    assert target - PSNR_TOLERANCE <= reached < target + 0.3
    assert psnr(agvae.encode(pixels, 6, model="base-1"), frames) < 49.1
    with pytest.raises(ValueError, match=r"50 dB cannot be reached: the best of .* with 49\.\d\d dB"):
        agvae.encode(pixels, target_psnr=50, model="base-1")


@pytest.mark.parametrize("size", [4000, 12000])
def test_target_size(size: int) -> None:
    pixels = picture(256, 192)
    assert 0.99 * size <= len(agvae.encode(pixels, target_size=size)) <= size


def test_target_size_counts_everything() -> None:
    alpha = np.random.default_rng(0).integers(0, 256, (192, 256, 1), np.uint8)
    pixels = np.concatenate((picture(256, 192), alpha), axis=2)
    data = agvae.encode(pixels, target_size=64_000, metadata=agvae.Metadata(comment=bytes(10_000)))
    assert 0.99 * 64_000 <= len(data) <= 64_000


def test_target_bpp() -> None:
    info = agvae.read_info(agvae.encode(picture(256, 192), target_bpp=1.5))
    assert 1.485 <= info["bpp"] <= 1.5


def test_target_bpp_of_frames() -> None:
    info = agvae.read_info(agvae.encode([picture(192, 128, seed) for seed in range(3)], target_bpp=1.5))
    assert info["frames"] == 3
    assert 0.985 <= info["bpp"] <= 1.5


@pytest.mark.parametrize("target", [28, 31])
def test_target_psnr(target: float) -> None:
    pixels = picture(256, 192)
    decoded = agvae.decode(agvae.encode(pixels, target_psnr=target))
    reached = 10 * np.log10(255**2 / np.mean((decoded.astype(float) - pixels) ** 2))
    assert abs(reached - target) <= 0.05


def test_target_psnr_of_sixteen_bits_is_relative_to_their_range() -> None:
    pixels = picture(256, 192)[..., 0].astype(np.uint16) * 16 + 1000
    decoded = agvae.decode(agvae.encode(pixels, target_psnr=31))
    span = int(pixels.max()) - int(pixels.min())
    reached = 10 * np.log10(span**2 / np.mean((decoded.astype(float) - pixels) ** 2))
    assert abs(reached - 31) <= 0.05


def test_a_picture_of_one_colour_has_any_psnr() -> None:
    agvae.decode(agvae.encode(np.full((64, 64, 3), 77, np.uint8), target_psnr=25))


def test_pillow_has_targets_too() -> None:
    image = Image.fromarray(picture(256, 192))
    for options in ({"target_size": 8000}, {"target_bpp": 8000 * 8 / (256 * 192)}):
        file = BytesIO()
        image.save(file, "AGV", **options)
        assert 7920 <= len(file.getvalue()) <= 8000


@pytest.mark.parametrize("name", ["target_size", "target_bpp", "target_psnr"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "1", True, 1j])
def test_wrong_targets(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        agvae.encode(np.zeros((8, 8), np.uint8), **{name: value})  # type: ignore[arg-type]


def test_one_target_at_a_time() -> None:
    with pytest.raises(ValueError, match="only one"):
        agvae.encode(np.zeros((8, 8), np.uint8), 3.0, target_size=1000)
    with pytest.raises(ValueError, match="only one"):
        agvae.encode(np.zeros((8, 8), np.uint8), target_bpp=1, target_psnr=30)
