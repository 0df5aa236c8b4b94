import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from monitor.telemetry.metrics import Metrics
from monitor.web.app import build_app
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
    """Ask an application of its own, without a socket."""
    registry = CollectorRegistry()
    Metrics(registry, toy_manifest()).predictions_by_label["Faulty"].inc(3)
    stream = Stream(LiveGroups(4, point_interval_s=5.0), dict)
    app = build_app(
        registry, lambda: liveness_problem, lambda: readiness_problem, stream, lambda: bundle, token
    )

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            return await asyncio.wait_for(
                client.request(method, path, **request_options), TIMEOUT_S
            )  # events have no end

    return asyncio.run(ask())


def test_metrics() -> None:
    """/metrics answers what Prometheus reads."""
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
    """Where all is well, both checks answer 200."""
    response = _request(path)
    assert (response.status_code, response.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("path", "live_status", "ready_status"), [("/livez", 503, 200), ("/readyz", 200, 503)]
)
def test_unhealthy(path: str, live_status: int, ready_status: int) -> None:
    """Each check answers 503 and why where its own thing isn't well, and doesn't look at the other's."""
    dead, unready = (
        _request(path, liveness_problem="the pipeline hangs"),
        _request(path, readiness_problem="not connected"),
    )
    assert (dead.status_code, unready.status_code) == (live_status, ready_status)
    assert (dead.text == "the pipeline hangs\n") == (live_status == 503)
    assert (unready.text == "not connected\n") == (ready_status == 503)


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css", "/icon.svg"])
def test_page(path: str) -> None:
    """The page is there, its files too, and none of it may load or run anything of another host."""
    response = _request(path)
    assert response.status_code == 200
    assert response.content
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_page_has_no_external_resources() -> None:
    """No file of the page holds an address of another host, a script in its HTML, or HTML in its scripts."""
    for file in STATIC.iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(^|\s)//.*", "", text, flags=re.MULTILINE), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text), (
            file.name
        )
        assert not re.search(
            r"<script(?! type=\"module\" src=\"/\w+\.js\"></script>)|\son\w+=|\sstyle=", text
        )


def test_report(tmp_path: Path) -> None:
    """The bundle's report can be read, and whatever stands in it runs nothing and asks for nothing."""
    assert _request("/report", bundle=tmp_path).status_code == 404
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<script>alert(1)</script>")
    response = _request("/report", bundle=tmp_path)
    assert (response.status_code, response.text) == (200, "<script>alert(1)</script>")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    assert policy.endswith("sandbox")


@pytest.mark.parametrize("path", ["/", "/events", "/report", "/page.js", "/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    """Whoever tries to change something is refused."""
    assert _request(path, method=method).status_code == 405


def test_unknown_path() -> None:
    """Any other path is not found."""
    assert _request("/etc/passwd").status_code == 404


def test_head_of_events() -> None:
    """Who asks for the head of the events is answered, and that's it."""
    response = _request("/events", method="HEAD")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("path", ["/", "/events", "/page.js", "/report", "/metrics", "/nothing"])
def test_token_is_asked_for(path: str) -> None:
    """Where there is a token, who doesn't know it reads nothing, nor learns what there is."""
    for how in (
        {},
        {"headers": {"authorization": f"Bearer {TOKEN}x"}},
        {"headers": {"authorization": f"Basic {TOKEN}"}},
        {"headers": {"authorization": "Bearer \xe9".encode("latin-1")}},
        {"params": {"token": TOKEN[:-1]}},
        {"params": {"token": "\u2603"}},
        {"headers": {"cookie": f"sensor-monitor={TOKEN}"}},
    ):
        response = _request(path, token=TOKEN, **how)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/token.css", "/icon.svg"])
def test_health_needs_no_token(path: str) -> None:
    """Who watches over the process need not know the token."""
    assert _request(path, token=TOKEN).status_code == 200


@pytest.mark.parametrize("path", ["/", "/metrics", "/page.js"])
def test_token_as_a_header(path: str) -> None:
    """A program sends the token as a header."""
    assert _request(path, token=TOKEN, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_token_of_a_browser() -> None:
    """A browser gives the token once, is led away from the address with it, and a cookie lets it in."""
    first = _request("/", token=TOKEN, params={"token": TOKEN})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    (name, value), *_ = first.cookies.items()
    back = {"cookie": f"{name}={value}"}
    assert _request("/", token=TOKEN, headers=back).status_code == 200
    assert _request("/", token=f"{TOKEN}x", headers=back).status_code == 401
