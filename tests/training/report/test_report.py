import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from jinja2 import UndefinedError

from monitor.bundle import Manifest
from monitor.detect.baseline import BaselineSpec
from tests.support.browser import Browser
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.config.settings import FitSettings
from training.data.prepare import PreparedData, prepare
from training.evaluate.permutation_importance import Importance
from training.evaluate.quality import evaluate
from training.network.weights import LayerWeights
from training.report import model_card, page

HTML_GROUP_NAME = "line<1>/\"'&<img src=http://elsewhere.example/x.png>"


def _manifest(prepared: PreparedData, settings: FitSettings) -> Manifest:
    return Manifest(
        id="0123456789abcdef",
        created="2026-06-01T06:00:00+00:00",
        features=FEATURES,
        steps=3,
        sample_period=prepared.sample_period,
        threshold=0.5,
        ranges=dict.fromkeys(FEATURE_NAMES, (0.0, 1.0)),
        data={
            **prepared.sources,
            "groups": [HTML_GROUP_NAME],
            "class_weights": {"Normal": 0.7, "Faulty": 1.6},
            "settings": settings.model_dump(mode="json"),
        },
        quality={},
        versions={"keras": "3"},
    )


@pytest.fixture(scope="module")
def findings(labelled_recording: Path) -> model_card.Findings:
    """Return findings of the small plant, with a group whose name is HTML."""
    settings = FitSettings()
    prepared = prepare([labelled_recording], None, settings)
    rng = np.random.default_rng(0)
    scores = np.clip(0.8 * prepared.test.faulty + rng.normal(0.1, 0.15, len(prepared.test)), 0, 1)
    numbers = rng.random((3, 4))
    layer = LayerWeights("dense", "Dense", MappingProxyType({"weights": np.zeros((12, 1), np.float32)}))
    return model_card.Findings(
        manifest=_manifest(prepared, settings),
        train=prepared.train,
        validation=prepared.validation,
        test=prepared.test,
        cleaning=prepared.cleaning,
        layers=[layer],
        history={"loss": [0.5, 0.2, 0.1], "val_loss": [0.4, 0.1, 0.2]},
        evaluation=evaluate(prepared.test, scores, 0.5, prepared.sample_period),
        importance=Importance(
            0.9, numbers, numbers, numbers[0], numbers[0], numbers[:, 0], numbers[:, 0], 9, 3, 2, 0
        ),
    )


@pytest.fixture(scope="module")
def files(findings: model_card.Findings) -> dict[str, bytes]:
    """Return the report of these findings."""
    return model_card.build(findings)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a browser that these tests share."""
    opened = Browser(tmp_path_factory.mktemp("profile"))
    try:
        opened.start()
        yield opened
    finally:
        opened.stop()


def _open_report(browser: Browser, html: bytes, folder: Path) -> str:
    """Write a report alone into a folder, open it, and return its address."""
    path = folder / "report.html"
    path.write_bytes(html)
    browser.open(path.as_uri())
    return path.as_uri()


def test_every_picture_shows(browser: Browser, files: dict[str, bytes], tmp_path: Path) -> None:
    """The page shows all pictures without the picture files, each with an alternative text."""
    _open_report(browser, files["report/report.html"], tmp_path)
    widths = browser.evaluate("[...document.images].map(image => image.complete ? image.naturalWidth : 0)")
    assert len(widths) == len(files) - 1 == 8
    assert min(widths) > 400
    assert browser.evaluate("[...document.images].every(image => image.alt)")


def test_nothing_is_asked_of_another_host(browser: Browser, files: dict[str, bytes], tmp_path: Path) -> None:
    """The browser requests the page and `data:` addresses, nothing else."""
    browser.requests.clear()
    address = _open_report(browser, files["report/report.html"], tmp_path)
    assert [url for url in browser.requests if not url.startswith("data:")] == [address]


def test_no_link_is_broken(browser: Browser, files: dict[str, bytes], tmp_path: Path) -> None:
    """All links and sources of the page are `data:` addresses."""
    _open_report(browser, files["report/report.html"], tmp_path)
    links = browser.evaluate("[...document.querySelectorAll('[href],[src]')].map(e => e.href || e.src)")
    assert [link for link in links if not link.startswith("data:")] == []


def test_values_are_escaped(browser: Browser, files: dict[str, bytes], tmp_path: Path) -> None:
    """A group's name that is HTML is shown as text."""
    _open_report(browser, files["report/report.html"], tmp_path)
    assert HTML_GROUP_NAME in browser.evaluate("document.body.innerText")
    assert browser.evaluate("document.querySelectorAll('img[src^=http]').length") == 0


@pytest.mark.parametrize(("scheme", "darker"), [("light", False), ("dark", True)])
def test_light_and_dark(
    browser: Browser, files: dict[str, bytes], tmp_path: Path, scheme: str, *, darker: bool
) -> None:
    """Background and text colour follow the reader's colour scheme."""
    browser.set_color_scheme(scheme)
    _open_report(browser, files["report/report.html"], tmp_path)
    brightness_script = (
        "getComputedStyle(document.body).{}.match(/\\d+/g).reduce((sum, part) => sum + +part, 0)"
    )
    ink, paper = (
        browser.evaluate(brightness_script.format("color")),
        browser.evaluate(brightness_script.format("backgroundColor")),
    )
    assert (paper < ink) == darker
    assert abs(paper - ink) > 400


