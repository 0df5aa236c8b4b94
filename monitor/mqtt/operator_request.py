"""A request of an operator as it came over MQTT, and the way of its answer."""

import logging
from dataclasses import dataclass, replace

from monitor.core.messages import JSON_PROPERTIES, InboundRequest
from monitor.mqtt.session import Session

__all__ = ["OperatorRequest", "to_operator_request"]

_log = logging.getLogger(__name__)

# Characters of a request's name that stand in its answer's topic: a longer name is no request of ours.
_MAX_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A request that can be answered once."""

    name: str
    """The last part of its topic."""
    payload: bytes
    retained: bool
    """Whether the broker keeps it and sends it with each subscription."""
    _message: InboundRequest
    _response_topic: str
    _session: Session

    def respond(self, response: bytes) -> None:
        """Publish the answer, then acknowledge the request: until then the broker sends it again."""
        properties = replace(JSON_PROPERTIES, correlation_data=self._message.correlation_data)
        self._session.publish(self._response_topic, response, properties=properties)
        self._session.acknowledge([self._message.ack_token])


def to_operator_request(message: InboundRequest, base_topic: str, session: Session) -> OperatorRequest | None:
    """Return a request that came below `request/`; None where it only ends a retained one."""
    # The filter `request/#` matches its parent too, which names no request.
    name = f"{message.topic}/".removeprefix(f"{base_topic}/request/").removesuffix("/")
    if message.retained and not message.payload:
        _log.info("%s: nothing is retained there any more", message.topic)
        session.acknowledge([message.ack_token])
        return None
    default_topic = f"{base_topic}/response/{name[:_MAX_NAME_LENGTH]}".removesuffix("/")
    response_topic = message.response_topic or default_topic
    return OperatorRequest(name, message.payload, message.retained, message, response_topic, session)
