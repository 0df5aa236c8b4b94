import json
from pathlib import Path

from tests.bench import targets
from tests.bench.__main__ import main
from tests.bench.measurements import Measurement


def test_bench(tmp_path: Path, toy_bundle: Path) -> None:
    """A few rows at the smallest scale give measurements, a table and JSON; their speed isn't checked."""
    out = tmp_path / "out"
    rows = ["bare", "1000", "echo", "stage"]
    assert main([*rows, "--bundle", str(toy_bundle), "--rounds=1", "--scale=0.002", f"--out={out}"]) == 0
    results = json.loads((out / "bench.json").read_text())
    table = (out / "table.md").read_text()
    rates = [
        measurement
        for measurement in results["figures"]
        if measurement["quantity"].endswith("s/s") or "ms" in measurement["quantity"]
    ]
    assert {measurement["subject"] for measurement in rates} >= {
        "bare paho, QoS 0",
        "ours, QoS 1, 1,000 groups",
        "paho echo",
    }
    assert all(measurement["values"][0] > 0 for measurement in rates)
    assert all(measurement["subject"] in table for measurement in results["figures"])
    assert {target["figure"] for target in results["bars"]} >= {"start to /readyz, s"}


def test_target_is_median_of_ratios() -> None:
    """A target is compared with the median of the rounds' ratios, not with the ratio of the medians."""
    rounds = [
        [
            Measurement("ours, QoS 0, 1,000 groups", "windows/s", monitor_rate),
            Measurement("bare paho, QoS 0", "messages/s", paho_rate),
        ]
        for monitor_rate, paho_rate in ((100.0, 50.0), (90.0, 90.0), (60.0, 40.0))
    ]
    (target,) = targets.evaluate_targets(rounds)
    assert target["measured"] == 1.5
    assert target["met"]
