"""The page in a real browser, on a real monitor. Screenshots are kept in var/screenshots."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER
from tests.conftest import ROOT, Mosquitto, free_port, wait_until
from tests.monitor.cli.test_run import reading
from tests.support import simulated_plant
from tests.support.browser import Browser
from tests.support.processes import Client, Monitor, connect_client, run_monitor
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES

SCREENSHOT_DIR = ROOT / "var" / "screenshots"
MARKUP_NAME = "<img src=x onerror=alert(1)>"
TOKEN = "a-token-of-a-test-0123"  # noqa: S105
TILES = "#states button:not([hidden]) b"
VALUES_TOML = """
[[input.sources]]
topic = "plant/{line}/{station}/{feature}"
[input.align]
period = 5.0
wait = 5.0
max_age = 20.0
"""
# The title of each column of values, and whether it is visible, whole and above its values.
COLUMN_TITLES_JS = """
    [...document.querySelectorAll("#head .feature")].map((title, index) => {
        const value = document.querySelectorAll(".row:not([hidden]) .value")[index];
        const isAbove = Math.abs(title.getBoundingClientRect().left - value.getBoundingClientRect().left) < 2;
        const isWhole = title.checkVisibility() && title.scrollWidth <= title.clientWidth;
        return [title.textContent, isWhole && isAbove];
    })
"""
# The numbers of rows that are wider than their column.
CUT_VALUES_JS = """
    [...document.querySelectorAll(".row:not([hidden]) .value")].filter(cell =>
        cell.querySelector("b").getBoundingClientRect().right > cell.getBoundingClientRect().right + 0.5
    ).map(cell => cell.textContent)
"""
VISIBLE_GROUPS_JS = "[...document.querySelectorAll('.row:not([hidden])')].map(row => row.dataset.group)"


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor that is ready."""
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port)) as ready:
        yield ready


@pytest.fixture
def plant(mosquitto: Mosquitto) -> Iterator[Client]:
    """A client that publishes readings."""
    with connect_client(mosquitto.port) as connected:
        yield connected


def is_visible(browser: Browser, selector: str, text: str) -> bool:
    """Return whether an element with this text exists and is visible."""
    visible: bool = browser.evaluate(
        f"[...document.querySelectorAll({selector!r})].some(e => e.checkVisibility() && "
        f"e.textContent.includes({text!r}))"
    )
    return visible


def row_texts(browser: Browser, group: str) -> list[str]:
    """Return the numbers in a group's row as text: score and values."""
    texts: list[str] = browser.evaluate(
        f"[...document.querySelectorAll('.row:not([hidden])')].filter(row => row.dataset.group === {group!r})"
        ".flatMap(row => [...row.querySelectorAll('b')].map(b => b.textContent))"
    )
    return texts


def publish_plant(
    publisher: Client, group_count: int, faulty: tuple[int, ...], out_of_range: tuple[int, ...]
) -> None:
    """Publish the last five minutes of a simulated plant with `group_count` groups."""
    for topic, readings in simulated_plant.generate_readings(group_count, time.time(), faulty, out_of_range):
        publisher.publish(topic, readings)


