"""The one error that is the user's to mend."""

__all__ = ["InputError"]


class InputError(Exception):
    """Something that was handed in can't be used: one line that says what, where and what was expected."""
