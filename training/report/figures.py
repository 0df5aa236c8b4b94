"""Colours, figure creation, step names and conversion to PNG, shared by all plot modules.

Figures are drawn without pyplot, so they need no display. People with colour blindness can distinguish the
colours: the palette of Okabe and Ito, and the colour map cividis for heat maps. Curves also differ in line
style or position.
"""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "VERMILION", "panel", "png", "step_names"]

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
_DPI = 100


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def panel(title: str, size: tuple[float, float], *, grid: bool = True) -> tuple[Figure, Axes]:
    """Create a figure with one `Axes`.

    Parameters
    ----------
    size : width and height in inches.
    grid : whether to draw a grid behind the data.
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    if grid:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure, axes


def step_names(steps: int) -> list[str]:
    """Return the names of the steps of a window, oldest first; for 3 steps: "t-2", "t-1", "t"."""
    return [f"t-{steps_back}" if steps_back else "t" for steps_back in range(steps - 1, -1, -1)]
