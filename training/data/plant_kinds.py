"""Kinds of plants to simulate, each with its climate and its sensors.

`humidity_per_degree` is derived from the saturation pressure of water (Magnus formula): in air with a
constant amount of water, the relative humidity falls by 7 % of its value per degree at 5 degC, by 6 % at 20
degC and by 5 % at 55 degC.
"""

from dataclasses import dataclass

__all__ = ["DEFAULT_KIND", "PLANT_KINDS", "Climate", "SensorSpec"]

Range = tuple[float, float]
"""Minimum and maximum. A value between them is drawn for each group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Parameters of the true temperature and humidity, which are the same for both motes of a pair."""

    temperature: Range
    """Daily mean, degC."""
    humidity: Range
    """Daily mean, %RH."""
    humidity_per_degree: float
    """Change in %RH for each degC of warming."""
    daily_amplitude: Range
    """Amplitude of the daily cycle: temperature at 15:00 minus daily mean, degC."""
    weather_std: float
    """Standard deviation of the changes over hours, which are the same in the whole plant, degC."""
    short_term_std: float
    """Standard deviation of the changes over minutes, degC."""
    humidity_std: float
    """Standard deviation of the changes in humidity that are independent of the temperature, %RH."""
    control_cycle: tuple[float, float] | None = None
    """Period in seconds and amplitude in degC of the temperature cycle caused by a controller; None for no
    controller."""
    door_openings: tuple[float, float] | None = None
    """Door openings per hour, and the change in temperature at each opening, degC; None for no door."""
    batch_heating: float = 0.0
    """Rise in temperature during a batch, degC: two hours up, four hours constant, two hours down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec:
    """Properties of the sensors. Of two values, the first is for temperature, the second for humidity."""

    sample_period: float
    """Seconds between two readings."""
    decimals: int
    """Digits after the decimal point that a sensor reports."""
    offset: Range = (0.06, 0.3)
    """Standard deviation of a sensor's constant error."""
    drift: Range = (0.04, 0.15)
    """Standard deviation of an error that varies over a quarter of an hour, independently in each sensor."""
    noise: Range = (0.012, 0.04)
    """Standard deviation of an error that is independent for each reading."""


DEFAULT_KIND = "mild"

PLANT_KINDS: dict[str, tuple[Climate, SensorSpec]] = {
    # A hall with open doors in June, measured by the SHT11 of a TelosB mote.
    "mild": (
        Climate(
            temperature=(19, 24),
            humidity=(48, 58),
            humidity_per_degree=-2.8,
            daily_amplitude=(1.0, 2.0),
            weather_std=0.4,
            short_term_std=0.2,
            humidity_std=2.0,
        ),
        SensorSpec(sample_period=5.0, decimals=2),
    ),
    # Sunshine by day and dew by night; wind and sunshine affect one mote before the other.
    "outdoor": (
        Climate(
            temperature=(4, 22),
            humidity=(45, 70),
            humidity_per_degree=-3.2,
            daily_amplitude=(3.0, 7.0),
            weather_std=1.5,
            short_term_std=0.4,
            humidity_std=3.0,
        ),
        SensorSpec(sample_period=10.0, decimals=2, offset=(0.1, 0.5), drift=(0.12, 0.5), noise=(0.02, 0.06)),
    ),
    # A room with a thermostat that switches every 25 minutes, and a door. A DHT22 sensor reports one digit
    # after the decimal point.
    "indoor": (
        Climate(
            temperature=(19, 24),
            humidity=(32, 48),
            humidity_per_degree=-2.4,
            daily_amplitude=(0.2, 0.7),
            weather_std=0.2,
            short_term_std=0.1,
            humidity_std=1.0,
            control_cycle=(1500.0, 0.3),
            door_openings=(1.0, -0.6),
        ),
        SensorSpec(sample_period=10.0, decimals=1, offset=(0.2, 0.8), noise=(0.02, 0.06)),
    ),
    # A compressor that runs every quarter of an hour, with a hysteresis of 1.4 degC; a door lets in warm air.
    "cold-room": (
        Climate(
            temperature=(2, 6),
            humidity=(74, 86),
            humidity_per_degree=-5.5,
            daily_amplitude=(0.0, 0.2),
            weather_std=0.1,
            short_term_std=0.08,
            humidity_std=1.5,
            control_cycle=(900.0, 0.7),
            door_openings=(0.7, 1.5),
        ),
        SensorSpec(sample_period=5.0, decimals=2, offset=(0.1, 0.6), drift=(0.06, 0.3), noise=(0.02, 0.08)),
    ),
    # Timber is dried in batches of eight hours, with a burner and fans. At high temperatures, the sensors are
    # noisy.
    "kiln": (
        Climate(
            temperature=(45, 60),
            humidity=(28, 42),
            humidity_per_degree=-1.4,
            daily_amplitude=(0.0, 0.3),
            weather_std=0.2,
            short_term_std=0.3,
            humidity_std=1.5,
            control_cycle=(600.0, 0.5),
            batch_heating=14.0,
        ),
        SensorSpec(sample_period=15.0, decimals=1, offset=(0.3, 0.6), drift=(0.1, 0.3), noise=(0.05, 0.1)),
    ),
    # Clouds change the temperature under the glass within minutes; plants and misting keep the air humid.
    "greenhouse": (
        Climate(
            temperature=(17, 25),
            humidity=(60, 74),
            humidity_per_degree=-4.0,
            daily_amplitude=(2.5, 5.0),
            weather_std=0.8,
            short_term_std=0.7,
            humidity_std=3.0,
            door_openings=(0.5, -1.0),
        ),
        SensorSpec(sample_period=30.0, decimals=2, offset=(0.1, 0.5), drift=(0.1, 0.4), noise=(0.02, 0.08)),
    ),
}
"""Name of the kind of plant -> climate and sensors."""
