"""An operator's request received over MQTT, and how to send its response."""

import logging
from dataclasses import dataclass, replace

from monitor.core.messages import JSON_PROPERTIES, InboundRequest
from monitor.mqtt.session import Session

__all__ = ["OperatorRequest", "receive_operator_request"]

_log = logging.getLogger(__name__)

# Maximum length of the request name in the response topic; longer names are truncated, since no known request
# has such a name.
_MAX_NAME_LENGTH = 100


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

        If the process stops before that, the broker delivers the request again.
        """
        properties = replace(JSON_PROPERTIES, correlation_data=self._message.correlation_data)
        self._session.publish(self._response_topic, response, properties=properties)
        self._session.acknowledge([self._message.ack_token])


def receive_operator_request(
    message: InboundRequest, base_topic: str, session: Session
) -> OperatorRequest | None:
    """Convert a message to an operator request.

    Return None (and acknowledge it) if it is an empty retained message, which only deletes a retained
    request.
    """
    # The filter `request/#` also matches the topic `request`, which contains no request name.
    name = f"{message.topic}/".removeprefix(f"{base_topic}/request/").removesuffix("/")
    if message.retained and not message.payload:
        _log.info("%s: the retained request was deleted", message.topic)
        session.acknowledge([message.ack_token])
        return None
    default_topic = f"{base_topic}/response/{name[:_MAX_NAME_LENGTH]}".removesuffix("/")
    response_topic = message.response_topic or default_topic
    return OperatorRequest(name, message.payload, message.retained, message, response_topic, session)
