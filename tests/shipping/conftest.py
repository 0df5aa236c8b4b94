from pathlib import Path

import pytest

from tests.support.shipped_broker import make_secrets


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that docker/secrets.sh fills."""
    return make_secrets(tmp_path_factory.mktemp("stack"))
