"""What a running daemon can change over to, and what needs a restart."""

from monitor import bundle
from monitor.bundle import Bundle, default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError
from monitor.mqtt.credentials import check_credentials

__all__ = ["load"]

# The rest decides what the parts are built of, and they are built once.
_RELOADABLE_SECTIONS = {"bundle", "windows", "alerts"}
_RELOADABLE_MQTT_FIELDS = {"host", "port", "username", "password", "password_file"}


def load(old: Settings, new: Settings, running: Manifest) -> Bundle:
    """Load the bundle that changed settings name.

    Raises
    ------
    InvalidInputError : they change what can't change while the daemon runs, or the bundle can't be used, or a
        file with a secret, which may have been renewed.
    """
    unreloadable = [f"{section}.{name}" for section, name in _unreloadable_changes(old, new)]
    if unreloadable:
        raise ConfigurationError(
            f"{', '.join(unreloadable)} changed; expected a restart for that: a reload takes bundle, windows, "
            "alerts, broker and login"
        )
    check_credentials(new.mqtt)
    folder = default_bundle.choose_folder(new.bundle)
    loaded = bundle.load(folder)
    for attribute, new_value, running_value in (
        ("features", loaded.manifest.feature_names, running.feature_names),
        ("steps", loaded.manifest.steps, running.steps),
    ):
        if new_value != running_value:
            raise ConfigurationError(
                f"bundle {folder}: its {attribute} are {new_value}, and the running one's {running_value}; expected the "
                "same, or a restart"
            )
    return loaded


def _unreloadable_changes(old: Settings, new: Settings) -> list[tuple[str, str]]:
    """Return section and name of each setting that changed and can't."""
    changes = []
    for section in type(old).model_fields:
        if section in _RELOADABLE_SECTIONS:
            continue
        before, after = getattr(old, section), getattr(new, section)
        for name in type(before).model_fields:
            if section == "mqtt" and name in _RELOADABLE_MQTT_FIELDS:
                continue
            if getattr(before, name) != getattr(after, name):
                changes.append((section, name))
    return changes
