import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, require


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that docker/secrets.sh fills."""
    if shutil.which("mosquitto_passwd") is None:
        require("mosquitto", "mosquitto_passwd is not installed")
    folder = tmp_path_factory.mktemp("stack")
    subprocess.run([shutil.copy(ROOT / "docker" / "secrets.sh", folder)], check=True)
    return folder / "secrets"
