"""The page of `agvae compare` as people see and use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import agvae
from agvae.comparison import Comparison, write_page
from agvae.comparison.subject import read_subject
from agvae.comparison.versions import Version
from tests.support.helpers import picture

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

    from tests.support.browser import Browser

RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;.png"


def plain(colour: tuple[int, int, int], title: str, size: tuple[int, int]) -> Version:
    return Version(title, "by hand", 1, b"123", Image.new("RGB", size, colour), 0.1, 30.0, None, None)


def colours(name: str = HOSTILE, size: tuple[int, int] = (400, 300)) -> Comparison:
    """Versions that are told from each other at once."""
    versions = [plain(GREEN, "AGV", size), plain(BLUE, "WebP", size)]
    return Comparison(read_subject(Image.new("RGB", size, RED), name), versions, "size")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    write_page(path, [colours(), colours("second.png")], "size")
    return path


def find(browser: Browser, selector: str) -> WebElement:
    return browser.driver.find_element("css selector", selector)


def seen(browser: Browser, fraction: float, vertical: float = 0.25) -> object:
    """The colour at a fraction of the width of the first picture's window."""
    box = browser.run("return document.querySelector('.view').getBoundingClientRect().toJSON()")
    place = (int(box["left"] + fraction * box["width"]), int(box["top"] + vertical * box["height"]))
    return browser.shot().getpixel(place)


def test_the_slider_is_moved_by_keys(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    slider = find(browser, ".slider")
    assert [seen(browser, fraction) for fraction in (0.3, 0.45, 0.55, 0.7)] == [RED, RED, GREEN, GREEN]
    slider.send_keys(Keys.ARROW_LEFT * 20)
    assert slider.get_attribute("value") == "30"
    assert [seen(browser, fraction) for fraction in (0.25, 0.35)] == [RED, GREEN]
    slider.send_keys(Keys.END)
    assert [seen(browser, fraction) for fraction in (0.1, 0.9)] == [RED, RED]
    slider.send_keys(Keys.HOME)
    assert [seen(browser, fraction) for fraction in (0.1, 0.9)] == [GREEN, GREEN]
    assert slider.get_attribute("aria-valuetext") == "0 %: Original, then AGV: 3 bytes"


def test_the_slider_is_dragged(browser: Browser, page: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(page)
    view, slider = find(browser, ".view"), find(browser, ".slider")
    ActionChains(browser.driver).move_to_element_with_offset(view, 100, 0).click_and_hold().move_by_offset(
        40, 0
    ).release().perform()
    assert slider.get_attribute("value") == "85"
    assert [seen(browser, fraction) for fraction in (0.8, 0.95)] == [RED, GREEN]
    ActionChains(browser.driver).drag_and_drop_by_offset(find(browser, ".cut"), -240, 0).perform()
    assert slider.get_attribute("value") == "25"


def test_any_two_are_compared(browser: Browser, page: Path) -> None:
    browser.open(page)
    left, right = find(browser, ".side-left"), find(browser, ".side-right")
    assert [line.strip() for line in left.text.strip().split("\n")] == ["Original", "AGV: 3 bytes", "WebP: 3 bytes"]
    left.send_keys("A")
    right.send_keys("W")
    assert [seen(browser, fraction) for fraction in (0.45, 0.55)] == [GREEN, BLUE]
    assert [find(browser, f".tag-{side}").text for side in ("left", "right")] == ["AGV", "WebP"]
    left.send_keys("W")
    assert [seen(browser, fraction) for fraction in (0.45, 0.55)] == [BLUE, BLUE]


def test_zoom_keeps_what_is_in_the_middle_and_scrolls(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page, 500)
    find(browser, ".zoom input").send_keys(Keys.ARROW_RIGHT * 2)
    assert browser.run("return document.querySelector('.zoom input:checked').value") == "2"
    sizes = "const v = document.querySelector('.view'); return [v.scrollWidth, v.scrollLeft + v.clientWidth / 2]"
    width, middle = browser.run(sizes)
    assert width == 800
    assert abs(middle - 400) <= 1
    assert [seen(browser, fraction) for fraction in (0.45, 0.55)] == [RED, GREEN]
    browser.run("document.querySelector('.view').scrollLeft = 0")
    browser.shot()  # of the next frame
    assert [seen(browser, fraction) for fraction in (0.45, 0.55)] == [RED, GREEN]


def test_names_are_text(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert find(browser, "h2").text == HOSTILE
    assert [link.text for link in browser.driver.find_elements("css selector", "nav a")] == [HOSTILE, "second.png"]
    assert browser.run("return document.querySelectorAll('img[onerror], img[src=x]').length") == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_on_screens_and_phones(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return Math.min(...[...document.querySelectorAll('select')].map(s => s.offsetHeight))") >= 36


def test_it_follows_the_scheme(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert min(browser.shot().getpixel((2, 2))) > 240  # type: ignore[type-var, arg-type]
    browser.open(page, dark=True)
    assert max(browser.shot().getpixel((2, 2))) < 40  # type: ignore[type-var, arg-type]


def test_it_asks_for_nothing(browser: Browser, page: Path) -> None:
    browser.open(page)
    asked = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name.slice(0, 5))")
    assert set(asked) <= {"data:"}


def test_transparency_lies_on_a_chequerboard(browser: Browser, tmp_path: Path) -> None:
    image = Image.new("RGBA", (200, 100), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 200, 50))
    version = Version("AGV", "by hand", 1, b"1", image, 0.1, 30.0, None, None)
    Comparison(read_subject(image), [version], "size").save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    top = {seen(browser, fraction, 0.2) for fraction in (0.1, 0.15, 0.2, 0.25, 0.3)}
    assert top == {(0xB9,) * 3, (0xE6,) * 3}
    assert seen(browser, 0.2, 0.6) == RED


def test_in_a_notebook(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    style = "<style>* { display: block !important; color: red } .cut { display: none }</style>"
    two = colours()._repr_html_() + colours("second.png")._repr_html_()
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html>{style}{two}", "utf-8")
    browser.open(tmp_path / "page.html")
    frames = browser.driver.find_elements("css selector", "iframe")
    for frame, name in zip(frames, (HOSTILE, "second.png"), strict=True):
        browser.driver.switch_to.frame(frame)
        assert find(browser, "h2").text == name
        find(browser, ".slider").send_keys(Keys.HOME)
        assert find(browser, ".slider").get_attribute("aria-valuetext").startswith("0 %")
        assert browser.run("return getComputedStyle(document.querySelector('.cut')).display") == "block"
        browser.driver.switch_to.default_content()


def test_a_real_comparison(browser: Browser, tiny_weights: Path, tmp_path: Path) -> None:
    original = picture(320, 240)
    compared = agvae.compare(original, 3)
    compared.save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html")
    loaded = "return [...document.images].map(image => image.complete && image.naturalWidth)"
    assert set(browser.run(loaded)) == {320}
    rows = [row.text.split()[0] for row in browser.driver.find_elements("css selector", "tbody tr")]
    assert rows[:4] == ["AGV", "AVIF", "WebP", "JPEG"]
    left, top = browser.run("const b = document.querySelector('.view').getBoundingClientRect(); return [b.x, b.y]")
    shown = np.asarray(browser.shot())[round(top) :, round(left) :]
    assert np.array_equal(shown[20:200, 20:110], original[20:200, 20:110])
    assert np.array_equal(shown[20:200, 210:300], np.asarray(compared.versions[0].image)[20:200, 210:300])
