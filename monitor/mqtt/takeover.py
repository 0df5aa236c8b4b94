"""Who holds a client id by right, where two processes say that they do."""

from datetime import datetime
from typing import Annotated

import msgspec

__all__ = ["is_newer_instance"]


class _InstanceInfo(msgspec.Struct):
    """The part of a process's `info` by which it can be told from another with the same client id."""

    client_id: str
    instance: str
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]


def is_newer_instance(other_info: bytes, own_info: bytes) -> bool:
    """Say whether `other_info` is the info of another process with our client id that began after us.

    Of one that began before us nothing follows: it may be long gone, and its info come back with a broker
    that was killed. What can't be read claims nothing.
    """
    own = msgspec.json.decode(own_info, type=_InstanceInfo)
    try:
        other = msgspec.json.decode(other_info, type=_InstanceInfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return (
        other.client_id == own.client_id
        and other.instance != own.instance
        and (other.started_at, other.instance) > (own.started_at, own.instance)
    )
