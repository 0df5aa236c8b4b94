from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.config.loading import load_settings
from monitor.core.errors import ConfigurationError

TOP = 'features = {temperature_1 = "t", humidity_1 = "h"}'
BOTTOM = 'features = {temperature_2 = "t", humidity_2 = "h"}'


def _write(folder: Path, *sources: str, rest: str = "") -> Path:
    """Write a settings file with these sources, each given as its lines."""
    file = folder / "plant.toml"
    file.write_text("\n".join([*(f"[[input.sources]]\n{source}" for source in sources), rest]))
    return file


def _error(file: Path) -> str:
    """Load a settings file that is wrong; return the error."""
    with pytest.raises(ConfigurationError) as error:
        load_settings(file)
    text = str(error.value)
    assert "\n" not in text
    return text.removeprefix(f"{file}: ")


def _check(file: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run `check` on a settings file; return exit code and error output."""
    code = main(["check", "--config", str(file), "--bundle", ""])
    return code, capsys.readouterr().err


def test_defaults(tmp_path: Path) -> None:
    """A source needs no more than a topic; alignment waits 5 s and holds values for 450 s."""
    settings = load_settings(_write(tmp_path, 'topic = "plant/{rack}"')).input
    (source,) = settings.sources
    assert (source.format, source.zone, source.numbers, source.partial) == ("json", "UTC", "number", False)
    assert source.record_paths == (None, "value", "ts")
    align = settings.align
    assert (align.period, align.wait, align.max_age, align.on_change) == (None, 5.0, 450.0, True)


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ('topic = "a/{b}"\nformat = "senml"', ("n", "v", "t")),
        ('topic = "a/{b}"\nformat = "influx"', (None, "value", "timestamp")),
        ('topic = "a/{b}"\nformat = "number"\nfeature = "x"', (None, "value", "")),
        ('topic = "a/{b}"\nkey = "id"\nvalue = "v"\nts = "t"', ("id", "v", "t")),
    ],
)
def test_paths_of_formats(tmp_path: Path, source: str, paths: tuple[str, ...]) -> None:
    """Each format has its own default places of name, value and event time."""
    assert load_settings(_write(tmp_path, source)).input.sources[0].record_paths == paths


def test_topics_of_sources(tmp_path: Path) -> None:
    """Sources take the place of the default of input.topics, and a topic of several is subscribed to once."""
    file = _write(tmp_path, f'topic = "plant/{{rack}}"\n{TOP}', f'topic = "plant/{{rack}}"\n{BOTTOM}')
    assert load_settings(file).input.filters == ("plant/+",)


@pytest.mark.parametrize(
    ("source", "topics"),
    [
        ('topic = "a/{b}"', []),
        ('topic = "a/{b}/{feature}"\nformat = "number"', []),
        ('topic = "a/{b}"\nrecords = "values"', []),
        ('topic = "a/{b}"\nrecords = "devices.{id}"', ["a/{b}"]),
        ('topic = "a/{b}"\ngroup = "$.device"', ["a/{b}"]),
        ('topic = "a"\ngroup = "machine1"', ["a"]),
        ('topic = "spBv1.0/{g}/NDATA/{e}"\nformat = "sparkplug"', []),
        (
            'topic = "spBv1.0/{g}/DDATA/{e}/{d}"\nformat = "sparkplug"',
            [f"spBv1.0/{{g}}/{kind}/{{e}}" for kind in ("NBIRTH", "NDATA", "NDEATH")],
        ),
    ],
)
def test_gateway_topics(tmp_path: Path, source: str, topics: list[str]) -> None:
    """Messages of several groups may come where topics don't name the group."""
    (settings,) = load_settings(_write(tmp_path, source)).input.sources
    assert sorted(template.text for template in settings.gateway_templates) == topics


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ('topic = "a/{b}"\nformat = "xml"', "input.sources.0.format must be 'json', 'number', "),
        ('topic = "a/{b}"\nzone = "Berlin"', "input.sources.0.zone must be a zone of the IANA database"),
        (
            'topic = "a/{b}"\nts_unit = "m"',
            "input.sources.0.ts_unit must be 's', 'ms', 'us' or 'ns', not 'm'",
        ),
        ('topic = "a/{b}"\ntss = "t"', "input.sources.0.tss is an unknown setting; did you mean 'ts'?"),
        ('topic = "a/{b"', "input.sources.0.topic: '{b' must be text in which each {name} is"),
        ('topic = "a/+"', "input.sources.0.topic: '+' must be text in which each {name} is"),
        ('topic = "a/{b}"\nmax_age = 0', "input.sources.0.max_age must be greater than 0, not 0"),
        ('topic = "a/{b}"\ngroup = "x#"', "input.sources.0.group must be a topic without wildcards"),
        ('format = "json"', "input.sources.0.topic is missing"),
        (
            'topic = "iotgateway"',
            "input.sources.0: a source without names in topic or records needs group",
        ),
        (
            'topic = "{feature}"\nformat = "number"',
            "input.sources.0: a source without names in topic or records needs group",
        ),
        ('topic = "a/{b}"\nformat = "number"', 'the format "number" needs feature, or {feature} in topic'),
        (
            'topic = "a/{b}"\nformat = "number"\nfeature = "x"\nts = "t"',
            'the format "number" has no records, key or ts: a payload is one number',
        ),
        ('topic = "a/{b}"\nformat = "records"', 'the format "records" needs key: where a record names'),
        (
            'topic = "a/{feature}/{b}"\nfeature = "x"',
            "feature must not be given where topic or records name the feature",
        ),
        (
            'topic = "a/{b}"\nfeature = "x"\nfeatures = {x = "t"}',
            "features beside feature must have scale, offset and good of that feature only",
        ),
        (
            'topic = "a/{b}"\nvalue = "v"',
            "value is for records with a key, and for one feature; expected features",
        ),
        ('topic = "a/{b}"\nfeatures = {temperature_1 = {scale = 0.0}}', "scale must not be 0"),
        (
            'topic = "a/{b}"\nfeatures = {temperature_1 = {path = "t", skale = 2.0}}',
            "features.temperature_1.skale is an unknown setting; did you mean 'scale'?",
        ),
        (
            'topic = "a/{b}"\nfeatures = {temperature_1 = {path = "t", scale = "2"}}',
            "features.temperature_1.scale must be a valid number, not '2'",
        ),
        ('topic = "a/{b}"\nfeatures = {temperature_1 = ""}', "features.temperature_1.path must not be empty"),
        ('topic = "a/{b}"\nts_format = "%Q"', "ts_format must be a format of strptime"),
        ('topic = "a"\ngroup = "$."', "group must have a path behind '$.'"),
        (
            'topic = "a/{b}"\nts_unit = "ms"\nts_format = "%H"',
            "ts_format is for text and ts_unit for numbers; expected one of them",
        ),
    ],
)
def test_invalid_source(tmp_path: Path, source: str, error: str) -> None:
    """A source that can't be meant is refused with its number, the setting, and the rule."""
    text = _error(_write(tmp_path, source))
    assert text.startswith("input.sources.0")
    assert error in text


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("[input.align]\nwait = 0", "input.align.wait must be greater than 0, not 0"),
        (
            "[input.align]\nperiod = -1.0",
            "input.align.period must be greater than or equal to 0.001, not -1.0",
        ),
        ("[input.align.deadband]\nx = 0", "input.align.deadband.x must be greater than 0, not 0"),
        ("[input.align]\nmaxage = 1", "input.align.maxage is an unknown setting; did you mean 'max_age'?"),
        (
            '[input]\ntopics = ["x/{a}"]',
            "input: sources must not be set beside topics and fields, which are their short form",
        ),
    ],
)
def test_invalid_input(tmp_path: Path, rest: str, error: str) -> None:
    """Bad settings of the alignment, and sources beside their short form, are refused."""
    if rest.startswith("[input]"):
        file = tmp_path / "plant.toml"
        file.write_text(f'{rest}\n[[input.sources]]\ntopic = "a/{{b}}"')
    else:
        file = _write(tmp_path, 'topic = "a/{b}"', rest=rest)
    assert _error(file) == error


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('topic = "a/{x}"', 'topic = "b/{x}"'),
        ('topic = "a/{x}"\nfeature = "f"', 'topic = "b/{x}"\nfeatures = {f = "t"}'),
        ('topic = "a/{x}"\nfeature = "f"', 'topic = "b"\nfeature = "f"\ngroup = "rack3"'),
        ('topic = "a"\nfeature = "f"\ngroup = "rack3"', 'topic = "b"\nfeature = "f"\ngroup = "rack3"'),
        ('topic = "a"\nfeature = "f"\ngroup = "$.d"', 'topic = "b"\nfeature = "f"\ngroup = "rack3"'),
        ('topic = "a"\nfeature = "f"\ngroup = "rack3"', 'topic = "b/{x}"\nfeature = "f"\ngroup = "$.d"'),
        ('topic = "a/{x}"\nfeature = "f"', 'topic = "b"\nfeature = "f"\nrecords = "{d}"'),
        ('topic = "a/{x}/{feature}"', 'topic = "b/{x}"\nfeature = "f"'),
    ],
)
def test_conflict(tmp_path: Path, first: str, second: str) -> None:
    """Two sources that could give the same feature of the same group are refused, with their topics."""
    text = _error(_write(tmp_path, first, second))
    assert "could give" in text
    assert "of the same group" in text
    for source in (first, second):
        assert repr(source.split('"')[1]) in text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('topic = "a/{x}"\nfeature = "f"', 'topic = "b/{x}"\nfeature = "g"'),
        ('topic = "a/{x}"\nfeature = "f"', 'topic = "b/{x}/{y}"\nfeature = "f"'),
        ('topic = "a"\nfeature = "f"\ngroup = "rack3"', 'topic = "a"\nfeature = "f"\ngroup = "rack4"'),
        ('topic = "a/{x}/{y}"\nfeature = "f"', 'topic = "b"\nfeature = "f"\ngroup = "rack3"'),
    ],
)
def test_no_conflict(tmp_path: Path, first: str, second: str) -> None:
    """Sources of different features, or of groups that can't be the same, go together."""
    assert len(load_settings(_write(tmp_path, first, second)).input.sources) == 2


