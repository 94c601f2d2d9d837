"""Records that a node acknowledges, one after another, by one idempotent producer
that goes on where it was after a cut. Runs where nothing but Python's smallest
is, beside raw.py.

    records_load.py make ADDRESS TOPIC [NAME=VALUE]    its producer's id and epoch
    records_load.py write ADDRESS TOPIC ACKS ID EPOCH NUMBER CONSOLE
    records_load.py read ADDRESS TOPIC                 OFFSET:NUMBER of each record

`write` begins with NUMBER, which is the sequence too, and says `acked TOPIC NUMBER
OFFSET` on the console as soon as it is told. Where a record before the cut was
written and its acknowledgement lost, the broker knows it again: the same number
has the same offset."""

import struct
import sys
import time

from raw import (
    CREATE_TOPICS,
    FETCH,
    INIT_PRODUCER_ID,
    LIST_OFFSETS,
    PRODUCE,
    Connection,
    array,
    batch,
    data,
    i8,
    i16,
    i32,
    i64,
    text,
)

NONE, TOPIC_EXISTS, DUPLICATE_SEQUENCE = 0, 36, 46
# Brokers that have just started: their partitions are being read back.
PASSING = (3, 5, 6, 7, 13, 14, 15, 16, 56)
PATIENCE = 60
HEADER = struct.Struct(">qiibIhiqqqhii")


def again(what, ask):
    """Until it is not refused for a while only."""
    end = time.monotonic() + PATIENCE
    while True:
        code, found = ask()
        if code not in PASSING:
            return code, found
        if time.monotonic() > end:
            raise SystemExit(f"{what}: still refused with {code}")
        time.sleep(0.1)


def make(address, topic, *settings):
    named = [text(part) for setting in settings for part in setting.split("=", 1)]
    configs = [one + other for one, other in zip(named[::2], named[1::2])]
    with Connection(address) as connection:

        def create():
            new = text(topic) + i32(1) + i16(1) + array([]) + array(configs)
            said = connection.ask(CREATE_TOPICS, 2, array([new]) + i32(10_000) + i8(0))
            said.i32()
            ((_, code, why),) = said.array(lambda: (said.text(), said.i16(), said.text()))
            return code, why

        def begin():
            said = connection.ask(INIT_PRODUCER_ID, 0, text(None) + i32(60_000))
            said.i32()
            return said.i16(), (said.i64(), said.i16())

        code, why = again(f"create {topic}", create)
        if code not in (NONE, TOPIC_EXISTS):
            raise SystemExit(f"create {topic}: {code}, {why}")
        code, (identity, epoch) = again("a producer's id", begin)
        if code != NONE:
            raise SystemExit(f"a producer's id: {code}")
        print(identity, epoch)


def write(address, topic, acks, identity, epoch, number, console):
    number = int(number)
    with Connection(address) as connection, open(console, "w") as told:
        while True:
            records = batch([b"%d" % number], producer=(int(identity), int(epoch), number))

            def produce():
                body = text(None) + i16(int(acks)) + i32(10_000)
                body += array([text(topic) + array([i32(0) + data(records)])])
                said = connection.ask(PRODUCE, 7, body)
                place = lambda: (said.i32(), said.i16(), said.i64(), said.i64(), said.i64())
                ((_, ((_, code, offset, _, _),)),) = said.array(lambda: (said.text(), said.array(place)))
                return code, offset

            code, offset = again(f"record {number}", produce)
            if code not in (NONE, DUPLICATE_SEQUENCE):
                raise SystemExit(f"record {number}: {code}")
            print(f"acked {topic} {number} {offset}", file=told, flush=True)
            number += 1


def read(address, topic):
    with Connection(address) as connection:

        def end_of():
            body = i32(-1) + array([text(topic) + array([i32(0) + i64(-1)])])
            said = connection.ask(LIST_OFFSETS, 1, body)
            place = lambda: (said.i32(), said.i16(), said.i64(), said.i64())
            ((_, ((_, code, _, offset),)),) = said.array(lambda: (said.text(), said.array(place)))
            return code, offset

        code, end = again("the end", end_of)
        found, at = [], 0
        while code == NONE and at < end:
            code, payload = again(f"a fetch at {at}", lambda: fetch(connection, topic, at))
            some = list(parsed(payload))
            if code == NONE and not some:
                raise SystemExit(f"nothing at {at} of {end}")
            found += [(offset, number) for offset, number in some if offset >= at]
            at = some[-1][0] + 1 if some else at
        if code != NONE:
            raise SystemExit(f"{topic} at {at}: {code}")
        print(" ".join(f"{offset}:{number}" for offset, number in found))


def fetch(connection, topic, offset):
    body = i32(-1) + i32(500) + i32(1) + i32(1 << 20) + i8(0)
    body += array([text(topic) + array([i32(0) + i64(offset) + i32(1 << 20)])])
    said = connection.ask(FETCH, 4, body)
    said.i32()

    def place():
        number, code, _, _ = said.i32(), said.i16(), said.i64(), said.i64()
        said.array(lambda: (said.i64(), said.i64()))
        return number, code, said.data()

    ((_, ((_, code, payload),)),) = said.array(lambda: (said.text(), said.array(place)))
    return code, payload or b""


def parsed(payload):
    """Offset and number of each batch of one record; the last may be cut off."""
    at = 0
    while at + HEADER.size <= len(payload):
        base, length = struct.unpack_from(">qi", payload, at)
        end = at + 12 + length
        if end > len(payload):
            break
        # What stands behind the value is the count of headers, one byte.
        value = payload[at + HEADER.size : end - 1]
        digits = len(value) - len(value.rstrip(b"0123456789"))
        yield base, int(value[-digits:])
        at = end


if __name__ == "__main__":
    {"make": make, "write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
