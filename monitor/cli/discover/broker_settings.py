"""Writes the settings by which `discover` reached the broker, without secrets."""

from monitor.cli.discover.toml_text import to_toml
from monitor.config.settings import Settings

__all__ = ["write_broker"]


def write_broker(settings: Settings) -> str:
    """Return what differs from the defaults, as TOML: the bundle, and how to connect."""
    lines = []
    if settings.bundle != Settings().bundle:
        lines += [f"bundle = {to_toml(settings.bundle or '')}", ""]
    mqtt = settings.mqtt.model_dump(exclude_defaults=True, exclude={"password"})
    if mqtt or settings.mqtt.password:
        lines += ["[mqtt]", *(f"{name} = {to_toml(value)}" for name, value in mqtt.items())]
        if settings.mqtt.password:
            lines.append("# the password is better in MONITOR_MQTT__PASSWORD or in password_file")
        lines.append("")
    return "".join(f"{line}\n" for line in lines)
