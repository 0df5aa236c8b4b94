"""Environment variables that begin as ours do, and that a service manager or a container platform sets."""

import re

__all__ = ["is_foreign"]

# systemd sets these for a unit that another one triggers.
_SYSTEMD_VARIABLES = {
    "MONITOR_SERVICE_RESULT",
    "MONITOR_EXIT_CODE",
    "MONITOR_EXIT_STATUS",
    "MONITOR_INVOCATION_ID",
    "MONITOR_UNIT",
}

# Kubernetes sets these in each pod for each Service of its namespace: the end of the name, and the value.
# Values are compared too: MONITOR_HTTP_PORT=8080 is a misspelt setting, and tcp://10.0.0.1:8080 comes from a
# Service `monitor-http`. See "Discovering services" in its documentation.
_SERVICE_LINKS = (
    (r"_SERVICE_HOST", r"[0-9a-fA-F.:]+"),
    (r"_SERVICE_PORT(_[A-Z0-9]+)*", r"\d+"),
    (r"_PORT(_\d+_(TCP|UDP|SCTP))?", r"(tcp|udp|sctp)://[0-9a-fA-F.:\[\]]+:\d+"),
    (r"_PORT_\d+_(TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
    (r"_PORT_\d+_(TCP|UDP|SCTP)_PORT", r"\d+"),
    (r"_PORT_\d+_(TCP|UDP|SCTP)_ADDR", r"[0-9a-fA-F.:]+"),
)


def is_foreign(variable: str, value: str, prefix: str) -> bool:
    """Return whether an environment variable is no setting of ours, though its name begins like one.

    Parameters
    ----------
    variable, value : as in the environment.
    prefix : of our settings, such as `MONITOR_`.
    """
    if variable in _SYSTEMD_VARIABLES:
        return True
    service = prefix.removesuffix("_") + "(_[A-Z0-9]+)*?"  # called `monitor`, or `monitor-` and more
    return any(
        re.fullmatch(service + name_end, variable) and re.fullmatch(link_value, value)
        for name_end, link_value in _SERVICE_LINKS
    )
