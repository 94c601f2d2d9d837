"""Curator's recipes over the Java client, both from PySpark's jars: a Java
program run from its source that prints a line a check."""

import subprocess

import install
from kit import HERE, Counts, Failed

QUICK = True
CHECK = HERE / "curator" / "Check.java"
# Two of the checks wait for servers that look once a minute.
CHECK_SECONDS = 600


def prepare():
    install.java()
    install.spark_jars()


def run(target, _folder, is_quick):
    command = ["java", f"-Dcheck.source={CHECK}", "-cp", f"{install.spark_jars()}/*", CHECK]
    command += [target.hosts] + ([] if is_quick else ["full"])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace").splitlines()
        raise Failed(f"no end after {CHECK_SECONDS} s; last said {said[-1:]}") from None
    counts, lines = Counts(), done.stdout.splitlines()
    for line in lines:
        if line.startswith(("ok : ", "FAILED ")):
            counts.check(line.startswith("ok : "), line)
    if counts.passed + len(counts.failures) == 0 or (done.returncode != 0) != bool(counts.failures):
        raise Failed(f"Check.java ended with {done.returncode}: {' | '.join(lines[-5:])}")
    return counts