def test_new_values_appear(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """A group's newest values appear without a reload, and its sparkline grows."""
    topic, now = "plant/line1/station7/reading", time.time() - 1000
    plant.publish(topic, [reading(now + 5 * number, HEALTHY) for number in range(3)])
    browser.open(monitor.address)
    wait_until(
        lambda: row_texts(browser, "line1/station7")[1:] == ["20.00", "50.00", "20.50", "50.00"], "values"
    )
    lengths = []
    for number, values in enumerate(([21.25, 50, 21.5, 50], [22.5, 51, 22.75, 50]), 3):
        line = browser.evaluate("document.querySelector('.value path.line').getAttribute('d')")
        lengths.append(line.count("L"))
        plant.publish(topic, reading(now + 5 * number, values))
        wait_until(lambda: row_texts(browser, "line1/station7")[1] == f"{values[0]:.2f}", "the next value")  # noqa: B023
    assert lengths == [2, 3]


def test_unusable_readings(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """Where no reading is usable, the page has the commonest reason; a usable one removes it."""
    topic, problem = (
        "plant/line1/station7/reading",
        "none of 3 readings since the start is usable; most often",
    )
    browser.open(monitor.address)
    wait_until(lambda: is_visible(browser, "#broker", "connected to"), "the page is loaded")
    assert not is_visible(browser, "#input", "")
    for _ in range(3):
        plant.publish(topic, b"21.4")
    wait_until(lambda: is_visible(browser, "#input", problem), "the problem is shown")
    assert is_visible(browser, "#broker.good", "connected to")
    assert is_visible(browser, "#empty", f"No usable readings yet: {problem} malformed: ")
    assert browser.evaluate("document.title") == "(!) sensor-monitor"
    browser.save_screenshot(SCREENSHOT_DIR / "unusable.png")
    plant.publish(topic, reading(1000, HEALTHY))
    wait_until(lambda: not is_visible(browser, "#input", ""), "it is removed")


def test_fault(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """An alert is shown with group, score and values, and removed when it is over."""
    topic, now = "plant/line1/station7/reading", time.time() - 1000
    plant.publish(topic, [reading(now + 5 * number, HEALTHY) for number in range(3)])
    browser.open(monitor.address)
    wait_until(lambda: is_visible(browser, "#alerts", "No alert is firing."), "there is no alert")
    plant.publish(topic, reading(now + 15, FAULTY))
    wait_until(lambda: is_visible(browser, ".alert h3", "line1/station7"), "the alert")
    assert is_visible(browser, ".alert .values", "temperature_2 30 degC")
    assert is_visible(browser, ".alert .reason", "temperature_2")
    assert is_visible(browser, ".alert .when", "score 1.000")
    wait_until(lambda: is_visible(browser, ".row .badge", "faulty"), "the state of its group")
    wait_until(lambda: browser.evaluate("document.title") == "(1) sensor-monitor", "the count in the title")
    plant.publish(topic, [reading(now + 20 + 5 * number, HEALTHY) for number in range(5)])
    wait_until(lambda: is_visible(browser, "#alerts", "The last, of line1/station7, ended at"), "it is over")
    assert not is_visible(browser, ".alert", "")


def test_kind_and_offsets(tmp_path: Path, mosquitto: Mosquitto, plant: Client, browser: Browser) -> None:
    """An alert is shown with its kind of fault, and each value with the offset from which on it shows."""
    topic, now = "plant/line1/station7/reading", time.time() - 1000
    healthy = [[20 + 0.01 * (n % 7), 50.0, 20.5 + 0.01 * (n % 5), 50.0] for n in range(60)]
    with run_monitor(Monitor(tmp_path, DEFAULT_BUNDLE_FOLDER, mosquitto.port)) as monitor:
        plant.publish(topic, [reading(now + 5 * n, values) for n, values in enumerate(healthy)])
        browser.open(monitor.address)
        wait_until(lambda: is_visible(browser, ".row .value small", "from 0.4"), "the offset that would show")
        plant.publish(topic, [reading(now + 300, [20.0, 50.0, 0.0, 50.0])])
        wait_until(lambda: is_visible(browser, ".alert .when", ", kind: loss"), "the kind of the fault")
        assert is_visible(browser, ".row .mark", "loss")
        assert not is_visible(browser, ".row .value small", "from")  # it is faulty without an offset
        browser.save_screenshot(SCREENSHOT_DIR / "kind.png")
        browser.open("about:blank")


def test_check_takes_over(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """Where a check takes over an incident of the model, the alert says so, and whose reason it shows."""
    topic, now = "plant/line1/station7/reading", time.time() - 1000
    plant.publish(topic, [reading(now + 5 * n, HEALTHY) for n in range(3)])
    browser.open(monitor.address)
    plant.publish(topic, reading(now + 15, FAULTY))
    wait_until(lambda: is_visible(browser, ".alert .when", "score 1.000"), "the alert")
    assert not is_visible(browser, ".alert .when", "check")
    assert not is_visible(browser, ".alert .reason", "At first")
    plant.publish(topic, reading(now + 20, [20.0, 200.0, 30.0, 50.0]))
    wait_until(lambda: is_visible(browser, ".alert .when", ", now found by the check limits"), "the check")
    assert is_visible(browser, ".alert .reason", "At first: ")


def test_operator_marks(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, plant: Client, browser: Browser
) -> None:
    """An alert is marked as acknowledged and muted; its group, now silent, is counted and shown as silent."""
    settings = "[windows]\nmax_gap = 6\nstale_after = 6"  # for readings that come every 5 s
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, settings)) as monitor:
        publish_plant(plant, 6, faulty=(1, 3), out_of_range=())
        browser.open(monitor.address)
        tiles = f"[...document.querySelectorAll({TILES!r})].map(e => +e.textContent)"
        wait_until(lambda: browser.evaluate(tiles) == [0, 0, 6, 0, 0], "all are silent")
        wait_until(lambda: is_visible(browser, ".alert h3", "line1/station4"), "the alert")
        expected = [simulated_plant.group_name(number) for number in (1, 3, 0)]
        wait_until(lambda: browser.evaluate(VISIBLE_GROUPS_JS)[:3] == expected, "the groups")
        assert not is_visible(browser, ".row .badge", "faulty")
        assert not is_visible(browser, ".mark", "acknowledged")
        browser.evaluate("document.querySelector('button[data-kind=silent]').click()")
        assert len(browser.evaluate(VISIBLE_GROUPS_JS)) == 6
        plant.publish("sensor-monitor/request/acknowledge", {"group": simulated_plant.group_name(1)})
        wait_until(lambda: is_visible(browser, ".alert .mark", "acknowledged"), "it is marked")
        plant.publish("sensor-monitor/request/silence", {"group": "*", "minutes": 5})
        wait_until(lambda: is_visible(browser, ".alert .mark", "acknowledged, muted"), "it is marked twice")
        marks = "[...document.querySelectorAll('.row .mark')].map(e => e.textContent)"
        expected = ["alert open, acknowledged, muted", "alert open, muted", ""]
        wait_until(lambda: browser.evaluate(marks)[:3] == expected, "the rows are marked, too")
        for scheme in ("light", "dark"):
            browser.set_color_scheme(scheme)
            browser.save_screenshot(SCREENSHOT_DIR / f"marks-{scheme}.png")
        browser.open("about:blank")


def _publish_values(plant: Client, station: str, ts: float, features: tuple[int, ...]) -> None:
    """Publish a message for each of some features, which are given as their indices."""
    for index in features:
        topic = f"plant/line1/{station}/{NAMES[index]}"
        plant.publish(topic, {"ts": ts, "value": HEALTHY[index]})


def test_stale_feature(
    tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path, plant: Client, browser: Browser
) -> None:
    """A group of which one sensor is dead is shown as stale, with the feature and since when."""
    now = time.time() // 5 * 5 - 600
    with run_monitor(Monitor(tmp_path, toy_bundle, mosquitto.port, VALUES_TOML)) as monitor:
        for number in range(12):
            for station in ("station1", "station2"):
                is_dead = station == "station2" and number >= 5
                _publish_values(plant, station, now + 5 * number, (0, 1, 3) if is_dead else (0, 1, 2, 3))
        browser.open(monitor.address)
        wait_until(lambda: is_visible(browser, ".row .badge", "stale"), "it is shown")
        wait_until(lambda: is_visible(browser, ".row .badge", "normal"), "the other group is, too")
        since = browser.evaluate(f"new Date({(now + 40) * 1000}).toLocaleTimeString('en-GB')")
        assert is_visible(browser, ".row[data-kind=stale] .mark", f"stale since {since}: temperature_2")
        assert is_visible(browser, ".row .absent", f"stalesince {since}")
        assert browser.evaluate(VISIBLE_GROUPS_JS) == ["line1/station2", "line1/station1"]
        assert row_texts(browser, "line1/station2")[1:] == ["20.00", "50.00", "stale", "50.00"]
        tiles = f"[...document.querySelectorAll({TILES!r})].map(e => +e.textContent)"
        wait_until(lambda: browser.evaluate(tiles) == [0, 0, 1, 0, 0, 1], "the tiles count it")
        for scheme in ("light", "dark"):
            browser.set_color_scheme(scheme)
            browser.save_screenshot(SCREENSHOT_DIR / f"stale-{scheme}.png")
        for name, width, height in (("laptop", 1366, 768), ("phone", 390, 844)):
            browser.resize(width, height)
            browser.save_screenshot(SCREENSHOT_DIR / f"stale-{name}.png")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
        _publish_values(plant, "station2", now + 60, (0, 1, 2, 3))
        wait_until(lambda: not is_visible(browser, ".row .badge", "stale"), "it is removed")
        assert not is_visible(browser, ".row .mark", "stale")
        browser.open("about:blank")


def test_markup_in_group_name(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """A group whose name is markup is shown as text, and nothing in it is run or requested."""
    plant.publish(f"plant/line1/{MARKUP_NAME}/reading", [reading(1000 + 5 * n, FAULTY) for n in range(3)])
    browser.open(monitor.address)
    wait_until(
        lambda: (
            is_visible(browser, ".alert h3", MARKUP_NAME) and is_visible(browser, ".row .name", MARKUP_NAME)
        ),
        "the name",
    )
    assert browser.evaluate("document.querySelectorAll('img[src=x], [onerror]').length") == 0
    assert not [url for url in browser.requests if url.endswith("/x")]
    browser.save_screenshot(SCREENSHOT_DIR / "markup-in-name.png")


def test_layout(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """A dozen groups fit on one screen, light and dark; laptop and phone need no horizontal scrolling."""
    publish_plant(plant, 14, faulty=(3, 8), out_of_range=(5,))
    browser.open(monitor.address)
    wait_until(lambda: len(browser.evaluate(VISIBLE_GROUPS_JS)) >= 10, "the groups")
    wait_until(lambda: is_visible(browser, ".alert h3", "line1/station9"), "the alert")
    expected = [simulated_plant.group_name(number) for number in (3, 8, 5, 0)]
    wait_until(lambda: browser.evaluate(VISIBLE_GROUPS_JS)[:4] == expected, "the worst come first")
    assert browser.evaluate("document.documentElement.scrollHeight") <= 1080
    brightness = "getComputedStyle(document.body).{}.match(/\\d+/g).reduce((sum, part) => sum + +part, 0)"
    for scheme in ("light", "dark"):
        browser.set_color_scheme(scheme)
        browser.save_screenshot(SCREENSHOT_DIR / f"{scheme}.png")
        text = browser.evaluate(brightness.format("color"))
        background = browser.evaluate(brightness.format("backgroundColor"))
        assert (background < text) == (scheme == "dark")
        assert abs(background - text) > 400
    for name, width, height in (("laptop", 1366, 768), ("phone", 390, 844)):
        browser.resize(width, height)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate("view.scrollWidth === view.clientWidth")
        assert browser.evaluate(COLUMN_TITLES_JS) == [
            ["temperature_1 °C", True],
            ["humidity_1 % RH", True],
            ["temperature_2 °C", True],
            ["humidity_2 % RH", True],
        ]
        browser.evaluate("document.querySelector('#groups').scrollIntoView()")
        browser.save_screenshot(SCREENSHOT_DIR / f"{name}.png")


@pytest.mark.parametrize("feature_count", [6, 30])
def test_many_features(
    tmp_path: Path, mosquitto: Mosquitto, plant: Client, browser: Browser, feature_count: int
) -> None:
    """With many features nothing is cut or overlaps; the table scrolls sideways, and its head with it."""
    names = [f"temperature_{number}" for number in range(1, feature_count + 1)]
    titles = [[f"{name} °C", True] for name in names]
    settings = "".join(f'[[features]]\nname = "{name}"\nunit = "degC"\n' for name in names)
    topic, now = "plant/line1/station7/reading", time.time() - 1000
    with run_monitor(Monitor(tmp_path, DEFAULT_BUNDLE_FOLDER, mosquitto.port, settings)) as monitor:
        readings = [{"ts": now + 5 * n, **dict.fromkeys(names, -99.0 - n % 2)} for n in range(12)]
        plant.publish(topic, readings)
        browser.open(monitor.address)
        wait_until(lambda: row_texts(browser, "line1/station7")[-1:] == ["-100.0"], "the values")
        for screen, width, height in (("phone", 390, 844), ("laptop", 1280, 800), ("wide", 1920, 1080)):
            browser.resize(width, height)
            browser.evaluate("document.querySelector('#groups').scrollIntoView()")
            browser.save_screenshot(SCREENSHOT_DIR / f"features-{feature_count}-{screen}.png")
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.evaluate(CUT_VALUES_JS) == []
            browser.evaluate("view.scrollTo(1e6, 0)")
            wait_until(lambda: browser.evaluate(COLUMN_TITLES_JS) == titles, "the head follows")
            browser.save_screenshot(SCREENSHOT_DIR / f"features-{feature_count}-{screen}-end.png")
            browser.evaluate("view.scrollTo(0, 0)")
        browser.open("about:blank")


def test_thousand_groups(monitor: Monitor, plant: Client, browser: Browser) -> None:
    """With a thousand groups the worst come first, a search finds any, and few rows are in the DOM."""
    publish_plant(plant, 1000, faulty=(703, 333), out_of_range=(905,))
    browser.open(monitor.address)
    wait_until(lambda: is_visible(browser, "#count", "1,000 groups"), "all of them")
    wait_until(lambda: len(browser.evaluate(VISIBLE_GROUPS_JS)) >= 10, "the groups")
    worst = [simulated_plant.group_name(number) for number in (333, 703, 905, 0)]
    wait_until(lambda: browser.evaluate(VISIBLE_GROUPS_JS)[:4] == worst, "worst first")
    assert browser.evaluate("document.querySelectorAll('.row').length") < 40
    browser.save_screenshot(SCREENSHOT_DIR / "thousand.png")

    def set_value(element: str, value: str, event: str) -> None:
        browser.evaluate(
            f"{element}.value = {value!r}; {element}.dispatchEvent(new Event({event!r}, {{bubbles: true}}))"
        )

    set_value("search", "LINE71/", "input")
    assert browser.evaluate(VISIBLE_GROUPS_JS) == [
        simulated_plant.group_name(703),
        *(simulated_plant.group_name(700 + n) for n in range(10) if n != 3),
    ]
    assert is_visible(browser, "#count", "10 of 1,000 groups")
    set_value("sort", "name", "change")
    assert browser.evaluate(VISIBLE_GROUPS_JS) == [
        simulated_plant.group_name(700 + number) for number in range(10)
    ]
    set_value("search", "nobody", "input")
    assert is_visible(browser, "#empty", "No group has “nobody” in its name.")
    set_value("search", "", "input")
    browser.evaluate("document.querySelector('button[data-kind=\"out of range\"]').click()")
    assert browser.evaluate(VISIBLE_GROUPS_JS) == [simulated_plant.group_name(905)]
    browser.evaluate("document.querySelector('button[data-kind=\"out of range\"]').click()")
    browser.evaluate("view.scrollTop = 1e6")
    wait_until(
        lambda: simulated_plant.group_name(999) in browser.evaluate(VISIBLE_GROUPS_JS),
        "the last one is reached",
    )


def test_report_opens(monitor: Monitor, browser: Browser) -> None:
    """The page links to the bundle's report, and the browser shows it despite its strict policy."""
    browser.open(monitor.address)
    wait_until(lambda: is_visible(browser, "#report", "Report"), "the link")
    browser.click("#report")
    assert browser.evaluate("document.body.innerText") == "toy"


def test_no_readings_yet(monitor: Monitor, browser: Browser) -> None:
    """Before the first reading the page says which topics the monitor reads."""
    browser.open(monitor.address)
    wait_until(
        lambda: is_visible(browser, "#empty", "No readings yet: publish some on plant/{line}"), "a hint"
    )
    browser.save_screenshot(SCREENSHOT_DIR / "empty.png")


def test_broker_lost(monitor: Monitor, mosquitto: Mosquitto, plant: Client, browser: Browser) -> None:
    """When the broker is lost, the page says so and still shows groups and alerts."""
    publish_plant(plant, 14, faulty=(3,), out_of_range=())
    browser.open(monitor.address)
    wait_until(
        lambda: is_visible(browser, "#broker.good", f"connected to 127.0.0.1:{mosquitto.port}"), "connected"
    )
    wait_until(lambda: is_visible(browser, ".alert h3", "line1/station4"), "the alert")
    plant.close()
    mosquitto.stop()
    wait_until(
        lambda: browser.evaluate("document.querySelector('#broker').className") == "pill bad", "it is lost"
    )
    assert is_visible(browser, "#fresh.good", "live")
    assert is_visible(browser, ".alert h3", "line1/station4")
    browser.save_screenshot(SCREENSHOT_DIR / "broker-lost.png")


def test_monitor_restarts(browser: Browser, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """While the monitor is stopped the page says so; after a restart the page continues by itself."""
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port)
    same_port = {**os.environ, "MONITOR_HTTP__PORT": str(free_port())}
    try:
        monitor.start(environment=same_port)
        with connect_client(mosquitto.port) as plant:
            wait_until(lambda: monitor.get("/readyz")[0] == 200, "it is ready")
            publish_plant(plant, 3, faulty=(1,), out_of_range=())
            browser.open(monitor.address)
            wait_until(lambda: is_visible(browser, ".alert .reason", "temperature_2"), "the alert")
            assert monitor.terminate() == 0
            wait_until(lambda: is_visible(browser, "#fresh.bad", "no news for "), "the page notices")
            browser.save_screenshot(SCREENSHOT_DIR / "monitor-stopped.png")
            assert browser.evaluate("getComputedStyle(document.querySelector('main')).filter") != "none"
            monitor.start(environment=same_port)
            wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "the page is live again")
            wait_until(
                lambda: is_visible(browser, ".alert", "before the monitor's last start"), "the restored alert"
            )
            browser.open("about:blank")
    finally:
        monitor.kill()
    # The only console errors are those about connections that were refused meanwhile.
    assert all("/events" in error for error in browser.console_errors)
    browser.console_errors.clear()


def test_token(browser: Browser, tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> None:
    """The token is entered once, and appears neither in the URL nor in the log."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monitor = Monitor(tmp_path, toy_bundle, mosquitto.port, '[log]\nlevel = "debug"')
    monitor.configure(f'token_file = "{tmp_path / "token"}"\n[log]\nlevel = "debug"')
    try:
        monitor.start()
        browser.open(monitor.address)
        assert browser.evaluate("document.querySelectorAll('script').length") == 0
        browser.save_screenshot(SCREENSHOT_DIR / "token.png")
        assert [error for error in browser.console_errors if "401" not in error] == []
        browser.console_errors.clear()
        browser.evaluate(f"document.querySelector('#token').value = {TOKEN!r}")
        browser.evaluate("document.querySelector('button').click()")
        wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "the page")
        assert browser.evaluate("location.href") == f"{monitor.address}/"
        assert browser.evaluate("document.cookie") == ""
        browser.open(monitor.address)  # now with the cookie
        wait_until(lambda: is_visible(browser, "#fresh.good", "live"), "the page again")
        assert TOKEN not in monitor.log()
        assert monitor.terminate() == 0
    finally:
        monitor.kill()
    browser.open("about:blank")
    browser.console_errors.clear()  # connections were refused after the monitor had stopped
