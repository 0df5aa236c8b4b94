"""The settings of training with their defaults; `config/training.toml` documents them for users."""

import json
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator

from monitor.bundle import Feature
from monitor.bundle.manifest import Judges
from monitor.config.feature_settings import FeatureSettings, check_features
from training.config.initializers import parse_initializer, split_texts

__all__ = ["LAYERS_WITH_KERNEL", "LSTM_LAYERS", "FitSettings"]

LAYERS_WITH_KERNEL = 4
"""Number of layers with a kernel: three hidden layers and the output."""
LSTM_LAYERS = 2
"""Number of layers with recurrent weights; a dense network has none."""


def _parse_tuple(value: Any) -> Any:
    """Convert to a tuple: text such as `128,64,32` (flag, environment) or a list (file)."""
    if isinstance(value, str) and "," in value:
        return tuple(value.split(","))
    return tuple(value) if isinstance(value, list) else value


def _parse_features(value: Any) -> Any:
    """Convert to a tuple: text in JSON (flag, environment) or a list (file)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise ValueError('must be JSON, as in [{"name": "temperature_1", "unit": "degC"}]') from None
    return tuple(value) if isinstance(value, list) else value


def _check_features(features: tuple[FeatureSettings, ...]) -> tuple[FeatureSettings, ...]:
    check_features(features)
    return features


Count = Annotated[int, Ge(1), Le(1_000_000)]
Units = Annotated[int, Ge(1), Le(4096)]
DropoutRate = Annotated[float, Ge(0), Lt(1)]
ClassWeight = Annotated[float, Gt(0), Le(1e6)]
KernelInitializer = Annotated[str, AfterValidator(parse_initializer)]


def _parse_recurrent(text: str) -> str:
    return parse_initializer(text, ("orthogonal",))


RecurrentInitializer = Annotated[str, AfterValidator(_parse_recurrent)]


class FitSettings(BaseModel):
    """Settings for data preparation, network and training.

    `training.config.loading.load_settings` fills it from flags, environment, file and defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Annotated[
        tuple[FeatureSettings, ...], BeforeValidator(_parse_features), AfterValidator(_check_features)
    ] = (
        FeatureSettings(name="temperature_1", unit="degC"),
        FeatureSettings(name="humidity_1", unit="%RH"),
        FeatureSettings(name="temperature_2", unit="degC"),
        FeatureSettings(name="humidity_2", unit="%RH"),
    )
    """The values of a reading, in the order of the model's input."""
    steps: Annotated[int, Ge(1), Le(100)] = 3
    """Number of consecutive readings in a window."""
    network: Literal["lstm", "dense", "sensor-lstm"] = "lstm"
    """Hidden layers. `lstm`: two LSTM layers and one dense layer; `dense`: three dense layers on the
    flattened window; `sensor-lstm`: as `lstm`, but small, and it judges one sensor at a time. The highest
    score of all sensors is the window's, so the bundle can judge other features than those it was trained
    on."""
    units: Annotated[tuple[Units, Units, Units], BeforeValidator(_parse_tuple)] = (128, 64, 32)
    """Sizes of the three hidden layers, in order from the input; of `sensor-lstm` 16, 8, 8 by default."""
    dropout: Annotated[tuple[DropoutRate, DropoutRate], BeforeValidator(_parse_tuple)] = (0.3, 0.3)
    """Dropout rates after the first and the second hidden layer; of `sensor-lstm` 0 by default."""
    kernel_initializer: Annotated[
        KernelInitializer | tuple[KernelInitializer, KernelInitializer, KernelInitializer, KernelInitializer],
        BeforeValidator(split_texts),
    ] = "glorot_uniform"
    """Initializer of the kernels (input weights): one for all layers, or four, for the three hidden layers
    and the output. `random_normal(0.0, 0.1)` has mean and standard deviation, `random_uniform(-0.1, 0.1)` the
    limits."""
    recurrent_initializer: Annotated[
        RecurrentInitializer | tuple[RecurrentInitializer, RecurrentInitializer], BeforeValidator(split_texts)
    ] = "orthogonal"
    """Initializer of the recurrent weights: one for both LSTM layers, or two."""
    epochs: Count = 60
    """Maximum number of passes over the training set."""
    patience: Count = 12
    """Training stops after this many epochs without a lower validation loss. The weights of the epoch with
    the lowest validation loss are kept."""
    batch_size: Count = 64
    """Windows per gradient update."""
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    """Initial learning rate of Adam. The rate is halved when the validation loss has not fallen for 3
    epochs."""
    class_weight: Annotated[
        Literal["balanced", "none"] | tuple[ClassWeight, ClassWeight], BeforeValidator(_parse_tuple)
    ] = "balanced"
    """Weight of each class in the loss. `balanced`: inversely proportional to the class frequency; `none`: 1
    for both; or a pair (Normal, Faulty)."""
    baseline: Literal["group", "none"] = "group"
    """Model input. `group`: the windows are taken relative to the group's baseline (the usual level of each
    feature, and the usual deviation from it, learnt from the group's earlier readings), so that the model
    generalises to unseen plants; `none`: raw values."""
    joint_shift: Annotated[float, Ge(0), Le(100)] = 2.0
    """Standard deviation of a random offset that is added to all sensors of a quantity during training, in
    units of the mean standard deviation of the quantity; 0 disables it. Simulates process changes that affect
    all of them. Ignored if `baseline` is `group`, which removes common offsets."""
    split: Literal["time", "random"] = "time"
    """`time`: the test set is the last section of each group's recording, the validation set is five blocks
    of the remainder; no reading is in two sets. `random`: windows are drawn at random. Overlapping windows
    then share readings with the training set, so the metrics are too optimistic."""
    test_share: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Share of the windows in the test set; 0 if a separate test recording is given."""
    validation_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Share of the remaining windows in the validation set. Its loss decides when training stops."""
    cleaning_factor: Annotated[float, Gt(0), Le(1000)] = 1.5
    """A value is an outlier if it is more than this many interquartile ranges below the first or above the
    third quartile."""
    cleaning_scope: Literal["off", "normal", "all"] = "normal"
    """Training windows from which those with outliers are removed. `off`: none; `normal`: only Normal
    windows; `all`: Normal and Faulty windows. `all` also removes faults that the model should learn."""
    sample_period: Annotated[float, Gt(0), Le(1e9)] = 5.0
    """Sampling period in seconds; used only with `--windows`, because a windows file has no timestamps."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Seed of the initial weights, dropout, augmentation, order of the windows and random split."""

    @property
    def judges(self) -> Judges:
        """What the network judges at once, as in the bundle's manifest."""
        return "sensor" if self.network == "sensor-lstm" else "window"

    @property
    def bundle_features(self) -> tuple[Feature, ...]:
        """The features as a bundle describes them."""
        return tuple(
            Feature(
                feature.name,
                feature.unit,
                feature.quantity or "",
                feature.low,
                feature.high,
                feature.accuracy,
            )
            for feature in self.features
        )

    @property
    def feature_names(self) -> list[str]:
        """The names of the features, in order."""
        return [feature.name for feature in self.features]

    @property
    def quantities(self) -> list[str]:
        """What each feature measures, in order."""
        return [feature.measured_quantity for feature in self.features]

    @model_validator(mode="before")
    @classmethod
    def _apply_network_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("network") == "sensor-lstm":
            return {"units": (16, 8, 8), "dropout": (0.0, 0.0), **values}
        return values

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if self.judges == "sensor" and self.baseline == "none":
            raise ValueError(
                "network sensor-lstm judges deviations from a baseline; expected baseline group, or another "
                "network"
            )
        return self
