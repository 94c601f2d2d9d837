"""Fetches the outside clients once: Debian packages by apt, the rest into a
virtual environment in a cache folder outside the checkout."""

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

from kit import Failed

CACHE = Path(os.environ.get("DOLMEN_CLIENTS_CACHE", Path.home() / ".cache" / "dolmen-clients"))
KAZOO = "2.11.0"
# Newer ones dropped the call by which kazoo's harness makes certificates.
PYOPENSSL = "24.2.1"
PYTHON_PACKAGES = (
    f"kazoo=={KAZOO}",
    "pytest",
    "pytest-timeout",
    "objgraph",
    "gevent",
    "eventlet",
    "pyjks",
    f"pyOpenSSL=={PYOPENSSL}",
    "pure-sasl",
    # Its jars hold Curator 5.9.0, ZooKeeper 3.9.5 and Spark itself.
    "pyspark==4.3.0",
)
DEBIAN_PACKAGES = {
    "zookeeper": "/usr/share/zookeeper/bin/zkCli.sh",
    "zookeeper-bin": "/usr/lib/zookeeper/bin/cli_mt",
}
INSTALL_SECONDS = 1200


@contextmanager
def _one_at_a_time():
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command, env=None):
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        env={**os.environ, **(env or {})},
    )
    if done.returncode != 0:
        last = " | ".join(done.stdout.strip().splitlines()[-3:])
        raise Failed(f"{' '.join(map(str, command))} failed: {last}")


def java():
    """Any Java from 17 on; a development kit, since Curator's check is run from its source."""
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
        version = int(said.split('"')[1].split(".")[0])
    except (OSError, IndexError, ValueError):
        version = 0
    if version < 17 or shutil.which("javac") is None:
        apt(["openjdk-17-jdk-headless"])


def debian(*names):
    """Debian packages that are not there yet."""
    missing = [name for name in names if not Path(DEBIAN_PACKAGES[name]).exists()]
    if missing:
        apt(missing)
    for name in names:
        if not Path(DEBIAN_PACKAGES[name]).exists():
            raise Failed(f"package {name} does not bring {DEBIAN_PACKAGES[name]}")


def apt(names):
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with _one_at_a_time():
        _run([*become, "apt-get", *wait, "update"], quiet)
        install = [*become, "apt-get", *wait, "install", "-y", "--no-install-recommends", *names]
        try:
            _run(install, quiet)
        except Failed:
            # Another apt on the machine may have cleared what this one fetched.
            _run(install, quiet)


def python():
    """The virtual environment's interpreter, with every package in it."""
    interpreter, stamp = CACHE / "venv" / "bin" / "python", CACHE / "venv" / "packages"
    wanted = "\n".join(PYTHON_PACKAGES)
    with _one_at_a_time():
        if not interpreter.exists():
            _run([sys.executable, "-m", "venv", CACHE / "venv"])
        if not stamp.exists() or stamp.read_text() != wanted:
            _run([interpreter, "-m", "pip", "install", "--quiet", *PYTHON_PACKAGES])
            stamp.write_text(wanted)
    return interpreter


def spark_jars():
    """The folder of PySpark's jars."""
    python()
    found = list((CACHE / "venv" / "lib").glob("python3*/site-packages/pyspark/jars"))
    if not found or not list(found[0].glob("zookeeper-3.9.*.jar")):
        raise Failed("the installed pyspark has no jars/zookeeper-3.9.*.jar")
    return found[0]


def spark_home():
    return spark_jars().parent


def kazoo_source():
    """kazoo's source distribution, unpacked: its tests are not in the wheel."""
    interpreter, source = python(), CACHE / f"kazoo-{KAZOO}"
    with _one_at_a_time():
        if not (source / "kazoo" / "tests").exists():
            packed = CACHE / "sdist" / f"kazoo-{KAZOO}.tar.gz"
            if not packed.exists():
                _run([interpreter, "-m", "pip", "download", "--quiet", "--no-deps",
                      "--no-binary", ":all:", f"kazoo=={KAZOO}", "-d", packed.parent])
            with tarfile.open(packed) as archive:
                archive.extractall(CACHE, filter="data")
    return source
