"""Render the model card from the templates beside this module: one HTML file that fetches nothing.

Whatever a view holds is escaped. A name that a template uses and no view has is an error, not an empty place.
"""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["render"]


def render(template: str, views: Mapping[str, object]) -> bytes:
    """Return a page as UTF-8.

    Parameters
    ----------
    template : a file's name in `templates/`.
    views : what the template may use, by name: plain values.
    """
    return _environment().get_template(template).render(views).encode()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent, "share": _share, "thousands": _thousands}
    return environment


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"


def _thousands(count: int) -> str:
    return f"{count:,}"
