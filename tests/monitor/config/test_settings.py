import os
from pathlib import Path

import pytest

from monitor.config.loading import load_settings
from monitor.config.mqtt_settings import MqttSettings
from monitor.config.secrets import read_password
from monitor.core.errors import ConfigurationError

SECRET = "hunter2"  # noqa: S105 - an example


@pytest.fixture(autouse=True)
def _clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("MONITOR_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of an empty settings file."""
    path = tmp_path / "monitor.toml"
    path.write_text("")
    return path


def _load_error(file: Path | None) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings(file)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_flag_over_environment_over_file_over_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag beats the environment, which beats the file, which beats the default."""
    assert load_settings(file).bundle == Path("var/bundle")
    file.write_text('bundle = "of-the-file"')
    assert load_settings(file).bundle == Path("of-the-file")
    monkeypatch.setenv("MONITOR_BUNDLE", "of-the-environment")
    assert load_settings(file).bundle == Path("of-the-environment")
    assert load_settings(file, {"bundle": Path("of-the-flag")}).bundle == Path("of-the-flag")


def test_sections_merge(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a source sets one key of a section, the section's other keys come from the next source."""
    file.write_text('[mqtt]\nhost = "broker"\nport = 1884')
    monkeypatch.setenv("MONITOR_MQTT__PORT", "1885")
    mqtt = load_settings(file).mqtt
    assert (mqtt.host, mqtt.port, mqtt.keepalive) == ("broker", 1885, 30)


def test_defaults_need_no_file() -> None:
    """Without file, environment and flags all settings have the defaults of the design."""
    settings = load_settings(None)
    assert settings.input.topics == ("plant/{line}/{station}/reading",)
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.qos) == ("127.0.0.1", 1883, 1)
    assert (settings.mqtt.version, settings.mqtt.base_topic) == ("auto", "sensor-monitor")
    windows = settings.windows
    assert (windows.stride, windows.max_gap, windows.max_skew, windows.stale_after) == (1, None, 5, None)
    alerts = settings.alerts
    assert (alerts.mode, alerts.raise_after, alerts.clear_after) == ("lifecycle", 1, 3)
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 9108)
    assert (settings.log.level, settings.log.format) == ("info", "text")


