"""The part of paho's private interface that `BulkClient` uses, and a check that the installed paho has it.

A later paho may rename any of these without notice. They are the same in 2.1 and 2.2.
"""

import inspect
from collections import deque

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

__all__ = ["ATTRIBUTES", "METHODS", "private_api_problems"]

METHODS: dict[str, tuple[str, ...]] = {
    "_create_socket": (),
    "_create_socket_connection": (),
    "_handle_pubackcomp": ("cmd",),
    "_handle_publish": (),
    "_mid_generate": (),
    "_packet_queue": ("command", "packet", "mid", "qos", "info"),
    "_packet_write": (),
    "_sock_close": (),
    "_sock_recv": ("bufsize",),
}
"""Methods, and the parameters of each after `self`. Exactly these: `BulkClient` overrides all but
`_mid_generate`, so paho calls the overrides with its own arguments."""
ATTRIBUTES: dict[str, type] = {
    "_in_packet": dict,
    "_out_messages": dict,  # packet identifier -> message
    "_out_packet": deque,
    "_sockpairW": object,
}
"""Attributes of a client, and the type that each must have."""


def private_api_problems(client_class: type[paho.Client]) -> list[str]:
    """Return what of paho's private interface is missing or different; [] if it is as `BulkClient` needs it.

    Parameters
    ----------
    client_class : paho's client.
    """
    methods = [_method_problem(client_class, name, parameters) for name, parameters in METHODS.items()]
    client = client_class(CallbackAPIVersion.VERSION2)  # opens no connection
    attributes = [_attribute_problem(client, name, expected) for name, expected in ATTRIBUTES.items()]
    return [problem for problem in methods + attributes if problem]


def _method_problem(client_class: type[paho.Client], name: str, parameters: tuple[str, ...]) -> str:
    method = getattr(client_class, name, None)
    if not callable(method):
        return f"{name} is missing"
    found = list(inspect.signature(method).parameters.values())[1:]
    is_positional = all(parameter.kind is parameter.POSITIONAL_OR_KEYWORD for parameter in found)
    if is_positional and tuple(parameter.name for parameter in found) == parameters:
        return ""
    return f"{name} takes ({', '.join(map(str, found))}) and not ({', '.join(parameters)})"


def _attribute_problem(client: paho.Client, name: str, expected: type) -> str:
    if not hasattr(client, name):
        return f"{name} is missing"
    value = getattr(client, name)
    return "" if isinstance(value, expected) else f"{name} is of type {type(value).__name__}"
