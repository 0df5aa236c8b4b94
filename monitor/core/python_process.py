"""Commands that run a module of ours in another Python process."""

import json
import sys

__all__ = ["python_command"]

# What is imported is what this process would import: a file `monitor.py` in the current folder is not.
_BOOTSTRAP = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[1]); del sys.argv[:2]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def python_command(module: str, *arguments: str) -> list[str]:
    """Return a command that runs a module as a program, with the import path of this process.

    `python -m` would put the current folder in front of the path, whatever lies in it.
    """
    path = [entry for entry in sys.path if entry]  # "" is the current folder
    return [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(path), module, *arguments]
