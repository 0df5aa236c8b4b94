"""Makes the README's picture of the page: `python -m tests.support.screenshot` writes `docs/page.png`."""

import io
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from tests.conftest import ROOT, Mosquitto, wait_until
from tests.support import plant_scene
from tests.support.browser import Browser
from tests.support.processes import Client, Monitor, client, running
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["main"]

_PICTURE = ROOT / "docs" / "page.png"
_GROUPS, _FAULTY, _FAR = 14, (3, 8), (5,)
# The last readings come one by one, a second apart, so that the picture shows a plant at work.
_LIVE = 8
_COLOURS = 256


def main() -> None:
    """Show a plant with two faults to a browser, and keep what it looks like."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_toy_bundle(folder / "bundle")
        broker, browser = Mosquitto(folder), Browser(folder / "profile")
        broker.start()
        browser.start()
        try:
            with (
                running(Monitor(folder, folder / "bundle", broker.port)) as monitor,
                client(broker.port) as plant,
            ):
                _publish(plant)
                browser.resize(1600, 900)
                browser.open(monitor.address)
                wait_until(
                    lambda: browser.ask("document.querySelectorAll('.alert').length") == 2, "it is shown"
                )
                browser.photograph(folder / "page.png")
                browser.open("about:blank")
        finally:
            browser.stop()
            broker.stop()
        picture = Image.open(folder / "page.png").convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        content = io.BytesIO()
        picture.save(content, "PNG", optimize=True)
        _PICTURE.write_bytes(content.getvalue())


def _publish(plant: Client) -> None:
    courses = list(plant_scene.courses(_GROUPS, time.time() + _LIVE, _FAULTY, _FAR))
    for topic, readings in courses:
        plant.publish(topic, readings[:-_LIVE])
    for step in range(-_LIVE, 0):
        for topic, readings in courses:
            plant.publish(topic, readings[step])
        time.sleep(1)


if __name__ == "__main__":
    main()
