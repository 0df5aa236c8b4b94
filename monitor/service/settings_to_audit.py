"""The record of operators' requests that the settings ask for."""

from monitor.config.operator_settings import OperatorSettings
from monitor.core.errors import ConfigurationError
from monitor.operators.audit import Audit
from monitor.telemetry.audit_file import AuditFile
from monitor.telemetry.operator_metrics import OperatorMetrics

__all__ = ["build_audit"]


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
        raise ConfigurationError(
            f"operators.audit_file: {path}: {error.strerror or error}; expected a file that can be written"
        ) from error
    metrics.watch_audit_file(lambda: bool(file.problem))
    return Audit(metrics, file)
