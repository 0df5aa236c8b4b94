"""What all pictures share: colours, panels, step names, and the conversion to PNG.

Figures are drawn without pyplot, so they need no display. The colours are Okabe and Ito's and, for heat maps,
cividis, which people with colour blindness can distinguish; curves also differ in line style or position.
"""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "VERMILION", "panel", "png", "step_names"]

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
_DPI = 100


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; the same figure gives the same bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return file.getvalue()


def panel(title: str, size: tuple[float, float], *, grid: bool = True) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes.

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
    """Return the names of a window's steps, oldest first: "t-2", "t-1", "t"."""
    return [f"t-{steps_back}" if steps_back else "t" for steps_back in range(steps - 1, -1, -1)]
