"""Groups whose names are members that every JavaScript object has."""

from pathlib import Path

import pytest

from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.monitor.web.conftest import browser, shared_browser  # noqa: F401 - fixtures
from tests.monitor.web.test_page import VISIBLE_GROUPS_JS, is_visible
from tests.support.browser import Browser
from tests.support.processes import Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY

NAMES = ("__proto__", "constructor", "hasOwnProperty", "toString", "valueOf")
ONE_LEVEL = '[input]\ntopics = ["plant/{station}/reading"]'
# Breaks what the page draws groups with, as an error in its own code would.
BREAK_JS = "Map.prototype.keys = () => { throw new Error('broken on purpose') }"


@pytest.mark.parametrize("values", [HEALTHY, FAULTY], ids=["normal", "faulty"])
def test_names_of_javascript(
    tmp_path: Path,
    mosquitto: Mosquitto,
    toy_bundle: Path,
    browser: Browser,  # noqa: F811
    values: list[float],
) -> None:
    """Whatever a group is called, its row, its alert and its marks are shown, and so are the others'."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, ONE_LEVEL)) as monitor:
        with connect_client(mosquitto.port) as plant:
            for name in (*NAMES, "station"):
                plant.publish(f"plant/{name}/reading", [reading(1000 + 5 * n, values) for n in range(3)])
            browser.open(monitor.address)
            wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "it is live")
            wait_until(
                lambda: sorted(browser.evaluate(VISIBLE_GROUPS_JS)) == sorted([*NAMES, "station"]), "all rows"
            )
            if values == FAULTY:
                wait_until(lambda: is_visible(browser, ".alert h3", "__proto__"), "the alert")
                assert not is_visible(browser, ".alert.marked", "")
                plant.publish("sensor-monitor/request/acknowledge", {"group": "__proto__"})
                wait_until(lambda: is_visible(browser, ".row .mark", "acknowledged"), "it is marked")
                assert browser.evaluate("document.querySelectorAll('.alert.marked').length") == 1
        browser.open("about:blank")


def test_error_of_the_page(
    tmp_path: Path,
    mosquitto: Mosquitto,
    toy_bundle: Path,
    browser: Browser,  # noqa: F811
) -> None:
    """A page whose own code fails says so in the place of `live`, and is live again once it works."""
    topic = "plant/line1/{}/reading"
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as monitor:
        with connect_client(mosquitto.port) as plant:
            plant.publish(topic.format("a"), [reading(1000 + 5 * n, HEALTHY) for n in range(3)])
            browser.open(monitor.address)
            wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "it is live")
            browser.evaluate(f"window.intact = Map.prototype.keys; {BREAK_JS}; 0")
            plant.publish(topic.format("b"), [reading(1000 + 5 * n, HEALTHY) for n in range(3)])
            wait_until(
                lambda: is_visible(browser, "#fresh.bad", "this page failed: broken on purpose"), "it says so"
            )
            assert not is_visible(browser, "#fresh", "live")
            browser.evaluate("Map.prototype.keys = window.intact; 0")
            wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "it is live again")
            assert sorted(browser.evaluate(VISIBLE_GROUPS_JS)) == ["line1/a", "line1/b"]
        browser.open("about:blank")
        browser.console_errors.clear()  # the error on purpose
