"""The packages that a run installs: this commit's, twins of it with a lower and
a higher version, and one of a build that knows the next level of data."""

import os
import shutil
import subprocess
from pathlib import Path

from kit import ROOT, Failed

BUILD_SECONDS = 1800
LOWER, HIGHER, NEXT = "0.0.9", "0.9.0", "0.9.1"


class Packs:
    """Each is built when it is first asked for. The binary inside is the
    everyday release's, or `$DOLMEN`: what is tried is how it is installed."""

    def __init__(self, folder):
        self.folder = folder / "packages"
        self.folder.mkdir()
        self.binary = Path(os.environ.get("DOLMEN", ROOT / "target" / "release" / "dolmen"))
        if not self.binary.exists():
            raise Failed(f"no {self.binary}: build it, or say where with DOLMEN=")
        # Another build must not change it half-way.
        self.binary = Path(shutil.copy2(self.binary, self.folder / "dolmen"))
        self.made = {}

    def deb(self, version):
        """The path of a deb, as the boxes see it."""
        return f"/packages/{self._made('deb', version).name}"

    def rpm(self, version):
        return f"/packages/{self._made('rpm', version).name}"

    def outside(self, kind, version):
        """The same, as this machine sees it."""
        return self._made(kind, version)

    def _made(self, kind, version):
        if (kind, version) not in self.made:
            binary = self._next() if version == NEXT else self.binary
            out = self.folder / f"{kind}-{version}"
            command = [ROOT / "packaging" / "build.sh", "--only", kind, "--out", out]
            run([*command, "--version", version, "--binary", binary])
            (found,) = (one for one in out.glob(f"dolmen[_-][0-9]*.{kind}"))
            self.made[kind, version] = Path(shutil.move(found, self.folder / found.name))
        return self.made[kind, version]

    def _next(self):
        """A build that knows one level more. Nobody measures it: it is built
        as the tests are."""
        given = os.environ.get("DOLMEN_NEXT")
        if given:
            return given
        run(["cargo", "build", "--locked", "--bin", "dolmen", "--features", "next-features"])
        built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "dolmen"
        return shutil.copy2(built, self.folder / "dolmen-next")


def this_version():
    """Of Cargo.toml."""
    for line in (ROOT / "Cargo.toml").read_text().splitlines():
        if line.startswith("version = "):
            return line.split('"')[1]
    raise Failed("Cargo.toml has no version")


def run(command, seconds=BUILD_SECONDS, check=True, cwd=ROOT, env=None):
    """A command on this machine: what it said, or why it failed."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise Failed(f"there is no {command[0]}: tests/packages/run says what it needs") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)} takes more than {seconds} s") from None
    if check and done.returncode != 0:
        said = (done.stderr + done.stdout).strip()[-800:]
        raise Failed(f"{' '.join(command)} ends with {done.returncode}: {said}")
    return done
