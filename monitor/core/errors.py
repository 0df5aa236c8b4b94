"""The two ways in which a command ends badly."""

__all__ = [
    "BundleError",
    "ConfigurationError",
    "InUseError",
    "InvalidInputError",
    "OperationError",
    "RecordingError",
]


class InvalidInputError(Exception):
    """Something given can't be used (exit code 2): the text says what, where, and what was expected.

    It won't pass by itself, so a service manager need not try again.
    """


class OperationError(Exception):
    """The work could not be done (exit code 1): the text says why. It may pass."""


class InUseError(OperationError):
    """Another process has now what was to be ours."""


class ConfigurationError(InvalidInputError):
    """Settings, or what they point to."""


class BundleError(InvalidInputError):
    """A bundle that can't be trusted."""


class RecordingError(InvalidInputError):
    """A recording that can't be read."""
