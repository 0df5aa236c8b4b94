"""The two ways in which a command ends badly."""

__all__ = ["BundleError", "ConfigurationError", "FailedError", "RecordingError", "UnusableError"]


class UnusableError(Exception):
    """Something given can't be used (exit code 2): the text says what, where, and what was expected."""


class FailedError(Exception):
    """The work could not be done (exit code 1): the text says why."""


class ConfigurationError(UnusableError):
    """Settings, or what they point to."""


class BundleError(UnusableError):
    """A bundle that can't be trusted."""


class RecordingError(UnusableError):
    """A recording that can't be read."""