def test_own_output(tmp_path: Path) -> None:
    """A source of nothing but the monitor's own output is refused."""
    text = _error(_write(tmp_path, 'topic = "sensor-monitor/state/{x}"'))
    assert "the monitor would read its own output" in text


def test_expected_group(tmp_path: Path) -> None:
    """An expected group that no source can give is refused."""
    file = tmp_path / "plant.toml"
    file.write_text('[input]\ngroups = ["line1/rack3"]\n[[input.sources]]\ntopic = "a/{x}"')
    assert "'line1/rack3' fits no source" in _error(file)


@pytest.mark.parametrize(
    ("sources", "error"),
    [
        (['topic = "a/{x}"\nfeatures = {temp = "t"}'], "features: 'temp' is no feature of the bundle"),
        (['topic = "a/{x}"\nfeature = "temp"'], "feature: 'temp' is no feature of the bundle"),
        (
            [f'topic = "a/{{x}}"\n{TOP}'],
            "input.sources: no source gives temperature_2, humidity_2; expected one for each feature",
        ),
        (
            ['topic = "a/{x}"\nfeatures = {temperature_1 = "a..b"}'],
            "input.sources.0 (a/{x}): 'a..b' is no dotted path: it has an empty part",
        ),
        (
            ['topic = "a/{x}/{feature}"\nfeatures = {temperature_1 = "t", humidity_1 = "t"}'],
            "input.sources.0 (a/{x}/{feature}): features: 't' stands for two features",
        ),
        (
            ['topic = "a/{x}/{feature}"\nfeatures = {temperature_1 = ["t"]}'],
            "features.temperature_1 is a list; expected the name that the records or topics have",
        ),
    ],
)
def test_sources_that_the_bundle_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sources: list[str], error: str
) -> None:
    """Sources that don't fit the bundle's features are a wrong setting: exit code 2 and one line."""
    code, output = _check(_write(tmp_path, *sources, rest='[store]\npath = "s.db"'), capsys)
    assert (code, output.count("\n")) == (2, 1), output
    assert error in output


