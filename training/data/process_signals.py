"""How the true values of quantities other than temperature and humidity vary in a simulated plant."""

from dataclasses import dataclass

__all__ = ["PROCESS_SIGNALS", "ProcessSignal"]


@dataclass(frozen=True, slots=True)
class ProcessSignal:
    """Parameters of a quantity's true values, which are the same for all its sensors in a group.

    All are in the quantity's unit in `monitor.core.quantity_defaults`.
    """

    level: tuple[float, float]
    """Minimum and maximum of the daily mean; a value between them is drawn for each group."""
    daily_amplitude: float
    """Amplitude of the daily cycle."""
    slow_std: float
    """Standard deviation of the changes over hours."""
    short_term_std: float
    """Standard deviation of the changes over minutes."""


PROCESS_SIGNALS = {
    "pressure": ProcessSignal((990.0, 1020.0), 0.5, 3.0, 0.1),  # air pressure
    "vibration": ProcessSignal((2.0, 4.0), 0.2, 0.2, 0.3),  # a pump's bearing
    "current": ProcessSignal((15.0, 30.0), 1.5, 1.0, 1.0),  # its motor, by load
    "voltage": ProcessSignal((226.0, 234.0), 2.0, 1.0, 0.8),  # mains
    "flow": ProcessSignal((30.0, 60.0), 4.0, 2.0, 1.5),  # cooling water
    "level": ProcessSignal((1.5, 3.0), 0.2, 0.2, 0.01),  # a tank
    "co2": ProcessSignal((450.0, 700.0), 80.0, 40.0, 15.0),  # a ventilated hall
    "light": ProcessSignal((300.0, 600.0), 80.0, 40.0, 20.0),  # a lit hall with windows
}
"""Quantity -> how it varies."""
