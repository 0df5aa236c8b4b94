"""Kinds of plants to simulate: what the air does there, and with which sensors it is measured.

How much relative humidity goes with a degree follows from the air: where no water comes or goes, it falls as
the saturation pressure rises, by 7 % of itself a degree at 5 degC, 6 % at 20 and 5 % at 55 (Magnus).
"""

from dataclasses import dataclass

__all__ = ["DEFAULT_KIND", "PLANT_KINDS", "Climate", "SensorSpec"]

Range = tuple[float, float]
"""Least and most; each pair of motes draws its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """What both motes of a pair measure."""

    temperature: Range
    """degC, on the average of a day."""
    humidity: Range
    """%RH, the same."""
    humidity_per_degree: float
    """%RH for each degC that it is warmer."""
    daily_amplitude: Range
    """How much warmer at three in the afternoon than on the average, degC."""
    weather_std: float
    """How far hours differ, plant-wide, degC."""
    short_term_std: float
    """How far minutes differ, degC."""
    humidity_std: float
    """How far humidity wanders by itself, %RH."""
    control_cycle: tuple[float, float] | None = None
    """Period in seconds and height in degC of what a controller does."""
    door_openings: tuple[float, float] | None = None
    """How often an hour it is opened, and how much warmer it is then, degC."""
    batch_heating: float = 0.0
    """How far a batch is heated, degC: up for two hours, kept for four, down for two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec:
    """How it is measured; of two values the first is temperature's, the second humidity's."""

    sample_period: float
    """Seconds between two readings."""
    decimals: int
    """Digits after the point that are reported."""
    offset: Range = (0.06, 0.3)
    """How far one sensor of a pair always reads beside the other, a standard deviation."""
    drift: Range = (0.04, 0.15)
    """How far it wanders within a quarter of an hour while its neighbour doesn't."""
    noise: Range = (0.012, 0.04)
    """How far a reading differs from the next."""


DEFAULT_KIND = "mild"

PLANT_KINDS: dict[str, tuple[Climate, SensorSpec]] = {
    # A hall with open doors in June; the SHT11 of a TelosB mote.
    "mild": (
        Climate(
            temperature=(19, 24), humidity=(48, 58), humidity_per_degree=-2.8,
            daily_amplitude=(1.0, 2.0), weather_std=0.4, short_term_std=0.2, humidity_std=2.0,
        ),
        SensorSpec(sample_period=5.0, decimals=2),
    ),
    # Sun by day and dew by night; wind and sun reach one mote before the other.
    "outdoor": (
        Climate(
            temperature=(4, 22), humidity=(45, 70), humidity_per_degree=-3.2,
            daily_amplitude=(3.0, 7.0), weather_std=1.5, short_term_std=0.4, humidity_std=3.0,
        ),
        SensorSpec(sample_period=10.0, decimals=2, offset=(0.1, 0.5), drift=(0.12, 0.5), noise=(0.02, 0.06)),
    ),
    # A thermostat that switches every 25 minutes, and a door; the DHT22 of a hobbyist has one digit.
    "indoor": (
        Climate(
            temperature=(19, 24), humidity=(32, 48), humidity_per_degree=-2.4,
            daily_amplitude=(0.2, 0.7), weather_std=0.2, short_term_std=0.1, humidity_std=1.0, control_cycle=(1500.0, 0.3), door_openings=(1.0, -0.6),
        ),
        SensorSpec(sample_period=10.0, decimals=1, offset=(0.2, 0.8), noise=(0.02, 0.06)),
    ),
    # A compressor with a hysteresis of 1.4 degC that runs every quarter of an hour; warm air by the door.
    "cold-room": (
        Climate(
            temperature=(2, 6), humidity=(74, 86), humidity_per_degree=-5.5,
            daily_amplitude=(0.0, 0.2), weather_std=0.1, short_term_std=0.08, humidity_std=1.5, control_cycle=(900.0, 0.7), door_openings=(0.7, 1.5),
        ),
        SensorSpec(sample_period=5.0, decimals=2, offset=(0.1, 0.6), drift=(0.06, 0.3), noise=(0.02, 0.08)),
    ),
    # Timber dries in batches of eight hours over a burner; fans stir the air, and hot sensors are noisy.
    "kiln": (
        Climate(
            temperature=(45, 60), humidity=(28, 42), humidity_per_degree=-1.4,
            daily_amplitude=(0.0, 0.3), weather_std=0.2, short_term_std=0.3, humidity_std=1.5, control_cycle=(600.0, 0.5), batch_heating=14.0,
        ),
        SensorSpec(sample_period=15.0, decimals=1, offset=(0.3, 0.6), drift=(0.1, 0.3), noise=(0.05, 0.1)),
    ),
    # Glass: each cloud is felt within minutes, and plants and misting keep the air damp.
    "greenhouse": (
        Climate(
            temperature=(17, 25), humidity=(60, 74), humidity_per_degree=-4.0,
            daily_amplitude=(2.5, 5.0), weather_std=0.8, short_term_std=0.7, humidity_std=3.0, door_openings=(0.5, -1.0),
        ),
        SensorSpec(sample_period=30.0, decimals=2, offset=(0.1, 0.5), drift=(0.1, 0.4), noise=(0.02, 0.08)),
    ),
}  # fmt: skip
"""Name -> what it is like."""
