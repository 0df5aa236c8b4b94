"""Finds out the format of a payload by trial, and takes it apart into records and fields."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.cli.discover.words import Words
from monitor.ingest.formats.json_data import JsonFormat
from monitor.ingest.formats.number import NumberFormat
from monitor.ingest.formats.registry import FORMATS
from monitor.ingest.formats.senml import SenmlFormat
from monitor.ingest.limits import MAX_PAYLOAD_BYTES
from monitor.ingest.paths import Path

__all__ = ["ABSENT_WORDS", "Payload", "PayloadReader", "Row", "Scalar"]

Scalar = bool | int | float | str | None

ABSENT_WORDS = ("unavailable", "unknown", "nan", "none", "null", "offline", "n/a", "---")
"""Texts in place of a number, by which a sensor says that it has no value."""
KEY_NAMES = (
    "id",
    "n",
    "name",
    "sensor",
    "key",
    "tag",
    "metric",
    "signal",
    "variable",
    "nodeid",
    "displayname",
)
VALUE_NAMES = ("v", "value", "val")

_MAX_DEPTH = 8
_MAX_FIELDS = 200
_MAX_ELEMENTS = 8  # of an array that is no array of records
_MAX_RECORDS = 1000
_MAX_TEXT_LENGTH = 256
_LINE_PROTOCOL = re.compile(r"[^\s{\[\"][^\s]* [^\s=,]+=[^\s]+( \d+)?\s*(\n|$)")
_SPARKPLUG_PREFIX = "spBv1.0/"


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a payload."""

    fields: Mapping[Path, Scalar]
    """What is in the record, and what stands beside an array of records: path -> value."""
    name: str = ""
    """What the record's value is called, where it says so itself."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload, taken apart."""

    format: str
    """As in the settings; "text", "binary", "empty", "too large" or "sparkplug" if it isn't taken apart."""
    rows: list[Row] = field(default_factory=list)
    records: Path | None = None
    """Where the array of records is; None if the payload is one record."""
    key: Path | None = None
    value: Path | None = None
    """Where each record has its name and its value, if it names itself."""


class PayloadReader:
    """Reads payloads of any format.

    Parameters
    ----------
    words : the words for the quantities that are looked for.
    """

    def __init__(self, words: Words) -> None:
        self._words = words
        self._number = NumberFormat()
        self._json = JsonFormat()
        self._others = {name: parser for name in ("influx", "msgpack", "cbor") if (parser := _build(name))}
        self._senml = SenmlFormat()

    def read(self, topic: str, payload: bytes) -> Payload:
        """Return a payload, taken apart as far as its format is known."""
        if topic.startswith(_SPARKPLUG_PREFIX):
            return Payload("sparkplug")
        if len(payload) > MAX_PAYLOAD_BYTES:
            return Payload("too large")
        if not payload.strip():
            return Payload("empty")
        text = _to_text(payload)
        if text is not None:
            return self._read_text(text, payload)
        for name in ("msgpack", "cbor"):
            content = self._try(name, payload)
            if isinstance(content, dict | list) and content:
                return self._read_content(name, content)
        return Payload("binary")

    def _read_text(self, text: str, payload: bytes) -> Payload:
        value = self._number.parse(payload)["value"]
        if isinstance(value, float) or value.lower() in ABSENT_WORDS:
            return Payload("number", [Row({("value",): value})])
        try:
            content = self._json.parse(payload)
        except ValueError:
            content = None
        if isinstance(content, list) and _is_senml(content):
            return self._read_senml(content, payload)
        if isinstance(content, dict | list) and content:
            return self._read_content("json", content)
        if _LINE_PROTOCOL.match(text) and "influx" not in self._others:
            return Payload("influx")
        if "=" in text and isinstance(points := self._try("influx", payload), list):
            # Each line is a record without a path, as an array is.
            return Payload("influx", [Row(_flatten(point)) for point in points[:_MAX_RECORDS]])
        return Payload("text")

    def _try(self, name: str, payload: bytes) -> Any:
        try:
            return self._others[name].parse(payload) if name in self._others else None
        except ValueError:
            return None

    def _read_senml(self, content: list[Any], payload: bytes) -> Payload:
        try:
            records = self._senml.parse(payload)
        except ValueError:
            return self._read_content("json", content)
        rows = [Row(_flatten(record), str(record["n"])) for record in records[:_MAX_RECORDS]]
        return Payload("senml", rows, (), ("n",), ("v",))

    def _read_content(self, name: str, content: Any) -> Payload:
        """Take apart what a payload holds: one record, or an array of records somewhere."""
        path, records = self._find_records(content)
        if records is None:
            fields = _flatten(content)
            rows, keys = [Row(fields)], _find_key(fields)
        else:
            outer = _flatten(content, without=path) if isinstance(content, dict) else {}
            rows = [Row({**outer, **_flatten(record)}) for record in records[:_MAX_RECORDS]]
            keys = _find_key(_flatten(records[0]))
            if any(_find_key(row.fields) != keys for row in rows):
                keys = None
        if keys is None:
            return Payload(name, rows, path if records is not None else None)
        key, value = keys
        named = [Row(row.fields, str(row.fields[key])) for row in rows]
        return Payload(name, named, path if records is not None else None, key, value)

    def _find_records(self, content: Any) -> tuple[Path, list[Any] | None]:
        """Return where the array of records is, and the array; None if the payload is one record.

        An array beside values that are looked for, such as the gateways that heard a device, is none.
        """
        if _is_records(content):
            return (), content
        if not isinstance(content, dict):
            return (), None
        outer = _flatten(content, arrays=False)
        if any(self._words.label([str(part) for part in path]) for path in outer):
            return (), None
        for path, array in _find_arrays(content, ()):
            fields = _flatten(array[0])
            if _find_key(fields) or any(self._words.label([str(part) for part in p]) for p in fields):
                return path, array
        return (), None


