"""The metrics that a Sparkplug B edge node and its devices declared in their birth messages."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

__all__ = ["NODE", "Declaration", "Edge"]

NODE = ""
"""Stands for the edge node itself where a device is named."""

Declaration = tuple[int, int | None]
"""Data type and alias of a metric."""

_VERSION = 1


# Metrics that nobody asks for take so much less memory.
_IGNORED_PER_METRIC = 4


class _Saved(msgspec.Struct):
    version: int
    names: tuple[str, ...]
    bd_seq: int | None
    devices: dict[str, dict[str, Declaration]]
    ignored: dict[str, set[int]]


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
        self.ignored: dict[str, set[int]] = {}
        """Device or `NODE` -> aliases of metrics that are known and not asked for."""
        self._names_by_alias: dict[int, tuple[str, str]] = {}  # -> device, name

    @property
    def metric_count(self) -> int:
        """Number of metrics, by the memory that they take."""
        ignored = sum(map(len, self.ignored.values()))
        return sum(map(len, self.devices.values())) + ignored // _IGNORED_PER_METRIC

    def declare(self, device: str, metrics: Mapping[str, Declaration], ignored: Collection[int] = ()) -> None:
        """Replace what a device declared.

        Parameters
        ----------
        ignored : aliases of further metrics.
        """
        self.remove(device)
        self.devices[device] = dict(metrics)
        self.ignored[device] = set(ignored)
        for name, (_, alias) in metrics.items():
            if alias is None:
                continue
            if alias in self._names_by_alias:  # an alias is unique within the edge node; the last one counts
                owner, other_name = self._names_by_alias[alias]
                self.devices[owner][other_name] = self.devices[owner][other_name][0], None
            self._names_by_alias[alias] = device, name

    def remove(self, device: str) -> None:
        """Remove a device if it is there."""
        metrics = self.devices.pop(device, {})
        self.ignored.pop(device, None)
        for _, alias in metrics.values():
            if alias is not None:
                del self._names_by_alias[alias]

    def find(self, device: str, name: str, alias: int | None) -> tuple[str, int] | None:
        """Return name and data type of a metric by its name, or by its alias where it has no name."""
        if not name and alias is not None:
            owner, name = self._names_by_alias.get(alias, (device, ""))
            if owner != device:
                return None
        declaration = self.devices.get(device, {}).get(name)
        return None if declaration is None else (name, declaration[0])

    def dump(self, names: Sequence[str] = ()) -> bytes:
        """Return all of it, with a version.

        Parameters
        ----------
        names : the metrics that are asked for; all others are in `ignored`.
        """
        return msgspec.msgpack.encode(_Saved(_VERSION, tuple(names), self.bd_seq, self.devices, self.ignored))

    @classmethod
    def load(cls, content: bytes, names: Sequence[str] = ()) -> "Edge":
        """Return the edge node of a `dump`.

        Raises
        ------
        ValueError : the content is of another version or of other names, or damaged.
        """
        try:
            saved = msgspec.msgpack.decode(content, type=_Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"damaged: {error}") from None
        if saved.version != _VERSION:
            raise ValueError(f"version {saved.version}; expected {_VERSION}")
        if saved.names != tuple(names):
            raise ValueError(f"of {len(saved.names)} metrics; expected the {len(names)} that are asked for")
        edge = cls(saved.bd_seq)
        for device, metrics in saved.devices.items():
            edge.declare(device, metrics, saved.ignored.get(device, ()))
        return edge