@pytest.mark.parametrize(
    ("variable", "text", "section", "key", "value"),
    [
        ("MONITOR_MQTT__PORT", "1884", "mqtt", "port", 1884),
        ("MONITOR_MQTT__QOS", "2", "mqtt", "qos", 2),
        ("MONITOR_WINDOWS__MAX_GAP", "7.5", "windows", "max_gap", 7.5),
        ("MONITOR_INPUT__TOPICS", '["a/{x}"]', "input", "topics", ("a/{x}",)),
        ("MONITOR_INPUT__FIELDS", '{"ts": "a.b"}', "input", "fields", {"ts": "a.b"}),
        ("MONITOR_ALERTS__MODE", "every_window", "alerts", "mode", "every_window"),
        ("monitor_log__level", "debug", "log", "level", "debug"),
    ],
)
def test_environment_values_are_parsed(
    variable: str, text: str, section: str, key: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of a variable is converted to the type of its setting, lists and tables from JSON."""
    monkeypatch.setenv(variable, text)
    assert getattr(getattr(load_settings(None), section), key) == value


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ('[mqtt]\nport = "1883"', "mqtt.port", "must be a valid integer, not '1883'"),
        ("[mqtt]\nport = true", "mqtt.port", "not True"),
        ("[mqtt]\nqos = true", "mqtt.qos", "not True"),
        ("[mqtt]\nqos = 7", "mqtt.qos", "must be 0, 1 or 2, not 7"),
        ("[mqtt]\nport = 70000", "mqtt.port", "must be less than or equal to 65535, not 70000"),
        ('[mqtt]\nhost = ""', "mqtt.host", "not ''"),
        ('[mqtt]\nversion = "4"', "mqtt.version", "must be 'auto', '5' or '3.1.1', not '4'"),
        ('[mqtt]\nbase_topic = "a/#"', "mqtt.base_topic", "a/#"),
        ('[mqtt]\nbase_topic = "/a"', "mqtt.base_topic", "/a"),
        ('[mqtt]\npublish_password_file = "p"', "mqtt", "publish_password_file needs publish_username"),
        (
            '[mqtt]\nusername = "a"\npublish_username = "a"',
            "mqtt",
            "must differ from username, which is 'a' too",
        ),
        ('[mqtt]\npublish_username = "a"\nconnections = 1', "mqtt", "publish_username needs connections = 2"),
        ("[mqtt]\nhsot = 1", "mqtt.hsot", "unknown setting; did you mean 'host'?"),
        ("[mqtt.tls]\nenabld = true", "mqtt.tls.enabld", "did you mean 'enabled'?"),
        ("[zork]", "zork", "unknown setting; expected one of alerts, bundle"),
        ("mqtt = 3", "mqtt", "not 3"),
        ("[windows]\nstride = 0", "windows.stride", "must be greater than or equal to 1, not 0"),
        ("[windows]\nstride = 1.5", "windows.stride", "not 1.5"),
        ("[windows]\nmax_gap = 0", "windows.max_gap", "must be greater than 0, not 0"),
        ("[windows]\nmax_gap = nan", "windows.max_gap", "must be a finite number, not nan"),
        ("[windows]\nstale_after = inf", "windows.stale_after", "not inf"),
        ("[alerts]\nraise_after = 0", "alerts.raise_after", "not 0"),
        ('[alerts]\nmode = "often"', "alerts.mode", "not 'often'"),
        ('[log]\nlevel = "INFO"', "log.level", "not 'INFO'"),
        ("[input]\ntopics = []", "input.topics", "must not be empty"),
        ('[input]\ntopics = "a/{x}"', "input.topics", "not 'a/{x}'"),
        ('[input]\ntopics = ["a/+"]', "input.topics", "'+' must be text in which each {name}"),
    ],
)
def test_file_is_held_to_types_and_rules(file: Path, content: str, key: str, message: str) -> None:
    """A wrong setting in the file is refused with file, key, rule and offending value."""
    file.write_text(content)
    error = _load_error(file)
    assert error.startswith(f"{file}: {key}")
    assert message in error


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("MONITOR_MQTT__PORT", "many", "mqtt.port must be a valid integer"),
        ("MONITOR_MQTT__PORT", "many", "not 'many'"),
        ("MONITOR_MQTT__QOS", "7", "mqtt.qos must be 0, 1 or 2, not 7"),
        ("MONITOR_MQTT__HSOT", "x", "mqtt.hsot is an unknown setting; did you mean 'host'?"),
        ("MONITOR_MQTTT__HOST", "x", "unknown setting; did you mean 'MONITOR_MQTT__HOST'?"),
        ("MONITOR_MQTT_HOST", "x", "unknown setting; did you mean 'MONITOR_MQTT__HOST'?"),
        ("MONITOR_INPUT_MAX_GROUPS", "x", "unknown setting; did you mean 'MONITOR_INPUT__MAX_GROUPS'?"),
        ("MONITOR_FOO", "1", "unknown setting; a valid name is, for example, MONITOR_MQTT__HOST"),
        ("MONITOR_WINDOWS__MAX_GAP", "nan", "windows.max_gap must be a finite number, not 'nan'"),
        ("MONITOR_INPUT__TOPICS", '["a/+"]', "'+' must be text in which each {name}"),
        ("MONITOR_INPUT__TOPICS", '["sensor-monitor/{x}"]', "base_topic 'sensor-monitor'"),
        ("MONITOR_MQTT", '{"port": "many"}', "mqtt.port must be a valid integer"),
    ],
)
def test_environment_is_named(
    variable: str, text: str, message: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting in the environment is refused with the name of the variable, not of the file."""
    monkeypatch.setenv(variable, text)
    error = _load_error(file)
    assert error.startswith(f"environment {variable}: ")
    assert message in error


@pytest.mark.parametrize(
    "variable", ["MONITOR_INPUT__TOPICS", "MONITOR_MQTT__TLS", "monitor_input", "MONITOR_MQTT"]
)
def test_list_in_the_environment_is_json(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list or table that isn't JSON is refused with the name of the variable and an example."""
    monkeypatch.setenv("MONITOR_INPUT__FIELDS", "{}")
    monkeypatch.setenv("OTHER", "a/{x}")
    monkeypatch.setenv(variable, "a/{x}")
    error_text = _load_error(None)
    assert error_text.startswith(
        f"environment {variable}: is not valid JSON; lists and tables must be given as JSON"
    )


def test_error_in_file_names_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong type in the file is an error of the file even if the environment overrides the key."""
    file.write_text('[mqtt]\nport = "1883"')
    monkeypatch.setenv("MONITOR_MQTT__PORT", "1884")
    assert _load_error(file).startswith(f"{file}: mqtt.port")


def test_all_problems_are_counted(file: Path) -> None:
    """If several settings are wrong, the first is described and the others are counted."""
    file.write_text("[mqtt]\nport = 0\nqos = 7\nkeepalive = 1")
    assert _load_error(file).endswith("(and 2 more)")


@pytest.mark.parametrize(
    ("topics", "reason"),
    [
        (["sensor-monitor/{a}"], "base_topic 'sensor-monitor'"),
        (["sensor-monitor/x/{b}"], "base_topic 'sensor-monitor'"),
        (["x/{a}", "y/{a}"], "yield the same group"),
    ],
)
def test_conflicting_templates(file: Path, topics: list[str], reason: str) -> None:
    """Input templates that match base_topic, or two that yield the same group, are refused."""
    file.write_text(f"[input]\ntopics = {topics}")
    error_text = _load_error(file)
    assert error_text.startswith(f"{file}: input.topics: ")
    assert reason in error_text


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        (["a/b", "c"], "'c' fits no template; expected so many parts, none empty: 2 for 'x/{a}/{b}' or "),
        (["a/b/c/d"], "'a/b/c/d' fits no template"),
        (["a//b"], "'a//b' fits no template"),
    ],
)
def test_expected_group_that_cannot_come(file: Path, groups: list[str], reason: str) -> None:
    """A group of `input.groups` that no template can yield is rejected with the expected form."""
    topics = ["x/{a}/{b}", "y/{a}/{b}/{c}"]
    file.write_text(f"[input]\ntopics = {topics}\ngroups = {groups}")
    assert _load_error(file).startswith(f"{file}: input.groups: {reason}")
    file.write_text(f"[input]\ntopics = {topics}\ngroups = ['a/b', 'a/b/c']")
    assert load_settings(file).input.groups == ("a/b", "a/b/c")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"mqtt = [", "is not TOML"), (b"a = 1\na = 2", "is not TOML"), (b'a = "\xff"', "is not UTF-8 text")],
)
def test_no_toml(file: Path, content: bytes, reason: str) -> None:
    """A file that isn't TOML is refused by name."""
    file.write_bytes(content)
    assert _load_error(file).startswith(f"{file}: {reason}")


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is rejected with its name and the expected kind of file."""
    path = tmp_path / "none.toml"
    assert _load_error(path) == f"{path}: can't be read: No such file or directory; expected a TOML file"


def test_no_regular_file(tmp_path: Path) -> None:
    """A folder or a pipe instead of a file is rejected, and never read as an empty file."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        assert _load_error(path) == f"{path}: is not a regular file; expected a TOML file"


@pytest.mark.parametrize(
    "content",
    [
        f'[mqtt]\npassword = "{SECRET}"',
        f'[mqtt]\nusername = "u"\npassword = ["{SECRET}"]',
        f'[mqtt]\nusername = "u"\npassword = "{SECRET}"\npassword_file = "f"',
        f'[mqtt]\nusername = "u"\npasword = "{SECRET}"',
        f'[mqtt]\nusername = "u"\npassword = "{SECRET}"\nport = 0',
        f'[mqtt]\nusername = "u"\npassword = "{SECRET}',
    ],
)
def test_secret_in_the_file(file: Path, content: str) -> None:
    """No error about a file shows the password in it."""
    file.write_text(content)
    assert SECRET not in _load_error(file)


@pytest.mark.parametrize("variable", ["MONITOR_MQTT__PASSWORD", "MONITOR_MQTT__PASWORD", "MONITOR_MQTT"])
def test_secret_in_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No error about the environment shows the password in it."""
    monkeypatch.setenv(variable, SECRET)
    assert SECRET not in _load_error(None)


def test_secret_that_is_a_number(file: Path) -> None:
    """A password that is a number in the file is refused without being shown."""
    file.write_text('[mqtt]\nusername = "u"\npassword = 31415')
    error_text = _load_error(file)
    assert "mqtt.password must be a valid string" in error_text
    assert "31415" not in error_text


def test_secret_in_print(file: Path) -> None:
    """Printed settings don't show the password."""
    file.write_text(f'[mqtt]\nusername = "u"\npassword = "{SECRET}"')
    settings = load_settings(file)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert read_password(settings.mqtt) == SECRET


def test_password_file(tmp_path: Path) -> None:
    """A password is read from its file without the last newline."""
    path = tmp_path / "secret"
    path.write_text(f" {SECRET} \n")
    assert read_password(MqttSettings(username="u", password_file=path)) == f" {SECRET} "


def test_password_file_missing(tmp_path: Path) -> None:
    """A password file that can't be read is refused by key and name."""
    path = tmp_path / "none"
    with pytest.raises(ConfigurationError, match=f"mqtt.password_file: {path} can't be read: No such file"):
        read_password(MqttSettings(username="u", password_file=path))


def test_password_file_empty(tmp_path: Path) -> None:
    """An empty password file is refused by the setting that names it."""
    path = tmp_path / "empty"
    path.touch()
    mqtt = MqttSettings(username="u", password_file=path, publish_username="v", publish_password_file=path)
    with pytest.raises(ConfigurationError, match=f"mqtt.password_file: {path} is empty"):
        read_password(mqtt)
    with pytest.raises(ConfigurationError, match=f"mqtt.publish_password_file: {path} is empty"):
        read_password(mqtt.for_publishing)


def test_systemd_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables with our prefix that systemd sets are not refused as unknown settings."""
    monkeypatch.setenv("MONITOR_UNIT", "other.service")
    monkeypatch.setenv("MONITOR_EXIT_CODE", "exited")
    assert load_settings(None).mqtt.port == 1883


def test_checks(file: Path) -> None:
    """Each check can be turned off, for some groups too; sentinels are numbers by feature."""
    assert load_settings(None).checks.model_dump() == {
        "limits": True, "flat": True, "drift": True, "sentinels": {}, "rules": (),
    }  # fmt: skip
    file.write_text(
        "[checks]\nflat = false\n[checks.sentinels]\ntemperature_1 = [85, -127.5]\n"
        '[[checks.rules]]\ngroups = "kiln/*"\ndrift = false'
    )
    checks = load_settings(file).checks
    assert (checks.limits, checks.flat) == (True, False)
    assert checks.sentinels == {"temperature_1": (85.0, -127.5)}
    assert (checks.rules[0].groups, checks.rules[0].drift, checks.rules[0].flat) == ("kiln/*", False, None)
    file.write_text("[checks.sentinels]\ntemperature_1 = [nan]")
    assert "checks.sentinels.temperature_1" in _load_error(file)


def test_alert_rules(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules for some groups are tables in the file and JSON in the environment; unknown keys are refused."""
    file.write_text('[[alerts.rules]]\ngroups = "line1/*"\nraise_after = 3')
    (rule,) = load_settings(file).alerts.rules
    assert (rule.groups, rule.raise_after, rule.clear_after) == ("line1/*", 3, None)
    file.write_text('[[alerts.rules]]\ngroups = "line1/*"\nraise_aftr = 3')
    expected = "alerts.rules.0.raise_aftr is an unknown setting; did you mean 'raise_after'?"
    assert _load_error(file) == f"{file}: {expected}"
    file.write_text("[[alerts.rules]]\nraise_after = 3")
    assert _load_error(file) == f"{file}: alerts.rules.0.groups is missing"
    monkeypatch.setenv("MONITOR_ALERTS__RULES", '[{"groups": "a", "clear_below": 0.25}]')
    assert load_settings(None).alerts.rules[0].clear_below == 0.25
