"""The settings of training with their defaults; `config/training.toml` documents them for users."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

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

    network: Literal["lstm", "dense"] = "lstm"
    """Hidden layers. `lstm`: two LSTM layers and one dense layer; `dense`: three dense layers on the
    flattened window."""
    units: Annotated[tuple[Units, Units, Units], BeforeValidator(_parse_tuple)] = (128, 64, 32)
    """Sizes of the three hidden layers, in order from the input."""
    dropout: Annotated[tuple[DropoutRate, DropoutRate], BeforeValidator(_parse_tuple)] = (0.3, 0.3)
    """Dropout rates after the first and the second hidden layer."""
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
    """Standard deviation of a random offset that is added to both sensors of a pair during training, in units
    of the mean standard deviation of the pair; 0 disables it. Simulates process changes that affect both
    sensors. Ignored if `baseline` is `group`, which removes common offsets."""
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
