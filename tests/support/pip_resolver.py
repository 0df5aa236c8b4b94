"""pip's dry run as another Python's pip would do it: which versions it would install."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

__all__ = ["DryRun", "start_dry_run"]

# --python-version chooses wheels for another Python, but pip evaluates markers for the Python that runs it.
_PIP_AS_OTHER_PYTHON = """
import sys
from pip._vendor.packaging import markers
version = sys.argv.pop(1)
own_environment = markers.default_environment
markers.default_environment = lambda: {
    **own_environment(), "python_version": version, "python_full_version": f"{version}.0"
}
from pip._internal.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True)
class DryRun:
    """A dry run that has been started: nothing is installed, several can run at the same time."""

    process: subprocess.Popen[str]
    report_file: Path

    def versions(self) -> dict[str, str]:
        """Return the version of each package that would be installed, by its name; as `packages`."""
        return {metadata["name"]: metadata["version"] for metadata in self.packages()}

    def packages(self) -> list[dict[str, Any]]:
        """Wait, and return the metadata of each package that would be installed.

        Raises
        ------
        RuntimeError : pip found no versions that go together, with what it said.
        """
        return [package["metadata"] for package in self.report()["install"]]

    def report(self) -> dict[str, Any]:
        """Wait, and return pip's report; as `packages`."""
        _, errors = self.process.communicate() if self.process.returncode is None else ("", "pip failed")
        if self.process.returncode:
            raise RuntimeError(errors)
        content: dict[str, Any] = json.loads(self.report_file.read_text())
        return content

    def close(self) -> None:
        """End it, if nobody waited for its end."""
        with self.process:
            self.process.kill()


def start_dry_run(python: str, requirement: str, folder: Path, pip_arguments: Sequence[str] = ()) -> DryRun:
    """Start to resolve a requirement with wheels alone.

    Parameters
    ----------
    python : the Python to resolve for, as in "3.14".
    requirement : what to install, relative to the root of the repository.
    folder : where the report goes.
    pip_arguments : more arguments of `pip install`.
    """
    report_file = folder / f"{python}.json"
    command = [
        sys.executable, "-c", _PIP_AS_OTHER_PYTHON, python,
        "install", "--quiet", "--disable-pip-version-check", "--dry-run", "--ignore-installed",
        "--only-binary", ":all:", "--python-version", python, "--target", str(folder / "target"),
        # Without metadata files in the index it fetches the ends of wheels alone: TensorFlow's has 570 MB.
        "--use-feature", "fast-deps", "--report", str(report_file), *pip_arguments, requirement,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return DryRun(process, report_file)
