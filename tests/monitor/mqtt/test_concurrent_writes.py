"""The publishing thread writes to the socket, and packets of several threads stay whole."""

import threading
from collections.abc import Sequence

from monitor.core.messages import InboundMessage, ReadOnce
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Proxy, connect_client


class _BlockingListener(RecordingListener):
    """Blocks the network thread once a message has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        super().on_messages(messages, read_once)
        self.release.wait(TIMEOUT_S)


def test_needs_no_network_thread(mosquitto: Mosquitto) -> None:
    """A message and an acknowledgement are sent while the network thread is busy."""
    listener = _BlockingListener()
    with (
        connect_client(mosquitto.port, "out") as other,
        session(mosquitto.port, listener, filters=["in"], durable=True) as own,
    ):
        wait_until_ready(own)
        other.publish("in", b"1")
        wait_until(lambda: listener.messages, "the thread is busy")
        own.publish("out", b"2")
        own.acknowledge([listener.messages[0][2]])
        wait_until(lambda: other.texts("out") == ["2"], "the message is published")
        listener.release.set()
    listener.messages.clear()
    with session(mosquitto.port, listener, filters=["in"], durable=True) as own:
        wait_until_ready(own)
        with connect_client(mosquitto.port) as other:
            other.publish("in", b"3")
        wait_until(lambda: listener.messages, "the next message arrives")
        assert [payload for _, payload, _ in listener.messages] == [b"3"]


def test_several_threads(mosquitto: Mosquitto) -> None:
    """Messages larger than the socket's buffer arrive whole, whichever threads publish them."""
    size, messages_per_thread, thread_count = 1_500_000, 4, 3  # more than the kernel buffers
    proxy = Proxy(mosquitto.port)
    with connect_client(mosquitto.port, "out/#") as other, session(proxy.port, RecordingListener()) as own:
        wait_until_ready(own)

        def publish(number: int) -> None:
            for _ in range(messages_per_thread):
                own.publish(f"out/{number}", f"{number}".encode() * size)

        proxy.pause()
        threads = [threading.Thread(target=publish, args=(number,)) for number in range(thread_count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_S)
        proxy.resume()
        for number in range(thread_count):
            expected = [f"{number}" * size] * messages_per_thread
            wait_until(lambda: other.texts(f"out/{number}") == expected, "all arrive")  # noqa: B023
    proxy.close()
