import pytest
from pydantic import ValidationError

from monitor.config.settings import InputSettings
from monitor.config.source_settings import SourceSettings

DEVICES = "spBv1.0/{site}/DDATA/{edge}/{device}"


def test_filters() -> None:
    """The subscriptions cover births, data and deaths, none twice; never STATE, NCMD or DCMD."""
    settings = InputSettings(
        sources=(
            SourceSettings(topic=DEVICES, format="sparkplug"),
            SourceSettings(topic="spBv1.0/press/DDATA/{edge}/{rack}_top", format="sparkplug"),
            SourceSettings(topic="spBv1.0/{site}/NDATA/{edge}", format="sparkplug", group="nodes"),
            SourceSettings(topic="zigbee2mqtt/{rack}"),
        )
    )
    assert set(settings.filters) == {
        "zigbee2mqtt/+",
        *(f"spBv1.0/+/{kind}/+/+" for kind in ("DBIRTH", "DDATA", "DDEATH")),
        *(f"spBv1.0/+/{kind}/+" for kind in ("NBIRTH", "NDATA", "NDEATH")),
    }
    assert len(settings.filters) == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"topic": "spBv1.0/{site}/NCMD/{edge}"}, "must be spBv1.0/<group id>/DDATA"),
        ({"topic": "spBv1.0/{site}/DDATA/{edge}/{feature}"}, "and not {feature} in topic"),
        ({"topic": DEVICES, "feature": "temperature_1"}, "expected features, and not feature"),
        ({"topic": DEVICES, "key": "alias", "partial": True}, "expected features, and not key, partial"),
    ],
)
def test_refused(fields: dict[str, object], message: str) -> None:
    """What Sparkplug defines can't be set; the topic has to be one of data."""
    with pytest.raises(ValidationError) as error:
        SourceSettings.model_validate({"format": "sparkplug", **fields})
    assert message in str(error.value)


def test_defaults_written_out() -> None:
    """Settings that are as by default count as not given, as where settings are merged from files."""
    source = SourceSettings(topic=DEVICES, format="sparkplug")
    assert SourceSettings.model_validate(source.model_dump()) == source
