"""Real certificates for the tests, made with the openssl program."""

import subprocess
from pathlib import Path

from router.certificate import ServerTls
from router.table import Tls

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    """Signs certificates. Its files live in ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.pem, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl(
            "req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-days", "30",
            "-keyout", str(self._key), "-out", str(self.pem),
        )  # fmt: skip

    def issue(
        self,
        name: str,
        *,
        names: str = "DNS:localhost,DNS:model.test,IP:127.0.0.1",
        days: int = 20,
    ) -> tuple[str, str]:
        """Sign a new key; return the paths of certificate and key."""
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", "-new", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(key), "-out",
                str(request))  # fmt: skip
        openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.pem), "-CAkey", str(self._key),
            "-CAcreateserial", "-days", str(days), "-extfile", str(extensions), "-out", str(cert),
        )  # fmt: skip
        return str(cert), str(key)

    def server(self, name: str = "server", *, client_ca: bool = False) -> ServerTls:
        """Return what a listener shows, with a new certificate."""
        cert, key = self.issue(name)
        return ServerTls(cert, key, str(self.pem) if client_ca else "")

    def trust(self, **settings: str) -> Tls:
        """Return what a variant must show: one of our certificates."""
        return Tls(ca=str(self.pem), **settings)
