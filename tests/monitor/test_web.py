import asyncio

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from monitor.metrics import Metrics
from monitor.web.app import build
from tests.toy import toy_manifest


def _ask(
    path: str, *, method: str = "GET", alive: str = "", ready: str = "", summary: dict[str, str] | None = None
) -> httpx.Response:
    """Ask an application of its own, without a socket."""
    registry = CollectorRegistry()
    Metrics(registry, toy_manifest()).by_label["Faulty"].inc(3)
    app = build(registry, lambda: alive, lambda: ready, lambda: summary or {})

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://monitor") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_metrics() -> None:
    """/metrics answers what Prometheus reads."""
    response = _ask("/metrics")
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
def test_well(path: str) -> None:
    """Where all is well, both checks answer 200."""
    response = _ask(path)
    assert (response.status_code, response.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("path", "live_status", "ready_status"), [("/livez", 503, 200), ("/readyz", 200, 503)]
)
def test_not_well(path: str, live_status: int, ready_status: int) -> None:
    """Each check answers 503 and why where its own thing isn't well, and doesn't look at the other's."""
    dead, unready = _ask(path, alive="the pipeline hangs"), _ask(path, ready="not connected")
    assert (dead.status_code, unready.status_code) == (live_status, ready_status)
    assert (dead.text == "the pipeline hangs\n") == (live_status == 503)
    assert (unready.text == "not connected\n") == (ready_status == 503)


def test_page() -> None:
    """The page shows each line of the summary and leads to the other addresses."""
    response = _ask("/", summary={"Broker": "connected to plant:1883", "Windows judged": "1,234"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("Broker", "connected to plant:1883", "Windows judged", "1,234"):
        assert text in response.text
    for path in ("/metrics", "/livez", "/readyz"):
        assert f'href="{path}"' in response.text


def test_page_escapes() -> None:
    """What comes from outside is text on the page and never markup."""
    response = _ask("/", summary={"<b>": '<script>alert("x")</script> ROWS & more'})
    assert "<script>" not in response.text
    assert "<b>" not in response.text
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; ROWS &amp; more" in response.text


@pytest.mark.parametrize("path", ["/", "/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method: str, path: str) -> None:
    """Whoever tries to change something is refused."""
    assert _ask(path, method=method).status_code == 405


def test_unknown_path() -> None:
    """Any other path is not found."""
    assert _ask("/etc/passwd").status_code == 404
