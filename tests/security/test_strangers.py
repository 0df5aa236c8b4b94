"""What somebody without the token is told, and how far guessing gets."""

import re
import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest

from monitor.telemetry.http_refusals import Refusal
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.cli.test_run import TOPIC
from tests.support.processes import Monitor, connect_client

TOKEN = "a-token-of-a-test-0123"  # noqa: S105
BEARER = {"authorization": f"Bearer {TOKEN}"}
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
ALL_PATHS = (
    "/",
    "/page.js",
    "/metrics",
    "/metrics/",
    "/livez",
    "/readyz",
    "/report",
    "/nothing",
    "/login",
    "/token.css",
)


@pytest.fixture
def monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor with a token, and with a login and names that strangers must not learn."""
    login = 'host = "localhost"\nusername = "secret-login"\npassword = "secret-password"'
    running = Monitor(tmp_path, toy_bundle, mosquitto.port, f'token = "{TOKEN}"', login)
    try:
        running.start_ready()
        yield running
    finally:
        running.kill()


@pytest.fixture
def open_monitor(tmp_path: Path, mosquitto: Mosquitto, toy_bundle: Path) -> Iterator[Monitor]:
    """A monitor without a token."""
    running = Monitor(tmp_path, toy_bundle, mosquitto.port, 'allowed_hosts = ["plant.example"]')
    try:
        running.start_ready()
        yield running
    finally:
        running.kill()


def _get(monitor: Monitor, path: str, source: str = "127.0.0.1", **headers: str) -> httpx.Response:
    """Request a path from an address."""
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport, timeout=TIMEOUT_S) as client:
        return client.get(monitor.address + path, headers=headers)


def _metric(monitor: Monitor, reason: Refusal) -> float:
    text = _get(monitor, "/metrics", "127.0.0.9", **BEARER).text
    match = re.search(rf'http_refused_total{{reason="{reason.value}"}} ([\d.]+)', text)
    assert match
    return float(match[1])


def test_readiness(monitor: Monitor, mosquitto: Mosquitto) -> None:
    """Without the token /readyz says what isn't ready and names nothing; with it, it names the broker."""
    with connect_client(mosquitto.port) as plant:
        plant.publish(TOPIC, b"secret")
    wait_until(lambda: _get(monitor, "/readyz").text == "ok; no usable input\n", "that it reads nothing")
    assert "malformed" in _get(monitor, "/readyz", **BEARER).text
    mosquitto.stop()
    wait_until(lambda: _get(monitor, "/readyz").status_code == 503, "it isn't ready")
    assert _get(monitor, "/readyz").text == "not ready: broker; no usable input\n"
    assert _get(monitor, "/readyz", authorization="Bearer wrong").text.startswith("not ready: broker;")
    assert f"localhost:{mosquitto.port}" in _get(monitor, "/readyz", **BEARER).text
    assert _get(monitor, "/livez").text == "ok\n"


@pytest.mark.parametrize("with_token", [False, True])
def test_headers_of_every_response(monitor: Monitor, *, with_token: bool) -> None:
    """Each response, errors and refusals too, forbids framing, sniffing, and loading from elsewhere."""
    headers = BEARER if with_token else {}
    responses = [_get(monitor, path, **headers) for path in ALL_PATHS]
    responses += [
        httpx.post(f"{monitor.address}/metrics", headers=headers),
        httpx.post(f"{monitor.address}/livez"),
        httpx.post(f"{monitor.address}/login", content=b"x" * 10_000),
        httpx.head(f"{monitor.address}/events", headers=headers),
        _get(monitor, "/", host="evil.example"),
    ]
    with socket.create_connection(("127.0.0.1", int(monitor.address.rpartition(":")[2])), TIMEOUT_S) as raw:
        raw.sendall(b"no HTTP\r\n\r\n")
        answer = raw.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 400")
    for response in responses:
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy, response
        assert "frame-ancestors 'none'" in policy, response
        assert response.headers["cache-control"] in {"no-store", "no-cache"}, response
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, response
    for name, value in HEADERS.items():
        assert f"{name}: {value}" in answer


WAYS_AROUND = [
    ("/metrics", "x/livez?"),
    ("/", "x/readyz?"),
    ("/metrics", "127.0.0.1/livez#"),
    ("/livez/../metrics", "127.0.0.1"),
    ("/livez%2f..%2fmetrics", "127.0.0.1"),
    ("//livez", "127.0.0.1"),
    ("/token.css/../page.js", "127.0.0.1"),
    ("/livez;/metrics", "127.0.0.1"),
    ("http://127.0.0.1/metrics", "127.0.0.1"),
]


