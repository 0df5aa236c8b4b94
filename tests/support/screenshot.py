"""Makes the README's picture, `docs/page.png`, from the page of a running `sensor-monitor demo`.

`make demo` once, for the bundle and the recording; then `.venv/bin/python -m tests.support.screenshot`.
"""

import argparse
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from tests.conftest import ROOT, TIMEOUT_S, wait_until
from tests.support.browser import Browser

__all__ = ["main"]

_PICTURE = ROOT / "docs" / "page.png"
_DEMO = ROOT / "var" / "demo"
_WIDTH, _HEIGHT = 1440, 830
_COLOURS = 128
# Seconds that the demo runs before a picture is taken: by then each group has been judged for some minutes of
# plant time, and the page's five minutes of history are full.
_WARM_UP = 20.0
_ALERTS_FIRING = "document.querySelectorAll('#alerts .alert').length"


def main() -> None:
    """Run the demo, wait until it has an alert firing, and photograph its page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, default=_DEMO / "bundle")
    parser.add_argument("--recording", type=Path, default=_DEMO / "plant.csv")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        with _demo(arguments.bundle, arguments.recording) as address:
            browser = Browser(folder / "profile")
            browser.start()
            try:
                browser.set_color_scheme("light")
                browser.resize(_WIDTH, _HEIGHT)
                browser.open(address)
                time.sleep(_WARM_UP)
                wait_until(lambda: browser.evaluate(_ALERTS_FIRING) >= 1, "an alert is firing")
                browser.save_screenshot(folder / "page.png")
            finally:
                browser.stop()
        _PICTURE.write_bytes(_small(folder / "page.png"))
    print(f"{_PICTURE}: {_PICTURE.stat().st_size:,} bytes")  # noqa: T201


@contextmanager
def _demo(bundle: Path, recording: Path) -> Iterator[str]:
    """Run `sensor-monitor demo`; yield the address of its page."""
    command = [sys.executable, "-u", "-m", "monitor", "demo", "--bundle", bundle, "--recording", recording]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("page"):
                yield line.split()[1]
                return
        sys.exit(process.wait(TIMEOUT_S))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)


def _small(file: Path) -> bytes:
    """Return a picture with few colours, as a PNG."""
    content = io.BytesIO()
    picture = Image.open(file).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
