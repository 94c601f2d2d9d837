"""An authority for one run, with a certificate for the servers and one for the
clients, made by openssl."""

import subprocess

from kit import Failed

DAYS = "2"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """PEM files in a folder: `ca.pem`, and NAME.pem with NAME.key."""

    def __init__(self, folder, addresses=("127.0.0.1",)):
        folder.mkdir()
        self.folder = folder
        self._openssl("req", "-x509", *KEY, "-days", DAYS, "-subj", "/CN=ca", *self._out("ca"))
        names = ",".join(f"IP:{address}" for address in addresses)
        self._sign("server", f"subjectAltName=DNS:localhost,{names}")
        self._sign("client", "basicConstraints=CA:FALSE")

    def path(self, name):
        return self.folder / name

    def text(self, name):
        return self.path(name).read_text()

    def _sign(self, name, extension):
        self.path(f"{name}.ext").write_text(f"{extension}\n")
        request, made = self.path(f"{name}.csr"), self.path(f"{name}.pem")
        key = self.path(f"{name}.key")
        self._openssl("req", *KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        by = ("-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial")
        how = ("-days", DAYS, "-extfile", self.path(f"{name}.ext"))
        self._openssl("x509", "-req", "-in", request, *by, *how, "-out", made)

    def _out(self, name):
        return "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.pem")

    def _openssl(self, *arguments):
        command = ["openssl", *map(str, arguments)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise Failed("there is no openssl: apt-get install openssl") from None
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)} failed: {done.stderr.strip()}")
