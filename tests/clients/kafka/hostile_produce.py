"""Broken batches and producers: which code, and that the connection stays."""

import gzip

from hostile_kit import (
    CONCURRENT_TRANSACTIONS,
    COORDINATOR_LOADING,
    CORRUPT_MESSAGE,
    DUPLICATE_SEQUENCE,
    INVALID_PRODUCER_EPOCH,
    INVALID_PRODUCER_ID_MAPPING,
    INVALID_RECORD,
    INVALID_REQUEST,
    INVALID_REQUIRED_ACKS,
    INVALID_TOPIC,
    INVALID_TRANSACTION_TIMEOUT,
    INVALID_TXN_STATE,
    MESSAGE_TOO_LARGE,
    NONE,
    NOT_COORDINATOR,
    OUT_OF_ORDER_SEQUENCE,
    PRODUCER_FENCED,
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    UNKNOWN_TOPIC_OR_PARTITION,
    UNSUPPORTED_COMPRESSION,
    Growth,
    coordinator,
    first,
    metadata,
    topic,
)
from raw import (
    ADD_PARTITIONS_TO_TXN,
    END_TXN,
    INIT_PRODUCER_ID,
    PRODUCE,
    Connection,
    array,
    batch,
    data,
    i8,
    i16,
    i32,
    i64,
    record,
    text,
    varint,
)
from scenario import holds, name, same, scenario, until


def produce(connection, where, records, partition=0, acks=-1, transaction=None):
    """The error code and the base offset of one partition."""
    body = text(transaction) + i16(acks) + i32(10_000)
    body += array([text(where) + array([i32(partition) + data(records)])])
    said = connection.ask(PRODUCE, 7, body)

    def answer():
        return said.i32(), said.i16(), said.i64(), said.i64(), said.i64()

    ((_, ((_, code, offset, _, _),)),) = said.array(lambda: (said.text(), said.array(answer)))
    return code, offset


def produce_scenario(title, wanted, make, **how):
    """Produces what `make` gives: which code, and that the connection stays."""

    @scenario(f"produce: {title}: {' or '.join(map(str, wanted))}, the connection stays")
    def play(brokers):
        where, leader = topic(brokers)
        with Connection(leader) as connection:
            code, _ = produce(connection, where, make(), **how)
            holds(code in wanted, f"code {code}")
            holds(connection.is_alive(), "the connection has ended")
            same("a good batch behind it", produce(connection, where, batch())[0], NONE)


produce_scenario("a good batch", [NONE], batch)
produce_scenario("a wrong CRC", [CORRUPT_MESSAGE], lambda: batch(crc=12345))
produce_scenario(
    "a bit turned behind the CRC",
    [CORRUPT_MESSAGE],
    lambda: batch()[:-3] + bytes([batch()[-3] ^ 1]) + batch()[-2:],
)
produce_scenario("magic 1", [INVALID_RECORD], lambda: batch(magic=1))
produce_scenario("magic 9", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch(magic=9))
produce_scenario("above the limit", [MESSAGE_TOO_LARGE], lambda: batch([bytes(1_200_000)]))
produce_scenario("no batch at all", [INVALID_RECORD], lambda: b"")
produce_scenario("null for records", [INVALID_RECORD, INVALID_REQUEST], lambda: None)
produce_scenario("ten bytes of a batch", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch()[:10])
produce_scenario("a batch without its end", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch()[:-4])
produce_scenario(
    "a batch that says to be longer", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch(length=5000)
)
produce_scenario(
    "a batch that says to be empty", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch(length=0)
)
produce_scenario(
    "a batch that says to have a negative length",
    [CORRUPT_MESSAGE, INVALID_RECORD],
    lambda: batch(length=-61),
)
produce_scenario(
    "two thousand million records declared",
    [CORRUPT_MESSAGE, INVALID_RECORD],
    lambda: batch(count=2_000_000_000, last_delta=1_999_999_999),
)
produce_scenario(
    "a negative count of records", [CORRUPT_MESSAGE, INVALID_RECORD], lambda: batch(count=-1)
)
produce_scenario(
    "no record in the batch",
    [INVALID_RECORD, CORRUPT_MESSAGE],
    lambda: batch([], count=0, last_delta=0),
)
produce_scenario(
    "offsets that do not follow each other",
    [INVALID_RECORD],
    lambda: batch([b"a", b"b"], records=record(b"a", 0) + record(b"b", 7)),
)
produce_scenario(
    "a record that says to be longer than the batch",
    [INVALID_RECORD, CORRUPT_MESSAGE],
    lambda: batch(records=varint(9999) + b"xx"),
)
produce_scenario(
    "an unknown codec",
    [INVALID_RECORD, CORRUPT_MESSAGE, UNSUPPORTED_COMPRESSION],
    lambda: batch(attributes=7),
)
produce_scenario(
    "gzip that is none",
    [INVALID_RECORD, CORRUPT_MESSAGE],
    lambda: batch(attributes=1, records=b"not gzip"),
)
produce_scenario("a control batch", [INVALID_RECORD], lambda: batch(attributes=0x20))
produce_scenario(
    "a transactional batch outside of a transaction",
    [TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_TXN_STATE, INVALID_RECORD],
    lambda: batch(attributes=0x10, producer=(7_777, 0, 0)),
)
produce_scenario("to an unknown partition", [UNKNOWN_TOPIC_OR_PARTITION], batch, partition=9)
produce_scenario("to a negative partition", [UNKNOWN_TOPIC_OR_PARTITION], batch, partition=-1)
produce_scenario("acks 5", [INVALID_REQUIRED_ACKS], batch, acks=5)


