"""The hashes of packages as the package index says them, for platforms other than this one, too."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

__all__ = ["find_hashes"]

# pip has no command that lists a package's files, so this uses what pip itself asks the index with.
_LIST_FILES = """
import json, sys
from pip._internal.commands import create_command
from pip._internal.index.collector import parse_links
command = create_command("download")
options, _ = command.parse_args(["--quiet", "--disable-pip-version-check"])
with command.main_context():
    collector = command._build_package_finder(options, command.get_default_session(options))._link_collector
    found = {}
    for name in json.load(sys.stdin):
        sources = collector.collect_sources(
            project_name=name, candidates_from_page=lambda page: parse_links(collector.fetch_response(page))
        )
        links = [link for source in sources.index_urls if source for link in source.page_candidates()]
        found[name] = {link.filename: link.hash for link in links if link.hash_name == "sha256"}
json.dump(found, sys.stdout)
"""
_PLATFORMS = re.compile(
    r"any|(many|musl)linux\w*_(x86_64|aarch64)|linux_(x86_64|aarch64)|macosx_\w+_(x86_64|arm64|universal2)|win_amd64"
)


def find_hashes(pins: Sequence[Sequence[str]], pythons: Iterable[str]) -> list[list[str]]:
    """Return the SHA-256 of each package's wheels, sorted; of its sdist where it has no wheel.

    Parameters
    ----------
    pins : (name, version) of each package.
    pythons : versions of CPython, as in "3.14"; wheels for others are left out.
    """
    names = sorted({name.strip() for name, _ in pins})
    command = [sys.executable, "-c", _LIST_FILES]
    result = subprocess.run(command, input=json.dumps(names), capture_output=True, text=True, check=True)
    files = json.loads(result.stdout)
    interpreters = {f"cp{python.replace('.', '')}" for python in pythons}
    return [
        _choose(files[name.strip()], name.strip(), version.strip(), interpreters) for name, version in pins
    ]


def _choose(files: dict[str, str], name: str, version: str, interpreters: set[str]) -> list[str]:
    wheels = sorted(
        digest
        for file, digest in files.items()
        if file.endswith(".whl") and _is_wheel_of(file, version, interpreters)
    )
    if wheels:
        return wheels
    sdists = [
        digest
        for file, digest in files.items()
        if file.endswith(".tar.gz") and parse_sdist_filename(file) == (canonicalize_name(name), version)
    ]
    assert sdists, f"{name} {version} has no file"
    return sdists


def _is_wheel_of(file: str, version: str, interpreters: set[str]) -> bool:
    """Return whether a wheel is of this version and can be used by one of the interpreters."""
    if file.split("-")[1] != version:
        return False
    _, _, _, tags = parse_wheel_filename(file)
    return any(
        _PLATFORMS.fullmatch(tag.platform)
        and (
            (tag.interpreter in interpreters and tag.abi in {tag.interpreter, "abi3", "none"})
            or (tag.abi == "abi3" and tag.interpreter.startswith("cp3"))
            or (tag.interpreter in {"py3", "py311"} and tag.abi == "none")
        )
        for tag in tags
    )
