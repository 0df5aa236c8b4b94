"""The two ways in which a command ends badly."""

__all__ = [
    "BundleError",
    "ConfigurationError",
    "FailedError",
    "InUseError",
    "RecordingError",
    "UnusableError",
]


class UnusableError(Exception):
    """Something given can't be used (exit code 2): the text says what, where, and what was expected.

    It won't pass by itself, so a service manager need not try again.
    """


class FailedError(Exception):
    """The work could not be done (exit code 1): the text says why. It may pass."""


class InUseError(FailedError):
    """Another process has now what was to be ours."""


class ConfigurationError(UnusableError):
    """Settings, or what they point to."""


class BundleError(UnusableError):
    """A bundle that can't be trusted."""


class RecordingError(UnusableError):
    """A recording that can't be read."""
