"""The page's tiles with the numbers of a large plant. Screenshots are kept in var/screenshots."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.monitor.web.test_page import SCREENSHOT_DIR, is_visible
from tests.support.browser import Browser
from tests.support.processes import Monitor, run_monitor

SCREENS = (("phone", 390, 844), ("small", 1000, 700), ("laptop", 1366, 768), ("wide", 1920, 1080))
# The tiles whose number leaves them, or that leave the window.
CUT_FIGURES_JS = """
    [...document.querySelectorAll(".figure:not([hidden])")].filter(tile => {
        const range = document.createRange();
        range.selectNodeContents(tile.querySelector("b"));
        const number = range.getBoundingClientRect(), box = tile.getBoundingClientRect();
        return number.right > box.right - 4 || box.right > innerWidth;
    }).map(tile => tile.textContent)
"""


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as ready:
        yield ready


@pytest.mark.parametrize("number", [8, 1_234, 12_134, 1_234_567])
def test_large_figures(monitor: Monitor, browser: Browser, number: int) -> None:
    """However large the numbers of a plant are, each stays in its tile, and each tile in the window."""
    larger = {"readings_rate": number, "windows_rate": number, "firing": number, "states": {"normal": number}}
    browser.open(monitor.address)
    # Larger numbers take the place of the monitor's as soon as the page has read them.
    browser.evaluate(
        "{ const parse = JSON.parse; JSON.parse = text => { const content = parse(text); "
        f"if (content.status) Object.assign(content.status, {json.dumps(larger)}); return content; }} }}"
    )
    wait_until(lambda: is_visible(browser, "#windows", f"{number:,}"), "the numbers")
    for name, width, height in SCREENS:
        browser.resize(width, height)
        browser.save_screenshot(SCREENSHOT_DIR / f"figures-{number}-{name}.png")
        assert browser.evaluate(CUT_FIGURES_JS) == [], name
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
