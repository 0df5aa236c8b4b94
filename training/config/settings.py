"""The settings of training with their defaults; `config/training.toml` documents them for users."""

from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["INITIALIZERS", "FitSettings", "Initializer"]

Initializer = Literal[
    "glorot_uniform",
    "glorot_normal",
    "he_normal",
    "he_uniform",
    "zeros",
    "ones",
    "random_normal",
    "random_uniform",
]
INITIALIZERS: tuple[Initializer, ...] = get_args(Initializer)


def _parse_tuple(value: Any) -> Any:
    """Convert `128,64,32`, from a flag or the environment, and a list, from a file, to a tuple."""
    if isinstance(value, str) and "," in value:
        return tuple(value.split(","))
    return tuple(value) if isinstance(value, list) else value


Count = Annotated[int, Ge(1), Le(1_000_000)]
Units = Annotated[int, Ge(1), Le(4096)]
Dropout = Annotated[float, Ge(0), Lt(1)]
Weight = Annotated[float, Gt(0), Le(1e6)]


class FitSettings(BaseModel):
    """How a network is trained; `training.config.loading.load_settings` merges it from all sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: Literal["lstm", "dense"] = "lstm"
    """`lstm`: two LSTM layers and a dense one; `dense`: three dense layers over the flat window."""
    units: Annotated[tuple[Units, Units, Units], BeforeValidator(_parse_tuple)] = (128, 64, 32)
    """Sizes of the three hidden layers, in order from the input."""
    dropout: Annotated[tuple[Dropout, Dropout], BeforeValidator(_parse_tuple)] = (0.3, 0.3)
    """Dropout rates after the first and the second hidden layer."""
    kernel_initializer: Initializer = "glorot_uniform"
    """Initializer of the weights on a layer's input."""
    recurrent_initializer: Literal[Initializer, "orthogonal"] = "orthogonal"
    """Initializer of the weights on an LSTM layer's own last output."""
    epochs: Count = 60
    """Maximum number of passes over the training part."""
    patience: Count = 12
    """Epochs without a lower validation loss before training stops. The best epoch's weights are kept."""
    batch_size: Count = 64
    """Windows between two updates of the weights."""
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    """Adam's initial learning rate; halved whenever the validation loss has not fallen for 3 epochs."""
    class_weight: Annotated[
        Literal["balanced", "none"] | tuple[Weight, Weight], BeforeValidator(_parse_tuple)
    ] = "balanced"
    """Weight of a window by class: inverse to its frequency, 1 for both, or as given for (Normal, Faulty)."""
    baseline: Literal["group", "none"] = "group"
    """`group`: windows are deviations from the group's own baseline, so that the model holds on plants that
    it has never seen; `none`: raw values."""
    joint_shift: Annotated[float, Ge(0), Le(100)] = 2.0
    """Augmentation: both sensors of a pair are shifted by the same random amount, as a change in the plant
    would shift them. Its standard deviation, in spreads of the pair; 0: none. Not used with a baseline, which
    subtracts what a pair has in common."""
    split: Literal["time", "random"] = "time"
    """`time`: the test part is the end of each group's time and the validation part five blocks of the rest,
    and no reading is in two parts. `random`: both are drawn at random; since windows overlap, they share
    readings with the training part, and measures on them are too good."""
    test_share: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Share of the windows in the test part; 0 if the test recording is a file of its own."""
    validation_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Share of the remaining windows in the validation part, which decides when training stops."""
    cleaning_factor: Annotated[float, Gt(0), Le(1000)] = 1.5
    """A value further outside the quartiles than this many interquartile ranges is an outlier."""
    cleaning_scope: Literal["off", "normal", "all"] = "normal"
    """Windows of the training part that are removed if they have an outlier: none, Normal ones, or all. With
    "all", faults that the model should learn are removed too."""
    sample_period: Annotated[float, Gt(0), Le(1e9)] = 5.0
    """Seconds between two readings, for `--windows`: a file of windows has no times, unlike a recording."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Seed of weights, dropout, the order of windows and the random split."""