def test_ways_around_the_token(monitor: Monitor) -> None:
    """No host and no spelling of a path opens what needs the token: the routed path decides."""
    for path, host in WAYS_AROUND:
        with socket.create_connection(
            ("127.0.0.1", int(monitor.address.rpartition(":")[2])), TIMEOUT_S
        ) as raw:
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = raw.makefile("rb").read().decode()
        assert answer.split()[1] in {"401", "421"}
        assert "sensor_monitor" not in answer


def test_guesses(monitor: Monitor) -> None:
    """Guesses are counted and slowed; other addresses and sessions are not."""
    cookie = httpx.post(f"{monitor.address}/login", data={"token": TOKEN}).headers["set-cookie"]
    session = cookie.partition(";")[0]
    statuses = [
        _get(monitor, "/metrics", authorization=f"Bearer guess-{number}").status_code for number in range(40)
    ]
    assert statuses[:20] == [401] * 20
    assert statuses[-10:] == [429] * 10
    slowed = _get(monitor, "/metrics", **BEARER)
    assert slowed.status_code == 429, "otherwise the right one would be found as fast as before"
    assert 1 <= int(slowed.headers["retry-after"]) <= 5
    assert httpx.post(f"{monitor.address}/login", data={"token": TOKEN}).status_code == 429
    assert _get(monitor, "/metrics").status_code == 401, "who sends no token is asked for it as ever"
    assert _get(monitor, "/metrics", "127.0.0.2", **BEARER).status_code == 200
    assert _get(monitor, "/metrics", cookie=session).status_code == 200
    assert _get(monitor, "/metrics", **BEARER, cookie=session).status_code == 200
    assert _metric(monitor, Refusal.WRONG_TOKEN) >= 20
    assert _metric(monitor, Refusal.TOO_MANY_WRONG_TOKENS) >= 10
    monitor.wait_for_log("a wrong token came from 127.0.0.1")
    assert monitor.log().count("wrong token") == 1


@pytest.mark.parametrize("way", ["/readyz", "form", "cookie"])
def test_other_ways_to_guess(monitor: Monitor, way: str) -> None:
    """Guesses by a health check, the form or a forged cookie are counted and slowed, too."""
    cookie = httpx.post(f"{monitor.address}/login", data={"token": TOKEN}).headers["set-cookie"]
    name = cookie.partition("=")[0]
    for number in range(30):
        if way == "form":
            httpx.post(f"{monitor.address}/login", data={"token": f"guess-{number}"})
        elif way == "cookie":
            _get(monitor, "/", cookie=f"{name}=9999999999.id.{number:064x}")
        else:
            _get(monitor, "/readyz", authorization=f"Bearer guess-{number}")
    assert _metric(monitor, Refusal.WRONG_TOKEN) >= 20
    assert _metric(monitor, Refusal.TOO_MANY_WRONG_TOKENS) >= 5
    assert _get(monitor, "/metrics", **BEARER).status_code == 429


def test_guesses_by_a_proxy(monitor: Monitor) -> None:
    """Guesses by a proxy of the same machine slow no program on it; no header gives fresh ones."""
    for number in range(40):
        _get(monitor, "/", **{"authorization": f"Bearer {number}", "x-forwarded-for": f"10.0.0.{number}"})
    assert (
        _get(monitor, "/", **{"authorization": "Bearer x", "x-forwarded-for": "10.1.1.1"}).status_code == 429
    )
    assert _get(monitor, "/metrics", **BEARER).status_code == 200


FOREIGN = [
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "http://localhost:8080", "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": ""},
    {"origin": "https://evil.example"},
    {"origin": "https://127.0.0.1.evil.example"},
    {"origin": "https://evil.example@"},
    {"origin": "https://["},
    {"origin": "null"},
    {"origin": ""},
]
OWN = [
    {"origin": "null", "sec-fetch-site": "same-origin"},
    {"origin": "https://plant.example", "sec-fetch-site": "same-origin"},  # a proxy has changed Host
    {"sec-fetch-site": "none"},
    {"origin": "http://127.0.0.1"},  # a proxy has left out the port
    {"origin": "http://plant.example:8080", "x-forwarded-host": "Plant.example:8080"},
    {},
]


