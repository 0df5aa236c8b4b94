"""The paho clients that the monitor is compared with.

Each is the simplest implementation: a paho client whose `on_message` does the work. As `python -m
tests.bench.paho_clients KIND PORT QOS BUNDLE TOTAL...` it prints `ready` once it is subscribed, and the time
(monotonic seconds) when the number of its messages reaches each TOTAL.
"""

import json
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.bench.workload import KEEPALIVE_S, TOPIC_FILTER

__all__ = ["CLIENT_KINDS", "main"]

# Imports stand in the functions of the kinds that need them: TensorFlow takes 10 s.
# ruff: noqa: PLC0415

_STEPS = 3

ScoreFunction = Callable[[Any], float]
"""Takes a scaled window (1, step, feature) and returns P(Faulty)."""
MessageHandler = Callable[[paho.Client, paho.MQTTMessage], object]
"""Processes one message."""


def _echo_handler(_: Path) -> MessageHandler:
    """Return a handler that publishes each message back on `echo/...`."""
    return lambda client, message: client.publish(f"echo/{message.topic}", message.payload, qos=1)


def _onnx_handler(bundle: Path) -> MessageHandler:
    """Return a handler that judges each message's window with one call of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # with one window a call, a second thread only costs
    session = onnxruntime.InferenceSession(bundle / "model.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _scoring_handler(bundle, lambda window: float(session.run(None, {name: window})[0][0, 0]))


def _keras_handler(bundle: Path) -> MessageHandler:
    """Return a handler that judges each message's window with Keras' `predict`, as the notebook does."""
    import keras

    model = keras.models.load_model(bundle / "model.keras", compile=False)
    return _scoring_handler(bundle, lambda window: float(model.predict(window, verbose=0)[0, 0]))


def _scoring_handler(bundle: Path, score: ScoreFunction) -> MessageHandler:
    """Return a handler that decodes a message, scales its topic's window, and scores it."""
    import numpy as np

    scaler = json.loads((bundle / "scaler.json").read_bytes())
    names, mean, scale = scaler["features"], np.array(scaler["mean"]), np.array(scaler["scale"])
    buffers: defaultdict[str, deque[list[float]]] = defaultdict(lambda: deque(maxlen=_STEPS))
    alerts = 0
    score(np.zeros((1, _STEPS, len(names)), dtype=np.float32))  # the first call compiles

    def handle_message(_: paho.Client, message: paho.MQTTMessage) -> None:
        nonlocal alerts
        reading = json.loads(message.payload)
        buffer = buffers[message.topic]
        buffer.append([reading[name] for name in names])
        if len(buffer) == _STEPS:
            scaled = ((np.array(buffer) - mean) / scale).astype(np.float32)
            alerts += score(scaled[np.newaxis]) > 0.5

    return handle_message


CLIENT_KINDS: dict[str, Callable[[Path], MessageHandler] | None] = {
    "paho": None,
    "echo": _echo_handler,
    "onnx": _onnx_handler,
    "keras": _keras_handler,
}
"""How each kind processes messages; None: it only counts them."""


class _MessageCounter:
    """Counts messages, and prints the time when each total is reached."""

    def __init__(self, totals: list[int]) -> None:
        self._totals = deque([*totals, 0])  # 0 is never reached: it stands for "no further total"
        self._next_total = self._totals.popleft()
        self._count = 0

    def count(self, *_: object) -> None:
        self._count += 1
        if self._count == self._next_total:
            print(time.monotonic(), flush=True)
            self._next_total = self._totals.popleft()


def main() -> None:
    """Subscribe and process messages until killed."""
    kind, port, qos, bundle = sys.argv[1:5]
    counter = _MessageCounter([int(text) for text in sys.argv[5:]])
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho-client")
    make_handler = CLIENT_KINDS[kind]
    if make_handler is None:
        client.on_message = counter.count
    else:
        handler = make_handler(Path(bundle))

        def on_message(client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
            handler(client, message)
            counter.count()

        client.on_message = on_message

    def on_connect(client: paho.Client, *_: object) -> None:
        client.subscribe(TOPIC_FILTER, int(qos))

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: print("ready", flush=True)
    client.connect("127.0.0.1", int(port), KEEPALIVE_S)
    client.loop_forever()


if __name__ == "__main__":
    main()
