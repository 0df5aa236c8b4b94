"""Decides which of two processes with the same client id keeps it."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

__all__ = ["is_newer_instance"]


# The two processes may run on machines whose clocks differ.
_MAX_LEAD = timedelta(days=1)


class _InstanceInfo(msgspec.Struct):
    """The fields of a process's `info` that distinguish it from another with the same client id."""

    client_id_sha256: str
    instance: str
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]


def is_newer_instance(other_info: bytes, own_info: bytes, now: datetime) -> bool:
    """Return whether `other_info` is from another process with our client id that started after this one.

    Only such a process makes this one leave: any other client may connect with the id too, but it needs
    permission to publish below the base topic to claim it.

    The info of a process that started earlier means nothing: it may have ended long ago, and a broker that
    was killed may have restored its info. The same is true of one that starts in the future: its clock was
    wrong. An unreadable info is ignored.

    Parameters
    ----------
    other_info, own_info : payloads of the retained message `info`, JSON.
    now : the time, with a time zone.
    """
    own = msgspec.json.decode(own_info, type=_InstanceInfo)
    try:
        other = msgspec.json.decode(other_info, type=_InstanceInfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return (
        other.client_id_sha256 == own.client_id_sha256
        and other.instance != own.instance
        and other.started_at <= now + _MAX_LEAD
        and (other.started_at, other.instance) > (own.started_at, own.instance)
    )
