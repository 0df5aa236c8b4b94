import subprocess
import sys

import pytest

from monitor.cli.parser import COMMANDS
from tests.conftest import ROOT


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_nothing_slow(command: str) -> None:
    """The help of each command is printed without importing packages that only the command's run needs."""
    script = (
        "import sys; from monitor.cli.main import main\n"
        f"try: main({[*command.split(), '--help']!r})\n"
        "except SystemExit: pass\n"
        "print(*{'numpy', 'paho', 'pydantic', 'prometheus_client'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.startswith("usage: sensor-monitor")
    assert done.stderr.strip() == ""
