from pathlib import Path

import pytest

from monitor.config.loading import load_settings
from monitor.config.secrets import read_token
from monitor.config.settings import HttpSettings
from monitor.core.errors import ConfigurationError

SECRET = "hunter2"  # noqa: S105, a test's
TOKEN = "hunter2-hunter2-hunter2"  # noqa: S105, the same


@pytest.mark.parametrize(
    "content",
    [
        f'[http]\ntoken = "{SECRET}"',
        f'[http]\ntoken = ["{TOKEN}"]',
        f'[http]\ntoken = "{TOKEN} "',
        f'[http]\ntoken = "{TOKEN}é"',
        f'[http]\ntoken = "{TOKEN}"\ntoken_file = "f"',
        f'[http]\ntoken = "{TOKEN}"\nport = -1',
    ],
)
def test_token_in_the_file(tmp_path: Path, content: str) -> None:
    """A token that is short, or that not every header can carry, is refused without being shown."""
    file = tmp_path / "monitor.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        load_settings(file)
    refusal = str(error.value)
    assert "http" in refusal
    assert SECRET not in refusal


def test_token(tmp_path: Path) -> None:
    """A token comes from the settings or from a file, and no print of the settings shows it."""
    assert read_token(load_settings(None).http) is None
    file = tmp_path / "monitor.toml"
    file.write_text(f'[http]\ntoken = "{TOKEN}"')
    settings = load_settings(file)
    assert read_token(settings.http) == TOKEN
    assert TOKEN not in f"{settings!r} {settings.model_dump_json()}"
    path = tmp_path / "read_token"
    path.write_text(f"{TOKEN}\n")
    assert read_token(HttpSettings(token_file=path)) == TOKEN


@pytest.mark.parametrize(("content", "reason"), [(SECRET, "at least 16 characters"), (None, "No such file")])
def test_token_file_that_cannot_be_used(tmp_path: Path, content: str | None, reason: str) -> None:
    """A token file that is missing, or holds no token, is refused by key and name, and not shown."""
    path = tmp_path / "read_token"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"http.token_file: {path}.*{reason}") as error:
        read_token(HttpSettings(token_file=path))
    assert SECRET not in str(error.value)
