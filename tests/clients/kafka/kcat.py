"""What is typed into kcat, and what it prints."""

import json
import subprocess

from scenario import holds, main, name, same, scenario

KCAT = "/usr/bin/kcat"
SECONDS = 40


def kcat(brokers, *arguments, typed=None):
    """What it prints; it must end well."""
    command = [KCAT, "-b", brokers, *map(str, arguments)]
    done = subprocess.run(command, input=typed, capture_output=True, timeout=SECONDS)
    holds(
        done.returncode == 0,
        f"{' '.join(command)} ends with {done.returncode}: {done.stderr[-300:]}",
    )
    return done.stdout


def lines(count):
    return b"".join(b"record %d\n" % i for i in range(count))


def send(brokers, where, typed, *arguments):
    kcat(brokers, "-P", "-t", where, "-p", 0, *arguments, typed=typed)


def read(brokers, where, *arguments):
    return kcat(brokers, "-C", "-q", "-e", "-t", where, *arguments)


@scenario("-L lists brokers and topics, also as JSON")
def listing(brokers):
    where = name("listed")
    send(brokers, where, b"x\n")
    said = json.loads(kcat(brokers, "-L", "-J", "-t", where))
    holds(
        said["brokers"] and said["controllerid"] in [one["id"] for one in said["brokers"]],
        f"{said}",
    )
    same("topics", [one["topic"] for one in said["topics"]], [where])
    holds(where.encode() in kcat(brokers, "-L"), "it is not among all")


def codec_scenario(codec):
    @scenario(f"-z {codec}: lines come back as they were typed")
    def play(brokers):
        where = name(f"codec-{codec}")
        send(brokers, where, lines(200), "-z", codec)
        same("read", read(brokers, where, "-o", "beginning"), lines(200))


for _codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_scenario(_codec)


@scenario("-K: keys; -Z: empty is null; -H: headers")
def keys(brokers):
    where = name("keys")
    send(brokers, where, b"a:1\nb:\n:3\n", "-K:", "-Z", "-H", "one=1", "-H", "two=2")
    said = read(brokers, where, "-o", "beginning", "-f", "%k/%K/%s/%S/%h;")
    same("read", said, b"a/1/1/1/one=1,two=2;b/1//-1/one=1,two=2;/-1/3/1/one=1,two=2;")


@scenario("-o: from an offset, from behind, by time")
def offsets(brokers):
    where = name("offsets")
    send(brokers, where, lines(10))
    same("7", read(brokers, where, "-o", 7), b"record 7\nrecord 8\nrecord 9\n")
    same("-2", read(brokers, where, "-o", -2), b"record 8\nrecord 9\n")
    same("-c 3", read(brokers, where, "-o", "beginning", "-c", 3), lines(3))
    same("s@0", read(brokers, where, "-o", "s@0"), lines(10))
    said = kcat(brokers, "-Q", "-t", f"{where}:0:0").split()
    same("-Q", said[-1], b"0")
    said = kcat(brokers, "-Q", "-t", f"{where}:0:-1").split()
    same("-Q, the end", said[-1], b"10")


@scenario("-G: a group goes on where it was left")
def group(brokers):
    where, named = name("group"), name("group")
    send(brokers, where, lines(6))
    how = (
        "-G",
        named,
        "-q",
        "-e",
        "-X",
        "auto.offset.reset=earliest",
        "-X",
        "session.timeout.ms=6000",
    )
    same("first", kcat(brokers, *how, where), lines(6))
    send(brokers, where, b"new\n")
    same("second", kcat(brokers, *how, where), b"new\n")


@scenario("-X enable.idempotence and -X transactional.id: all lines in a transaction")
def transaction(brokers):
    where = name("txn")
    send(brokers, where, lines(20), "-X", "enable.idempotence=true")
    send(brokers, where, lines(5), "-X", f"transactional.id={name('id')}")
    same(
        "read",
        read(brokers, where, "-o", "beginning", "-X", "isolation.level=read_committed"),
        lines(20) + lines(5),
    )


@scenario("-X acks=0, 1, all")
def acks(brokers):
    where = name("acks")
    for which in ("0", "1", "all"):
        send(brokers, where, lines(3), "-X", f"acks={which}")
    same("read", read(brokers, where, "-o", "beginning"), lines(3) * 3)


if __name__ == "__main__":
    main()
