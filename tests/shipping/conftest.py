import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, skip_or_fail


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that docker/secrets.sh fills."""
    if shutil.which("mosquitto_passwd") is None:
        skip_or_fail("mosquitto", "mosquitto_passwd is not installed")
    folder = tmp_path_factory.mktemp("stack")
    subprocess.run([shutil.copy(ROOT / "docker" / "secrets.sh", folder)], check=True)
    return folder / "secrets"
