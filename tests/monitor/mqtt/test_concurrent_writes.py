"""Who publishes writes, and what several threads write at once stays whole."""

import threading
from collections.abc import Sequence

from monitor.core.messages import InboundMessage, ReadOnce
from tests.conftest import TIMEOUT_S, Mosquitto, wait_until
from tests.monitor.mqtt.recording_listener import RecordingListener, session, wait_until_ready
from tests.support.processes import Proxy, connect_client


class _BlockingListener(RecordingListener):
    """Keeps the network's thread from all else once it has heard something."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:
        super().received(messages, read_once)
        self.release.wait(TIMEOUT_S)


def test_needs_no_network_thread(mosquitto: Mosquitto) -> None:
    """A message and an acknowledgement go out while the network's thread is busy."""
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
        wait_until(lambda: other.texts("out") == ["2"], "the message goes out")
        listener.release.set()
    listener.messages.clear()
    with session(mosquitto.port, listener, filters=["in"], durable=True) as own:
        wait_until_ready(own)
        with connect_client(mosquitto.port) as other:
            other.publish("in", b"3")
        wait_until(lambda: listener.messages, "the next one comes")
        assert [payload for _, payload, _ in listener.messages] == [b"3"]


def test_several_threads(mosquitto: Mosquitto) -> None:
    """Messages for which the socket has no room arrive whole, whichever threads publish them."""
    size, messages_per_thread, threads = 1_500_000, 4, 3  # more than the kernel holds of a connection
    proxy = Proxy(mosquitto.port)
    with connect_client(mosquitto.port, "out/#") as other, session(proxy.port, RecordingListener()) as own:
        wait_until_ready(own)

        def publish(number: int) -> None:
            for _ in range(messages_per_thread):
                own.publish(f"out/{number}", f"{number}".encode() * size)

        proxy.pause()
        started = [threading.Thread(target=publish, args=(number,)) for number in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join(TIMEOUT_S)
        proxy.resume()
        for number in range(threads):
            expected = [f"{number}" * size] * messages_per_thread
            wait_until(lambda: other.texts(f"out/{number}") == expected, "all arrive")  # noqa: B023
    proxy.close()
