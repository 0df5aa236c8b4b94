import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from monitor.configuration import load
from monitor.settings import FileSettings, Settings

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config" / "monitor.toml"


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
            if section == "input.fields.":
                found.add("input.fields")
        elif (setting := re.match(r"(?:# )?(\w+) = ", line)) and section != "input.fields.":
            found.add(section + setting[1])
    return found


def test_every_setting_is_documented() -> None:
    """Each setting stands in config/monitor.toml, and nothing else does."""
    assert names_in_file(CONFIG.read_text()) == names_in_settings(FileSettings)


def test_defaults_are_documented() -> None:
    """The values in config/monitor.toml are the defaults."""
    assert load(CONFIG).model_dump() == Settings().model_dump()


def test_commented_settings_are_usable() -> None:
    """What is commented out in config/monitor.toml parses when it is not."""
    text = re.sub(r"^# (\w+ = |\[\[)", r"\1", CONFIG.read_text(), flags=re.MULTILINE)
    tomllib.loads(text)
