"""The page of `agvae evaluate` as people see and use it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agvae.evaluation.interactive import report_page
from agvae.evaluation.measure import Row, summarise
from agvae.evaluation.report import columns, deltas, tables

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

    from tests.support.browser import Browser

PEERS = ("jpeg", "webp", "avif", "avif-psnr", "heic", "heic-420", "heic-psnr", "jxl")
PUBLISHED = [f"published-{number}" for number in range(30)]


def curve(codec: str, worse: float, image: str) -> list[Row]:
    rates = [0.1 * 1.5**step for step in range(8)]
    return [
        Row(codec, step + 1.0, image, 10, 10, 1, rate, 28 + 2 * step - worse, 0.9 + step / 100, 0, 0, 0, 0)
        for step, rate in enumerate(rates)
    ]


def written(path: Path, published: Sequence[str] = (), peers: Sequence[str] = PEERS) -> Path:
    """A page of measured codecs on two images, and of published curves."""
    codecs = ("agvae", *peers)
    rows = [row for image in "ab" for number, codec in enumerate(codecs) for row in curve(codec, number / 2, image)]
    points = summarise(rows)
    curves = {name: columns(found) for name, found in points.items()}
    known = {
        **curves,
        **{name: {"bpp": [0.2, 1.0], "psnr": [20 + k / 2, 30 + k / 2]} for k, name in enumerate(published)},
    }
    made = tables(points, deltas(known, "agvae"))
    path.write_text(report_page("Means over 2 images.", rows, made, ["Even."], "agvae", known), "utf-8")
    return path


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return written(tmp_path / "report.html", PUBLISHED)


def find(browser: Browser, selector: str) -> WebElement:
    return browser.driver.find_element("css selector", selector)


def texts(browser: Browser) -> list[str]:
    """Names at the curves of the first plot."""
    script = (
        "return [...document.querySelectorAll('.plot')[0].querySelectorAll('text:not(.tick)')].map(t => t.textContent)"
    )
    return list(browser.run(script))


def test_no_colour_twice_and_names_at_the_curves(browser: Browser, page: Path) -> None:
    browser.open(page)
    script = "return [...document.querySelectorAll('.plot')[0].querySelectorAll('path[data-name]')].map(p => %s)"
    colours = browser.run(script % "getComputedStyle(p).stroke")
    assert len(colours) == len(set(colours)) == 9 + 30
    assert {"agvae", *PEERS} <= set(texts(browser))
    script = (
        "return [...document.querySelectorAll('.plot')[0].querySelectorAll('text:not(.tick)')].map(t => t.getBBox().y)"
    )
    places = sorted(browser.run(script))
    assert all(b - a >= 10 for a, b in pairwise(places))


@pytest.mark.parametrize("peers", [(), PEERS])
def test_names_at_curves_are_whole(browser: Browser, tmp_path: Path, peers: Sequence[str]) -> None:
    browser.open(written(tmp_path / "report.html", peers=peers))
    script = "const p = document.querySelector('.plot'), end = t => t.getBBox().x + t.getBBox().width;"
    script += "return p.clientWidth - Math.max(...[...p.querySelectorAll('text:not(.tick)')].map(end))"
    assert browser.run(script) >= 0


def test_points_tell_their_numbers_by_keys_and_pointer(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open(written(tmp_path / "report.html"))
    plot, told = find(browser, ".plot"), find(browser, "output")
    plot.send_keys(Keys.ARROW_RIGHT)
    assert told.text == "agvae at 1: 0.100 bpp, 28.00 dB"
    plot.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert told.text == "jpeg at 2: 0.150 bpp, 29.50 dB"
    ActionChains(browser.driver).move_to_element(find(browser, ".plot path.own + circle")).perform()
    assert told.text == "agvae at 1: 0.100 bpp, 28.00 dB"


def test_curves_are_hidden_and_images_chosen(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.driver.find_elements("css selector", ".curves input")[1].click()
    assert "jpeg" not in texts(browser)
    find(browser, ".views").send_keys("b")
    assert set(texts(browser)) == {"agvae", *PEERS} - {"jpeg"}
    find(browser, ".none").click()
    find(browser, ".none").click()
    assert set(texts(browser)) == {"agvae", *PEERS}


def test_a_range_of_rates_is_chosen_by_dragging(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(written(tmp_path / "report.html"))

    def ticks() -> list[float]:
        script = (
            "return [...document.querySelector('.plot').querySelectorAll('.tick[text-anchor=middle]')].map(t => %s)"
        )
        return [float(text) for text in browser.run(script % "t.textContent")[:-1]]

    whole = ticks()
    moves = ActionChains(browser.driver).move_to_element_with_offset(find(browser, ".plot"), -100, 0)
    moves.click_and_hold().move_by_offset(200, 0).release().perform()
    assert max(ticks()) - min(ticks()) < (max(whole) - min(whole)) / 2
    find(browser, ".reset").click()
    assert ticks() == whole
    find(browser, ".logarithmic").click()
    assert 0.5 in ticks()
    assert 0 not in ticks()


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_on_screens_and_phones(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return Math.min(...[...document.querySelectorAll('svg')].map(s => s.clientWidth))") > width / 2
    colours = browser.shot().getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 100


def test_tables_say_the_same(browser: Browser, page: Path) -> None:
    browser.open(page)
    rows = browser.driver.find_elements("css selector", ".table tbody tr")
    assert len(rows) >= 8
    assert all(len(row.text.split()) >= 4 for row in rows[:8])