def test_guesses_by_another_site(monitor: Monitor) -> None:
    """A page of another site, in the operator's browser, uses up nobody's guesses, and ends no session."""
    form = {"token": "guess"}
    for headers, path in product(FOREIGN * 3, ("/login", "/logout")):
        answer = httpx.post(f"{monitor.address}{path}", data=form, headers=headers)
        assert (answer.status_code, "another site" in answer.text) == (403, True), headers
    assert _get(monitor, "/metrics", **BEARER).status_code == 200
    assert _metric(monitor, Refusal.CROSS_SITE) == 6 * len(FOREIGN)
    assert _metric(monitor, Refusal.WRONG_TOKEN) == 0
    monitor.wait_for_log("a request by a page of another site was refused")


@pytest.mark.parametrize("headers", OWN)
def test_login_from_here(monitor: Monitor, headers: dict[str, str]) -> None:
    """The monitor's own page and programs log in, with and without a proxy; so does who follows a link."""
    answer = httpx.post(f"{monitor.address}/login", data={"token": TOKEN}, headers=headers)
    assert answer.status_code == 303
    session = answer.headers["set-cookie"].partition(";")[0]
    link = {"sec-fetch-site": "cross-site", "cookie": session}
    assert _get(monitor, "/", **link).status_code == 200
    logout = httpx.post(f"{monitor.address}/logout", headers={**headers, "cookie": session})
    assert logout.status_code == 303


def test_session(monitor: Monitor) -> None:
    """A session's cookie opens all until it logs out; then a copy of it opens nothing."""
    login = httpx.post(f"{monitor.address}/login", data={"token": TOKEN})
    assert (login.status_code, login.headers["location"]) == (303, "./")
    cookie = login.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "Secure" not in cookie
    session = cookie.partition(";")[0]
    assert _get(monitor, "/metrics", cookie=session).status_code == 200
    assert httpx.post(f"{monitor.address}/logout").status_code == 401, (
        "other sites' forms come without a cookie"
    )
    with httpx.stream("GET", f"{monitor.address}/events", headers={"cookie": session}) as events:
        lines = events.iter_lines()
        assert next(lines).startswith("retry")
        logout = httpx.post(f"{monitor.address}/logout", headers={"cookie": session})
        assert (logout.status_code, logout.headers["location"]) == (303, "./")
        assert "Max-Age=0" in logout.headers["set-cookie"]
        assert sum(line.startswith("event: news") for line in lines) <= 2, "its page's events end, too"
    assert _get(monitor, "/metrics", cookie=session).status_code == 401


def test_secure_cookie(monitor: Monitor) -> None:
    """Behind a proxy with TLS the cookie is for HTTPS only."""
    answer = httpx.post(
        f"{monitor.address}/login", data={"token": TOKEN}, headers={"x-forwarded-proto": "https"}
    )
    assert "Secure" in answer.headers["set-cookie"]


def test_redirects_stay_here(monitor: Monitor) -> None:
    """No path and no token in a URL leads to another site."""
    for path in ("//evil.example/", "//evil.example", "//evil.example/metrics/", "/\\evil.example"):
        for answer in (
            _get(monitor, f"{path}?token={TOKEN}"),
            _get(monitor, path, **BEARER),
            _get(monitor, "/metrics/", **BEARER),
            httpx.post(f"{monitor.address}/login", data={"token": TOKEN, "next": path}),
        ):
            location = answer.headers.get("location", "./")
            assert location.startswith((".", "./", "../"))
            assert "evil" not in location


def test_dns_rebinding(open_monitor: Monitor) -> None:
    """A page whose own name leads to the monitor's address reads nothing, and that is counted."""
    hosts = ("evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example")
    for path, host in product(("/", "/metrics", "/events", "/livez"), hosts):
        answer = _get(open_monitor, path, host=host)
        assert answer.status_code == 421
        assert "http.allowed_hosts" in answer.text
        assert "evil" not in answer.text
    assert open_monitor.metric("http_refused_total", reason=Refusal.HOST.value) == 16


def test_hosts_that_are_served(open_monitor: Monitor) -> None:
    """Addresses, localhost, the machine's name and the listed names are served."""
    addresses = ("127.0.0.1", "10.1.2.3:9108", "[::1]:9108")
    for host in (*addresses, "localhost", "LOCALHOST.:1", socket.gethostname(), "plant.example"):
        assert _get(open_monitor, "/metrics", host=host).status_code == 200, host
