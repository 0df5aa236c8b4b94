import pytest

from monitor.config.foreign_variables import is_foreign
from monitor.config.loading import load_settings
from monitor.core.errors import ConfigurationError
from training.config import loading as training_loading

# What Kubernetes 1.32 sets for a Service with the ports 9108 and 9090/UDP, the first called `http-web`.
_SERVICE_LINKS = {
    "{}_SERVICE_HOST": "10.0.0.1",
    "{}_SERVICE_PORT": "9108",
    "{}_SERVICE_PORT_HTTP_WEB": "9108",
    "{}_PORT": "tcp://10.0.0.1:9108",
    "{}_PORT_9108_TCP": "tcp://10.0.0.1:9108",
    "{}_PORT_9108_TCP_PROTO": "tcp",
    "{}_PORT_9108_TCP_PORT": "9108",
    "{}_PORT_9108_TCP_ADDR": "10.0.0.1",
    "{}_PORT_9090_UDP": "udp://[fd00::1]:9090",
    "{}_PORT_9090_UDP_ADDR": "fd00::1",
}


@pytest.mark.parametrize("service", ["MONITOR", "MONITOR_HTTP", "MONITOR_2_LINE_A", "MONITOR_PORT"])
def test_service_links(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service links of Kubernetes for a Service `monitor` or `monitor-...` are no settings."""
    for name, value in _SERVICE_LINKS.items():
        monkeypatch.setenv(name.format(service), value)
    assert load_settings(None).http.port == 9108


def test_service_links_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a Service `training` are no settings of the training."""
    for name, value in _SERVICE_LINKS.items():
        monkeypatch.setenv(name.format("TRAINING_JOB"), value)
    training_loading.load_settings(None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MONITOR_PORT", "9108"),
        ("MONITOR_HTTP_PORT", "9108"),
        ("MONITOR_HTTP_PORT", "http://10.0.0.1:9108"),
        ("MONITOR_SERVICE_HOST", "broker"),
        ("MONITOR_SERVICE_PORT", "http"),
        ("MONITOR_PORT_9108_TCP_PROTO", "9108"),
        ("MONITOR_PORT_9108_TCP_NAME", "tcp"),
        ("MONITOR_PORT_HTTP_TCP", "tcp://10.0.0.1:9108"),
        ("MONITOR_SERVICE_LINK", "1"),
        ("monitor_port", "tcp://10.0.0.1:9108"),
        ("MONITORING_PORT_1", "tcp://10.0.0.1:9108"),
    ],
)
def test_what_only_resembles_a_service_link(variable: str, value: str) -> None:
    """Other names, and other values under these names, are not ignored."""
    assert not is_foreign(variable, value, "MONITOR_")


def test_unknown_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting misspelt like a service link is refused with the right name."""
    monkeypatch.setenv("MONITOR_HTTP_PORT", "9108")
    with pytest.raises(ConfigurationError, match="did you mean 'MONITOR_HTTP__PORT'"):
        load_settings(None)
