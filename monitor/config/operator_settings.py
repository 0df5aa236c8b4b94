"""The settings of operators' requests.

Docstrings say what a value means; `config/monitor.toml` has the text for users.
"""

from pathlib import Path
from typing import Annotated

from annotated_types import Gt, Le
from pydantic import BaseModel, ConfigDict

__all__ = ["OperatorSettings"]

_MAX_MUTE_S = 30 * 86_400.0


class OperatorSettings(BaseModel):
    """What operators may request, and where that is recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    longest_mute: Annotated[float, Gt(0), Le(_MAX_MUTE_S)] = 7 * 86_400.0
    """Seconds that a mute may last; a longer one is refused."""
    audit_file: Path | None = None
    """File to which a line is appended for each request; None: what was done is only in the log."""
