"""Frames that are none, and lies about lengths, before anybody is known."""

import time

from hostile_kit import NONE, UNSUPPORTED_VERSION, Growth, first
from raw import (
    API_VERSIONS,
    METADATA,
    PRODUCE,
    Closed,
    Connection,
    data,
    i8,
    i16,
    i32,
    text,
    unsigned,
)
from scenario import Saw, holds, same, scenario


@scenario(
    "API versions: an unknown version is answered 35 in the form of version 0, and the connection stays"
)
def versions(brokers):
    with Connection(first(brokers)) as connection:
        said = connection.ask(API_VERSIONS, 99, b"\0\0\0", flexible=True)
        same("code", said.i16(), UNSUPPORTED_VERSION)
        ranges = {
            key: (low, high)
            for key, low, high in said.array(lambda: (said.i16(), said.i16(), said.i16()))
        }
        holds(API_VERSIONS in ranges, f"ranges {ranges}")
        holds(connection.is_alive(), "the connection has ended")


def ending_scenario(title, speak, times=1):
    """Says something on a new connection, before anybody is known: it is ended at
    once, nothing is taken for it, and others are served."""

    @scenario(f"connection: {title}: it is ended")
    def play(brokers):
        with Growth() as growth:
            for _ in range(times):
                with Connection(first(brokers)) as connection:
                    try:
                        speak(connection)
                    except Closed:
                        continue
                    if not connection.is_ended():
                        raise Saw("it is answered, or waited for")
        growth.check()
        with Connection(first(brokers)) as another:
            holds(another.is_alive(), "nobody is served any more")


HEAD = i16(METADATA) + i16(4) + i32(1) + text("raw")
FLEXIBLE = i16(METADATA) + i16(12) + i32(1) + text("raw")
MILLIONS = 50_000_000

ending_scenario("an unknown API key", lambda c: c.say(999, 0, b""))
ending_scenario("a negative API key", lambda c: c.say(-1, 0, b""))
ending_scenario("an unknown version of Metadata", lambda c: c.say(METADATA, 99, b"\0" * 8))
ending_scenario("a version that is gone, Produce 0", lambda c: c.say(PRODUCE, 0, b"\0" * 10))
ending_scenario("a frame of a negative length", lambda c: c.raw(i32(-1) + b"x"))
ending_scenario("a frame of no length", lambda c: c.raw(i32(0)))
ending_scenario("a frame of two gigabytes", lambda c: c.raw(i32(2_147_483_647) + HEAD), times=20)
ending_scenario("a frame of half a head", lambda c: c.raw(data(HEAD[:6])))
ending_scenario("words of another protocol", lambda c: c.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
ending_scenario(
    "a client's name that is longer than the frame",
    lambda c: c.raw(data(HEAD[:8] + i16(32_000) + b"raw")),
)
ending_scenario(
    "fifty million topics declared in ten bytes",
    lambda c: c.raw(data(HEAD + i32(MILLIONS) + b"\0" * 6)),
    times=20,
)
ending_scenario("a negative count of topics", lambda c: c.raw(data(HEAD + i32(-7) + i8(0))))
ending_scenario(
    "a topic's name that is longer than the frame",
    lambda c: c.raw(data(HEAD + i32(1) + i16(30_000) + b"abc")),
)
ending_scenario(
    "a topic's name that is no text",
    lambda c: c.raw(data(HEAD + i32(1) + i16(3) + b"\xff\xfe\xfd" + i8(0))),
)
ending_scenario(
    "two thousand million topics, compact",
    lambda c: c.raw(data(FLEXIBLE + b"\0" + unsigned(2_000_000_000) + b"\0" * 6)),
    times=20,
)
ending_scenario(
    "fifty million tagged fields in the head",
    lambda c: c.raw(data(FLEXIBLE + unsigned(MILLIONS) + b"\0\0" * 10)),
    times=20,
)
ending_scenario(
    "a tagged field that is longer than the frame",
    lambda c: c.raw(data(FLEXIBLE + b"\x01\x05" + unsigned(1 << 30) + b"ab")),
)
ending_scenario("a length of eleven bytes", lambda c: c.raw(data(FLEXIBLE + b"\0" + b"\xff" * 11)))
ending_scenario(
    "a hundred million names declared to ApiVersions",
    lambda c: c.raw(
        data(
            i16(API_VERSIONS) + i16(3) + i32(1) + text("raw") + b"\0" + unsigned(100_000_000) + b"x"
        )
    ),
)


@scenario("connection: a frame of nothing but ten million empty names does not grow to gigabytes")
def many_names(brokers):
    # Twenty bytes of memory for each of two bytes that were sent are 200 MiB; what
    # comes of it, an answer, a refusal or an end, is the broker's to say.
    with Growth() as growth, Connection(first(brokers)) as connection:
        frame = HEAD + i32(10_000_000) + i16(0) * 10_000_000 + i8(0)
        try:
            connection.raw(data(frame))
            connection.is_ended()
        except Closed:
            pass
    growth.check()
    with Connection(first(brokers)) as another:
        holds(another.is_alive(), "nobody is served any more")


@scenario("connection: fifty frames of a hundred thousand tagged fields each cost little")
def many_tags(brokers):
    with Growth() as growth, Connection(first(brokers)) as connection:
        tags = b"".join(unsigned(1000 + tag) + b"\0" for tag in range(100_000))
        frame = FLEXIBLE + unsigned(100_000) + tags + b"\x01\x01\0\0"
        try:
            for _ in range(50):
                connection.raw(data(frame))
            connection.is_ended()
        except Closed:
            pass
    growth.check()
    with Connection(first(brokers)) as another:
        holds(another.is_alive(), "nobody is served any more")


@scenario(
    "connection: two hundred that declare 50 MB each and say nothing more cost next to nothing"
)
def promises(brokers):
    opened = []
    with Growth() as growth:
        try:
            for _ in range(200):
                connection = Connection(first(brokers))
                opened.append(connection)
                try:
                    connection.raw(i32(50_000_000) + HEAD)
                except Closed:
                    pass
            time.sleep(1)
            with Connection(first(brokers)) as another:
                holds(another.is_alive(), "nobody else is served")
        finally:
            for connection in opened:
                connection.socket.close()
    growth.check()


@scenario("connection: a thousand questions at once are answered in their order")
def pipelined(brokers):
    with Connection(first(brokers)) as connection:
        for _ in range(1000):
            connection.say(API_VERSIONS, 0, b"")
        connection.correlation = 0
        for _ in range(1000):
            connection.correlation += 1
            same("code", connection.heard().i16(), NONE)


@scenario("connection: a question byte by byte is answered as one in a piece")
def byte_by_byte(brokers):
    with Connection(first(brokers)) as connection:
        connection.correlation = 1
        for byte in data(i16(API_VERSIONS) + i16(0) + i32(1) + text("raw")):
            connection.raw(bytes([byte]))
            time.sleep(0.002)
        same("code", connection.heard().i16(), NONE)
