"""A store that is damaged, or was made to stop the monitor, is set aside, or its unusable rows are."""

import random
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import bundle
from monitor.config.settings import AlertSettings, StoreSettings, WindowSettings
from monitor.core.rules import AlignmentRules
from monitor.core.times import MAX_TS, format_iso
from monitor.core.values import Values
from monitor.groups.state import GroupStates
from monitor.ingest.alignment import AlignmentStage
from monitor.publish.own_messages import OwnMessages
from monitor.service.settings_to_stages import build_scoring
from monitor.storage.restore import open_store, restore
from monitor.storage.store import Store
from tests.conftest import Mosquitto, wait_until
from tests.monitor.cli.test_run import reading
from tests.monitor.service.pipeline_fixture import NOW, PipelineHarness, message
from tests.security.group_state_mutator import mutate_state, replace_words
from tests.security.tampered_stores import ROW_DAMAGE, STORE_DAMAGE, add_groups, flip_bits
from tests.support.processes import Monitor, connect_client
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES, save_toy_sensor_bundle


@pytest.fixture(scope="module")
def sound_store(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two groups, one of them with an open incident."""
    path = tmp_path_factory.mktemp("sound") / "state.db"
    with closing(open_store(StoreSettings(path=path), NAMES, 3)) as store:
        harness = PipelineHarness(toy_bundle)
        messages = [message(5 * n, v, f"p/{g}") for n in range(4) for g, v in (("a", HEALTHY), ("b", FAULTY))]
        harness.run((1.0, messages))
        rows = [(group, harness.groups.dump(group) or b"") for group in ("a", "b")]
        store.save(rows, store.load_outbox(), NOW)
    return path


class Restored:
    """What a start makes of a store, without the rest of the monitor."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.discarded: Counter[str] = Counter()
        scoring = build_scoring(bundle.load(folder), WindowSettings(), AlertSettings())
        self.groups = GroupStates(scoring, 60.0)
        self.store: Store = restore(
            StoreSettings(path=path),
            self.groups,
            NAMES,
            3,
            is_own_message=OwnMessages("homeassistant").include,
            max_groups=1000,
            now=0.0,
            count_discarded=lambda kind, count: self.discarded.update({kind: count}),
        )

    def use(self) -> None:
        """Read and write all that a running monitor does."""
        store = self.store
        outbox, mutes = store.load_outbox(), store.load_mutes(wall=NOW, now=0.0)
        store.load_births()
        store.add_filters(store.load_filters())
        mutes.mute("later", 60.0, wall=NOW, now=0.0)
        while queued := outbox.first():
            outbox.mark_sent(queued)
            outbox.mark_confirmed(queued)
        outbox.add([])
        store.save(
            [("p/new", b"state")], outbox, NOW, mutes, [("p/new", b"over")], self.groups.deleted_groups
        )
        assert store.fetch_groups(["p/new"]) == {"p/new": b"state"}
        assert store.group_names("p/new", 1) == ["p/new"]
        assert store.saved_times("p/m", 10)
        store.trim_groups(1)


@pytest.fixture
def tampered(sound_store: Path, tmp_path: Path) -> Path:
    """A copy of the sound store."""
    path = tmp_path / "state.db"
    shutil.copy(sound_store, path)
    return path


@pytest.mark.parametrize("name", STORE_DAMAGE)
def test_unusable_store(
    tampered: Path, toy_bundle: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside with an error in the log and counted, and a new store takes its place."""
    STORE_DAMAGE[name](tampered)
    restored = Restored(tampered, toy_bundle)
    with closing(restored.store):
        assert restored.discarded == {"store": 1}
        assert len(restored.groups) == 0
        assert caplog.text.count("STORE SET ASIDE: store.path") == 1
        restored.use()
    assert [path for path in tampered.parent.iterdir() if path.name.startswith("state.db.2")]
    victim = tampered.with_name("victim.txt")
    assert not victim.exists() or victim.read_text() == "not to be changed"


@pytest.mark.parametrize("name", ROW_DAMAGE)
def test_unusable_rows(tampered: Path, toy_bundle: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Rows that no monitor can have written are deleted, counted and logged; all others are used."""
    kind, tamper = ROW_DAMAGE[name]
    tamper(tampered)
    restored = Restored(tampered, toy_bundle)
    with closing(restored.store):
        assert restored.discarded == {kind: 1}
        assert set(restored.groups.names()) == {"a", "b"}
        assert restored.groups.firing_count == 1
        assert f"1 {kind}(s) that no monitor can have written" in caplog.text
        restored.use()
    assert not [path for path in tampered.parent.iterdir() if path.name.startswith("state.db.2")]


def test_sound_store(tampered: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A sound store is used, and nothing is said of it."""
    add_groups(tampered, 20)
    with closing(Restored(tampered, toy_bundle).store) as store:
        assert store.count_groups() == 22
    assert caplog.text == ""


def test_unreadable_group(tampered: Path, toy_bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A group whose state alone can't be read begins afresh; the others go on."""
    with closing(sqlite3.connect(tampered)) as database, database:
        database.execute("INSERT INTO groups VALUES ('p/odd', x'80', 5)")
    restored = Restored(tampered, toy_bundle)
    with closing(restored.store) as store:
        assert restored.discarded == {"group": 1}
        assert set(restored.groups.names()) == {"a", "b"}
        assert "the state of 1 group(s) in the store can't be read" in caplog.text
        restored.use()
        assert store.fetch_groups(["p/odd"]) == {}


@settings(derandomize=True, deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 30), length=st.none() | st.integers(4096, 40_000))
def test_any_damage(
    sound_store: Path,
    toy_bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    count: int,
    length: int,
) -> None:
    """Bits that are flipped anywhere, and an end that is missing, end neither a start nor what follows."""
    path = tmp_path_factory.mktemp("any") / "state.db"
    content = flip_bits(sound_store.read_bytes(), "leaf table", random.Random(seed), count)  # noqa: S311
    path.write_bytes(content[:length])
    restored = Restored(path, toy_bundle)
    with closing(restored.store):
        restored.use()


def test_absurd_states(toy_bundle: Path, tmp_path: Path) -> None:
    """A group's state with absurd values is refused, or judges on."""
    save_toy_sensor_bundle(tmp_path)
    rng = random.Random(3)  # noqa: S311, repeatable
    outcomes: Counter[bool] = Counter()
    for folder in (toy_bundle, tmp_path):
        source = PipelineHarness(folder)
        source.run((1.0, [message(5 * n, HEALTHY) for n in range(40)]))
        values = [source.groups.dump("g") or b""]
        source.run((2.0, [message(5 * n, FAULTY) for n in range(40, 50)]))
        values.append(source.groups.dump("g") or b"")
        for _ in range(100):
            outcomes[_survives(folder, mutate_state(rng.choice(values), rng))] += 1
    assert min(outcomes[True], outcomes[False]) > 20


def _survives(folder: Path, value: bytes) -> bool:
    """Return whether a value is taken; if so, use it as a running monitor does."""
    harness = PipelineHarness(folder)
    groups = harness.groups
    try:
        groups.load("g", value, 0.0)
    except ValueError:
        assert "g" not in groups
        return False
    pattern = [FAULTY, HEALTHY, HEALTHY, FAULTY]
    readings = [message(260 + 5 * n, pattern[n % 4] if n < 12 else FAULTY) for n in range(24)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's of the largest floats
        harness.run((1.0, readings), (2.0, []), (3.0, [message(400 + 5 * n) for n in range(8)]), (200.0, []))
        groups.acknowledge("g")
        groups.final_events("g", "")
        groups.follow_clock(-100.0)
        groups.statuses()
        groups.shows_from_by_row()
    assert harness.payloads("")
    assert groups.dump("g")
    return True


def _push(stage: AlignmentStage, ts: Sequence[float]) -> list[float]:
    """Push values of the features in turn, as they arrive; return the times of the readings."""
    count = len(ts)
    times = np.array(ts)
    values = Values(
        groups=["g"] * count,
        features=np.arange(count) % 2,
        ts=times,
        values=np.arange(count, dtype=np.float64),
        arrived_at=times,
        arrived_monotonic=times - NOW,
        redelivered=np.zeros(count, np.bool_),
    )
    found: list[float] = stage.push(values, ts[-1] - NOW).readings.ts.tolist()
    return found


@pytest.mark.parametrize("on_change", [False, True])
def test_absurd_alignment(*, on_change: bool) -> None:
    """Absurd held and pending values of a group are refused, or aligned at times that readings have."""
    rules = AlignmentRules(10.0, 5.0, (30.0, 30.0), on_change=on_change)
    rng = random.Random(4)  # noqa: S311, repeatable
    source = AlignmentStage(2, rules)
    for step in range(8):
        _push(source, [NOW + 5 * step + part for part in range(4)])
    outcomes: Counter[bool] = Counter()
    for _ in range(80):
        stage = AlignmentStage(2, rules)
        try:
            stage.load("g", replace_words(source.dump("g"), rng), 50.0)
        except ValueError:
            outcomes[False] += 1
            continue
        outcomes[True] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's of the largest floats
            times = [ts for step in range(8, 30) for ts in _push(stage, [NOW + 5 * step, NOW + 5 * step + 1])]
        assert all(0 <= ts <= MAX_TS for ts in times)
        assert len(times) < 100
        assert all(map(format_iso, stage.stale_features("g").values()))
        stage.restart_arrival_times()
        assert stage.dump("g")
    assert min(outcomes.values()) > 10


@pytest.fixture
def monitor(tmp_path: Path, tampered: Path, toy_bundle: Path, mosquitto: Mosquitto) -> Iterator[Monitor]:
    """A monitor on the tampered store, not started."""
    started = Monitor(tmp_path, toy_bundle, mosquitto.port, store_path=tampered)
    yield started
    started.kill()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("store", "endless view as filters"),
        ("store", "refusing trigger"),
        ("store", "pipe as store-journal"),
        ("message", "wildcard as topic"),
        ("message", "info of the monitor"),
        ("message", "request to forget"),
        ("mute", "endless mute"),
    ],
)
def test_monitor_at_work(
    monitor: Monitor, mosquitto: Mosquitto, tampered: Path, kind: str, name: str
) -> None:
    """The monitor starts on it, says so in log and metric, sends an alert, and stops on SIGTERM."""
    tamper = STORE_DAMAGE[name] if kind == "store" else ROW_DAMAGE[name][1]
    tamper(tampered)
    monitor.start_ready()
    with connect_client(mosquitto.port, "sensor-monitor/alerts/#") as client:
        client.publish("plant/a/b/reading", [reading(1000 + 5 * number, FAULTY) for number in range(3)])
        wait_until(lambda: client.payloads("sensor-monitor/alerts/a/b"), "an alert is received")
    monitor.wait_for_metric(1, "store_discarded_total", kind=kind)
    assert "ERROR" in monitor.log()
    assert "Traceback" not in monitor.log()
    assert monitor.terminate() == 0


def test_sigterm_while_the_store_is_read(monitor: Monitor, tmp_path: Path, tampered: Path) -> None:
    """SIGTERM ends a monitor at once that reads a large store."""
    add_groups(tampered, 100_000)
    command = [sys.executable, "-m", "monitor", "run", "--config", tmp_path / "monitor.toml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        monitor.process = None
        files = Path(f"/proc/{process.pid}/fd")
        wait_until(
            lambda: any(
                str(file.readlink()) == str(tampered) for file in files.iterdir() if file.is_symlink()
            ),
            "the store is open",
        )
        process.terminate()
        _, log = process.communicate(timeout=60)
    assert (process.returncode, "answering on" in log) == (0, False), log
