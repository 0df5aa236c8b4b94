import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.prometheus_server import PROMETHEUS_CONFIG, find_program, scale_rules

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS_CONFIG / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]


def run_promtool(*arguments: str | Path) -> None:
    """Run promtool, and fail with its output unless it succeeds."""
    result = subprocess.run(
        [find_program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_accepts_config() -> None:
    """Prometheus accepts the scrape configuration and the rule files."""
    run_promtool("check", "config", PROMETHEUS_CONFIG / "prometheus.yml")
    run_promtool("check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS_CONFIG / "rules.yml")


def test_rules_on_example_series() -> None:
    """On example series each rule fires when it should, and not a minute earlier."""
    run_promtool("test", "rules", PROMETHEUS_CONFIG / "rules_test.yml")


def test_every_rule_has_examples() -> None:
    """Each rule fires in one of the examples and doesn't fire in another."""
    checks = [
        check
        for example in yaml.safe_load((PROMETHEUS_CONFIG / "rules_test.yml").read_text())["tests"]
        for check in example["promql_expr_test"]
    ]
    for fires in (True, False):
        rules_seen = {
            name
            for check in checks
            if bool(check["exp_samples"]) == fires
            for name in re.findall(r'alertname="(\w+)"', check["expr"])
        }
        assert rules_seen == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in RULES])
def test_rule_is_explained(rule: dict[str, Any]) -> None:
    """Each alert has a severity, names the instance, and describes what to do."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert "$labels.instance" in summary or rule["expr"].startswith("absent(")
    assert len(summary) < 110
    assert len(description) > 150


def test_scale_rules() -> None:
    """Only durations in ranges and in `for` are divided."""
    (group,) = scale_rules(
        "groups: [{name: n, rules: [{alert: A, expr: 'increase(x_total[1h]) > 10 * sum(y5m)', for: 5m}]}]"
    )["groups"]
    assert group["rules"] == [
        {"alert": "A", "expr": "increase(x_total[36000ms]) > 10 * sum(y5m)", "for": "3000ms"}
    ]