def _build(name: str) -> Any:
    """Return the parser of a format; None if the package that it needs isn't installed."""
    try:
        return FORMATS[name]()
    except ValueError:
        return None


def _to_text(payload: bytes) -> str | None:
    try:
        text = payload.decode().strip("\ufeff\0")
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\r\n\t" for character in text) else None


def _is_records(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(item, dict) for item in content)


def _is_senml(content: Any) -> bool:
    """Return whether content is a SenML pack: records with a name or base name, and one with a value."""
    if not _is_records(content):
        return False
    labels = {label for record in content for label in record}
    return bool(labels & {"n", "bn"}) and bool(labels & {"v", "vs", "vb", "vd", "bv"}) and not (
        labels - {"bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut"}
    )  # fmt: skip


def _find_arrays(content: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    """Yield the arrays of objects in objects, the outer ones first."""
    if not isinstance(content, dict) or len(path) > _MAX_DEPTH:
        return
    for key, item in content.items():
        if _is_records(item):
            yield (*path, key), item
    for key, item in content.items():
        yield from _find_arrays(item, (*path, key))


def _find_key(fields: Mapping[Path, Scalar]) -> tuple[Path, Path] | None:
    """Return where a record has its name and its value; None if it doesn't name itself."""
    by_name = {str(path[0]).lower(): path for path in fields if len(path) == 1}
    key = next((by_name[name] for name in KEY_NAMES if name in by_name), None)
    value = next((by_name[name] for name in VALUE_NAMES if name in by_name), None)
    if key is None or value is None or not isinstance(fields[key], str):
        return None
    return key, value


def _flatten(content: Any, *, arrays: bool = True, without: Path | None = None) -> dict[Path, Scalar]:
    """Return what is in nested objects and arrays by path.

    Parameters
    ----------
    arrays : whether to look into arrays.
    without : a path that is left out.
    """
    found: dict[Path, Scalar] = {}
    pending: deque[tuple[Path, Any]] = deque([((), content)])
    while pending and len(found) < _MAX_FIELDS:
        path, item = pending.popleft()
        if path == without:
            continue
        if isinstance(item, dict) and len(path) < _MAX_DEPTH:
            pending += [
                ((*path, str(key)), inner) for key, inner in item.items() if len(key) <= _MAX_TEXT_LENGTH
            ]
        elif isinstance(item, list) and len(path) < _MAX_DEPTH:
            if arrays:
                pending += [((*path, index), inner) for index, inner in enumerate(item[:_MAX_ELEMENTS])]
        elif isinstance(item, str):
            found[path] = item[:_MAX_TEXT_LENGTH]
        elif item is None or isinstance(item, int | float):
            found[path] = item
    return found
