"""Writes the generated parts of the reference: `make docs`, or `python docs/reference/generate.py`.

A page holds its own text and, between `<!-- generated: NAME -->` and `<!-- end -->`, what comes from the
code: settings from the pydantic models and from the comments of the two TOML files, metrics from the
registry, commands from the argument parsers, outcomes and states from their enumerations, payloads from the
JSON Schemas beside this file, the manifest from its class. A test fails where a page isn't what this writes.
"""

# ruff: noqa: INP001 - a program in a folder of pages, not a package to install

import argparse
import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from monitor.bundle import manifest as bundle_manifest  # noqa: E402
from monitor.bundle.default_bundle import DEFAULT_BUNDLE_FOLDER  # noqa: E402
from monitor.cli.parser import build_parser as build_monitor_parser  # noqa: E402
from monitor.config.settings import Settings  # noqa: E402
from monitor.core.readings import Outcome  # noqa: E402
from monitor.core.verdicts import State  # noqa: E402
from monitor.telemetry.metrics import Metrics  # noqa: E402
from training.cli.parser import build_parser as build_training_parser  # noqa: E402
from training.config.settings import FitSettings  # noqa: E402

__all__ = ["BLOCKS", "pages", "render"]

_OUTCOMES = {
    "judged": ("yes", "The reading completed a window; the window has a score and a prediction."),
    "filling": ("no", "The group has sent fewer readings than a window has steps."),
    "warming": (
        "no",
        (
            "The group's baseline isn't ready: a new group's first nine readings. Where a check finds a "
            "fault the window is `judged`."
        ),
    ),
    "skipped": ("no", "`windows.stride` leaves this window out."),
    "malformed": (
        "no",
        (
            "The payload isn't readable, lacks a feature, holds text where a number is expected, NaN, a "
            "value beyond 1e12 or an unreadable `ts`, or has more than 1 MiB. Dropped. A message with more "
            "than 10,000 elements, or more than 100 that can't be read, is refused whole and counts once."
        ),
    ),
    "unmatched": ("no", "The topic fits no template of `input.topics` or `input.sources`. Dropped."),
    "duplicate": ("no", "`ts` equals that of the group's last reading. Dropped."),
    "late": (
        "no",
        "`ts` lies before that of the group's last reading, leaving out those ahead of the clock. Dropped.",
    ),
    "gap": (
        "no",
        (
            "`ts` lies more than `windows.max_gap` after that of the last reading. The window starts afresh "
            "with this reading."
        ),
    ),
    "future": ("no", "`ts` is ahead of the monitor's clock by more than `windows.max_skew`. Dropped."),
    "overflow": (
        "no",
        (
            "The message arrived with QoS 0 while the receive queue was full. Dropped unread, so an array "
            "counts once."
        ),
    ),
    "excess": (
        "no",
        (
            "While readings arrive faster than they are judged, the topic brought more than its share, "
            "beyond what the broker had kept; or the group is one of too many new ones. Dropped unread: a "
            "message counts once."
        ),
    ),
    "stale": ("no", "A sampling time at which a feature was too old or absent. No reading."),
    "retained": ("no", "A retained message without `ts`, or one whose group is silent. Dropped."),
}
_STATES = {
    "filling": "The window isn't full: fewer readings than steps since the start or the last gap.",
    "warming": "Windows are full and the baseline isn't ready.",
    "normal": (
        "The newest judged window is Normal. An incident stays open until `alerts.clear_after` Normal "
        "windows in a row."
    ),
    "faulty": "The newest judged window is Faulty.",
    "silent": "No reading was accepted for `windows.stale_after` seconds by the monotonic clock.",
}
# What the TOML file says in examples rather than in words.
_MEANINGS = {
    "mqtt.host": "name or address of the broker",
    "mqtt.port": "TCP port of the broker",
    "mqtt.version": (
        "protocol; `auto` asks the broker first (as `<client_id>-version`) and takes 3.1.1 where it refuses 5"
    ),
    "mqtt.transport": "`websockets` where the broker is reached through a web server",
    "mqtt.username": "login at the broker",
    "mqtt.password": "password of that login; better in the environment or in `password_file`",
    "mqtt.password_file": "file that holds the password, in place of `password`",
    "mqtt.publish_username": (
        "login of the connections for alerts and for the version, where the broker takes logins for client "
        "ids; default: `username`"
    ),
    "mqtt.publish_password_file": "file that holds the password of that login",
    "mqtt.tls.ca_file": "certificates of the authorities that may sign the broker's; default: the system's",
    "mqtt.tls.certfile": "the monitor's own certificate, where the broker asks for one",
    "mqtt.tls.keyfile": "the private key of `certfile`",
    "input.fields": "path of a feature (or of `ts`) in the payload if it isn't its own name",
    "features": "what a reading consists of, see below",
    "input.sources": "messages of any other kind, in place of `topics` and `fields`, see below",
    "input.align.deadband": "change of a feature that its devices don't report",
    "alerts.mode": (
        "`lifecycle`: an event when an incident begins and one when it ends; `every_window`: each Faulty "
        "window is an event, and the settings below have no effect"
    ),
    "alerts.clear_below": (
        "only windows with a score below this count towards the end of an incident; default: the bundle's "
        "threshold"
    ),
    "alerts.rules": "other settings for some groups, see below",
    "alerts.rules.groups": "pattern of group names: `*` is any text, also across `/`; `?` is one character",
    **{
        f"alerts.rules.{name}": f"as `alerts.{name}`, for these groups"
        for name in ("raise_after", "clear_after", "clear_below", "min_interval", "renotify_after")
    },
    "checks.rules.groups": "pattern of group names, as in `alerts.rules`",
    **{
        f"checks.rules.{name}": f"as `checks.{name}`, for these groups"
        for name in ("limits", "flat", "drift")
    },
    "features.name": "lower case letters, digits and `_`; sensors of one mote end alike after the last `_`",
    "features.unit": 'of its values, the same for all features of a quantity; "" if there is none',
    "features.quantity": (
        "what it measures: features of one quantity are neighbours; default: the name up to the last `_`"
    ),
    "features.low": "lowest value that its sensor can have; default: the limit of the quantity",
    "features.high": "highest value that its sensor can have; default: as for `low`",
    "features.accuracy": "largest error that its data sheet allows; default: as for `low`",
    "http.host": "address to listen on for HTTP",
    "http.token": "secret for reading more than `/livez` and `/readyz`: 16 characters or more",
    "http.token_file": "file that holds the token, in place of `token`",
    "http.certfile": "serves HTTPS with this certificate; intermediate certificates follow it in the file",
    "http.keyfile": "private key of `certfile`; without it `certfile` holds the key, too",
    "log.level": "least level that is logged",
    "log.format": "`json`: one JSON object a line",
}
_LISTS = ("features", "input.sources", "checks.rules", "alerts.rules")
"""Settings that are lists of tables."""
_SETTING = re.compile(r"(# )?([\w.]+) = (.*)")
_HEADER = re.compile(r"(# )?\[{1,2}([\w.]+)\]{1,2}\s*(?:# (.*))?")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the comment of each setting and each table of a TOML file.

    A comment stands behind its setting, goes on in lines that begin with spaces, or stands in lines of its
    own above it.
    """
    section, name, last, above = "", "", "", ""
    for line in text.splitlines():
        body, comment = _split(line)
        if header := _HEADER.fullmatch(line):
            section, name, last = f"{header[2]}.", header[2], header[3] or above
            yield name, last
        elif setting := _SETTING.fullmatch(body):
            name, last = section + setting[2], comment or above
            yield name, last
        elif line.startswith(" ") and comment and name:
            last = f"{last} {comment}".strip()
            yield name, last
        above = f"{above} {line[2:]}".strip() if line.startswith("# ") and not _named(line) else ""


def _named(line: str) -> bool:
    """Say whether a comment is a setting or a table that is commented out."""
    return bool(_HEADER.fullmatch(line) or re.match(r"# \w+ = ", line))


def _split(line: str) -> tuple[str, str]:
    """Return a line of TOML without its comment, and the comment; a setting may be commented out."""
    if line.startswith("# "):
        body, _, comment = line[2:].partition(" # ")
        return f"# {body}".strip(), comment.strip()
    body, _, comment = line.partition("# ")
    return body.strip(), comment.strip()


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one a kind
    """Say what a value of this JSON Schema is."""
    if "$ref" in schema:
        return _kind(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        kinds = [_kind(one, definitions) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(one) for one in schema["enum"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"{len(schema['prefixItems'])} x {_kind(schema['prefixItems'][0], definitions)}"
        return f"list of {_kind(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        return "table"
    kind = {"path": "path", "password": "secret", "date-time": "time"}.get(
        schema.get("format", ""), schema.get("type", "any")
    )
    names = ("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<")
    limits = [f"{sign} {schema[name]:g}" for name, sign in names if name in schema]
    return f"{kind} {', '.join(limits)}".strip()


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Yield the dotted name, kind and default of each setting."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})

    def walk(properties: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
        for name, one in properties.items():
            target = definitions.get(one.get("$ref", "").rpartition("/")[2], {})
            items = definitions.get(one.get("items", {}).get("$ref", "").rpartition("/")[2], {})
            if "properties" in target:
                yield from walk(target["properties"], f"{prefix}{name}.")
                continue
            default = one.get("default")
            yield prefix + name, _kind(one, definitions), "" if default is None else json.dumps(default)
            if "properties" in items:
                yield from walk(items["properties"], f"{prefix}{name}.")

    yield from walk(schema["properties"], "")


def _settings(model: type[BaseModel], file: Path, prefix: str) -> str:
    said = dict(_comments(file.read_text()))
    tables: dict[str, list[list[str]]] = {}
    for name, kind, default in _fields(model):
        section, _, short = name.rpartition(".")
        text = _MEANINGS.get(name) or re.sub(r"^s ", "seconds ", said.get(name, ""))
        variable = f"{prefix}{name.upper().replace('.', '__')}"
        is_item = section in _LISTS
        if name in _LISTS and default != "[]":
            default = f"as in {file.name}"  # noqa: PLW2901
        tables.setdefault(section, []).append(
            [f"`{short}`", kind, f"`{default}`" if default else "", text, "" if is_item else f"`{variable}`"]
        )
    head = ["setting", "value", "default", "meaning", "environment"]
    parts = []
    for section, rows in tables.items():
        if section:
            title = f"`[[{section}]]`" if section in _LISTS else f"`[{section}]`"
            parts.append(f"### {title}")
            if said.get(section):
                parts.append(f"{said[section][0].upper()}{said[section][1:].rstrip('.')}.")
        parts.append(_table(head, rows))
    return "\n\n".join(parts)


def _monitor_settings() -> str:
    return _settings(Settings, ROOT / "config" / "monitor.toml", "MONITOR_")


def _training_settings() -> str:
    return _settings(FitSettings, ROOT / "config" / "training.toml", "TRAINING_")


def _metrics() -> str:
    registry = CollectorRegistry()
    content = (DEFAULT_BUNDLE_FOLDER / "manifest.json").read_bytes()
    manifest = msgspec.json.decode(content, type=bundle_manifest.Manifest)
    Metrics(registry, manifest)
    rows = []
    for family in registry.collect():
        if not family.name.startswith("sensor_monitor_"):
            continue
        labels: dict[str, list[str]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                labels.setdefault(label, []).append(value)
        labels.pop("le", None)
        known = registry._names_to_collectors  # noqa: SLF001 - labels that have no series yet
        for part in (known.get(family.name), family):
            for label in getattr(part, "_labelnames", ()):
                labels.setdefault(label, [])
        name = f"{family.name}_total" if family.type == "counter" else family.name
        # Their values are those of one bundle, and of one version.
        if family.name in {"sensor_monitor_bundle_info", "sensor_monitor_build_info"}:
            labels = {label: [] for label in labels}
        shown = [
            f"`{label}`" + (": " + ", ".join(dict.fromkeys(values)) if values else "")
            for label, values in labels.items()
        ]
        rows.append([f"`{name}`", family.type, "; ".join(shown), family.documentation])
    return _table(["metric", "type", "labels", "meaning"], rows)


def _actions(command: argparse.ArgumentParser) -> str:
    formatter = command._get_formatter()  # noqa: SLF001 - argparse has no other way to expand a help text
    rows = []
    for action in command._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):  # noqa: SLF001
            continue
        if action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(f"`{name}`" for name in action.option_strings)
        value = action.metavar if isinstance(action.metavar, str) else ""
        if not names:
            names, value = f"`{action.metavar or action.dest}`", ""
        if action.choices and not value:
            value = " \\| ".join(map(str, action.choices)).replace("\\|", "|")
        text = " ".join(formatter._expand_help(action).split()) if action.help else ""  # noqa: SLF001
        rows.append([names, f"`{value}`" if value else "", "required" if action.required else "", text])
    return _table(["argument", "value", "", "meaning"], rows) if rows else ""


def _commands(whole: argparse.ArgumentParser, level: int = 3) -> str:
    parts = []
    for name, command in _subcommands(whole):
        lead, _, more = (command.description or "").strip().partition("\n\n")
        parts.append(f"{'#' * level} `{whole.prog} {name}`")
        parts.append("\n\n".join(" ".join(part.split()) for part in (lead, more) if part))
        if table := _actions(command):
            parts.append(table)
        if examples := re.search(r"examples:\n((?:  .*\n)+)", command.epilog or ""):
            parts.append(f"```text\n{textwrap.dedent(examples[1]).rstrip()}\n```")
        for form, inner in _subcommands(command):
            parts.append(f"{'#' * (level + 1)} `{whole.prog} {name} {form}`")
            parts.append(_actions(inner))
    return "\n\n".join(part for part in parts if part)


def _subcommands(command: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in command._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            yield from action.choices.items()


def _monitor_commands() -> str:
    return _commands(build_monitor_parser())


def _training_commands() -> str:
    return _commands(build_training_parser())


def _outcomes() -> str:
    rows = [[f"`{one.value}`", *_OUTCOMES[one.value]] for one in Outcome]
    return _table(["outcome", "verdict", "when"], rows)


def _states() -> str:
    return _table(["state", "when"], [[f"`{one.value}`", _STATES[one.value]] for one in State])


def _schema(name: str) -> Callable[[], str]:
    def table() -> str:
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        rows: list[list[str]] = []

        def walk(part: Mapping[str, Any], prefix: str) -> None:
            for field, one in part.get("properties", {}).items():
                must = "always" if field in part.get("required", []) else "at times"
                rows.append([f"`{prefix}{field}`", _json_kind(one), must, one.get("description", "")])
                walk(one, f"{prefix}{field}.")
                walk(one.get("items", {}), f"{prefix}{field}[].")

        walk(schema, "")
        link = f"JSON Schema: [schemas/{name}.json](schemas/{name}.json)."
        if not rows:
            return link
        return f"{_table(['field', 'JSON', 'present', 'meaning'], rows)}\n\n{link}"

    return table


def _json_kind(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(json.dumps(one) for one in schema["enum"])
    kinds = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _manifest() -> str:
    """Return the fields of a bundle's JSON files, from the classes that they are read into."""
    module = ast.parse(inspect.getsource(bundle_manifest))
    structures = [
        node
        for node in module.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Struct") for base in node.bases)
    ]
    structures.sort(key=lambda node: not (ast.get_docstring(node) or "").startswith("`"))  # files first
    inner = re.compile(rf"\b({'|'.join(node.name for node in structures)})\b")
    parts = []
    for node in structures:
        rows = []
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            said = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                said = " ".join(str(after.value.value).split())
            kind = inner.sub("object", ast.unparse(field.annotation))
            rows.append([f"`{field.target.id}`", f"`{kind}`", said])
        lead = (ast.get_docstring(node) or "").partition("\n")[0]
        parts.append(f"{lead}\n\n{_table(['field', 'type', 'meaning'], rows)}")
    return "\n\n".join(parts)


BLOCKS: dict[str, Callable[[], str]] = {
    "monitor settings": _monitor_settings,
    "training settings": _training_settings,
    "metrics": _metrics,
    "sensor-monitor": _monitor_commands,
    "sensor-training": _training_commands,
    "outcomes": _outcomes,
    "states": _states,
    "manifest": _manifest,
    **{f"schema {path.stem}": _schema(path.stem) for path in sorted(SCHEMAS.glob("*.json"))},
}
"""What can stand between the marks, by name."""

_BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def render(text: str) -> str:
    """Return a page with its generated parts written anew."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n\n{match[4]}", text)


def pages() -> list[Path]:
    """Return the pages with generated parts."""
    return [page for page in sorted(HERE.glob("*.md")) if _BLOCK.search(page.read_text())]


def main() -> None:
    """Write all pages anew."""
    for page in pages():
        page.write_text(render(page.read_text()))


if __name__ == "__main__":
    main()
