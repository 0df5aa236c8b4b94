"""Rules for the texts of a manifest: they are printed, logged, published, and names on the page."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from monitor.bundle.manifest import Manifest
from monitor.core.errors import BundleError
from monitor.core.feature_names import check_name
from monitor.core.printable import printable

__all__ = ["check_texts"]

_MAX_LENGTH = 200
# What describes the data may quote paths of recordings.
_MAX_DATA_LENGTH = 4096


def check_texts(manifest: Manifest) -> None:
    """Check every text in a manifest, also the names in its tables.

    Raises
    ------
    BundleError : a text is too long or has characters that can't be printed, a feature's name is none, or
        `created` is no time.
    """
    for field, value in msgspec.to_builtins(manifest).items():
        limit = _MAX_DATA_LENGTH if field == "data" else _MAX_LENGTH
        for text in _texts(value):
            if len(text) > limit:
                raise BundleError(
                    f"manifest.json: {field}: {printable(text[:20])}... has {len(text):,} characters, "
                    f"expected at most {limit:,}"
                )
            if not text.isprintable():
                raise BundleError(
                    f"manifest.json: {field}: '{printable(text)}' has characters that can't be printed"
                )
    if not manifest.id:
        raise BundleError("manifest.json: id must not be empty")
    try:
        for name in (*manifest.feature_names, *manifest.quantities):
            check_name(name)
    except ValueError as error:
        raise BundleError(f"manifest.json: {error}") from error
    try:
        datetime.fromisoformat(manifest.created)
    except ValueError:
        raise BundleError(
            f"manifest.json: created is {manifest.created!r}, expected an ISO 8601 time"
        ) from None


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value of JSON, names in tables included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
