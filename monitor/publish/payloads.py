"""The JSON payloads that the monitor publishes: alert events, states, mutes, info."""

import math
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from monitor.bundle.manifest import Manifest
from monitor.core.numbers import round_significant
from monitor.core.times import format_iso
from monitor.core.verdicts import FAULTY, AlertEvent, GroupStatus

__all__ = ["SCHEMA_VERSION", "alert_payload", "info_payload", "muted_payload", "state_payload"]

SCHEMA_VERSION = 1
"""Version of the fields of alert events and states; part of alert events and of MQTT 5 user properties."""


def alert_payload(event: AlertEvent, manifest: Manifest) -> bytes:
    """Return the payload of an alert event."""
    return msgspec.json.encode(
        {
            "schema": SCHEMA_VERSION,
            "id": event.id,
            "status": event.status,
            "repeat": event.repeat,
            "group": event.group,
            "label": FAULTY,
            "score": event.score,
            "threshold": manifest.threshold,
            "started_at": format_iso(event.started_at),
            "ended_at": None if event.ended_at is None else format_iso(event.ended_at),
            "window": {"ts": event.window_ts, "values": event.window_values},
            "contributions": event.contributions
            and dict(zip(manifest.feature_names, event.contributions, strict=True)),
            "contributions_by_step": event.contributions_by_step,
            "reason": event.reason or None,
            "out_of_range": event.out_of_range,
            "detector": event.detector,
            "kind": event.kind,
            "bundle": manifest.id,
        }
    )


def state_payload(status: GroupStatus, features: Sequence[str] = (), *, acknowledged: bool = False) -> bytes:
    """Return the retained payload of a group's state.

    Parameters
    ----------
    features : names of the features, in the bundle's order.
    acknowledged : whether an operator has acknowledged the group's open incident.
    """
    content: dict[str, Any] = {
        "group": status.group,
        "state": status.state.value,
        "since": format_iso(status.since),
        "score": status.score,
        "out_of_range": status.out_of_range,
        "detector": status.detector or None,
        "incident": status.incident,
        "kind": status.kind,
        "acknowledged": acknowledged,
        "shows_from": None
        if status.shows_from is None
        else {
            name: round_significant(offset) if math.isfinite(offset) else None
            for name, offset in zip(features, status.shows_from, strict=True)
        },
    }
    if status.stale:
        content["stale"] = {features[index]: format_iso(since) for index, since in status.stale}
    return msgspec.json.encode(content)


def muted_payload(entries: Sequence[tuple[str, float]]) -> bytes:
    """Return the retained payload that lists the mutes.

    Parameters
    ----------
    entries : (pattern of muted groups, end of the mute in seconds since the Unix epoch).
    """
    return msgspec.json.encode(
        {"muted": [{"group": pattern, "until": format_iso(until)} for pattern, until in entries]}
    )


def info_payload(
    version: str, manifest: Manifest, topics: Sequence[str], started_at: float, client_id: str, instance: str
) -> bytes:
    """Return the retained payload that describes this process; it contains no secrets.

    Parameters
    ----------
    topics : the input templates.
    client_id : of the connection that readings come by. Only its digest is published: whoever connects with
        the id takes the session.
    started_at : start of the process, seconds since the Unix epoch.
    instance : random text that differs for each process.
    """
    info: dict[str, Any] = {
        "version": version,
        "bundle": manifest.id,
        "topics": topics,
        "started_at": format_iso(started_at),
        "client_id_sha256": sha256(client_id.encode()).hexdigest(),
        "instance": instance,
    }
    return msgspec.json.encode(info)
