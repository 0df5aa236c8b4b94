"""Converts pydantic's errors to one line: the first problem's setting, its rule, and the invalid value."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

__all__ = ["Origin", "RuleDescriber", "format_error", "no_rule_description", "suggest_name"]

RuleDescriber = Callable[[ErrorDetails], str | None]
"""Function that returns a full description of a setting's rule, used in errors instead of pydantic's message;
None to keep pydantic's message."""

_SECRET_NAMES = {"password", "token"}


@dataclass(frozen=True, slots=True)
class Origin:
    """The sources that a value may come from: flags, environment, and file."""

    file: Path | None
    env_prefix: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, path: Sequence[str]) -> str:
        """Return the start of an error line, which names the source of a setting.

        An environment variable may give the setting alone or its whole table.

        Parameters
        ----------
        path : the setting's name, section first.
        """
        if path and path[0] in self.flags:
            return "--"
        variables = {key.upper() for key in self.environment}
        for length in range(len(path), 0, -1):
            variable = self.env_prefix + "__".join(path[:length]).upper()
            if variable in variables:
                return f"environment {variable}: "
        return f"{self.file}: " if self.file else "settings: "


def no_rule_description(_problem: ErrorDetails) -> str | None:
    """Return None, which keeps pydantic's message."""
    return None


def format_error(
    error: ValidationError,
    model: type[BaseModel],
    origin: Origin,
    describe_rule: RuleDescriber = no_rule_description,
) -> str:
    """Describe the first problem, and count the other settings with a problem.

    Parameters
    ----------
    model : the settings model.
    origin : the sources that the value may come from.
    describe_rule : see `RuleDescriber`.
    """
    problems = error.errors()
    paths = [_find_path(problem, model, describe_rule) for problem in problems]
    rule = describe_rule(problems[0]) or _format_rule(problems[0], model)
    source = origin.describe(paths[0])
    name = ".".join(paths[0])
    if source == "--":
        name = name.replace("_", "-")
    separator = "" if not name else " " if rule.startswith(("must ", "is ")) else ": "
    others = len(set(paths)) - 1
    return f"{source}{name}{separator}{rule}" + (f" (and {others} more)" if others else "")


def suggest_name(name: str, known: AbstractSet[str]) -> str:
    """Return the known name that is most similar to `name`; "" if none is similar."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "")


def _find_path(
    problem: ErrorDetails, model: type[BaseModel], describe_rule: RuleDescriber
) -> tuple[str, ...]:
    """Return the setting's name, section first; only the first part if `describe_rule` describes the rule."""
    path, _ = _walk(model, problem["loc"])
    return path[:1] if describe_rule(problem) else path


def _walk(model: type[BaseModel], location: Sequence[int | str]) -> tuple[tuple[str, ...], type[BaseModel]]:
    """Return the first parts of an error's location, which name a setting, and the section of the setting.

    The remaining parts are left out: they name the member of a union that pydantic tried, which doesn't help
    a user.
    """
    path: list[str] = []
    section, annotation = model, model  # type: type[BaseModel], Any
    for part in location:
        if isinstance(part, int):
            annotation = next(iter(get_args(annotation)), None)
        elif _is_section(annotation):
            section = annotation
            field_info = section.model_fields.get(part)
            annotation = field_info.annotation if field_info else None
        elif get_origin(annotation) is dict:
            annotation = _without_metadata(get_args(annotation)[1])
            section = annotation if _is_section(annotation) else section
        else:
            break
        path.append(str(part))
    return tuple(path), section


def _without_metadata(annotation: Any) -> Any:
    """Return the type that `Annotated` is about."""
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _format_rule(problem: ErrorDetails, model: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        _, section = _walk(model, problem["loc"])
        known = set(section.model_fields)
        closest_name = suggest_name(str(problem["loc"][-1]), known)
        expected = f"expected one of {', '.join(sorted(known))}"
        hint = f"did you mean {closest_name!r}?" if closest_name else expected
        return f"is an unknown setting; {hint}"
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] in {"list_type", "tuple_type"} and isinstance(problem["input"], dict):
        name = ".".join(map(str, problem["loc"]))
        return f"must be a list of tables, and [{name}] is one table; expected [[{name}]]"
    if problem["type"] in {"too_short", "string_too_short"}:
        return "must not be empty"
    text = (
        problem["msg"]
        .replace("Input should", "should")
        .replace("Value error, ", "")
        .replace("should", "must")
    )
    value = problem["input"]
    is_secret = not _SECRET_NAMES.isdisjoint(problem["loc"])
    if problem["type"] == "value_error" or is_secret or not isinstance(value, (str, int, float, bool)):
        return text
    return f"{text}, not {value!r}"
