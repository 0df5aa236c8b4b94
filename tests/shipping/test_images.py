import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from monitor import __version__
from tests.conftest import Mosquitto, free_port, require, wait_until
from tests.monitor.cli.test_run import reading
from tests.shipping.docker_images import ROOT, Image, context, locked, stages
from tests.support.processes import client
from tests.support.toy_bundle import FAULTY

FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVICES = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
MONITOR = ROOT / "docker" / "monitor.Dockerfile"
TRAINING = ROOT / "docker" / "training.Dockerfile"
Lock = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The monitor's image, made in a folder."""
    made = Image(MONITOR, tmp_path_factory.mktemp("image"))
    made.make()
    return made


@pytest.fixture
def lock() -> Lock:
    """Makes a command find all files read-only but for some folders, as a container has them."""
    if subprocess.run(locked(["true"]), capture_output=True, check=False).returncode:
        require("unshare", "mount namespaces are not to be had here")
    return locked


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_an_image_says(file: Path) -> None:
    """Both stages have one pinned base; the user is a number and not root; the version is the package's."""
    build, final = stages(file)
    assert build.base == final.base
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", final.base)
    user, group = final.one("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert final.pairs("LABEL")["org.opencontainers.image.version"] == __version__
    assert all("--constraint constraints.txt" in run for run in build.all("RUN") if " install " in run)
    assert not [line for stage in (build, final) for line in stage.all("ADD")]


def test_images_differ_by_what_training_needs() -> None:
    """The training image is made as the monitor's, with one extra that pyproject.toml has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    monitor, training = ("\n".join(stages(file)[0].all("RUN")) for file in (MONITOR, TRAINING))
    assert training == monitor.removesuffix(".") + "'.[training]'"
    assert "training" in extras


def test_build_context(tmp_path: Path) -> None:
    """A build sees what it copies, and neither recordings nor secrets nor what was made here."""
    context(tmp_path)
    seen = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    for file in FILES:
        for arguments in stages(file)[0].all("COPY"):
            assert set(arguments.split()[:-1]) <= seen
    assert not [path for path in seen if "__pycache__" in path or path.startswith((".", "var", "docker"))]


def test_monitor_image(
    image: Image, lock: Lock, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path
) -> None:
    """As the stack runs it, with its volume alone to write to, the monitor judges, is healthy, and ends."""
    volume = image.final.one("VOLUME")
    assert f"state:{volume}" in SERVICES["monitor"]["volumes"]
    state = Path(image.here(volume))
    port = free_port()
    environment = image.environment() | SERVICES["monitor"]["environment"]
    del environment["MONITOR_MQTT__PASSWORD_FILE"], environment["MONITOR_MQTT__USERNAME"]
    environment |= {
        "MONITOR_BUNDLE": str(toy_bundle), "MONITOR_HTTP__PORT": str(port), "MONITOR_MQTT__HOST": "127.0.0.1",
        "MONITOR_MQTT__PORT": str(mosquitto.port),
    }  # fmt: skip
    words = [*image.final.command("ENTRYPOINT"), *SERVICES["monitor"]["command"]]
    words[-1] = str(ROOT / "config" / "monitor.toml")
    check = image.final.command("HEALTHCHECK")

    def healthy() -> bool:
        done = subprocess.run(lock(check), env=environment, capture_output=True, check=False)
        return done.returncode == 0

    assert not healthy()
    with (tmp_path / "log").open("wb") as log, client(mosquitto.port, "sensor-monitor/#") as other:
        process = subprocess.Popen(lock(words, state), env=environment, cwd=state, stderr=log)
        try:
            wait_until(healthy, "it is healthy")
            wait_until(lambda: other.texts("sensor-monitor/status") == ["online"], "it is online")
            other.publish(
                "plant/line1/station7/reading", [reading(1000 + 5 * step, FAULTY) for step in range(3)]
            )
            wait_until(lambda: other.payloads("sensor-monitor/alerts/"), "an alert comes")
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait(20)
    assert (state / "state.db").exists()
    assert f"answering on http://0.0.0.0:{port}" in (tmp_path / "log").read_text()
    assert not healthy()


def test_image_is_light(image: Image) -> None:
    """Nothing that only training needs is in the monitor's image, and it runs as it says by itself."""
    listed = [path.name for path in (image.root / "opt" / "sensor-monitor" / "lib").glob("*/site-packages/*")]
    assert {"monitor", "onnxruntime"} <= set(listed)
    assert not {"tensorflow", "keras", "sklearn", "pandas", "matplotlib"} & set(listed)
    words = [*image.final.command("ENTRYPOINT"), "--version"]
    done = subprocess.run(words, env=image.environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"sensor-monitor {__version__}"


def test_what_the_stack_shows(lock: Lock, tmp_path: Path, mosquitto: Mosquitto) -> None:
    """The stack's first service makes a bundle that the monitor takes, and a plant that can be replayed."""
    data = tmp_path / "data"
    data.mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    if shutil.which("sensor-training", path=path) is None:
        require("commands", "sensor-training is not installed here; `make test` installs it")
    final = stages(TRAINING)[1]
    environment = {
        **final.pairs("ENV"),
        "PATH": path,
        "MPLCONFIGDIR": str(temporary),
        "TMPDIR": str(temporary),
    }
    script = ROOT / "docker" / "prepare.sh"
    prepare = lock(["/bin/sh", script], data, temporary)
    subprocess.run(prepare, cwd=data, env=environment, check=True, stdout=subprocess.DEVNULL)

    settings = ["--config", str(ROOT / "config" / "monitor.toml")]
    check = [sys.executable, "-m", "monitor", "check", *settings, "--bundle", data / "bundle"]
    any_port = {**os.environ, "MONITOR_HTTP__PORT": "0"}
    subprocess.run(check, check=True, stdout=subprocess.DEVNULL, cwd=ROOT, env=any_port)
    words = [sys.executable, "-m", "monitor", *SERVICES["plant"]["command"]]
    words[words.index("/data/plant.csv")] = str(data / "plant.csv")
    words[words.index("--config") : words.index("--config") + 2] = settings
    mine = {**os.environ, "MONITOR_MQTT__PORT": str(mosquitto.port)}
    with client(mosquitto.port, "plant/#") as other:
        process = subprocess.Popen(words, env=mine, cwd=ROOT)
        try:
            wait_until(lambda: len({topic for topic, _, _ in other.messages}) == 6, "each station speaks")
        finally:
            process.terminate()
            process.wait(20)
