"""The metrics that a Sparkplug B edge node and its devices declared in their birth messages."""

from collections.abc import Mapping

import msgspec

__all__ = ["NODE", "Declaration", "Edge"]

NODE = ""
"""Stands for the edge node itself where a device is named."""

Declaration = tuple[int, int | None]
"""Data type and alias of a metric."""

_VERSION = 1


class _Saved(msgspec.Struct):
    version: int
    bd_seq: int | None
    devices: dict[str, dict[str, Declaration]]


class Edge:
    """Names, data types and aliases.

    Parameters
    ----------
    bd_seq : number of the birth, None if unknown. The will of the same connection has the same number.
    """

    def __init__(self, bd_seq: int | None = None) -> None:
        self.bd_seq = bd_seq
        self.devices: dict[str, dict[str, Declaration]] = {}
        """Device or `NODE` -> name -> declaration."""
        self.metric_count = 0
        self._names_by_alias: dict[int, tuple[str, str]] = {}  # -> device, name

    def declare(self, device: str, metrics: Mapping[str, Declaration]) -> None:
        """Replace what a device declared."""
        self.remove(device)
        names = self.devices[device] = dict(metrics)
        self.metric_count += len(names)
        for name, (_, alias) in metrics.items():
            if alias is None:
                continue
            if alias in self._names_by_alias:  # an alias is unique within the edge node; the last one counts
                owner, other_name = self._names_by_alias[alias]
                self.devices[owner][other_name] = self.devices[owner][other_name][0], None
            self._names_by_alias[alias] = device, name

    def remove(self, device: str) -> int:
        """Remove a device if it is there, and return how many metrics it had."""
        metrics = self.devices.pop(device, {})
        self.metric_count -= len(metrics)
        for _, alias in metrics.values():
            if alias is not None:
                del self._names_by_alias[alias]
        return len(metrics)

    def find(self, device: str, name: str, alias: int | None) -> tuple[str, int] | None:
        """Return name and data type of a metric by its name, or by its alias where it has no name."""
        if not name and alias is not None:
            owner, name = self._names_by_alias.get(alias, (device, ""))
            if owner != device:
                return None
        declaration = self.devices.get(device, {}).get(name)
        return None if declaration is None else (name, declaration[0])

    def dump(self) -> bytes:
        """Return all of it, with a version."""
        return msgspec.msgpack.encode(_Saved(_VERSION, self.bd_seq, self.devices))

    @classmethod
    def load(cls, content: bytes) -> "Edge":
        """Return the edge node of a `dump`.

        Raises
        ------
        ValueError : the content is of another version or damaged.
        """
        try:
            saved = msgspec.msgpack.decode(content, type=_Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"damaged: {error}") from None
        if saved.version != _VERSION:
            raise ValueError(f"version {saved.version}; expected {_VERSION}")
        edge = cls(saved.bd_seq)
        for device, metrics in saved.devices.items():
            edge.declare(device, metrics)
        return edge
