"""What may be asked over MQTT below `request/`, and the answers below `response/`."""

import msgspec

__all__ = ["answer", "transaction"]


def transaction(payload: bytes) -> object:
    """Return what the asker wants to find in the answer; None where it gave nothing.

    Raises
    ------
    ValueError : the payload is neither empty nor a JSON object.
    """
    if not payload:
        return None
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the request can't be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError("the request is no JSON object; expected one, or nothing")  # noqa: TRY004
    return content.get("transaction")


def answer(asked: object, error: str = "") -> bytes:
    """Return the answer to a request.

    Parameters
    ----------
    asked : the request's `transaction`, or None.
    error : why it was refused; "" if it wasn't.
    """
    content: dict[str, object] = {"status": "error" if error else "ok"}
    if error:
        content["error"] = error
    if asked is not None:
        content["transaction"] = asked
    return msgspec.json.encode(content)