@scenario("produce: to an unknown topic: 3, and it is not made by that")
def unknown_topic(brokers):
    where = name("never")
    with Connection(topic(brokers)[1]) as connection:
        same("code", produce(connection, where, batch())[0], UNKNOWN_TOPIC_OR_PARTITION)
        same(
            "asked for without making it",
            metadata(connection, where)[0],
            UNKNOWN_TOPIC_OR_PARTITION,
        )
        same("a bad name", metadata(connection, "a b")[0], INVALID_TOPIC)


@scenario("produce: a few hundred bytes that unpack to a gigabyte are refused, and not unpacked")
def bomb(brokers):
    where, leader = topic(brokers)
    zeros = gzip.compress(bytes(200 << 20), 9)
    packed = gzip.compress(zeros, 9)
    with Growth() as growth, Connection(leader) as connection:
        for inner in (zeros, packed):
            code, _ = produce(connection, where, batch(attributes=1, records=inner))
            holds(code in (INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE), f"code {code}")
        holds(connection.is_alive(), "the connection has ended")
    growth.check()


def producer_id(brokers, transaction=None, timeout=60_000):
    address = coordinator(brokers, transaction, 1) if transaction else first(brokers)

    def given():
        with Connection(address) as connection:
            said = connection.ask(INIT_PRODUCER_ID, 1, text(transaction) + i32(timeout))
            said.i32()
            code, identity, epoch = said.i16(), said.i64(), said.i16()
            if code in (CONCURRENT_TRANSACTIONS, COORDINATOR_LOADING, NOT_COORDINATOR):
                return None
            return code, identity, epoch

    return until("a producer's id is given", given)


@scenario("producer: 45 out of order, a repeated batch is no second one, 47 below its epoch")
def sequences(brokers):
    where, leader = topic(brokers)
    _, identity, epoch = producer_id(brokers)
    with Connection(leader) as connection:
        send = lambda sequence, at=epoch: produce(
            connection, where, batch(producer=(identity, at, sequence))
        )
        code, offset = send(0)
        same("the first", code, NONE)
        again, same_offset = send(0)
        holds(
            (again, same_offset) == (NONE, offset) or again == DUPLICATE_SEQUENCE,
            f"again: {again} at {same_offset}, first at {offset}",
        )
        same("a gap", send(5)[0], OUT_OF_ORDER_SEQUENCE)
        same("the next", send(1)[0], NONE)
        same("a later epoch that does not begin at 0", send(3, epoch + 1)[0], OUT_OF_ORDER_SEQUENCE)
        same("a later epoch", send(0, epoch + 1)[0], NONE)
        same("an earlier epoch", send(2)[0], INVALID_PRODUCER_EPOCH)
        holds(connection.is_alive(), "the connection has ended")


@scenario(
    "transaction: 47 or 90 for the fenced producer, 49 for a wrong id, 48 without one, 50 too long"
)
def transactions(brokers):
    where, leader = topic(brokers)
    named = name("id")
    _, identity, epoch = producer_id(brokers, named)
    _, later_identity, later_epoch = producer_id(brokers, named)
    holds((later_identity, later_epoch) > (identity, epoch), f"{epoch} and then {later_epoch}")
    with Connection(coordinator(brokers, named, 1)) as connection:

        def add(identity, epoch):
            body = text(named) + i64(identity) + i16(epoch) + array([text(where) + array([i32(0)])])
            said = connection.ask(ADD_PARTITIONS_TO_TXN, 0, body)
            said.i32()
            answer = lambda: (said.i32(), said.i16())
            ((_, ((_, code),)),) = said.array(lambda: (said.text(), said.array(answer)))
            return code

        def end(identity, epoch, version=2):
            said = connection.ask(
                END_TXN, version, text(named) + i64(identity) + i16(epoch) + i8(1)
            )
            said.i32()
            return said.i16()

        fenced = (INVALID_PRODUCER_EPOCH, PRODUCER_FENCED)
        if later_identity == identity:
            holds((code := add(identity, epoch)) in fenced, f"fenced, adding: {code}")
            holds((code := end(identity, epoch)) in fenced, f"fenced, ending: {code}")
        same("a wrong id", add(later_identity + 1_000_000, 0), INVALID_PRODUCER_ID_MAPPING)
        same("ends what was not begun", end(later_identity, later_epoch), INVALID_TXN_STATE)
        same("begins", add(later_identity, later_epoch), NONE)
        same("ends", end(later_identity, later_epoch), NONE)
        holds(connection.is_alive(), "the connection has ended")
    same(
        "too long", producer_id(brokers, name("id"), 2_000_000_000)[0], INVALID_TRANSACTION_TIMEOUT
    )
    same("no time", producer_id(brokers, name("id"), -1)[0], INVALID_TRANSACTION_TIMEOUT)
