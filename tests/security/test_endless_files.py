"""Files that have no end, or that wait for a writer, are refused as secrets, certificates and records."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.config.secret_files import read_secret_file
from monitor.core.errors import ConfigurationError
from tests.conftest import TIMEOUT_S
from tests.support.certificates import create_ca, create_certificate

SETTINGS = [
    ("mqtt", "password_file", 'username = "u"'),
    ("mqtt", "publish_password_file", 'publish_username = "u"'),
    ("mqtt.tls", "ca_file", ""),
    ("mqtt.tls", "certfile", ""),
    ("mqtt.tls", "keyfile", 'certfile = "{certificate}"'),
    ("http", "token_file", ""),
    ("http", "certfile", ""),
    ("http", "keyfile", 'certfile = "{certificate}"'),
    ("operators", "audit_file", ""),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate whose key is in another file."""
    folder = tmp_path_factory.mktemp("certificates")
    create_ca(folder, "ca")
    create_certificate(folder, "ca", "own")
    return folder / "own.pem"


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
@pytest.mark.parametrize(("table", "key", "more"), SETTINGS)
@pytest.mark.parametrize("command", ["check", "run"])
def test_file_without_an_end(
    tmp_path: Path,
    toy_bundle: Path,
    certificate: Path,
    command: str,
    table: str,
    key: str,
    more: str,
    kind: str,
) -> None:
    """`check` and `run` name the setting and the file, and end with exit code 2."""
    path = Path(kind)
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    config = tmp_path / "monitor.toml"
    config.write_text(
        f'bundle = "{toy_bundle}"\n[store]\npath = "{tmp_path / "s.db"}"\n[http]\nport = 0\n'
        + ("" if table == "http" else f"[{table}]\n")
        + f'{key} = "{path}"\n{more.format(certificate=certificate)}\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "monitor", command, "--config", config],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 2, done
    assert f"{table}.{key}: {path}" in done.stderr
    assert "is no regular file" in done.stderr


def test_large_file(tmp_path: Path) -> None:
    """A file larger than 1 MiB is no secret; it is not read to its end."""
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(ConfigurationError, match=f"http.token_file: {path} has more than 1 MiB"):
        read_secret_file("http.token_file", path)


def test_link_to_a_link(tmp_path: Path) -> None:
    """Links are followed: a secret that Kubernetes mounts is one to a file in a folder that is one too."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "token").write_bytes(b"t" * (1 << 20))
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "token").symlink_to("..data/token")
    assert len(read_secret_file("http.token_file", tmp_path / "token")) == 1 << 20
