"""How to train: frozen settings with their defaults; `config/training.toml` says the same for people."""

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
    """Take `128,64,32`, as a flag or the environment has it, and a file's list for a tuple."""
    if isinstance(value, str) and "," in value:
        return tuple(value.split(","))
    return tuple(value) if isinstance(value, list) else value


Count = Annotated[int, Ge(1), Le(1_000_000)]
Units = Annotated[int, Ge(1), Le(4096)]
Dropout = Annotated[float, Ge(0), Lt(1)]
Weight = Annotated[float, Gt(0), Le(1e6)]


class FitSettings(BaseModel):
    """What decides how a network is trained. `configuration.load_settings` merges it from all sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    network: Literal["lstm", "dense"] = "lstm"
    """Two LSTM layers and a dense one, or three dense ones over the flat window."""
    units: Annotated[tuple[Units, Units, Units], BeforeValidator(_parse_tuple)] = (128, 64, 32)
    """Of the three hidden layers, from the window on."""
    dropout: Annotated[tuple[Dropout, Dropout], BeforeValidator(_parse_tuple)] = (0.3, 0.3)
    """Share that is dropped after the first and the second hidden layer."""
    kernel_initializer: Initializer = "glorot_uniform"
    """What the weights on a layer's input begin with."""
    recurrent_initializer: Literal[Initializer, "orthogonal"] = "orthogonal"
    """What the weights on an LSTM layer's own last output begin with."""
    epochs: Count = 60
    """Most passes over the training part."""
    patience: Count = 12
    """Epochs without a lower validation loss until training stops. The best epoch's weights are kept."""
    batch_size: Count = 64
    """Windows between two updates of the weights."""
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    """Adam's, at the start; halved whenever the validation loss has not fallen for 3 epochs."""
    class_weight: Annotated[
        Literal["balanced", "none"] | tuple[Weight, Weight], BeforeValidator(_parse_tuple)
    ] = "balanced"
    """How much a window of each class counts: by its rarity, the same, or as given for (Normal, Faulty)."""
    baseline: Literal["group", "none"] = "group"
    """Whether windows are judged by their group's own normal, so that the model holds on plants that it has
    never seen, or as they come."""
    joint_shift: Annotated[float, Ge(0), Le(100)] = 2.0
    """How far a training window is moved, both sensors of a pair alike, as the plant itself moves them: a
    standard deviation, in the pair's spreads. 0 for not at all. With a baseline there is none: what a pair
    does together is taken off anyway."""
    split: Literal["time", "random"] = "time"
    """The test is the end of each group's time and the validation five blocks of the rest, no reading on both
    sides; or both are drawn at random. Windows overlap, so what is drawn at random shares readings with what
    was trained on, and looks better than it is."""
    test_share: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Share of the windows that is kept for the test; 0 where that is a recording of its own."""
    validation_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Share of the rest that decides when to stop."""
    cleaning_factor: Annotated[float, Gt(0), Le(1000)] = 1.5
    """A value is an outlier further than this many interquartile ranges outside the quartiles."""
    cleaning_scope: Literal["off", "normal", "all"] = "normal"
    """Windows of the training part that lose outliers: none, the Normal ones, or all. With "all", faults
    that are to be learnt go too."""
    sample_period: Annotated[float, Gt(0), Le(1e9)] = 5.0
    """Seconds between two readings, for `--windows`: a file of windows holds no time. Recordings tell it."""
    seed: Annotated[int, Ge(0), Lt(2**32)] = 42
    """Of weights, dropout, the order of windows and the random split."""
