"""An operator's request received over MQTT, and how to send its response."""

import logging
from dataclasses import dataclass, replace

from monitor.core.messages import JSON_PROPERTIES, InboundRequest
from monitor.mqtt.session import Session

__all__ = ["OperatorRequest", "UnanswerableRequestError", "receive_operator_request"]

_log = logging.getLogger(__name__)

# Maximum length of the request name in the response topic; longer names are truncated, since no known request
# has such a name.
_MAX_NAME_LENGTH = 100
# A request that was delivered more often without being acknowledged brought the connection down each time.
_MAX_DELIVERIES = 2
# Connections that an answer may bring down until it is set aside. An alert has more: it matters more.
_ANSWER_ATTEMPTS = 2


class UnanswerableRequestError(Exception):
    """A request is refused without an answer; the text says why."""


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A request; call `respond` exactly once."""

    name: str
    """The topic below `<base>/request/`, e.g. `silence`."""
    payload: bytes
    retained: bool
    """Whether it was published with the retain flag, so the broker delivers it on every new subscription."""
    _message: InboundRequest
    _response_topic: str
    _session: Session

    def respond(self, response: bytes) -> None:
        """Publish the response, then acknowledge the request.

        If the process stops before that, the broker delivers the request again, and the second time it is
        acknowledged before it is carried out.
        """
        properties = replace(JSON_PROPERTIES, correlation_data=self._message.correlation_data)
        self._session.publish(
            self._response_topic, response, properties=properties, attempts=_ANSWER_ATTEMPTS
        )
        self._session.acknowledge([self._message.ack_token])


def receive_operator_request(
    message: InboundRequest, base_topic: str, session: Session
) -> OperatorRequest | None:
    """Convert a message to an operator request.

    Return None (and acknowledge it) if it is an empty retained message, which only deletes a retained
    request.

    Raises
    ------
    UnanswerableRequestError : it can't be answered, or it brought the connection down again and again; it is
        acknowledged.
    """
    problem = message.problem
    if message.delivery > _MAX_DELIVERIES:
        problem = f"it was delivered {message.delivery} times, and the connection ended each time"
    if problem or message.delivery > 1:
        # Whatever it brings down, the connection or the process, it doesn't come again.
        session.acknowledge([message.ack_token])
        message = replace(message, ack_token=None)
    if problem:
        raise UnanswerableRequestError(problem)
    # The filter `request/#` also matches the topic `request`, which contains no request name.
    name = f"{message.topic}/".removeprefix(f"{base_topic}/request/").removesuffix("/")
    if message.retained and not message.payload:
        _log.info("%s: the retained request was deleted", message.topic)
        session.acknowledge([message.ack_token])
        return None
    default_topic = f"{base_topic}/response/{name[:_MAX_NAME_LENGTH]}".removesuffix("/")
    response_topic = message.response_topic or default_topic
    return OperatorRequest(name, message.payload, message.retained, message, response_topic, session)
