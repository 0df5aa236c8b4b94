"""The record of operators' requests that the settings ask for."""

from pathlib import Path

from monitor.config.operator_settings import OperatorSettings
from monitor.core.errors import ConfigurationError
from monitor.operators.audit import Audit
from monitor.telemetry.audit_file import AuditFile, check_audit_file
from monitor.telemetry.operator_metrics import OperatorMetrics

__all__ = ["build_audit", "check_audit"]


def build_audit(settings: OperatorSettings, metrics: OperatorMetrics) -> Audit:
    """Return what records requests, with a file if the settings name one.

    Raises
    ------
    ConfigurationError : the file can't be opened.
    """
    path = settings.audit_file
    if path is None:
        return Audit(metrics)
    try:
        file = AuditFile(path, metrics.audit_records_lost.inc)
    except OSError as error:
        raise _path_error(path, error) from error
    metrics.watch_audit_file(lambda: bool(file.problem))
    return Audit(metrics, file)


def check_audit(settings: OperatorSettings) -> None:
    """Check that `build_audit` could open the file, without creating it.

    Raises
    ------
    ConfigurationError : it couldn't.
    """
    path = settings.audit_file
    try:
        if path is not None:
            check_audit_file(path)
    except OSError as error:
        raise _path_error(path, error) from error


def _path_error(path: Path | None, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"operators.audit_file: {path}: {error.strerror or error}; expected a file that can be written"
    )
