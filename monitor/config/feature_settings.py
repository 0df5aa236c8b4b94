"""A feature as settings describe it, and the rules that a reading's features have to keep."""

from collections.abc import Sequence
from typing import Annotated, Self

from annotated_types import Gt
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from monitor.core.feature_names import NAME_PATTERN, check_name
from monitor.core.quantities import quantity_name
from monitor.core.quantity_defaults import QUANTITY_DEFAULTS, find_defaults
from monitor.core.units import list_units

__all__ = ["FeatureSettings", "check_features"]

FeatureName = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]


class FeatureSettings(BaseModel):
    """A value of a reading: what measures it, and what is known of its sensor."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: FeatureName
    """Name of the feature, such as temperature_1: the column of recordings."""
    unit: Annotated[str, StringConstraints(max_length=32)]
    """Unit of its values, such as degC; "" if there is none."""
    quantity: FeatureName | None = None
    """What it measures: features of one quantity are neighbours, which are compared with one another. None:
    its name up to the last `_`."""
    low: float | None = None
    """Lowest value that its sensor can have; None: the limit of the quantity."""
    high: float | None = None
    """Highest value that its sensor can have; None: the limit of the quantity."""
    accuracy: Annotated[float, Gt(0)] | None = None
    """Largest error that its data sheet allows; None: that of common sensors of the quantity."""

    @property
    def measured_quantity(self) -> str:
        """What the feature measures."""
        return self.quantity or quantity_name(self.name)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_name(self.name)
        defaults = find_defaults(self.measured_quantity, self.unit)
        if defaults is None and None in {self.low, self.high, self.accuracy}:
            raise ValueError(
                f"{self.name}: nothing is known of sensors of {self.measured_quantity} in {self.unit!r}: "
                f"write its low, high and accuracy, or a quantity and unit that are known: {_list_known()}"
            )
        low, high = defaults.limits if defaults else (None, None)
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if low is not None and high is not None and low >= high:
            raise ValueError(f"{self.name}: low {low:g} must be below high {high:g}")
        return self


def check_features(features: Sequence[FeatureSettings]) -> None:
    """Check the rules for all features of a reading together.

    Raises
    ------
    ValueError : there are none, two have the same name, or those of one quantity have different units.
    """
    if not features:
        raise ValueError("there are none, expected at least one")
    names = [feature.name for feature in features]
    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise ValueError(f"{duplicates[0]} is named twice, expected distinct names")
    first_by_quantity: dict[str, FeatureSettings] = {}
    for feature in features:
        first = first_by_quantity.setdefault(feature.measured_quantity, feature)
        if first.unit != feature.unit:
            raise ValueError(
                f"{first.name} is in {first.unit!r} and {feature.name} in {feature.unit!r}; expected "
                f"one unit for all features of {feature.measured_quantity}, which are compared"
            )


def _list_known() -> str:
    return ", ".join(
        f"{quantity} ({', '.join(list_units(defaults.unit))})"
        for quantity, defaults in QUANTITY_DEFAULTS.items()
    )
