"""Group states as somebody would leave them in a store: those of a monitor, with absurd values in them."""

import random
import struct
from typing import Any

import msgspec

__all__ = ["mutate_state", "replace_words"]

_FLOATS = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e200, -1e200, -1.0, 0.0, 1e18, 2e11]
_WORDS = [
    *(struct.pack("<d", number) for number in _FLOATS),
    *(struct.pack("<q", number) for number in (-1, 2**62, 2**63 - 1, -(2**63))),
    *(struct.pack("<f", number) * 2 for number in (float("nan"), float("inf"), 3e38, -3e38, 1e18)),
    *(byte * 8 for byte in (b"\xff", b"\0", b"\x80")),
]
_LEAVES: list[Any] = [
    *_FLOATS, 2**64 - 1, -(2**63), 2**63, 10**18, -1, 0, 255, None, True,
    "x" * 70_000, "", "\0#+", [], {}, [[[]]], {"a": 1}, {0: [1.0] * 19},
]  # fmt: skip


def mutate_state(value: bytes, rng: random.Random) -> bytes:
    """Return a group's value in which something of one or two parts is another."""
    parts = msgspec.msgpack.decode(value)
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice([name for name, part in parts.items() if part])
        part = parts[name]
        if name == "version":
            parts[name] = rng.choice([part, 2, -1, 10**18, "1"])
        elif name in {"alerts", "incident"} and rng.random() < 0.9:
            parts[name] = msgspec.msgpack.encode(_replace_leaf(msgspec.msgpack.decode(part), rng))
        else:
            parts[name] = replace_words(part, rng)
    return msgspec.msgpack.encode(parts)


def replace_words(part: bytes, rng: random.Random) -> bytes:
    """Return a part of the same length in which some numbers, or single bytes, are others."""
    changed = bytearray(part)
    for _ in range(rng.choice([1, 3, 20])):
        offset = rng.randrange(len(part))
        if rng.random() < 0.8:
            offset -= offset % 4
            changed[offset : offset + 8] = rng.choice(_WORDS)
        else:
            changed[offset] = rng.randrange(256)
    return bytes(changed[: len(part)])


def _replace_leaf(content: Any, rng: random.Random) -> Any:
    """Return decoded content in which one element, of any depth, is another."""
    path = rng.choice(_paths(content, ()))
    if not path:
        return rng.choice(_LEAVES)
    container = content
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = rng.choice(_LEAVES)
    return content


def _paths(content: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Return the keys that lead to each element."""
    items = {list: enumerate, dict: dict.items}.get(type(content))
    inner = [] if items is None else [p for key, x in items(content) for p in _paths(x, (*path, key))]
    return [path, *inner]
