"""Attackers: functions that run in a process of their own, and what several of them need."""

import multiprocessing
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from tests.chaos.raw_mqtt import PUBACK, Connection, publish_packet
from tests.conftest import TIMEOUT_S, wait_until

__all__ = ["Attacker", "Target", "publish_flood", "run_attacker"]

_NICENESS = 10
"""On a machine with two cores the attacker must not take the processor that plant and monitor need: what it
sends is the attack, not its own work."""
_PROCESSES = multiprocessing.get_context("spawn")  # a fork would copy the locks of the test's threads
_POLL_INTERVAL_S = 0.01
_MAX_PACKET_ID = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """What an attacker knows."""

    broker_port: int
    http_address: str
    """As in http://127.0.0.1:9108."""
    started: Event
    """Set by the attacker once the attack is in force."""
    stopped: Event
    """Set when the attacker must end."""


Attacker = Callable[[Target], None]
"""A function of a module, since another process imports it; attacks until `Target.stopped` is set."""


@contextmanager
def run_attacker(attacker: Attacker, broker_port: int, http_address: str) -> Iterator[None]:
    """Run an attacker in a process of its own; the block begins once the attack is in force."""
    target = Target(broker_port, http_address, _PROCESSES.Event(), _PROCESSES.Event())
    process = _PROCESSES.Process(target=_run, args=(attacker, target), daemon=True)
    process.start()
    try:
        wait_until(lambda: target.started.is_set() or process.exitcode is not None, "the attack is in force")
        yield
    finally:
        target.stopped.set()
        process.join(TIMEOUT_S)
        if process.is_alive():
            process.kill()
            process.join()
    assert process.exitcode == 0, f"the attacker ended with {process.exitcode}"


def publish_flood(
    target: Target,
    messages: Iterator[tuple[bytes, bytes]],
    *,
    max_unconfirmed: int = 100,
    confirmed_before_start: int = 200,
) -> None:
    """Publish messages with QoS 1 as fast as the broker confirms them, until the attack is stopped.

    Parameters
    ----------
    messages : topics and payloads.
    max_unconfirmed : messages under way to the broker at a time.
    confirmed_before_start : messages that the broker has confirmed when the attack counts as in force.
    """
    confirmed = unconfirmed = packet_id = 0
    with Connection(target.broker_port, "attacker") as connection:
        while not target.stopped.is_set():
            packets = []
            while unconfirmed < max_unconfirmed:
                topic, payload = next(messages)
                packet_id = packet_id % _MAX_PACKET_ID + 1
                packets.append(publish_packet(topic, payload, packet_id))
                unconfirmed += 1
            connection.send(b"".join(packets))
            if select.select([connection], [], [], _POLL_INTERVAL_S)[0]:
                newly = sum(packet.packet_type == PUBACK for packet in connection.receive())
                confirmed, unconfirmed = confirmed + newly, unconfirmed - newly
            if confirmed >= confirmed_before_start:
                target.started.set()


def _run(attacker: Attacker, target: Target) -> None:
    os.nice(_NICENESS)
    attacker(target)
