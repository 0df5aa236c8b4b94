"""A real browser for the tests of the page."""

from collections.abc import Iterator

import pytest

from tests.support.browser import Browser


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    try:
        opened.start()
        yield opened
    finally:
        opened.stop()


@pytest.fixture
def browser(shared_browser: Browser) -> Iterator[Browser]:
    """The browser in its initial state; the test fails on console errors and on requests to another host."""
    shared_browser.open("about:blank")
    shared_browser.clear_cookies()
    shared_browser.set_color_scheme("light")
    shared_browser.resize(1920, 1080)
    shared_browser.console_errors.clear()
    shared_browser.requests.clear()
    yield shared_browser
    shared_browser.open("about:blank")
    assert shared_browser.console_errors == []
    assert {url.split("/")[2] for url in shared_browser.requests if url.startswith("http")} <= {
        url.split("/")[2] for url in shared_browser.requests[:1]
    }
