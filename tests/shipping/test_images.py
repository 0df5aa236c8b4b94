import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from monitor import __version__
from tests.conftest import Mosquitto, free_port, skip_or_fail, wait_until
from tests.monitor.cli.test_run import reading
from tests.shipping.docker_images import ROOT, Image, copy_build_context, parse_stages, read_only_command
from tests.support.processes import connect_client
from tests.support.toy_bundle import FAULTY

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
MONITOR_DOCKERFILE = ROOT / "docker" / "monitor.Dockerfile"
TRAINING_DOCKERFILE = ROOT / "docker" / "training.Dockerfile"
CommandWrapper = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The monitor's image, built in a folder."""
    built_image = Image(MONITOR_DOCKERFILE, tmp_path_factory.mktemp("image"))
    built_image.run_build()
    return built_image


@pytest.fixture
def make_read_only() -> CommandWrapper:
    """Wraps a command to run with a read-only file system and some writable folders, as in a container."""
    if subprocess.run(read_only_command(["true"]), capture_output=True, check=False).returncode:
        skip_or_fail("unshare", "mount namespaces are not available here")
    return read_only_command


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_image_metadata(file: Path) -> None:
    """Both stages have the same pinned base, the user is numeric and not root, the version is correct."""
    build_stage, final_stage = parse_stages(file)
    assert build_stage.base == final_stage.base
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", final_stage.base)
    user, group = final_stage.only_arguments("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert final_stage.variables("LABEL")["org.opencontainers.image.version"] == __version__
    assert all(
        "--require-hashes" in command or "--no-index --no-deps --no-build-isolation" in command
        for command in build_stage.all_arguments("RUN")
        if " install " in command
    )
    assert not [argument for stage in (build_stage, final_stage) for argument in stage.all_arguments("ADD")]


def test_images_differ_by_the_training_extra() -> None:
    """The images are built alike: the second one has the sections of training, too."""
    monitor, training = (
        "\n".join(parse_stages(file)[0].all_arguments("RUN"))
        for file in (MONITOR_DOCKERFILE, TRAINING_DOCKERFILE)
    )
    sections = " -e '/^# training$/,/^$/p' -e '/^# tensorflow$/,/^$/p'"
    assert sections in training
    assert training.replace(sections, "") == monitor


def test_build_context(tmp_path: Path) -> None:
    """The build context has the files to copy, but no recordings, secrets or generated files."""
    copy_build_context(tmp_path)
    copied_paths = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    for file in DOCKERFILES:
        for arguments in parse_stages(file)[0].all_arguments("COPY"):
            assert set(arguments.split()[:-1]) <= copied_paths
    assert not [
        path for path in copied_paths if "__pycache__" in path or path.startswith((".", "var", "docker"))
    ]


def test_monitor_image(
    image: Image, make_read_only: CommandWrapper, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path
) -> None:
    """Run as in the stack, with only its volume writable, the monitor is healthy, judges, and exits 0."""
    volume = image.final_stage.only_arguments("VOLUME")
    assert f"state:{volume}" in SERVICES["monitor"]["volumes"]
    state_folder = Path(image.map_paths(volume))
    port = free_port()
    environment = image.environment() | SERVICES["monitor"]["environment"]
    del environment["MONITOR_MQTT__PASSWORD_FILE"], environment["MONITOR_MQTT__USERNAME"]
    environment |= {
        "MONITOR_BUNDLE": str(toy_bundle),
        "MONITOR_HTTP__PORT": str(port),
        "MONITOR_MQTT__HOST": "127.0.0.1",
        "MONITOR_MQTT__PORT": str(mosquitto.port),
    }
    command = [*image.final_stage.exec_command("ENTRYPOINT"), *SERVICES["monitor"]["command"]]
    command[-1] = str(ROOT / "config" / "monitor.toml")
    health_command = image.final_stage.exec_command("HEALTHCHECK")

    def is_healthy() -> bool:
        result = subprocess.run(
            make_read_only(health_command), env=environment, capture_output=True, check=False
        )
        return result.returncode == 0

    assert not is_healthy()
    with (
        (tmp_path / "log").open("wb") as log,
        connect_client(mosquitto.port, "sensor-monitor/#") as mqtt_client,
    ):
        process = subprocess.Popen(
            make_read_only(command, state_folder), env=environment, cwd=state_folder, stderr=log
        )
        try:
            wait_until(is_healthy, "the monitor is healthy")
            wait_until(
                lambda: mqtt_client.texts("sensor-monitor/status") == ["online"], "the monitor is online"
            )
            mqtt_client.publish(
                "plant/line1/station7/reading", [reading(1000 + 5 * step, FAULTY) for step in range(3)]
            )
            wait_until(lambda: mqtt_client.payloads("sensor-monitor/alerts/"), "an alert is received")
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait(20)
    assert (state_folder / "state.db").exists()
    assert f"answering on http://0.0.0.0:{port}" in (tmp_path / "log").read_text()
    assert not is_healthy()


def test_image_is_light(image: Image) -> None:
    """The monitor's image contains no training library, and its entry point runs."""
    packages = [
        path.name for path in (image.root / "opt" / "sensor-monitor" / "lib").glob("*/site-packages/*")
    ]
    assert {"monitor", "onnxruntime"} <= set(packages)
    assert not {"tensorflow", "keras", "sklearn", "pandas", "matplotlib"} & set(packages)
    command = [*image.final_stage.exec_command("ENTRYPOINT"), "--version"]
    result = subprocess.run(command, env=image.environment(), capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"sensor-monitor {__version__}"


@pytest.mark.tensorflow
def test_prepare_makes_bundle_and_recording(
    make_read_only: CommandWrapper, tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """The stack's service `prepare` makes a bundle that the monitor loads and a recording to replay."""
    data_folder = tmp_path / "data"
    data_folder.mkdir()
    temp_folder = tmp_path / "tmp"
    temp_folder.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    if shutil.which("sensor-training", path=path) is None:
        skip_or_fail("commands", "sensor-training is not installed here; `make test` installs it")
    final_stage = parse_stages(TRAINING_DOCKERFILE)[1]
    environment = {
        **final_stage.variables("ENV"),
        "PATH": path,
        "MPLCONFIGDIR": str(temp_folder),
        "TMPDIR": str(temp_folder),
    }
    script = ROOT / "docker" / "prepare.sh"
    prepare_command = make_read_only(["/bin/sh", script], data_folder, temp_folder)
    subprocess.run(prepare_command, cwd=data_folder, env=environment, check=True, stdout=subprocess.DEVNULL)

    settings = ["--config", str(ROOT / "config" / "monitor.toml")]
    check_command = [sys.executable, "-m", "monitor", "check", *settings, "--bundle", data_folder / "bundle"]
    check_environment = {**os.environ, "MONITOR_HTTP__PORT": "0"}
    subprocess.run(check_command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=check_environment)
    replay_command = [sys.executable, "-m", "monitor", *SERVICES["plant"]["command"]]
    replay_command[replay_command.index("/data/plant.csv")] = str(data_folder / "plant.csv")
    replay_command[replay_command.index("--config") : replay_command.index("--config") + 2] = settings
    replay_environment = {**os.environ, "MONITOR_MQTT__PORT": str(mosquitto.port)}
    with connect_client(mosquitto.port, "plant/#") as subscriber:
        process = subprocess.Popen(replay_command, env=replay_environment, cwd=ROOT)
        try:
            wait_until(lambda: len({topic for topic, _, _ in subscriber.messages}) == 6, "each station sends")
        finally:
            process.terminate()
            process.wait(20)
