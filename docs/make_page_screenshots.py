"""Make the pictures of pages in docs/images, with Chromium and Selenium; needs what `nox -s browser` installs.

python docs/make_page_screenshots.py
"""

from __future__ import annotations

import json
import sys
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import ExifTags, Image

import agvae
from agvae.evaluation.interactive import report_page
from agvae.evaluation.report import METRICS, deltas, tables

FOLDER = Path(__file__).parent / "images"
sys.path.insert(0, str(FOLDER.parents[1]))

from tests.support.browser import Browser  # noqa: E402


def compared(page: Path) -> None:
    with as_file(files("agvae") / "data" / "chelsea.png") as photograph:
        agvae.compare(photograph, quality=2, peers=["avif", "webp", "jpeg"]).save(page)


def report(page: Path) -> None:
    """Of what docs/results/kodak.json has."""
    found = json.loads((FOLDER.parent / "results" / "kodak.json").read_text("utf-8"))
    curves = found["curves"]
    against = [delta for metric in METRICS for delta in deltas(curves, "agvae", metric)]
    conditions = f"Means over {len(found['images'])} images; model {found['model']['name']}."
    page.write_text(report_page(conditions, [], tables({}, against), [], "agvae", curves), "utf-8")


def viewed(page: Path) -> None:
    from agvae.viewing import read_view, view_page

    with as_file(files("agvae") / "data" / "chelsea.png") as photograph, Image.open(photograph) as image:
        exif = Image.Exif()
        exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Stefan van der Walt", "CC0"
        metadata = agvae.Metadata(exif=exif.tobytes(), dpi=(72, 72))
        coded = page.with_name("chelsea.agv")
        coded.write_bytes(agvae.encode(image, 3.5, metadata=metadata))
    page.write_text("".join(view_page([read_view(coded)], coded.name, single=True)), "utf-8")


def main() -> None:
    browser = Browser()
    with TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        compared(page)
        browser.open(page, 960, height=900)
        browser.driver.find_element("css selector", ".zoom label:nth-of-type(3)").click()
        for side, shown in (("left", "AGV"), ("right", "AVIF")):
            browser.driver.find_element("css selector", f".side-{side}").send_keys(shown)
        browser.run("document.activeElement.blur()")
        browser.shot(whole=True).save(FOLDER / "compare.png", optimize=True)
        viewed(page)
        browser.open(page, 1100, height=760)
        browser.driver.find_element("css selector", ".stage").send_keys("1+++++")
        browser.run("document.activeElement.blur()")
        browser.shot().save(FOLDER / "view.png", optimize=True)
        report(page)
        browser.open(page, 960, height=760)
        browser.shot().save(FOLDER / "report.png", optimize=True)
    browser.close()


if __name__ == "__main__":
    main()