def test_a_phone_need_not_scroll_sideways(browser: Browser, files: dict[str, bytes], tmp_path: Path) -> None:
    """The page is not wider than a phone's screen: wide tables scroll inside it."""
    _open_report(browser, files["report/report.html"], tmp_path)
    browser.evaluate("document.documentElement.style.width = '360px'")
    assert browser.evaluate("document.body.scrollWidth") <= 360


def test_it_has_all_sections(files: dict[str, bytes]) -> None:
    """Each section has its heading."""
    html = files["report/report.html"].decode()
    for part in ("Data", "Cleaning", "Split", "Network", "Training", "Results", "Importance", "Limits"):
        assert f"<h2>{part}</h2>" in html


def test_a_random_split_is_warned_about(findings: model_card.Findings, files: dict[str, bytes]) -> None:
    """A random split makes results look better, so its warning comes before the results."""
    assert "share readings" not in files["report/report.html"].decode()
    data = {**findings.manifest.data, "settings": {**findings.manifest.data["settings"], "split": "random"}}
    manifest = Manifest(**{**_fields(findings.manifest), "data": data})
    html = model_card.build(dataclasses.replace(findings, manifest=manifest))["report/report.html"].decode()
    assert html.index("share readings") < html.index("<h2>Results</h2>")


def test_a_random_split_has_no_incidents(findings: model_card.Findings) -> None:
    """Of a test part drawn at random the report shows no faults, delays and alerts, and says why."""
    test = findings.test
    scores = test.faulty.astype(float)
    evaluation = evaluate(test, scores, 0.5, findings.manifest.sample_period, drawn_at_random=True)
    files = model_card.build(dataclasses.replace(findings, evaluation=evaluation))
    html = files["report/report.html"].decode()
    assert "Nothing is said of whole faults, delays and alerts" in html
    assert "faults found" not in html
    assert "report/delays.png" not in files


def test_the_limits_are_those_of_this_bundle(findings: model_card.Findings) -> None:
    """Another place is no limit of a bundle with a baseline, and a random split is one."""

    def limits(changed: model_card.Findings) -> str:
        html = model_card.build(changed)["report/report.html"].decode()
        text = html.partition('<section id="limits">')[2].partition("</section>")[0]
        return " ".join(text.split())

    manifest, test = findings.manifest, findings.test
    without_baseline = limits(findings)
    assert "For sensors in another place" in without_baseline
    assert "injected faults of the kinds bounds, gain, loss, offset, spike, stuck" in without_baseline
    assert "not which sensor" not in without_baseline
    baseline = Manifest(**{**_fields(manifest), "baseline": BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5))})
    with_baseline = limits(dataclasses.replace(findings, manifest=baseline))
    assert "another place" not in with_baseline
    assert "judges each group by that group's own normal" in with_baseline
    evaluation = evaluate(test, test.faulty.astype(float), 0.5, 5.0, drawn_at_random=True)
    assert "drawn at random" in limits(dataclasses.replace(findings, evaluation=evaluation))
    assert "how good it is was not measured" in limits(
        dataclasses.replace(findings, evaluation=None, importance=None, test=test[:0])
    )


def test_warnings_come_first(findings: model_card.Findings) -> None:
    """Kinds with low recall, untested kinds and removed Faulty windows are mentioned before all sections."""
    test, evaluation = findings.test, findings.evaluation
    assert evaluation is not None
    quality = dataclasses.replace(
        evaluation.quality, recall_by_kind={"spike": 0.5}, windows_by_kind={"spike": 9}
    )
    spikes = test[(test.kinds == "spike") | (test.kinds == "")]
    findings_with_warnings = dataclasses.replace(
        findings,
        test=spikes,
        evaluation=dataclasses.replace(evaluation, quality=quality),
        cleaning=dataclasses.replace(findings.cleaning, removed_faulty=77),
    )
    html = model_card.build(findings_with_warnings)["report/report.html"].decode()
    first = html[: html.index("<h2>Data</h2>")]
    assert "spike (50.0%)" in first
    assert "nothing is known of: bounds, gain, loss, offset, stuck" in first
    assert "77 Faulty windows" in first


def test_without_a_test_part(findings: model_card.Findings) -> None:
    """Without a test set, the report says that nothing was measured and has no picture of results."""
    without_evaluation = dataclasses.replace(
        findings, evaluation=None, importance=None, test=findings.test[:0]
    )
    files = model_card.build(without_evaluation)
    assert "nothing here says how good it is" in files["report/report.html"].decode()
    assert set(files) == {"report/report.html", "report/loss.png", "report/boxes.png"}


def test_nothing_found_is_shown_as_none(findings: model_card.Findings) -> None:
    """Where no fault was found, delays and shares are shown as "none"."""
    test = findings.test
    evaluation = evaluate(test, np.zeros(len(test)), 0.5, findings.manifest.sample_period)
    nothing_found = dataclasses.replace(findings, evaluation=evaluation, importance=None)
    html = model_card.build(nothing_found)["report/report.html"].decode()
    assert '<tr><th scope="row">delay to the first alert, median</th><td>none</td></tr>' in html
    assert ">None" not in html


def test_a_missing_value_is_an_error() -> None:
    """A template that uses an undefined variable raises an error."""
    with pytest.raises(UndefinedError, match="is undefined"):
        page.render("model_card.html.j2", {})


def _fields(manifest: Manifest) -> dict[str, object]:
    return {name: getattr(manifest, name) for name in manifest.__struct_fields__}
