"""What the monitor is compared with: `python -m tests.bench.paho_clients KIND PORT QOS BUNDLE TOTAL...`.

Each is what one writes first: a paho client whose `on_message` does the work. It says `ready` once it is
subscribed, and the time (monotonic seconds) when its count reaches each of the totals.
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

# Only what a kind needs is loaded: TensorFlow takes 10 s.
# ruff: noqa: PLC0415

_STEPS = 3

ScoreFunction = Callable[[Any], float]
"""Takes a scaled window (1, step, feature) and returns P(Faulty)."""
MessageHandler = Callable[[paho.Client, paho.MQTTMessage], object]
"""What is done with a message."""


def _echo_handler(_: Path) -> MessageHandler:
    """Publish each message back."""
    return lambda client, message: client.publish(f"echo/{message.topic}", message.payload, qos=1)


def _onnx_handler(bundle: Path) -> MessageHandler:
    """Judge each message's window by a call of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a second only costs, with one window a call
    session = onnxruntime.InferenceSession(bundle / "model.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _scoring_handler(bundle, lambda window: float(session.run(None, {name: window})[0][0, 0]))


def _keras_handler(bundle: Path) -> MessageHandler:
    """Judge each message's window as the notebook does."""
    import keras

    model = keras.models.load_model(bundle / "model.keras", compile=False)
    return _scoring_handler(bundle, lambda window: float(model.predict(window, verbose=0)[0, 0]))


def _scoring_handler(bundle: Path, score: ScoreFunction) -> MessageHandler:
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
"""What each makes of a message; None: it only counts."""


class _MessageCounter:
    """Counts messages, and says when each total is reached."""

    def __init__(self, totals: list[int]) -> None:
        self._totals = deque([*totals, 0])  # the 0 is never reached
        self._next_total = self._totals.popleft()
        self._count = 0

    def count(self, *_: object) -> None:
        self._count += 1
        if self._count == self._next_total:
            print(time.monotonic(), flush=True)
            self._next_total = self._totals.popleft()


def main() -> None:
    """Subscribe, work, and say when each total is reached, until killed."""
    kind, port, qos, bundle = sys.argv[1:5]
    counter = _MessageCounter([int(text) for text in sys.argv[5:]])
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="rival")
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
