"""The browser; its tests are skipped where Selenium or Chromium is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.browser import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    pytest.importorskip("selenium")
    from tests.support.browser import Browser

    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser that has nothing to complain of when the test is over."""
    chromium.complaints()
    yield chromium
    assert chromium.complaints() == []
