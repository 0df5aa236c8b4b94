"""How plants send: for each layout the messages of one round, as the devices send them."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import cbor2
import msgspec

Message = tuple[str, bytes]
Values = Sequence[float]
"""temperature_1, humidity_1, temperature_2, humidity_2."""
Round = Callable[[str, float, Values], list[Message]]
"""Messages of one rack: its name, the time in seconds since 1970, its values."""


class Layout(NamedTuple):
    """A way of sending."""

    messages: Round
    group: str
    """Name of the group that the proposal gives the rack; {rack} is the rack's name."""
    racks: Sequence[str] = ("rack3", "rack4")


def _json(topic: str, content: Any) -> Message:
    return topic, json.dumps(content).encode()


def _iso(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat().replace("+00:00", "Z")


def zigbee2mqtt(rack: str, ts: float, values: Values) -> list[Message]:
    """A device a topic, with attributes that are none of the plant's."""
    t1, h1, t2, h2 = values
    extra = {"linkquality": 120, "battery": 97, "device_temperature": 31, "temperature_calibration": 0}
    return [
        _json(f"zigbee2mqtt/{rack}_top", {"temperature": t1, "humidity": h1, "last_seen": _iso(ts), **extra}),
        _json(
            f"zigbee2mqtt/{rack}_bottom", {"temperature": t2, "humidity": h2, "last_seen": _iso(ts), **extra}
        ),
    ]


def esphome(rack: str, _: float, values: Values) -> list[Message]:
    """A plain number a topic."""
    names = ("top_temperature", "top_humidity", "bottom_temperature", "bottom_humidity")
    return [
        (f"{rack}/sensor/{name}/state", str(value).encode())
        for name, value in zip(names, values, strict=True)
    ]


def shelly1(rack: str, _: float, values: Values) -> list[Message]:
    """Two devices, each with a topic for each value."""
    t1, h1, t2, h2 = (str(value).encode() for value in values)
    return [
        (f"shellies/{rack}-in/sensor/temperature", t1),
        (f"shellies/{rack}-in/sensor/humidity", h1),
        (f"shellies/{rack}-in/sensor/battery", b"87"),
        (f"shellies/{rack}-out/sensor/temperature", t2),
        (f"shellies/{rack}-out/sensor/humidity", h2),
    ]


def statestream(rack: str, _: float, values: Values) -> list[Message]:
    """Home Assistant's statestream: the rack's name is part of a level."""
    names = ("temperature_1", "humidity_1", "temperature_2", "humidity_2")
    return [
        (f"statestream/sensor/{rack}_{name}/state", str(value).encode())
        for name, value in zip(names, values, strict=True)
    ]


def tasmota(rack: str, ts: float, values: Values) -> list[Message]:
    """Nested objects by sensor, and local time without zone."""
    t1, h1, t2, h2 = values
    local = datetime.fromtimestamp(ts, UTC) + timedelta(hours=1)
    content = {
        "Time": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "SHT3X-0x44": {"Temperature": t1, "Humidity": h1, "DewPoint": 9.1},
        "SHT3X-0x45": {"Temperature": t2, "Humidity": h2, "DewPoint": 9.2},
        "TempUnit": "C",
    }
    return [_json(f"tele/{rack}/SENSOR", content)]


def shelly2(rack: str, ts: float, values: Values) -> list[Message]:
    """Only what changed, with keys that have a colon, in degC and degF."""
    source = f"shellyplus-{rack}"

    def notify(**params: Any) -> Message:
        content = {
            "src": source,
            "dst": f"{source}/events",
            "method": "NotifyStatus",
            "params": {"ts": ts, **params},
        }
        return _json(f"{rack}/events/rpc", content)

    t1, h1, t2, h2 = values
    first = {
        "temperature:100": {"id": 100, "tC": t1, "tF": t1 * 1.8 + 32},
        "humidity:100": {"id": 100, "rh": h1},
    }
    return [
        notify(**first),
        notify(**{"temperature:101": {"id": 101, "tC": t2, "tF": t2 * 1.8 + 32}}),
        notify(**{"humidity:101": {"id": 101, "rh": h2}}),
    ]


def tts(rack: str, ts: float, values: Values) -> list[Message]:
    """The Things Stack: a nested decoded payload, times with nanoseconds, gateways beside it."""
    t1, h1, t2, h2 = values
    content = {
        "end_device_ids": {"device_id": rack, "application_ids": {"application_id": "plant"}},
        "correlation_ids": [f"gs:{ts}"],
        "received_at": _iso(ts).replace("Z", "123456Z") if "." in _iso(ts) else _iso(ts),
        "uplink_message": {
            "f_port": 1,
            "decoded_payload": {"temp_top": t1, "hum_top": h1, "temp_bottom": t2, "hum_bottom": h2},
            "rx_metadata": [{"gateway_ids": {"gateway_id": "g1"}, "rssi": -60, "snr": 9.5}],
        },
    }
    return [_json(f"v3/plant@tenant/devices/{rack}/up", content)]


def chirpstack(rack: str, ts: float, values: Values) -> list[Message]:
    """ChirpStack: two devices with EUIs, told apart by the device's name in the payload only."""
    t1, h1, t2, h2 = values
    return [
        _json(
            f"application/7/device/{rack}{place}/event/up",
            {
                "time": _iso(ts),
                "deviceInfo": {"deviceName": f"{rack}{place}"},
                "rxInfo": [{"gatewayId": "0016c001", "rssi": -57}],
                "object": {"temperature": temperature, "humidity": humidity},
            },
        )
        for place, temperature, humidity in (("-top", t1, h1), ("-bottom", t2, h2))
    ]


def kepware(rack: str, ts: float, values: Values) -> list[Message]:
    """An array of tags below `values`."""
    names = ("TempTop", "HumTop", "TempBottom", "HumBottom")
    return [
        _json(
            "iotgateway",
            {
                "timestamp": int(ts * 1000),
                "values": [
                    {"id": f"Ch1.{rack}.{name}", "v": value, "q": True, "t": int(ts * 1000)}
                    for name, value in zip(names, values, strict=True)
                ],
            },
        )
    ]


def node_red(rack: str, ts: float, values: Values) -> list[Message]:
    """One tag a message, all on one topic."""
    names = ("temp1", "hum1", "temp2", "hum2")
    return [
        _json(f"factory/{rack}/tags", {"sensor": name, "value": value, "time": _iso(ts)})
        for name, value in zip(names, values, strict=True)
    ]


def tag_a_topic(rack: str, ts: float, values: Values) -> list[Message]:
    """A unified namespace: value, time and quality of one tag a topic."""
    names = ("inlet/temperature", "inlet/humidity", "outlet/temperature", "outlet/humidity")
    return [
        _json(f"site/hall/{rack}/{name}", {"value": value, "timestamp": int(ts * 1000), "quality": "Good"})
        for name, value in zip(names, values, strict=True)
    ]


def senml(rack: str, ts: float, values: Values) -> list[Message]:
    """A pack with a base name and a base time."""
    t1, h1, t2, h2 = values
    pack = [
        {"bn": f"urn:dev:{rack}:", "bt": ts, "n": "temp-top", "u": "Cel", "v": t1},
        {"n": "hum-top", "u": "%RH", "v": h1},
        {"n": "temp-bottom", "u": "Cel", "v": t2},
        {"n": "hum-bottom", "u": "%RH", "v": h2},
    ]
    return [_json(f"senml/{rack}", pack)]


def telegraf(rack: str, ts: float, values: Values) -> list[Message]:
    """Fields, tags and a time in seconds; a tag says which sensor it is."""
    t1, h1, t2, h2 = values
    return [
        _json(
            f"telegraf/{rack}",
            {
                "name": "climate",
                "fields": {"temperature": temperature, "humidity": humidity},
                "tags": {"host": "gw1", "position": position},
                "timestamp": int(ts),
            },
        )
        for position, temperature, humidity in (("top", t1, h1), ("bottom", t2, h2))
    ]


def influx(rack: str, ts: float, values: Values) -> list[Message]:
    """Line protocol with four fields; a tag names the rack."""
    t1, h1, t2, h2 = values
    fields = f"temp_top={t1},hum_top={h1},temp_bottom={t2},hum_bottom={h2}"
    return [("influx/climate", f"climate,rack={rack} {fields} {int(ts * 1e6) * 1000}".encode())]


def plain(rack: str, ts: float, values: Values) -> list[Message]:
    """All in one message: the short form."""
    names = ("temperature_1", "humidity_1", "temperature_2", "humidity_2")
    return [_json(f"plant/line1/{rack}/reading", {"ts": ts, **dict(zip(names, values, strict=True))})]


def _binary(topic: str, content: Any, encode: Callable[[Any], bytes]) -> Message:
    return topic, encode(content)


def msgpack(rack: str, ts: float, values: Values) -> list[Message]:
    """MessagePack."""
    t1, h1, t2, h2 = values
    content = {"ts": ts, "t1": t1, "rh1": h1, "t2": t2, "rh2": h2}
    return [_binary(f"mp/{rack}", content, msgspec.msgpack.encode)]


def cbor(rack: str, ts: float, values: Values) -> list[Message]:
    """CBOR."""
    t1, h1, t2, h2 = values
    content = {"ts": ts, "in": {"temp": t1, "rh": h1}, "out": {"temp": t2, "rh": h2}}
    return [_binary(f"cb/{rack}", content, cbor2.dumps)]


def one_topic(rack: str, ts: float, values: Values) -> list[Message]:
    """The device's name in the payload, one topic for all."""
    t1, h1, t2, h2 = values
    return [_json("gateway/data", {"device": rack, "time": ts, "t1": t1, "h1": h1, "t2": t2, "h2": h2})]


def teltonika(rack: str, ts: float, values: Values) -> list[Message]:
    """Integers times 100, and times in quotes."""
    t1, h1, t2, h2 = (round(value * 100) for value in values)
    content = {"timestamp": str(int(ts * 1000)), "temp_1": t1, "hum_1": h1, "temp_2": t2, "hum_2": h2}
    return [_json(f"trackers/{rack}", content)]


LAYOUTS = {
    "zigbee2mqtt": Layout(zigbee2mqtt, "{rack}"),
    "esphome": Layout(esphome, "{rack}"),
    "shelly1": Layout(shelly1, "{rack}"),
    "statestream": Layout(statestream, "{rack}"),
    "tasmota": Layout(tasmota, "{rack}"),
    "shelly2": Layout(shelly2, "{rack}"),
    "tts": Layout(tts, "{rack}"),
    "chirpstack": Layout(chirpstack, "{rack}"),
    "kepware": Layout(kepware, "Ch1/{rack}"),
    "node_red": Layout(node_red, "{rack}"),
    "tag_a_topic": Layout(tag_a_topic, "{rack}"),
    "senml": Layout(senml, "{rack}"),
    "telegraf": Layout(telegraf, "{rack}"),
    "influx": Layout(influx, "{rack}"),
    "plain": Layout(plain, "{rack}"),
    "msgpack": Layout(msgpack, "{rack}"),
    "cbor": Layout(cbor, "{rack}"),
    "one_topic": Layout(one_topic, "{rack}"),
    "teltonika": Layout(teltonika, "{rack}"),
}
