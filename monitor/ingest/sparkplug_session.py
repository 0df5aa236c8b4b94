"""What Sparkplug B's birth messages declare: names and types of metrics, by which later messages are read."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from monitor.ingest.formats.sparkplug import to_signed
from monitor.ingest.formats.sparkplug_schema import DataType, payload_type
from monitor.ingest.sparkplug_edge import NODE, Edge

__all__ = ["Resolved", "SparkplugSession", "is_rebirth_payload", "rebirth_payload"]

_BIRTH_DEATH_SEQUENCE = "bdSeq"
_MAX_EDGES = 10_000
_MAX_METRICS = 200_000  # at 0.3 kB each


class Resolved(NamedTuple):
    """What a message says."""

    records: list[dict[str, Any]]
    """For each metric {"device": str, empty for the node's own, "name": str, "value": number, boolean, text
    or None, "timestamp": ms since 1970 or None, "is_historical": bool, "quality": int or None}."""
    needs_rebirth: bool = False
    """Whether to send `rebirth_payload` to the edge node's NCMD topic."""
    unknown: int = 0
    """Metrics whose name or type is not known, because their birth message is missing."""


class SparkplugSession:
    """Resolves the metrics of edge nodes; the key of an edge node is `group_id/edge`.

    Parameters
    ----------
    names : the metrics that are asked for; None: all. Of others a quarter counts for `max_metrics`.
    max_edges, max_metrics : edge nodes, and metrics of all of them together. Beyond that, edge nodes whose
        last birth is longest ago are forgotten; each is asked for a rebirth with its next data.
    """

    def __init__(
        self,
        names: Collection[str] | None = None,
        max_edges: int = _MAX_EDGES,
        max_metrics: int = _MAX_METRICS,
    ) -> None:
        self._names = None if names is None else frozenset(names)
        self._sorted_names = sorted(names or ())
        self._max_edges = max_edges
        self._max_metrics = max_metrics
        self._edges: dict[str, Edge] = {}  # in the order of their last births
        self._metric_count = 0
        self._asked: set[str] = set()  # edge nodes that were asked for a rebirth and had none since
        self._dirty: set[str] = set()

    def update(
        self, message_type: str, group_id: str, edge: str, device: str, payload: Mapping[str, Any]
    ) -> Resolved:
        """Take a message and return what it says.

        Parameters
        ----------
        message_type, group_id, edge, device : levels of the topic; `device` is empty in the node's own.
        payload : from `SparkplugFormat`.
        """
        key = f"{group_id}/{edge}"
        if message_type in {"NBIRTH", "DBIRTH"}:
            return Resolved(self._take_birth(key, NODE if message_type == "NBIRTH" else device, payload))
        if message_type in {"NDATA", "DDATA"}:
            return self._take_data(key, NODE if message_type == "NDATA" else device, payload)
        if message_type == "NDEATH":
            return Resolved(self._take_node_death(key, payload))
        if message_type == "DDEATH":
            return Resolved(self._take_device_death(key, device, payload))
        return Resolved([])

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the edge nodes of which something is kept."""
        return tuple(self._edges)

    def take_dirty(self) -> set[str]:
        """Return the keys whose `dump` has changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def dump(self, key: str) -> bytes:
        """Return what is kept of an edge node; empty if nothing is."""
        edge = self._edges.get(key)
        return b"" if edge is None else edge.dump(self._sorted_names)

    def load(self, key: str, content: bytes) -> None:
        """Restore an edge node from its `dump`.

        Raises
        ------
        ValueError : the content is of another version, was made for other `names`, or is damaged.
        """
        self._forget(key)
        if content:
            self._keep(key, Edge.load(content, self._sorted_names))

    def _take_birth(self, key: str, device: str, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        edge = self._edges.get(key) or Edge()
        self._forget(key)
        if device == NODE:  # its devices have to be born again
            edge = Edge(bd_seq=_read_bd_seq(payload))
            self._asked.discard(key)
        named = [metric for metric in payload["metrics"] if metric["name"]]
        metrics = [metric for metric in named if not self._is_other(metric["name"])]
        edge.declare(
            device,
            {metric["name"]: (metric["datatype"], metric["alias"]) for metric in metrics},
            {metric["alias"] for metric in named if self._is_other(metric["name"])} - {None},
        )
        self._keep(key, edge)
        self._dirty.add(key)
        return [
            _record(device, metric["name"], metric["value"], metric, payload["timestamp"])
            for metric in metrics
        ]

    def _take_data(self, key: str, device: str, payload: Mapping[str, Any]) -> Resolved:
        edge = self._edges.get(key) or Edge()
        ignored = edge.ignored.get(device, ())
        unknown = 0
        records = []
        for metric in payload["metrics"]:
            is_ignored = self._is_other(metric["name"]) if metric["name"] else metric["alias"] in ignored
            if is_ignored:
                continue
            declared = edge.find(device, metric["name"], metric["alias"])
            name, datatype = declared or (metric["name"], 0)
            value = metric["value"] if metric["datatype"] else to_signed(metric["value"], datatype)
            # Without a type an integer may be a negative one.
            if not name or (type(value) is int and not (metric["datatype"] or datatype)):
                unknown += 1
            else:
                records.append(_record(device, name, value, metric, payload["timestamp"]))
        is_complete = device in edge.devices and not unknown
        return Resolved(records, not is_complete and self._ask_once(key), unknown)

    def _take_node_death(self, key: str, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        edge = self._edges.get(key)
        if edge is None:
            return []
        bd_seq = _read_bd_seq(payload)
        if None not in {bd_seq, edge.bd_seq} and bd_seq != edge.bd_seq:
            return []  # the will of an earlier connection, delivered after the birth of the present one
        self._forget(key)
        self._dirty.add(key)
        # The timestamp of a will is that of the connection, not that of the death.
        return list(_death_records(edge, list(edge.devices), None))

    def _take_device_death(self, key: str, device: str, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        edge = self._edges.get(key)
        if edge is None or device not in edge.devices:
            return []
        records = list(_death_records(edge, [device], payload["timestamp"]))
        self._metric_count -= edge.metric_count
        edge.remove(device)
        self._metric_count += edge.metric_count
        self._dirty.add(key)
        return records

    def _is_other(self, name: str) -> bool:
        return self._names is not None and name not in self._names

    def _ask_once(self, key: str) -> bool:
        if key in self._asked:
            return False
        if len(self._asked) >= self._max_edges:
            self._asked.clear()
        self._asked.add(key)
        return True

    def _keep(self, key: str, edge: Edge) -> None:
        """Keep an edge node that isn't there, and forget others where there are too many."""
        if edge.metric_count > self._max_metrics:
            self._dirty.add(key)
            return
        self._edges[key] = edge
        self._metric_count += edge.metric_count
        while len(self._edges) > self._max_edges or self._metric_count > self._max_metrics:
            oldest = next(iter(self._edges))
            self._forget(oldest)
            self._dirty.add(oldest)

    def _forget(self, key: str) -> None:
        edge = self._edges.pop(key, None)
        if edge is not None:
            self._metric_count -= edge.metric_count


def rebirth_payload(timestamp: int) -> bytes:
    """Return the payload of an NCMD message that asks an edge node for its birth messages.

    Parameters
    ----------
    timestamp : ms since 1970.
    """
    payload = payload_type()(timestamp=timestamp)
    payload.metrics.add(
        name="Node Control/Rebirth", timestamp=timestamp, datatype=DataType.BOOLEAN, boolean_value=True
    )
    return bytes(payload.SerializeToString())


def is_rebirth_payload(payload: bytes) -> bool:
    """Return whether `rebirth_payload` returns a payload for some timestamp: other commands may do harm."""
    found = payload_type()()
    try:
        found.ParseFromString(payload)
    except Exception:  # noqa: BLE001 - protobuf's own, whose class is only there once it is imported
        return False
    return rebirth_payload(found.timestamp) == payload


def _read_bd_seq(payload: Mapping[str, Any]) -> int | None:
    """Return the number that a birth and the will of the same connection share."""
    for metric in payload["metrics"]:
        if metric["name"] == _BIRTH_DEATH_SEQUENCE and type(metric["value"]) is int:
            return int(metric["value"])
    return None


def _record(
    device: str, name: str, value: Any, metric: Mapping[str, Any], timestamp: int | None
) -> dict[str, Any]:
    return {
        "device": device,
        "name": name,
        "value": value,
        "timestamp": timestamp if metric["timestamp"] is None else metric["timestamp"],
        "is_historical": metric["is_historical"],
        "quality": metric["quality"],
    }


def _death_records(edge: Edge, devices: list[str], timestamp: int | None) -> Iterator[dict[str, Any]]:
    nothing = {"timestamp": None, "is_historical": False, "quality": None}
    for device in devices:
        for name in edge.devices[device]:
            yield _record(device, name, None, nothing, timestamp)
