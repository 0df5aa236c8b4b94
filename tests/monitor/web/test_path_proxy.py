"""The page in a real browser, below a path of a real reverse proxy."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC, reading
from tests.monitor.web.test_page import TOKEN, is_visible
from tests.support.browser import Browser
from tests.support.path_proxy import PathProxy
from tests.support.processes import Monitor, connect_client
from tests.support.toy_bundle import FAULTY

PREFIX = "/plant/monitor"


@pytest.fixture
def proxy(
    request: pytest.FixtureRequest, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, browser: Browser
) -> Iterator[PathProxy]:
    """A proxy before a monitor with an open alert; the monitor has a token if the test asks for one."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    monitor.configure(getattr(request, "param", ""))
    try:
        monitor.start_ready()
        with connect_client(mosquitto.port) as plant:
            plant.publish(TOPIC, [reading(1000 + 5 * n, FAULTY) for n in range(3)])
        with PathProxy(monitor.address, PREFIX) as running:
            yield running
            browser.open("about:blank")
            assert running.unmatched_paths == []
    finally:
        monitor.kill()


with_token = pytest.mark.parametrize("proxy", [f'token = "{TOKEN}"'], indirect=True, ids=["token"])


def is_live(browser: Browser) -> bool:
    """Return whether the page gets its events, and shows the alert."""
    return is_visible(browser, "#fresh.good", "live") and is_visible(browser, ".alert h3", "line1/station7")


@pytest.mark.parametrize("slash", ["/", ""])
def test_page_and_links(proxy: PathProxy, browser: Browser, slash: str) -> None:
    """Below a path, the page has its style and its events, and its links lead to metrics and report."""
    browser.open(f"{proxy.address}{slash}")
    wait_until(lambda: is_live(browser), "the page is live")
    assert browser.evaluate("document.styleSheets[0].cssRules.length") > 0
    assert browser.evaluate("document.querySelector('h1 img').naturalWidth") > 0
    wait_until(lambda: is_visible(browser, "#report", "Report"), "the link")
    browser.click("#report")
    assert browser.evaluate("[location.href, document.body.innerText]") == [f"{proxy.address}/report", "toy"]
    browser.open(f"{proxy.address}/")
    browser.click("nav a:last-child")
    assert browser.evaluate("location.href") == f"{proxy.address}/metrics"
    assert "sensor_monitor_alerts_firing 1.0" in browser.evaluate("document.body.innerText")


@with_token
@pytest.mark.parametrize("path", ["/", "/report", "/no/such/page"])
def test_token(proxy: PathProxy, browser: Browser, path: str) -> None:
    """Below a path, a browser is asked for the token once, whatever it opens, and then sees the page."""
    browser.open(f"{proxy.address}{path}")
    assert browser.evaluate("document.styleSheets[0].cssRules.length") > 0
    assert browser.evaluate("document.querySelector('h1 img').naturalWidth") > 0
    assert [error for error in browser.console_errors if "401" not in error] == []
    browser.console_errors.clear()
    browser.evaluate(f"document.querySelector('#token').value = {TOKEN!r}")
    browser.evaluate("document.querySelector('button').click()")
    wait_until(lambda: is_live(browser), "the page is live")
    assert browser.evaluate("location.href") == f"{proxy.address}/"
    browser.open(f"{proxy.address}/")  # now with the cookie
    wait_until(lambda: is_live(browser), "the page is live again")


@with_token
def test_token_without_tls(proxy: PathProxy, browser: Browser) -> None:
    """A browser logs in and out without `Sec-Fetch-Site`, which it sends to no other machine without TLS."""
    proxy.dropped_headers.add("sec-fetch-site")
    browser.open(f"{proxy.address}/")
    browser.console_errors.clear()  # the 401 with the form
    browser.evaluate(f"document.querySelector('#token').value = {TOKEN!r}")
    browser.click("form button")
    wait_until(lambda: is_live(browser) and is_visible(browser, "#logout", "Log out"), "the page is live")
    browser.click("#logout button")
    wait_until(lambda: is_visible(browser, "form", "asks for a token"), "it is logged out")
    browser.console_errors.clear()


@with_token
def test_cookie_stays_below_the_path(proxy: PathProxy) -> None:
    """The cookie is for the monitor's path alone: what else the proxy serves isn't sent it."""
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as client:
        opened = client.post(f"{proxy.address}/login", data={"token": TOKEN})
        assert (opened.status_code, str(opened.url)) == (200, f"{proxy.address}/")
        assert client.get(f"{proxy.address}/metrics").status_code == 200
        assert [cookie.path for cookie in client.cookies.jar] == [PREFIX]


def test_redirect_without_slash(proxy: PathProxy) -> None:
    """Below a path, a slash at the end of /metrics is removed by a redirect that stays below it."""
    answer = httpx.get(f"{proxy.address}/metrics/", follow_redirects=True, timeout=TIMEOUT_S)
    assert (answer.status_code, str(answer.url)) == (200, f"{proxy.address}/metrics")
