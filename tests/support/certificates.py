"""Certificate authorities, and certificates with any dates, made by openssl."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import skip_or_fail

EXPIRED = ("20200101000000Z", "20210101000000Z")
"""First and last time of a certificate that has expired."""
NOT_YET_VALID = ("20600101000000Z", "20610101000000Z")
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")  # faster than RSA
_CONFIG = """
[ca]
default_ca = default
[default]
database = index.txt
new_certs_dir = .
default_md = sha256
default_days = 2
policy = any
rand_serial = yes
unique_subject = no
[any]
commonName = supplied
[broker]
subjectAltName = IP:127.0.0.1
"""


def run_openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in a folder."""
    program = shutil.which("openssl")
    if program is None:
        skip_or_fail("openssl", "openssl is not installed")
    subprocess.run([str(program), *arguments], cwd=folder, check=True, capture_output=True)


def create_ca(folder: Path, name: str) -> None:
    """Create a CA: `<name>.pem` and `<name>.key`. One of that name before is replaced."""
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
    run_openssl(folder, "req", "-x509", *_NEW_KEY, *files, "-days", "2", "-subj", f"/CN={name}")


def create_certificate(folder: Path, ca: str, name: str, dates: tuple[str, str] | None = None) -> None:
    """Create a certificate and its key, signed by a CA, valid for the host 127.0.0.1.

    Parameters
    ----------
    dates : first and last time at which it is valid; None: from now on for two days.
    """
    (folder / "openssl.cnf").write_text(_CONFIG)
    (folder / "index.txt").touch()
    request = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    run_openssl(folder, "req", *_NEW_KEY, *request, "-subj", f"/CN={name}")
    signer = ("-cert", f"{ca}.pem", "-keyfile", f"{ca}.key", "-extensions", "broker", "-notext")
    validity = ("-startdate", dates[0], "-enddate", dates[1]) if dates else ()
    files = ("-in", f"{name}.csr", "-out", f"{name}.pem")
    run_openssl(folder, "ca", "-batch", "-config", "openssl.cnf", *files, *signer, *validity)