def test_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad source is exit code 2, and the line has file, setting and rule."""
    file = _write(tmp_path, 'topic = "a/{x}"\nzone = "Berlin"')
    code, output = _check(file, capsys)
    assert code == 2
    assert f"{file}: input.sources.0.zone must be a zone of the IANA database" in output


def test_unknown_deadband(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A deadband of what is no feature of the bundle is a wrong setting."""
    file = _write(tmp_path, 'topic = "a/{x}"\npartial = true', rest="[input.align.deadband]\ntemp = 0.5")
    code, output = _check(file, capsys)
    assert code == 2
    assert "input.align.deadband: 'temp' is no feature of the bundle; expected temperature_1, " in output


def test_one_table_in_place_of_a_list(tmp_path: Path) -> None:
    """[input.sources] with single brackets is refused with what to write."""
    file = tmp_path / "plant.toml"
    file.write_text('[input.sources]\ntopic = "plant/{rack}"')
    assert _error(file) == (
        "input.sources must be a list of tables, and [input.sources] is one table; expected [[input.sources]]"
    )


def test_error_that_the_bundle_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found only where settings meet the bundle is told with their file, or their variable."""
    file = _write(tmp_path, f'topic = "plant/{{rack}}"\n{TOP}')
    reason = "input.sources: no source gives temperature_2, humidity_2; expected one for each feature"
    assert _check(file, capsys) == (2, f"sensor-monitor: {file}: {reason}\n")
    monkeypatch.setenv("MONITOR_WINDOWS__MAX_GAP", "0.5")
    file.write_text("")
    code, error = _check(file, capsys)
    assert code == 2
    assert error.startswith("sensor-monitor: environment MONITOR_WINDOWS__MAX_GAP: windows.max_gap is 0.5 s")
