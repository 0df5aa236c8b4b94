from pathlib import Path

import pytest

from monitor.config.http_settings import HttpSettings
from monitor.config.loading import load_settings
from monitor.config.secrets import read_token
from monitor.core.errors import ConfigurationError

SECRET = "hunter2"  # noqa: S105 - an example
TOKEN = "hunter2-hunter2-hunter2"  # noqa: S105 - an example


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
    """A token that is too short, or has characters invalid in HTTP headers, is rejected and not shown."""
    file = tmp_path / "monitor.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError) as error:
        load_settings(file)
    error_text = str(error.value)
    assert "http" in error_text
    assert SECRET not in error_text


def test_token(tmp_path: Path) -> None:
    """A token comes from the settings or from a file, and printed settings don't show it."""
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
    """A token file that is missing or has no token is rejected with key and file name, but not shown."""
    path = tmp_path / "read_token"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=f"http.token_file: {path}.*{reason}") as error:
        read_token(HttpSettings(token_file=path))
    assert SECRET not in str(error.value)
