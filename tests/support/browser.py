"""A real headless Chromium, controlled over its debugging pipe (Chrome DevTools Protocol)."""

import json
import os
import select
import shutil
import subprocess
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TIMEOUT_S, skip_or_fail

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other host resolves, so tests need no network; `requests` still lists what a page asks it for.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)


class Browser:
    """One browser with one page; it records the page's requests and console errors.

    Parameters
    ----------
    folder : for its profile.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            skip_or_fail("chromium", "chromium is not installed")
            raise AssertionError
        to_browser, self._write_fd = os.pipe()
        self._read_fd, from_browser = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to 4. The shell redirects them by path,
        # since dash can't redirect a descriptor above 9.
        redirected = f'exec "$@" 3</dev/fd/{to_browser} 4>/dev/fd/{from_browser}'
        self._process = subprocess.Popen(
            ["sh", "-c", redirected, "sh", program, *_FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._message_id = 0
        self._session = ""
        self.requests: list[str] = []
        """URL of every request since the browser was started."""
        self.console_errors: list[str] = []
        """Errors and warnings on its console since the browser was started."""
        self._event_names: list[str] = []

    def start(self) -> None:
        """Create the page, and enable the events that are recorded."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Network.enable")
        self._call("Page.enable")
        self._call("Runtime.enable")
        self._call("Log.enable")

    def stop(self) -> None:
        """Terminate the browser."""
        self._process.terminate()
        self._process.wait(TIMEOUT_S)
        os.close(self._write_fd)
        os.close(self._read_fd)

    def open(self, url: str) -> None:
        """Open a URL, and return after its load event."""
        self._event_names.clear()
        self._call("Page.navigate", url=url)
        self._wait_for_load()

    def click(self, selector: str) -> None:
        """Click on the element of a CSS selector, and return after the load event of the page it opens."""
        self._event_names.clear()
        self.evaluate(f"document.querySelector('{selector}').click()")
        self._wait_for_load()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page, awaiting a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            pytest.fail(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def set_color_scheme(self, scheme: str) -> None:
        """Set the preferred colour scheme: `light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport, in pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def save_screenshot(self, file: Path) -> None:
        """Write the viewport's content into a PNG file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b64decode(self._call("Page.captureScreenshot")["data"]))

    def clear_cookies(self) -> None:
        """Delete all cookies."""
        self._call("Network.clearBrowserCookies")

    def _call(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result; handle the events that arrive before it."""
        self._message_id += 1
        message = {"id": self._message_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read_message()
            if answer.get("id") == self._message_id:
                if "error" in answer:
                    pytest.fail(f"{method}: {answer['error']}")
                return answer["result"]
            self._handle_event(answer)

    def _wait_for_load(self) -> None:
        while "Page.loadEventFired" not in self._event_names:
            self._handle_event(self._read_message())

    def _handle_event(self, event: dict[str, Any]) -> None:
        name = event.get("method", "")
        self._event_names.append(name)
        if name == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        elif name == "Runtime.exceptionThrown":
            self.console_errors.append(str(event["params"]["exceptionDetails"]))
        elif name == "Log.entryAdded" and event["params"]["entry"]["level"] in {"error", "warning"}:
            self.console_errors.append(str(event["params"]["entry"]))
        elif name == "Runtime.consoleAPICalled" and event["params"]["type"] in {"error", "warning", "assert"}:
            self.console_errors.append(str(event["params"]["args"]))

    def _read_message(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read_fd], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(self._read_fd, 1 << 16) if ready else b""
            if not data:
                pytest.fail(f"chromium sent nothing for {TIMEOUT_S:.0f} s, or has ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer
