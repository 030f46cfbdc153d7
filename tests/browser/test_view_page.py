"""The page of `agvae view` as people see and use it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

import agvae
from agvae.viewing import read_view, view_page
from tests.support.helpers import picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver.remote.webelement import WebElement

    from tests.support.browser import Browser

DATA = Path(__file__).parents[1] / "data"
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;.agv"
PIXELS = picture(400, 300)


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., Path]:
    def write(*pictures: Path | bytes | Image.Image, pixels: int = 2**25) -> Path:
        paths = []
        for number, one in enumerate(pictures):
            path = one if isinstance(one, Path) else tmp_path / (HOSTILE if number == 0 else f"{number}.tif")
            if isinstance(one, bytes):
                path.write_bytes(one)
            elif isinstance(one, Image.Image):
                path = path.with_suffix(".tif")
                one.save(path)
            paths.append(path)
        views = (read_view(path, pixels=pixels) for path in paths)
        text = "".join(view_page(views, f"{len(paths)} pictures", single=len(paths) == 1))
        (tmp_path / "page.html").write_text(text, "utf-8")
        return tmp_path / "page.html"

    return write


def find(browser: Browser, selector: str) -> WebElement:
    return browser.driver.find_element("css selector", selector)


def rectangle(browser: Browser, selector: str) -> dict[str, float]:
    script = "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()"
    return dict(browser.run(script, selector))


def inside(browser: Browser) -> np.ndarray:
    """The pixels of the stage, without what marks that it has the focus."""
    box = rectangle(browser, ".stage")
    shot = np.asarray(browser.shot())
    return shot[round(box["y"]) + 5 : round(box["bottom"]) - 5, round(box["x"]) + 5 : round(box["right"]) - 5]


def told(browser: Browser) -> str:
    """What is said of the pixel, when it is read."""
    from selenium.webdriver.support.wait import WebDriverWait

    text = "return document.querySelector('.pixel').textContent.trim()"
    return str(WebDriverWait(browser.driver, 10, 0.02).until(lambda _: browser.run(text)))


def place_of(browser: Browser, x: float, y: float) -> tuple[int, int]:
    """Where a pixel of the picture is on the screen."""
    sheet = rectangle(browser, ".sheet")
    scale = sheet["width"] / browser.run("return Number(document.querySelector('img.current').dataset.width)")
    return math.ceil(sheet["x"] + x * scale), math.ceil(sheet["y"] + y * scale)


def point_at(browser: Browser, x: float, y: float) -> None:
    """Move the pointer to a pixel of the picture."""
    from selenium.webdriver import ActionChains

    browser.run("document.querySelector('.pixel').textContent = ''")
    chain = ActionChains(browser.driver)
    chain.w3c_actions.pointer_action.move_to_location(*place_of(browser, x, y))
    chain.perform()


def scale(browser: Browser) -> str:
    return find(browser, ".scale").text


def test_keys_zoom_and_move_and_pixels_stay_crisp(browser: Browser, page: Callable[..., Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page(agvae.encode(PIXELS, lossless=True)))
    assert find(browser, "h1").text == HOSTILE
    stage = find(browser, ".stage")
    assert scale(browser) == "100 %"
    box, seen = rectangle(browser, ".sheet"), np.asarray(browser.shot())
    assert np.array_equal(seen[round(box["y"]) :, round(box["x"]) :][:300, :400], PIXELS)
    stage.send_keys("+" * 12, "1", "+" * 8)
    assert float(scale(browser).split()[0]) == pytest.approx(100 * 1.25**8, rel=0.01)
    assert told(browser) == "x 200, y 150: R {}, G {}, B {}".format(*PIXELS[150, 200])
    shown = inside(browser).reshape(-1, 3)
    assert {tuple(colour) for colour in shown} <= {tuple(colour) for colour in PIXELS.reshape(-1, 3)}
    before = rectangle(browser, ".sheet")
    stage.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    after = rectangle(browser, ".sheet")
    assert (before["x"] - after["x"], before["y"] - after["y"]) == pytest.approx((64, 64), abs=0.1)
    stage.send_keys("0")
    fitted, box = rectangle(browser, ".sheet"), rectangle(browser, ".stage")
    assert min(box["width"] - fitted["width"], box["height"] - fitted["height"]) == pytest.approx(2, abs=1)
    stage.send_keys("-" * 40)
    assert 16 <= rectangle(browser, ".sheet")["width"] < 400


def test_the_wheel_zooms_where_the_pointer_is_and_a_drag_moves(browser: Browser, page: Callable[..., Path]) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.support.wait import WebDriverWait

    browser.open(page(agvae.encode(PIXELS, lossless=True)))
    point_at(browser, 300, 200)
    before = told(browser)
    assert before == "x 300, y 200: R {}, G {}, B {}".format(*PIXELS[200, 300])
    stage = find(browser, ".stage")
    origin = ScrollOrigin.from_viewport(*place_of(browser, 300, 200))
    ActionChains(browser.driver).scroll_from_origin(origin, 0, -800).perform()
    wait = WebDriverWait(browser.driver, 10, 0.02)
    wait.until(lambda _: float(scale(browser).split()[0]) == pytest.approx(100 * np.exp(1.6), rel=0.01))
    assert told(browser) == before
    assert browser.run("return window.scrollY") == 0
    before_drag = rectangle(browser, ".sheet")
    ActionChains(browser.driver).move_to_element(stage).click_and_hold().move_by_offset(-50, -30).release().perform()
    moved = rectangle(browser, ".sheet")
    assert (before_drag["x"] - moved["x"], before_drag["y"] - moved["y"]) == pytest.approx((50, 30), abs=0.1)
    ActionChains(browser.driver).move_to_element(stage).double_click().perform()
    assert rectangle(browser, ".sheet")["width"] <= rectangle(browser, ".stage")["width"]


def test_the_wheel_goes_on_to_the_next_picture_until_one_is_clicked(
    browser: Browser, page: Callable[..., Path]
) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.support.wait import WebDriverWait

    browser.open(page(agvae.encode(PIXELS, lossless=True), Image.fromarray(PIXELS)))
    stage = find(browser, ".stage")
    ActionChains(browser.driver).scroll_from_origin(ScrollOrigin.from_element(stage), 0, 50).perform()
    wait = WebDriverWait(browser.driver, 10, 0.02)
    wait.until(lambda _: browser.run("return window.scrollY") == 50)
    assert scale(browser) == "100 %"
    stage.click()
    ActionChains(browser.driver).scroll_from_origin(ScrollOrigin.from_element(stage), 0, 50).perform()
    wait.until(lambda _: scale(browser) == "90.5 %")
    assert browser.run("return window.scrollY") == 50


def test_two_fingers_zoom(browser: Browser, page: Callable[..., Path]) -> None:
    browser.open(page(agvae.encode(PIXELS, lossless=True)), 390)
    box = rectangle(browser, ".stage")
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    width = rectangle(browser, ".sheet")["width"]

    def touch(kind: str, *distances: float) -> None:
        points = [{"x": middle[0] + distance, "y": middle[1], "id": k} for k, distance in enumerate(distances)]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -30)
    touch("touchStart", -30, 30)
    for distance in range(35, 95, 5):
        touch("touchMove", -distance, distance)
    touch("touchEnd")
    assert rectangle(browser, ".sheet")["width"] == pytest.approx(3 * width, rel=0.02)


def test_values_are_those_of_the_file(browser: Browser, page: Callable[..., Path]) -> None:
    """Colour profiles, and canvases that forget the colour of what is nearly transparent, do not come between."""
    image = Image.fromarray(PIXELS)
    image.putalpha(Image.fromarray((np.arange(400) % 7).astype(np.uint8)[None].repeat(300, 0)))
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"rXYZ")
    red, green = int.from_bytes(profile[at + 4 : at + 8], "big"), profile.index(b"gXYZ")
    green = int.from_bytes(profile[green + 4 : green + 8], "big")
    profile[red : red + 20], profile[green : green + 20] = profile[green : green + 20], profile[red : red + 20]
    browser.open(page(agvae.encode(image, lossless=True, metadata=agvae.Metadata(icc_profile=bytes(profile)))))
    for x, y in ((7, 3), (8, 3), (391, 299), (399, 0)):
        point_at(browser, x, y)
        expected = np.asarray(image)[y, x]
        assert told(browser) == f"x {x}, y {y}: R {expected[0]}, G {expected[1]}, B {expected[2]}, alpha {expected[3]}"


def test_deep_values_and_their_range(browser: Browser, page: Callable[..., Path]) -> None:
    values = (np.arange(80 * 60, dtype=np.float32).reshape(60, 80) - 2000) / 7
    values[0, :5] = np.nan
    browser.open(page(Image.fromarray(values), pixels=2**14))
    low, high = np.nanmin(values), np.nanmax(values)
    assert [float(find(browser, f".{end}").get_attribute("value")) for end in ("low", "high")] == [
        pytest.approx(low),
        pytest.approx(high),
    ]
    point_at(browser, 41, 30)
    where, value = told(browser).split(": ")
    assert where == "x 41, y 30"
    assert float(value) == pytest.approx(float(values[30, 41]), rel=1e-6)
    box, seen = rectangle(browser, ".sheet"), np.asarray(browser.shot())
    grey = seen[round(box["y"]) :, round(box["x"]) :][:60, :80, 0].astype(int)
    assert np.abs(grey[1:] - np.rint(255 * (values[1:] - low) / (high - low))).max() <= 1
    black = find(browser, ".low")
    browser.run("arguments[0].value = 200; arguments[0].dispatchEvent(new Event('change'))", black)
    darker = np.asarray(browser.shot())[round(box["y"]) :, round(box["x"]) :][:60, :80, 0].astype(int)
    assert darker[30, 41] == 0
    find(browser, ".all").click()
    assert float(black.get_attribute("value")) == pytest.approx(low)


def test_frames_are_chosen_and_played(browser: Browser, page: Callable[..., Path]) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    frames = [np.full((30, 40), 60 * k, np.uint8) for k in range(4)]
    metadata = agvae.Metadata(durations=(20, 20, 20, 20))
    browser.open(page(agvae.encode(frames, lossless=True, metadata=metadata)))
    assert find(browser, ".which").text == "1 of 4, 20 ms"
    find(browser, ".stage").send_keys("..")
    assert find(browser, ".which").text == "3 of 4, 20 ms"
    assert told(browser) == "x 20, y 15: grey 120"
    middle = inside(browser)
    assert (middle[middle.shape[0] // 2, middle.shape[1] // 2] == 120).all()
    find(browser, ".stage").send_keys("...")
    assert find(browser, ".which").text == "2 of 4, 20 ms"
    find(browser, ".play").click()
    WebDriverWait(browser.driver, 10, 0.01).until(lambda _: find(browser, ".which").text.startswith("4"))
    find(browser, ".play").click()
    stopped = find(browser, ".which").text
    assert find(browser, ".play").text == "Play"
    assert find(browser, ".which").text == stopped


def test_a_reduced_picture_has_the_places_of_the_whole(browser: Browser, page: Callable[..., Path]) -> None:
    browser.open(page(agvae.encode(PIXELS, lossless=True), pixels=2**15))
    assert scale(browser) == "100 %"
    assert rectangle(browser, ".sheet")["width"] == 400
    point_at(browser, 200, 100)
    block = PIXELS[100:102, 200:202].reshape(-1, 3).mean(0)
    assert told(browser).startswith("x 200, y 100: R ")
    assert told(browser).endswith("(mean of 2 x 2)")
    assert int(told(browser).split("R ")[1].split(",")[0]) == pytest.approx(block[0], abs=1)


def test_transparency_lies_on_a_chequerboard(browser: Browser, page: Callable[..., Path]) -> None:
    image = Image.new("RGBA", (200, 100), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 200, 50))
    browser.open(page(agvae.encode(image, lossless=True)))
    box, seen = rectangle(browser, ".sheet"), np.asarray(browser.shot())
    sheet = seen[round(box["y"]) :, round(box["x"]) :][:100, :200]
    assert {tuple(map(int, colour)) for colour in sheet[:50].reshape(-1, 3)} >= {(0xB9,) * 3, (0xE6,) * 3}
    assert (sheet[51:] == (255, 0, 0)).all()


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_on_screens_and_phones(browser: Browser, page: Callable[..., Path], width: int, dark: bool) -> None:
    metadata = agvae.Metadata(comment=HOSTILE + "x" * 300, xmp=b"</pre><script>alert(1)</script>")
    data = agvae.encode([PIXELS] * 2, lossless=True, metadata=metadata)
    browser.open(page(data, DATA / "deep-frames-q3.agv", Image.fromarray(PIXELS)), width, dark=dark)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert find(browser, "nav a").text == HOSTILE
    heights = "return Math.min(...[...document.querySelectorAll('button, input')].map(one => one.offsetHeight))"
    assert browser.run(heights) >= 36
    assert browser.run("return document.querySelectorAll('img[onerror], img[src=x]').length") == 0
    assert browser.run("return document.querySelectorAll('script').length") == 1
    asked = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name.slice(0, 5))")
    assert set(asked) <= {"data:"}
    paper = np.asarray(browser.shot())[2, 2]
    assert paper.max() < 40 if dark else paper.min() > 240
