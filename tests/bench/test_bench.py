import json
from pathlib import Path

from tests.bench import targets
from tests.bench.__main__ import main
from tests.bench.measurements import Figure


def test_bench(tmp_path: Path, toy_bundle: Path) -> None:
    """A few rows at the smallest scale give figures, a table and JSON, however fast it was."""
    out = tmp_path / "out"
    rows = ["bare", "1000", "echo", "stage"]
    assert main([*rows, "--bundle", str(toy_bundle), "--rounds=1", "--scale=0.002", f"--out={out}"]) == 0
    told = json.loads((out / "bench.json").read_text())
    table = (out / "table.md").read_text()
    rates = [f for f in told["figures"] if f["quantity"].endswith("s/s") or "ms" in f["quantity"]]
    assert {f["subject"] for f in rates} >= {"bare paho, QoS 0", "ours, QoS 1, 1,000 groups", "paho echo"}
    assert all(f["values"][0] > 0 for f in rates)
    assert all(f["subject"] in table for f in told["figures"])
    assert {bar["figure"] for bar in told["bars"]} >= {"start to /readyz, s"}


def test_bar_is_median_of_ratios() -> None:
    """What is held to a bar is the median of the rounds' ratios, and not the ratio of medians."""
    rounds = [
        [
            Figure("ours, QoS 0, 1,000 groups", "windows/s", ours),
            Figure("bare paho, QoS 0", "messages/s", paho),
        ]
        for ours, paho in ((100.0, 50.0), (90.0, 90.0), (60.0, 40.0))
    ]
    (bar,) = targets.reached(rounds)
    assert bar["measured"] == 1.5
    assert bar["met"]
