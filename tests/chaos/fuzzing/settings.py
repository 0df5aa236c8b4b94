"""Settings files."""

import re
from collections.abc import Iterator
from pathlib import Path

from monitor.config.loading import load_settings
from monitor.core.errors import ConfigurationError
from monitor.service.settings_to_decoder import build_decoder
from tests.chaos.fuzzing.target import FuzzTarget, check_readable
from tests.conftest import ROOT
from tests.support.toy_bundle import NAMES

__all__ = ["Target"]

_COMMENTED_SETTING = re.compile(r"# (\[|[a-z_]+ = )")


class Target(FuzzTarget):
    """Loads a settings file and builds the decoder of its sources."""

    max_input_bytes = 4096
    tokens = (
        "[[input.sources]]",
        "[mqtt]",
        "[windows]",
        "format = ",
        "topic = ",
        '"$.device"',
        "zone = ",
        "{feature}",
        "inf",
        "-1",
        "2026-01-01",
        '"""',
        "[[alerts.rules]]",
        "groups = ",
    )

    def __init__(self, folder: Path) -> None:
        self._file = folder / "monitor.toml"

    def seeds(self) -> Iterator[bytes]:
        """Yield the examples, and each section of the reference file with all its settings."""
        for path in (ROOT / "config" / "examples").glob("*.toml"):
            yield _without_comments(path.read_text()).encode()
        for section in re.split(r"\n\n(?=\[|# \[)", (ROOT / "config" / "monitor.toml").read_text()):
            yield _without_comments(_COMMENTED_SETTING.sub(r"\1", section)).encode()

    def run(self, data: bytes) -> bool:
        """Load one file; accepted if it has no error, which else must be a readable line."""
        self._file.write_bytes(data)
        try:
            build_decoder(load_settings(self._file), NAMES)
        except ConfigurationError as error:
            check_readable(error)
            return False
        return True


def _without_comments(text: str) -> str:
    """Return TOML without comments, as far as a `#` in a string doesn't matter."""
    lines = (re.sub(r"\s*# .*|^#.*", "", line) for line in text.splitlines())
    return "\n".join(filter(None, lines)) + "\n"
