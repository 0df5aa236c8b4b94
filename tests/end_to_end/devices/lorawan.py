"""LoRaWAN network servers."""

from tests.end_to_end.devices.step import Climate, Message, Step, iso, message

__all__ = ["chirpstack", "the_things_stack"]


def the_things_stack(now: Step, _before: Step | None) -> list[Message]:
    """Return an uplink of each of two devices, with times in nanoseconds."""
    return [_uplink(f"rack3-{place}", climate) for place, climate in zip(("top", "bottom"), now, strict=True)]


def _uplink(device: str, climate: Climate) -> Message:
    ids = {
        "device_id": device,
        "application_ids": {"application_id": "climate"},
        "dev_eui": "0004A30B001C0530",
        "join_eui": "800000000000000C",
        "dev_addr": "260B4F2A",
    }
    uplink = {
        "session_key_id": "AXA50tHUTw==",
        "f_port": 1,
        "f_cnt": 23,
        "frm_payload": "CHgB",
        "decoded_payload": {"temperature": climate.temperature, "humidity": climate.humidity},
        "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -97, "snr": 7.2}],
        "received_at": f"{iso(climate.ts)}.000000321Z",
    }
    return message(
        f"v3/climate@ttn/devices/{device}/up",
        {
            "end_device_ids": ids,
            "correlation_ids": ["gs:uplink:01HFWQ"],
            "received_at": f"{iso(climate.ts)}.210987654Z",
            "uplink_message": uplink,
        },
    )


def chirpstack(now: Step, _before: Step | None) -> list[Message]:
    """Return the uplink of one device with all four values."""
    application = "3f1c2b6e-9a53-4c1e-a9a5-0d7d3c3a9a11"
    device = {
        "tenantId": "52f14cd4-c6f1-4fbd-8f87-4025e1d49242",
        "tenantName": "plant",
        "applicationId": application,
        "applicationName": "climate",
        "deviceProfileName": "probe",
        "deviceName": "rack3",
        "devEui": "0101010101010101",
        "tags": {},
    }
    content = {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": f"{iso(now.top.ts)}.000000321+00:00",
        "deviceInfo": device,
        "devAddr": "00189440",
        "dr": 1,
        "fPort": 1,
        "data": "qg==",
        "object": {
            "temperature_1": now.top.temperature,
            "humidity_1": now.top.humidity,
            "temperature_2": now.bottom.temperature,
            "humidity_2": now.bottom.humidity,
        },
        "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -97, "snr": 7.2}],
    }
    return [message(f"application/{application}/device/0101010101010101/event/up", content)]
