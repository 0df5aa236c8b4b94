"""The settings of the HTTP server."""

from pathlib import Path
from typing import Annotated, Self

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from monitor.config.validators import validate_host, validate_host_name, validate_token

__all__ = ["HttpSettings"]


class HttpSettings(BaseModel):
    """The HTTP server: /metrics, /livez, /readyz and the page."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    host: Annotated[str, AfterValidator(validate_host)] = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 9108
    """0: any free port, which is logged."""
    token: Annotated[SecretStr, AfterValidator(validate_token)] | None = None
    """The secret required for everything but /livez and /readyz; None: no secret."""
    token_file: Path | None = None
    allowed_hosts: tuple[Annotated[str, AfterValidator(validate_host_name)], ...] = ()
    """Names that clients may ask for, beside addresses, `localhost` and the machine's name."""
    certfile: Path | None = None
    """Certificate of the server, with those of intermediate authorities; None: no TLS."""
    keyfile: Path | None = None
    """The private key of the certificate; None: `certfile` contains the key."""

    @model_validator(mode="after")
    def _check_token_source(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file must not both be set")
        return self

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.keyfile is not None and self.certfile is None:
            raise ValueError("a keyfile needs a certfile")
        return self

    @property
    def needs_token(self) -> bool:
        """Whether clients need a token."""
        return self.token is not None or self.token_file is not None
