import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor import __version__
from tests.conftest import ROOT
from tests.shipping.docker_images import parse_stages

COMPOSE_FILE = ROOT / "docker" / "compose.yaml"
STACK: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = STACK["services"]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each service of the stack."""
    return SERVICES[request.param]


def test_schema() -> None:
    """The file is valid by the schema of the Compose specification."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        COMPOSE_FILE,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_images_are_pinned(service: dict[str, Any]) -> None:
    """Each image has a version tag; that of our own images is the package's version."""
    name, tag, *digest = service["image"].replace("@sha256", "").split(":")
    assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in digest)
    if name.startswith("sensor-"):
        assert tag == __version__


def test_images_can_be_pinned_by_digest(tmp_path: Path) -> None:
    """`docker/pin.sh` writes each image's digest behind its tag, and a newer one in its place."""
    folder = tmp_path / "docker"
    shutil.copytree(COMPOSE_FILE.parent, folder, ignore=shutil.ignore_patterns("secrets"))
    docker = tmp_path / "docker-program" / "docker"
    docker.parent.mkdir()
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    for digit in "ab":
        digest = f"sha256:{digit * 64}"
        docker.write_text(f"#!/bin/sh\necho {digest}\n")  # this machine has neither Docker nor a registry
        docker.chmod(0o755)
        subprocess.run([folder / "pin.sh"], check=True, env=environment, capture_output=True)
        services = yaml.safe_load((folder / "compose.yaml").read_text())["services"]
        for name, service in SERVICES.items():
            own = service["image"].startswith("sensor-")
            assert services[name]["image"] == service["image"].split("@")[0] + ("" if own else f"@{digest}")
        for file in ("monitor.Dockerfile", "training.Dockerfile"):
            stages = parse_stages(folder / file)
            assert {stage.base for stage in stages} == {
                f"{parse_stages(COMPOSE_FILE.parent / file)[0].base.split('@')[0]}@{digest}"
            }


def test_containers_are_bounded(service: dict[str, Any]) -> None:
    """No container can take all memory or all processes of the machine."""
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["pids_limit"] <= 1024


def test_containers_are_restricted(service: dict[str, Any]) -> None:
    """No container runs as root, can gain privileges, write outside its volumes or share host namespaces."""
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) >= 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    forbidden = {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"}
    assert not forbidden & set(service)


def test_ports_bind_to_localhost(service: dict[str, Any]) -> None:
    """No service can be reached from another machine by default."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_health(service: dict[str, Any]) -> None:
    """Each long-running service has a health check, and its dependents wait until it is healthy."""
    for name, dependency in service.get("depends_on", {}).items():
        required_service = SERVICES[name]
        is_one_shot = required_service["restart"] == "no"
        assert dependency["condition"] == (
            "service_completed_successfully" if is_one_shot else "service_healthy"
        )
        if not is_one_shot:
            has_health_check = "HEALTHCHECK" in _dockerfile_text(required_service)
            assert has_health_check or required_service["healthcheck"]["test"][0] == "CMD"
    if service["restart"] != "no":
        assert "healthcheck" in service or "HEALTHCHECK" in _dockerfile_text(service)


def test_mounts(service: dict[str, Any], secrets_folder: Path) -> None:
    """Mounted files exist and are read-only; volumes and secrets are declared in the stack."""
    for mount in service.get("volumes", []):
        source, _, *mode = mount.split(":")
        if not source.startswith("."):
            assert source in STACK["volumes"]
            continue
        assert mode == ["ro"]
        is_generated = source.startswith("./secrets/")
        assert (secrets_folder.parent / source if is_generated else COMPOSE_FILE.parent / source).exists(), (
            source
        )
    for name in service.get("secrets", []):
        assert (secrets_folder.parent / STACK["secrets"][name]["file"]).exists()


def test_prometheus_targets() -> None:
    """Prometheus has the rules and jobs of config/prometheus, and its targets are services of the stack."""
    stack = yaml.safe_load((COMPOSE_FILE.parent / "prometheus.yml").read_text())
    config = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())
    (alertmanager,) = stack.pop("alerting")["alertmanagers"]
    addresses = [*_targets(stack["scrape_configs"]), *_targets([alertmanager])]
    addresses.append(SERVICES["grafana"]["environment"]["PROMETHEUS_URL"].removeprefix("http://"))
    for address in addresses:
        name, port = address.split(":")
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]
    for job in [*stack["scrape_configs"], *config["scrape_configs"]]:
        del job["static_configs"]
    assert stack == config


def test_grafana_finds_the_dashboard() -> None:
    """The dashboards are mounted at the path that the provisioning file names."""
    file = ROOT / "config" / "grafana" / "provisioning" / "dashboards" / "sensor-monitor.yml"
    (provider,) = yaml.safe_load(file.read_text())["providers"]
    path = provider["options"]["path"]
    assert f"../config/grafana/dashboards:{path}:ro" in SERVICES["grafana"]["volumes"]


def test_no_inline_passwords() -> None:
    """The file contains no password: each is read from a file that docker/secrets.sh makes."""
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert "PASSWORD" not in name or name.endswith("_FILE")


def _targets(configs: list[dict[str, Any]]) -> list[str]:
    return [
        target
        for config in configs
        for static_config in config["static_configs"]
        for target in static_config["targets"]
    ]


def _dockerfile_text(service: dict[str, Any]) -> str:
    """Return the text of the Dockerfile of the service's image; "" for an image that isn't ours."""
    for other in SERVICES.values():
        if other["image"] == service["image"] and "build" in other:
            return (ROOT / other["build"]["dockerfile"]).read_text()
    return ""
