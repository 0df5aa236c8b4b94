"""Topics of Sparkplug B: `spBv1.0/<group id>/<message type>/<edge node>`, and `/<device>` for devices."""

from typing import NamedTuple

from monitor.core.topics import Template

__all__ = [
    "SparkplugTopic",
    "check_data_template",
    "data_topic",
    "is_rebirth_topic",
    "message_templates",
    "rebirth_topic",
]

_NAMESPACE = "spBv1.0"
_TYPE_LEVEL = 2
_NODE_LEVELS, _DEVICE_LEVELS = 4, 5
_NODE_TYPES = ("NBIRTH", "NDATA", "NDEATH")
_DEVICE_TYPES = ("DBIRTH", "DDATA", "DDEATH")


class SparkplugTopic(NamedTuple):
    """The topic of a birth, data or death message."""

    message_type: str
    group_id: str
    edge: str
    device: str
    """Empty in messages of the edge node itself."""

    @classmethod
    def parse(cls, topic: str) -> "SparkplugTopic | None":
        """Return what a topic names; None if it is none of such a message."""
        namespace, *levels = topic.split("/")
        if namespace != _NAMESPACE or "" in levels or len(levels) + 1 not in (_NODE_LEVELS, _DEVICE_LEVELS):
            return None
        group_id, message_type, edge, device = (*levels, "")[: _DEVICE_LEVELS - 1]
        if message_type not in (_DEVICE_TYPES if device else _NODE_TYPES):
            return None
        return cls(message_type, group_id, edge, device)


def data_topic(group_id: str, edge: str, device: str) -> str:
    """Return the topic of the data of a device, or of the edge node itself if `device` is empty."""
    if device:
        return f"{_NAMESPACE}/{group_id}/DDATA/{edge}/{device}"
    return f"{_NAMESPACE}/{group_id}/NDATA/{edge}"


def rebirth_topic(group_id: str, edge: str) -> str:
    """Return the topic of commands to an edge node."""
    return f"{_NAMESPACE}/{group_id}/NCMD/{edge}"


def is_rebirth_topic(topic: str) -> bool:
    """Return whether `rebirth_topic` returns a topic for some edge node."""
    levels = topic.split("/")
    return len(levels) == _NODE_LEVELS and "" not in levels and topic == rebirth_topic(levels[1], levels[3])


def check_data_template(template: Template) -> None:
    """Check that a template is of data of devices or of edge nodes.

    Raises
    ------
    ValueError : it is not.
    """
    levels = [texts[0] if len(texts) == 1 else None for texts in template.levels]
    expected_type = {_NODE_LEVELS: "NDATA", _DEVICE_LEVELS: "DDATA"}.get(len(levels))
    if expected_type is None or (levels[0], levels[_TYPE_LEVEL]) != (_NAMESPACE, expected_type):
        raise ValueError(
            f"{template.text!r} must be spBv1.0/<group id>/DDATA/<edge node>/<device>, or "
            "spBv1.0/<group id>/NDATA/<edge node> for metrics of the edge node itself"
        )


def message_templates(template: Template) -> tuple[Template, ...]:
    """Return a template of data, and the templates of the births and deaths that belong to the same senders.

    Data of an edge node belong to those of its devices too: they show whether its birth was missed.
    """
    levels = template.text.split("/")
    node_levels = levels[:_NODE_LEVELS]
    types = {_NODE_LEVELS: _NODE_TYPES, _DEVICE_LEVELS: _DEVICE_TYPES}[len(levels)]
    texts = [(levels, message_type) for message_type in types]
    if types is _DEVICE_TYPES:
        texts += [(node_levels, message_type) for message_type in _NODE_TYPES]
    return tuple(
        Template("/".join((*parts[:_TYPE_LEVEL], message_type, *parts[_TYPE_LEVEL + 1 :])))
        for parts, message_type in texts
    )
