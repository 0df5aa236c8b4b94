"""The names of the steps of a window, the same in tables, pictures and files."""

__all__ = ["step_names"]


def step_names(steps: int) -> list[str]:
    """Return the names of the steps of a window, oldest first; for 3 steps: "t-2", "t-1", "t"."""
    return [f"t-{steps_back}" if steps_back else "t" for steps_back in range(steps - 1, -1, -1)]
