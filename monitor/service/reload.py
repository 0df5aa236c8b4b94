"""Reloads bundle and settings while the daemon runs, except settings that need a restart."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from monitor.bundle import Bundle, default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.secrets import read_token
from monitor.config.settings import Settings
from monitor.core.errors import ConfigurationError, InvalidInputError, OperationError
from monitor.mqtt.credentials import check_credentials
from monitor.operators.false_alarms import FalseAlarmFile
from monitor.service.connections import Connections
from monitor.service.pipeline import Pipeline, Replacement
from monitor.service.pipeline_thread import HANG_TIMEOUT_S
from monitor.service.process_control import ProcessControl
from monitor.service.settings_to_alignment import adapt_bundle
from monitor.service.settings_to_features import load_bundle as load_configured_bundle
from monitor.service.settings_to_stages import build_timed_scoring, choose_max_gap, choose_stale_after
from monitor.telemetry.metrics import Metrics
from monitor.web.certificate import ServerCertificate

__all__ = ["Reloader", "RunningConfig", "load_bundle"]

_log = logging.getLogger(__name__)

# All other settings are used only when the daemon is built, so changing them needs a restart.
_RELOADABLE_SECTIONS = {"bundle", "features", "windows", "alerts"}
_RELOADABLE_MQTT_FIELDS = {"host", "port", "username", "password", "password_file"}


@dataclass(slots=True)
class RunningConfig:
    """Settings, bundle, token and certificate in use. A reload assigns them; other threads read them."""

    settings: Settings
    manifest: Manifest
    """Manifest of the bundle in use."""
    token: str = ""
    """Token that HTTP requests must carry; "" if none."""
    certificate: ServerCertificate | None = None
    """Of the HTTP server; None if it has no TLS."""

    def max_gap(self) -> float:
        """Return `WindowRules.max_gap` in use, seconds."""
        return choose_max_gap(self.settings.windows, self.manifest.sample_period)


class _UnfinishedError(OperationError):
    """The pipeline has begun to apply the replacement and did not finish in time."""


class Reloader:
    """Loads bundle and settings again, and passes them to the parts that use them.

    Parameters
    ----------
    read_settings : reads and returns the current settings.
    running : the settings and bundle in use.
    pipeline : replaces its stages between two batches.
    connections : publish the id of the bundle in use, and connect to another broker if the address changed.
    metrics : count reloads, and have the id of the bundle in use.
    process : notifies the service manager.
    timeout_s : seconds within which the pipeline must begin to apply the replacement.
    """

    def __init__(
        self,
        *,
        read_settings: Callable[[], Settings],
        running: RunningConfig,
        pipeline: Pipeline,
        connections: Connections,
        metrics: Metrics,
        process: ProcessControl,
        timeout_s: float = HANG_TIMEOUT_S,
    ) -> None:
        self._read_settings = read_settings
        self._running = running
        self._pipeline = pipeline
        self._connections = connections
        self._metrics = metrics
        self._process = process
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def reload(self) -> str:
        """Load the current bundle and settings; return an error message, "" after a success.

        After an error nothing changes, with one exception: if the pipeline has begun to apply the
        replacement, it finishes that; the error message says so.
        """
        with self._lock:
            self._process.notify_reloading()
            try:
                settings = self._read_settings()
                loaded = load_bundle(self._running.settings, settings, self._running.manifest)
                self._apply(*adapt_bundle(settings, loaded))
            except (InvalidInputError, OperationError) as error:
                is_unfinished = isinstance(error, _UnfinishedError)
                result = "reload not finished" if is_unfinished else "reload refused, all stays as it was"
                _log.error("%s: %s", result, error)
                self._metrics.reloads_by_result["refused"].inc()
                return str(error)
            finally:
                self._process.notify_ready()
            self._metrics.reloads_by_result["done"].inc()
            return ""

    def _apply(self, settings: Settings, loaded: Bundle) -> None:
        manifest, token = loaded.manifest, read_token(settings.http) or ""
        certificate = self._running.certificate
        context = certificate.load() if certificate else None
        scoring = build_timed_scoring(loaded, settings, self._metrics)
        stale_after = choose_stale_after(settings.windows, manifest.sample_period)
        false_alarms = FalseAlarmFile(settings.alerts.false_alarms, manifest.feature_names)
        self._take_over(Replacement(scoring, manifest, stale_after, false_alarms))
        running = self._running
        running.settings, running.manifest, running.token = settings, manifest, token
        if certificate and context:
            certificate.context = context
        self._metrics.set_bundle(manifest)
        self._metrics.watch_drift(lambda: scoring.drift)
        self._connections.reconfigure(settings, manifest)
        folder = default_bundle.choose_folder(settings.bundle)
        _log.info("reloaded: bundle %s from %s", manifest.id, folder)

    def _take_over(self, replacement: Replacement) -> None:
        """Pass a replacement to the pipeline, and wait until it has been applied.

        Raises
        ------
        OperationError : the pipeline didn't begin in time, and the replacement is withdrawn.
        _UnfinishedError : the pipeline has begun, and did not finish within twice the time.
        """
        self._pipeline.replace(replacement)
        self._connections.wake()
        if replacement.done.wait(self._timeout_s):
            return
        if replacement.claim():
            raise OperationError(
                f"the pipeline did not take over within {self._timeout_s:g} s, so the reload is withdrawn: "
                "bundle and settings in use stay as they were; expected a pipeline that is not held up"
            )
        if not replacement.done.wait(self._timeout_s):
            raise _UnfinishedError(
                f"the pipeline has begun to take over and is not done within {2 * self._timeout_s:g} s: once "
                "it is, it judges by the new bundle and settings, and until another reload succeeds `info`, "
                "metrics and page name the former ones"
            )


def load_bundle(old: Settings, new: Settings, running: Manifest) -> Bundle:
    """Return the bundle that the new settings name.

    Parameters
    ----------
    old, new : the settings in use, and the settings to change to.
    running : the manifest of the bundle in use.

    Raises
    ------
    InvalidInputError : a changed setting needs a restart, or the bundle can't be used, or a file with a
        secret, which may have been renewed.
    """
    unreloadable = [f"{section}.{name}" for section, name in _unreloadable_changes(old, new)]
    if unreloadable:
        raise ConfigurationError(
            f"{', '.join(unreloadable)} changed; expected a restart for that: a reload takes bundle, "
            "features, windows, alerts, broker and login"
        )
    check_credentials(new.mqtt)
    folder = default_bundle.choose_folder(new.bundle)
    loaded = load_configured_bundle(new)
    for attribute, new_value, running_value in (
        ("features", ", ".join(loaded.manifest.feature_names), ", ".join(running.feature_names)),
        ("quantities", ", ".join(loaded.manifest.quantities), ", ".join(running.quantities)),
        ("steps", str(loaded.manifest.steps), str(running.steps)),
    ):
        if new_value != running_value:
            raise ConfigurationError(
                f"bundle {folder}: its {attribute} are {new_value}; the running one's are {running_value}; "
                "expected the same, or a restart"
            )
    return loaded


def _unreloadable_changes(old: Settings, new: Settings) -> list[tuple[str, str]]:
    """Return section and name of each setting that changed and needs a restart."""
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
