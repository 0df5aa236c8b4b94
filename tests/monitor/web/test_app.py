import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from monitor.telemetry.metrics import Metrics
from monitor.web.app import build_app
from monitor.web.health import HealthChecks
from monitor.web.live import LiveGroups
from monitor.web.stream import Stream
from tests.conftest import ROOT, TIMEOUT_S
from tests.support.toy_bundle import toy_manifest

STATIC = ROOT / "monitor" / "web" / "static"
TOKEN = "a-token-of-a-test-0123"  # noqa: S105


def _request(
    path: str,
    *,
    method: str = "GET",
    liveness_problem: str = "",
    readiness_problem: str = "",
    bundle: Path = Path("nowhere"),
    token: str | None = None,
    **request_options: Any,
) -> httpx.Response:
    """Send a request to a new application, without a socket."""
    registry = CollectorRegistry()
    Metrics(registry, toy_manifest()).predictions_by_label["Faulty"].inc(3)
    stream = Stream(LiveGroups(4, point_interval_s=5.0), dict)
    app = build_app(
        registry,
        HealthChecks(lambda: liveness_problem, lambda: readiness_problem),
        stream,
        lambda: bundle,
        (lambda: token) if token else None,
        allowed_hosts=["monitor"],
    )

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            # With a timeout: the response of /events never ends.
            return await asyncio.wait_for(client.request(method, path, **request_options), TIMEOUT_S)

    return asyncio.run(send())


def test_metrics() -> None:
    """/metrics answers in Prometheus' text format."""
    response = _request("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, sample.labels.get("label")): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert samples["sensor_monitor_predictions_total", "Faulty"] == 3
    assert samples["sensor_monitor_predictions_total", "Normal"] == 0


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_healthy(path: str) -> None:
    """Both health checks of a healthy monitor answer 200."""
    response = _request(path)
    assert (response.status_code, response.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("path", "live_status", "ready_status"), [("/livez", 503, 200), ("/readyz", 200, 503)]
)
def test_unhealthy(path: str, live_status: int, ready_status: int) -> None:
    """Each health check answers 503 and the reason if it fails, independently of the other one."""
    dead, unready = (
        _request(path, liveness_problem="the pipeline hangs"),
        _request(path, readiness_problem="not connected"),
    )
    assert (dead.status_code, unready.status_code) == (live_status, ready_status)
    assert (dead.text == "the pipeline hangs\n") == (live_status == 503)
    assert (unready.text == "not connected\n") == (ready_status == 503)


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/icon.svg"])
def test_page(path: str) -> None:
    """The page and its files are served, and may load or run nothing from another host."""
    response = _request(path)
    assert response.status_code == 200
    assert response.content
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_page_has_no_external_resources() -> None:
    """The page's files contain no URL of another host, no script in HTML, and no HTML in scripts."""
    for file in STATIC.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)//.*", "", text, flags=re.MULTILINE), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), (
            file.name
        )
        assert not re.search(r"<script(?! type=\"module\" src=\"\w+\.js\"></script>)|\son\w+=|\sstyle=", text)


def test_page_has_relative_urls_only() -> None:
    """The page's files name no path from a host's root: a proxy may serve the monitor below a path."""
    for file in STATIC.iterdir():
        assert not re.search(r"""["'(`]/\w""", file.read_text()), file.name


@pytest.mark.parametrize("path", ["/", "/report", "//other.host", "//other.host/", "/login"])
def test_token_in_a_url(path: str) -> None:
    """A token in a URL counts for nothing: proxies log URLs, and browsers remember them."""
    response = _request(f"http://monitor{path}", token=TOKEN, params={"token": TOKEN})
    if path == "/login":
        assert (response.status_code, response.headers["location"]) == (303, "./")
    else:
        assert response.status_code == 401
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("path", "root"), [("/", "./"), ("/report", "./"), ("/a/b", "../"), ("/a%2fb", "./"), ("/a/b/", "../../")]
)
def test_token_page_of_any_path(path: str, root: str) -> None:
    """Whatever path is asked for, the token page finds its files, and leads to the live page."""
    text = _request(path, token=TOKEN).text
    assert set(re.findall(r'(?:href|src|action)="(.*?)"', text)) == {
        f"{root}login",
        f"{root}icon.svg",
        f"{root}token.css",
    }


def test_path_with_a_slash_at_its_end() -> None:
    """A slash too many is removed by a redirect that is relative, too."""
    response = _request("/metrics/?a=b")
    assert (response.status_code, response.headers["location"]) == (307, "../metrics?a=b")


def test_report(tmp_path: Path) -> None:
    """The bundle's report is served, and whatever it contains may run and request nothing."""
    assert _request("/report", bundle=tmp_path).status_code == 404
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<script>alert(1)</script>")
    digest = hashlib.sha256(b"<script>alert(1)</script>").hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  report/report.html\n")
    response = _request("/report", bundle=tmp_path)
    assert (response.status_code, response.text) == (200, "<script>alert(1)</script>")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    assert policy.endswith("sandbox")


@pytest.mark.parametrize("path", ["/", "/events", "/report", "/page.js", "/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    """All methods that change something are refused."""
    assert _request(path, method=method).status_code == 405


def test_unknown_path() -> None:
    """An unknown path is not found."""
    assert _request("/etc/passwd").status_code == 404


def test_head_of_events() -> None:
    """A HEAD request for the events is answered at once, without events."""
    response = _request("/events", method="HEAD")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("path", ["/", "/events", "/page.js", "/report", "/metrics", "/nothing"])
def test_token_is_required(path: str) -> None:
    """Without the token every path is refused, so that a client does not even learn which ones exist."""
    for options in (
        {},
        {"headers": {"authorization": f"Bearer {TOKEN}x"}},
        {"headers": {"authorization": f"Basic {TOKEN}"}},
        {"headers": {"authorization": "Bearer \xe9".encode("latin-1")}},
        {"params": {"token": TOKEN[:-1]}},
        {"params": {"token": "\u2603"}},
        {"headers": {"cookie": f"sensor-monitor={TOKEN}"}},
    ):
        response = _request(path, token=TOKEN, **options)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/token.css", "/icon.svg"])
def test_health_needs_no_token(path: str) -> None:
    """Health checks and the token page's files need no token."""
    assert _request(path, token=TOKEN).status_code == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/page.js"])
def test_token_as_a_header(path: str) -> None:
    """A program may send the token as a header."""
    assert _request(path, token=TOKEN, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_token_of_a_browser() -> None:
    """A browser sends the token once, is redirected to the URL without it, and then sends a cookie."""
    first = _request("/login", method="POST", token=TOKEN, data={"token": TOKEN})
    assert (first.status_code, first.headers["location"]) == (303, "./")
    cookie = first.headers["set-cookie"]
    assert "path" not in cookie.lower(), "valid below the folder that the browser asked for"
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    (name, value), *_ = first.cookies.items()
    headers = {"cookie": f"{name}={value}"}
    assert _request("/", token=TOKEN, headers=headers).status_code == 200
    assert _request("/", token=f"{TOKEN}x", headers=headers).status_code == 401
