"""Transactions, by confluent-kafka."""

from confluent_kafka import (
    OFFSET_BEGINNING,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec
from confluent_kit import (
    SECONDS,
    admin,
    consumer,
    given,
    numbered,
    producer,
    read,
    send,
    take,
    topic,
    values,
)
from scenario import Saw, holds, name, same, scenario, until


def transactional(brokers, identity, **settings):
    writer = producer(brokers, transactional_id=identity, **settings)
    writer.init_transactions(SECONDS)
    return writer


def seen(brokers, where, level, seconds=2):
    reader = consumer(brokers, isolation_level=level)
    reader.assign([TopicPartition(where, 0, OFFSET_BEGINNING)])
    found = take(reader, 1000, seconds)
    reader.close()
    return values(found)


@scenario("transaction: what is committed is read, and only then")
def commits(brokers):
    where = topic(brokers, "txn")
    writer = transactional(brokers, name("id"))
    writer.begin_transaction()
    writer.produce(where, b"in", partition=0)
    writer.flush(SECONDS)
    same("open, committed", seen(brokers, where, "read_committed"), [])
    same("open, uncommitted", seen(brokers, where, "read_uncommitted"), [b"in"])
    writer.commit_transaction(SECONDS)
    same("ended", seen(brokers, where, "read_committed"), [b"in"])


@scenario("transaction: what is aborted is passed over, and what comes behind is read")
def aborts(brokers):
    where = topic(brokers, "txn")
    writer = transactional(brokers, name("id"))
    for value, commit in ((b"one", True), (b"two", False), (b"three", True), (b"four", False)):
        writer.begin_transaction()
        writer.produce(where, value, partition=0)
        writer.flush(SECONDS)
        (writer.commit_transaction if commit else writer.abort_transaction)(SECONDS)
    same("committed", seen(brokers, where, "read_committed"), [b"one", b"three"])
    same(
        "uncommitted", seen(brokers, where, "read_uncommitted"), [b"one", b"two", b"three", b"four"]
    )


@scenario("transaction: an open one holds back what others write behind it")
def last_stable(brokers):
    where = topic(brokers, "txn")
    writer = transactional(brokers, name("id"))
    writer.begin_transaction()
    writer.produce(where, b"open", partition=0)
    writer.flush(SECONDS)
    send(brokers, where, [b"plain"])
    same("held back", seen(brokers, where, "read_committed"), [])
    place, client = TopicPartition(where, 0), admin(brokers)
    found = client.list_offsets(
        {place: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED
    )
    same("last stable", given(found).offset, 0)
    writer.abort_transaction(SECONDS)
    same("let go", seen(brokers, where, "read_committed"), [b"plain"])


@scenario("transaction: over partitions of two topics, all or nothing")
def atomic(brokers):
    one, two = topic(brokers, "one", partitions=2), topic(brokers, "two", partitions=2)
    writer = transactional(brokers, name("id"))
    for turn, commit in enumerate((True, False, True)):
        writer.begin_transaction()
        for where in (one, two):
            for partition in (0, 1):
                writer.produce(where, b"%d" % turn, partition=partition)
        (writer.commit_transaction if commit else writer.abort_transaction)(SECONDS)
    for where in (one, two):
        for partition in (0, 1):
            found = read(brokers, where, 2, partition, isolation_level="read_committed")
            same(f"{where}/{partition}", values(found), [b"0", b"2"])


@scenario("transaction: a second producer of the same id fences the first")
def fencing(brokers):
    where, identity = topic(brokers, "txn"), name("id")
    first = transactional(brokers, identity)
    first.begin_transaction()
    first.produce(where, b"first", partition=0)
    first.flush(SECONDS)
    second = transactional(brokers, identity)
    second.begin_transaction()
    second.produce(where, b"second", partition=0)
    second.commit_transaction(SECONDS)
    try:
        first.commit_transaction(SECONDS)
        raise Saw("the first could commit")
    except KafkaException as error:
        said = error.args[0]
        holds(said.fatal(), f"not fatal: {said}")
        holds(
            said.code()
            in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH),
            f"code {said.code()}: {said}",
        )
    same("read", seen(brokers, where, "read_committed"), [b"second"])


@scenario("transaction: offsets of a group are committed with it, or not at all")
def offsets_in_transaction(brokers):
    source, sink, group = topic(brokers, "source"), topic(brokers, "sink"), name("group")
    send(brokers, source, numbered(10))
    reader = consumer(brokers, group, isolation_level="read_committed")
    reader.subscribe([source])
    found = take(reader, 10)
    same("read", len(found), 10)
    writer = transactional(brokers, name("id"))
    for upto, commit in ((4, True), (8, False)):
        writer.begin_transaction()
        writer.produce(sink, b"up to %d" % upto, partition=0)
        places = [TopicPartition(source, 0, upto)]
        writer.send_offsets_to_transaction(places, reader.consumer_group_metadata(), SECONDS)
        (writer.commit_transaction if commit else writer.abort_transaction)(SECONDS)
    at = reader.committed([TopicPartition(source, 0)], SECONDS)[0].offset
    same("committed", at, 4)
    reader.close()
    same("sink", seen(brokers, sink, "read_committed"), [b"up to 4"])


@scenario("transaction: one whose producer is gone is aborted when its time is over", full=True)
def timed_out(brokers):
    where, identity = topic(brokers, "txn"), name("id")
    writer = transactional(brokers, identity, transaction_timeout_ms=3000)
    writer.begin_transaction()
    writer.produce(where, b"left open", partition=0)
    writer.flush(SECONDS)
    send(brokers, where, [b"behind"])
    until(
        "what is behind is read",
        lambda: seen(brokers, where, "read_committed", 1) == [b"behind"],
        60,
    )
    try:
        writer.commit_transaction(SECONDS)
        raise Saw("the late producer could commit")
    except KafkaException:
        pass


@scenario("transaction: a hundred short ones after each other")
def many_transactions(brokers):
    where, writer = topic(brokers, "txn"), transactional(brokers, name("id"))
    wanted = []
    for turn in range(100):
        writer.begin_transaction()
        writer.produce(where, b"%d" % turn, partition=0)
        if turn % 3 == 2:
            writer.abort_transaction(SECONDS)
        else:
            writer.commit_transaction(SECONDS)
            wanted.append(b"%d" % turn)
    same(
        "read", values(read(brokers, where, len(wanted), isolation_level="read_committed")), wanted
    )
