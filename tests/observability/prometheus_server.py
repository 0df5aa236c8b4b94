"""A real Prometheus with the shipped configuration, on a free port and with all durations scaled down."""

import json
import math
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.conftest import ROOT, TIMEOUT_S, free_port, skip_or_fail, wait_until

PROMETHEUS_CONFIG = ROOT / "config" / "prometheus"
TIME_SCALE = 100
"""Divisor of all durations: an hour of the rules takes 36 s in a test."""
_SECONDS_BY_UNIT = {"s": 1, "m": 60, "h": 3600}
_DURATION_PATTERN = r"(\d+)([smh])"


class Sample(NamedTuple):
    """The value of one series at one time."""

    labels: dict[str, str]
    value: float


def find_program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; skip the test if it isn't installed."""
    found = shutil.which(name)
    if found is None:
        skip_or_fail("prometheus", f"{name} is not installed")
    return str(found)


def scale_duration(text: str) -> str:
    """Divide each duration (`5m`) in a text by `TIME_SCALE`."""

    def divide(match: re.Match[str]) -> str:
        return f"{int(match[1]) * _SECONDS_BY_UNIT[match[2]] * 1000 // TIME_SCALE}ms"

    return re.sub(_DURATION_PATTERN, divide, text)


def scale_rules(text: str) -> dict[str, Any]:
    """Return rules with their ranges (`[5m]`) and `for` divided by `TIME_SCALE`, and otherwise unchanged."""
    rules: dict[str, Any] = yaml.safe_load(text)
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(
                rf"\[{_DURATION_PATTERN}\]", lambda match: scale_duration(match[0]), rule["expr"]
            )
            if "for" in rule:
                rule["for"] = scale_duration(rule["for"])
    return rules


def expand_variables(expr: str, instance: str) -> str:
    """Replace the variables in a query of the dashboard, as Grafana does."""
    pattern = re.escape(instance).replace("\\", "\\\\")
    return expr.replace("$__rate_interval", "3s").replace("$instance", pattern)


class Prometheus:
    """A Prometheus that scrapes and evaluates its rules twice a second."""

    def __init__(self, folder: Path) -> None:
        self._executable = find_program("prometheus")
        self._folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.rules = scale_rules((PROMETHEUS_CONFIG / "rules.yml").read_text())
        (folder / "rules.yml").write_text(yaml.safe_dump(self.rules))

    def set_targets(self, *targets: str) -> None:
        """Replace the targets of the shipped scrape job, and reload if Prometheus is running."""
        settings = yaml.safe_load((PROMETHEUS_CONFIG / "prometheus.yml").read_text())
        settings["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "500ms")
        (job,) = settings["scrape_configs"]
        job["static_configs"] = [{"targets": list(targets)}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def start(self) -> None:
        """Start, and wait until it is ready."""
        command = [
            self._executable,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._is_ready, "Prometheus is ready")

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=TIMEOUT_S):
                return True
        except OSError:
            return False

    def _get_api(self, path: str, **arguments: str) -> Any:
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{arguments}: {error.read().decode()}") from None

    def query(self, expr: str) -> list[Sample]:
        """Return the current samples of an expression, without NaN."""
        samples = [
            Sample(sample["metric"], float(sample["value"][1]))
            for sample in self._get_api("query", query=expr)["result"]
        ]
        return [sample for sample in samples if not math.isnan(sample.value)]

    def firing_alerts(self, instance: str | None = None) -> dict[str, str]:
        """Return the firing alerts, of one instance or of all: name -> summary and description."""
        alerts = [
            alert
            for alert in self._get_api("alerts")["alerts"]
            if alert["state"] == "firing" and instance in (None, alert["labels"].get("instance"))
        ]
        return {
            alert["labels"]["alertname"]: "{summary}: {description}".format(**alert["annotations"])
            for alert in alerts
        }


@contextmanager
def running_prometheus(folder: Path, *targets: str) -> Iterator[Prometheus]:
    """Run a Prometheus with these scrape targets; stop it at the end."""
    folder.mkdir()
    server = Prometheus(folder)
    server.set_targets(*targets)
    try:
        server.start()
        yield server
    finally:
        server.stop()
