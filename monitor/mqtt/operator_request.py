"""An operator's request received over MQTT, and how to send its response."""

import logging
from dataclasses import dataclass, replace

from monitor.core.messages import JSON_PROPERTIES, InboundRequest
from monitor.core.topics import is_valid_topic
from monitor.mqtt.session import Session
from monitor.operators.audit import Sender

__all__ = ["OperatorRequest", "receive_operator_request"]

_log = logging.getLogger(__name__)

# Maximum length of the names of request and operator in the response topic; longer names are truncated, since
# no known request and no operator has such a name.
_MAX_NAME_LENGTH = 100
# Bytes of a response topic: the answer must stay below the packet size that any broker takes.
_MAX_RESPONSE_TOPIC_SIZE = 1024
# A request that was delivered more often without being acknowledged brought the connection down each time.
_MAX_DELIVERIES = 2
# Connections that an answer may bring down until it is set aside. An alert has more: it matters more.
_ANSWER_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class OperatorRequest:
    """A request; call `respond` exactly once."""

    name: str
    """The level of the topic after `<base>/request/`, e.g. `silence`; all of them if there are too many."""
    payload: bytes
    retained: bool
    """Whether it was published with the retain flag, so the broker delivers it on every new subscription."""
    sender: Sender
    """Who sent it: the level of the topic after the name, and what MQTT 5 properties say."""
    problem: str
    """Why it can't be done whatever it says, as text for users; "" if it can."""
    is_answerable: bool
    """Whether an answer can be published; if not, the request has a problem and is acknowledged already."""
    _message: InboundRequest
    _response_topic: str
    _session: Session

    def respond(self, response: bytes) -> None:
        """Publish the response if that is possible, then acknowledge the request.

        If the process stops before that, the broker delivers the request again, and the second time it is
        acknowledged before it is carried out.
        """
        if self.is_answerable:
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
    request. One that can't be answered, or brought the connection down again and again, has a problem.
    """
    problem = message.problem
    if message.delivery > _MAX_DELIVERIES:
        problem = f"it was delivered {message.delivery} times, and the connection ended each time"
    if problem or message.delivery > 1:
        # Whatever it brings down, the connection or the process, it doesn't come again.
        session.acknowledge([message.ack_token])
        message = replace(message, ack_token=None)
    is_answerable = not problem
    # The filter `request/#` also matches the topic `request`, which contains no request name.
    path = f"{message.topic}/".removeprefix(f"{base_topic}/request/").removesuffix("/")
    if message.retained and not message.payload:
        _log.info("%s: the retained request was deleted", message.topic)
        session.acknowledge([message.ack_token])
        return None
    name, _, operator = path.partition("/")
    if "/" in operator:
        name, operator = path, ""
    response_prefix = f"{base_topic}/response/"
    answer_levels = (level[:_MAX_NAME_LENGTH] for level in (name, operator) if level)
    response_topic = (response_prefix + "/".join(answer_levels)).removesuffix("/")
    if not problem and len(operator) > _MAX_NAME_LENGTH:
        problem = f"the operator's name in the topic has {len(operator)} characters, expected at most 100"
    elif not problem and message.response_topic is not None:
        problem = _find_topic_problem(message.response_topic, response_prefix)
        response_topic = response_topic if problem else message.response_topic
    sender = Sender(operator[:_MAX_NAME_LENGTH], message.claimed_operator)
    return OperatorRequest(
        name,
        message.payload,
        message.retained,
        sender,
        problem,
        is_answerable,
        message,
        response_topic,
        session,
    )


def _find_topic_problem(topic: str, prefix: str) -> str:
    """Return why nothing is published to a response topic; "" if it may be.

    Elsewhere the monitor's login may write where the operator's may not.
    """
    shown = topic[:_MAX_NAME_LENGTH]
    if not topic.startswith(prefix) or topic == prefix:
        return f"the response topic {shown!r} is not below {prefix!r}; expected one that is, or none"
    if not is_valid_topic(topic) or len(topic.encode()) > _MAX_RESPONSE_TOPIC_SIZE:
        return f"nothing can be published to the response topic {shown!r}; expected a valid one"
    return ""
