"""A real Chromium without a window, driven by Selenium: what a page shows, and what becomes of keys and drags."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

PROGRAMS = (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
"""Names of the browser, and of what drives it."""


class Browser:
    """Chromium, and a page in it."""

    def __init__(self) -> None:
        found = [next(filter(None, map(shutil.which, names)), None) for names in PROGRAMS]
        if None in found:
            pytest.skip("no Chromium; on Debian: apt-get install --no-install-recommends chromium chromium-driver")
        options = ChromeOptions()
        options.binary_location = found[0]
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = Chrome(options=options, service=Service(found[1]))

    def open(self, path: Path, width: int = 1280, *, dark: bool = False, height: int = 900) -> None:
        """Show a page, on a screen or a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._ask("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(path.as_uri())

    def shot(self, *, whole: bool = False) -> Image.Image:
        """What is to be seen, or all of the page."""
        asked: dict[str, Any] = {"captureBeyondViewport": whole}
        if whole:
            size = self._ask("Page.getLayoutMetrics", {})["cssContentSize"]
            asked["clip"] = {**size, "scale": 1}
        data = base64.b64decode(self._ask("Page.captureScreenshot", asked)["data"])
        return Image.open(io.BytesIO(data)).convert("RGB")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a program in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What the browser had to say since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def close(self) -> None:
        self.driver.quit()

    def _ask(self, command: str, arguments: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)
