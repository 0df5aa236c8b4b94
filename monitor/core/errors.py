"""Exceptions that end a command, by exit code: `InvalidInputError` gives 2, `OperationError` gives 1."""

__all__ = [
    "BundleError",
    "ConfigurationError",
    "InUseError",
    "InvalidInputError",
    "OperationError",
    "RecordingError",
]


class InvalidInputError(Exception):
    """Unusable input (exit code 2). The message names the input, the position in it, and the expected value.

    Running the command again gives the same error, so a service manager should not restart it.
    """


class OperationError(Exception):
    """A failure while running (exit code 1). The message gives the cause. Another run may succeed."""


class InUseError(OperationError):
    """A resource, such as a port or a store, that another process is using at the moment."""


class ConfigurationError(InvalidInputError):
    """Invalid settings, or a setting that names an unusable file, folder or address."""


class BundleError(InvalidInputError):
    """A bundle that is missing, damaged, or fails its verification."""


class RecordingError(InvalidInputError):
    """A recording that can't be read."""
