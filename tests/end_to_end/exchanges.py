"""For each example of config/examples: which device it is for, and how that device sends."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.end_to_end.devices import clouds, industry, lorawan, peculiar, ruuvi, smart_home, sparkplug
from tests.end_to_end.devices.step import Climate, Message, Step

__all__ = ["EXCHANGES", "HEALTHY_STEPS", "Exchange"]

HEALTHY_STEPS = 32
FAULTY_STEPS = 4
FAULT_DEGREES = 8.0
"""By how much the sensor of temperature_2 is wrong in the last steps."""

_START_TS = 1_768_478_400  # 2026-01-15T12:00:00Z, a multiple of every interval


@dataclass(frozen=True)
class Exchange:
    """What a device sends for an example."""

    example: str
    """Name of the example's file, without `.toml`."""
    group: str
    """The group that the example makes of the device."""
    device: Callable[[Step, Step | None], list[Message]]
    """What it sends when it measures, given what it measured the last time."""
    interval: int
    """Seconds between two measurements."""
    phases: tuple[int, int] = (0, 0)
    """Seconds by which the two sensors measure before a multiple of `interval`."""
    has_ts: bool = True
    """Whether the messages have event times; without them, a value counts when it arrives."""
    other_groups: frozenset[str] = frozenset()
    """Groups of other devices that the messages are also about."""
    rejected_values: frozenset[str] = frozenset()
    """Outcomes of what else it sends."""

    def steps(self) -> list[Step]:
        """Return what the sensors measure: healthy for `HEALTHY_STEPS`, then with the fault."""
        rng = random.Random(7)  # noqa: S311, noise and no secrets
        steps = []
        for number in range(HEALTHY_STEPS + FAULTY_STEPS):
            fault = FAULT_DEGREES if number >= HEALTHY_STEPS else 0.0
            ts = self.sampling_time(number)
            temperature, humidity = 21 + 0.01 * number, 48 + 0.02 * number
            top = Climate(
                ts - self.phases[0],
                round(temperature + rng.gauss(0, 0.03), 2),
                round(humidity + rng.gauss(0, 0.1), 2),
            )
            bottom = Climate(
                ts - self.phases[1],
                round(temperature + 0.3 + fault + rng.gauss(0, 0.03), 2),
                round(humidity - 1 + rng.gauss(0, 0.1), 2),
            )
            steps.append(Step(top, bottom))
        return steps

    def sampling_time(self, number: int) -> int:
        """Return the time of a step's reading, seconds since the Unix epoch."""
        return _START_TS + number * self.interval

    def values(self, number: int) -> list[float]:
        """Return what the two sensors measure at a step, in the order of the features."""
        top, bottom = self.steps()[number]
        return [top.temperature, top.humidity, bottom.temperature, bottom.humidity]


EXCHANGES = (
    Exchange("zigbee2mqtt", "rack3", smart_home.zigbee2mqtt, 60, (23, 7)),
    Exchange("tasmota", "rack3", smart_home.tasmota, 300, (11, 11)),
    Exchange("ruuvi", "rack3", ruuvi.ruuvi, 10, (3, 1)),
    Exchange("esphome", "rack3", smart_home.esphome, 60, has_ts=False),
    Exchange(
        "shelly-gen1",
        "rack3",
        smart_home.shelly_gen1,
        60,
        has_ts=False,
        rejected_values=frozenset({"unmatched"}),  # the battery
    ),
    Exchange("shelly-gen2", "rack3", smart_home.shelly_gen2, 60, (23, 7)),
    Exchange("shelly-gen2-all", "rack3", smart_home.shelly_gen2_all, 60),
    Exchange("home-assistant", "rack3", smart_home.home_assistant, 60, has_ts=False),
    Exchange("the-things-stack", "rack3", lorawan.the_things_stack, 600, (372, 48)),
    Exchange("chirpstack", "rack3", lorawan.chirpstack, 600),
    Exchange("kepware", "line1", industry.kepware, 10, (3, 1)),
    Exchange("node-red", "line1", industry.node_red, 10, (3, 1)),
    Exchange("opcua-dataset", "line1", industry.opcua_dataset, 10),
    Exchange("opcua-network-message", "rack3", industry.opcua_network_message, 10),
    Exchange("opcua-delta", "press-shop/line1", industry.opcua_delta, 10, (2, 2)),
    Exchange("tags", "line1/rack3", industry.tags, 10, has_ts=False),
    Exchange("tags-json", "line1/rack3", industry.tags_json, 10, (3, 1)),
    Exchange("sparkplug-b", "press-shop/gateway1/rack3", sparkplug.sparkplug_b, 10, (3, 1)),
    Exchange("senml", "rack3", clouds.senml, 60, (23, 7)),
    Exchange("telegraf", "rack3", clouds.telegraf, 10),
    Exchange("telegraf-tags", "rack3", clouds.telegraf_tags, 10, (3, 1)),
    Exchange("influx", "rack3", clouds.influx, 10, (3, 1)),
    Exchange("msgpack", "rack3", clouds.msgpack, 10),
    Exchange("cbor", "rack3", clouds.cbor, 10),
    Exchange("aws-iot", "berlin/rack3", clouds.aws_iot, 60),
    Exchange("aws-shadow", "rack3", clouds.aws_shadow, 60),
    Exchange("thingsboard", "Rack 3", clouds.thingsboard, 10),
    Exchange("teltonika", "352093081452251", peculiar.teltonika, 60),
    Exchange("one-topic", "rack3", peculiar.one_topic, 60, other_groups=frozenset({"rack4"})),
    Exchange("one-topic-sensors", "rack3", peculiar.one_topic_sensors, 60, (23, 7)),
    Exchange("quoted-numbers", "rack3", peculiar.quoted_numbers, 10),
    Exchange("local-times", "rack3", peculiar.local_times, 10),
    Exchange("short-times", "rack3", peculiar.microseconds, 10),
    Exchange("short-times", "rack3", peculiar.nanoseconds, 10),
)
