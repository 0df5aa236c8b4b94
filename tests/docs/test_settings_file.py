import re
import tomllib
from typing import Any, get_args

from pydantic import BaseModel

from monitor import __version__
from monitor.config.loading import load_settings
from monitor.config.settings import Settings
from tests.conftest import ROOT

CONFIG = ROOT / "config" / "monitor.toml"


# Tables whose keys are features and no settings.
TABLES_OF_FEATURES = ("input.fields", "input.align.deadband", "checks.sentinels")


def names_in_settings(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return every setting's dotted name."""
    found = set()
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        tables = [
            one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel)
        ]
        for table in tables:
            found |= names_in_settings(table, f"{prefix}{name}.")
        if not tables:
            found.add(prefix + name)
    return found


def names_in_file(text: str) -> set[str]:
    """Return every dotted name in a TOML text, those in comments that look like settings too."""
    found, section = set(), ""
    for line in text.splitlines():
        if header := re.fullmatch(r"(?:# \[)?\[([\w.]+)\].*", line):
            section = header[1] + "."
            if header[1] in TABLES_OF_FEATURES:
                found.add(header[1])
        elif (setting := re.match(r"(?:# )?(\w+) = ", line)) and section[:-1] not in TABLES_OF_FEATURES:
            found.add(section + setting[1])
    return found


def test_every_setting_is_documented() -> None:
    """Each setting stands in config/monitor.toml, and nothing else does."""
    assert names_in_file(CONFIG.read_text()) == names_in_settings(Settings)


def test_defaults_are_documented() -> None:
    """The values in config/monitor.toml are the defaults."""
    assert load_settings(CONFIG).model_dump() == Settings().model_dump()


def test_commented_settings_are_usable() -> None:
    """What is commented out in config/monitor.toml parses when it is not."""
    text = re.sub(r"^# (\w+ = |\[\[)", r"\1", CONFIG.read_text(), flags=re.MULTILINE)
    tomllib.loads(text)


def test_one_version() -> None:
    """Images, stack, their guide and the newest entry of the changelog name the version of the package."""
    guide = ROOT / "docs" / "how-to" / "containers.md"
    files = [guide, *(ROOT / "docker").glob("*.Dockerfile"), ROOT / "docker" / "compose.yaml"]
    named = [re.findall(r"\bsensor-(?:monitor|training):(\d[\w.]*)", file.read_text()) for file in files]
    assert all(named)
    assert {version for found in named for version in found} == {__version__}
    assert (
        re.findall(r"^## (\S+),", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[0] == __version__
    )


def test_one_licence() -> None:
    """Package, images and licence file name the same licence and the same holder."""
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License\n")
    assert "2026 the sensor-monitor authors" in text
    assert (package["license"], package["license-files"]) == ("MIT", ["LICENSE"])
    for file in (ROOT / "docker").glob("*.Dockerfile"):
        assert 'org.opencontainers.image.licenses="MIT"' in file.read_text()
