import pytest

from monitor.core.sparkplug_topics import (
    SparkplugTopic,
    check_data_template,
    data_topic,
    message_templates,
    rebirth_topic,
)
from monitor.core.topics import Template


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("spBv1.0/press/DBIRTH/gateway/rack3", ("DBIRTH", "press", "gateway", "rack3")),
        ("spBv1.0/press/DDATA/gateway/rack3", ("DDATA", "press", "gateway", "rack3")),
        ("spBv1.0/press/NDEATH/gateway", ("NDEATH", "press", "gateway", "")),
        ("spBv1.0/press/NDATA/gateway/rack3", None),
        ("spBv1.0/press/DDATA/gateway", None),
        ("spBv1.0/press/NCMD/gateway", None),
        ("spBv1.0/press/DCMD/gateway/rack3", None),
        ("spBv1.0/STATE/scada", None),
        ("spBv1.0/press/DDATA/gateway/", None),
        ("spBv1.0/press/DDATA/gateway/rack3/more", None),
        ("spAv1.0/press/DDATA/gateway/rack3", None),
        ("spBv1.0", None),
    ],
)
def test_parse(topic: str, expected: tuple[str, ...] | None) -> None:
    """Topics of births, data and deaths are taken apart; commands and states of hosts are none of them."""
    assert SparkplugTopic.parse(topic) == expected


def test_topics_of_a_sender() -> None:
    """Data of a device, data of the node, and commands to the node have the topics of the specification."""
    assert data_topic("press", "gateway", "rack3") == "spBv1.0/press/DDATA/gateway/rack3"
    assert data_topic("press", "gateway", "") == "spBv1.0/press/NDATA/gateway"
    assert rebirth_topic("press", "gateway") == "spBv1.0/press/NCMD/gateway"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (
            "spBv1.0/{site}/DDATA/{edge}/{rack}_top",
            {
                "spBv1.0/{site}/DBIRTH/{edge}/{rack}_top",
                "spBv1.0/{site}/DDATA/{edge}/{rack}_top",
                "spBv1.0/{site}/DDEATH/{edge}/{rack}_top",
                "spBv1.0/{site}/NBIRTH/{edge}",
                "spBv1.0/{site}/NDATA/{edge}",
                "spBv1.0/{site}/NDEATH/{edge}",
            },
        ),
        (
            "spBv1.0/press/NDATA/{edge}",
            {"spBv1.0/press/NBIRTH/{edge}", "spBv1.0/press/NDATA/{edge}", "spBv1.0/press/NDEATH/{edge}"},
        ),
    ],
)
def test_message_templates(template: str, expected: set[str]) -> None:
    """To data belong births and deaths, of a device's edge node too; never commands or states of hosts."""
    assert {one.text for one in message_templates(Template(template))} == expected


@pytest.mark.parametrize("text", ["spBv1.0/{site}/DDATA/{edge}/{device}", "spBv1.0/press/NDATA/{edge}"])
def test_data_template(text: str) -> None:
    """Data of devices and of edge nodes can be read."""
    check_data_template(Template(text))


@pytest.mark.parametrize(
    "text",
    [
        "spBv1.0/{site}/DBIRTH/{edge}/{device}",
        "spBv1.0/{site}/{type}/{edge}/{device}",
        "spBv1.0/{site}/NDATA/{edge}/{device}",
        "spBv1.0/{site}/DDATA/{edge}",
        "{namespace}/{site}/DDATA/{edge}/{device}",
        "spBv1.0/STATE/{host}",
    ],
)
def test_refused_template(text: str) -> None:
    """A template of anything else is refused, with what is expected."""
    with pytest.raises(ValueError, match=r"must be spBv1.0/<group id>/DDATA/<edge node>/<device>"):
        check_data_template(Template(text))
