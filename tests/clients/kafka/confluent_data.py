"""Metadata, producing and consuming, by confluent-kafka."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import NewTopic, OffsetSpec
from confluent_kit import (
    SECONDS,
    admin,
    consumer,
    given,
    nothing_more,
    numbered,
    outcome,
    producer,
    read,
    send,
    take,
    topic,
    values,
)
from scenario import Saw, holds, name, same, scenario, until

# Metadata.


@scenario("metadata: every broker, a controller among them, and a name for the cluster")
def metadata(brokers):
    seen = admin(brokers).list_topics(timeout=SECONDS)
    holds(seen.controller_id in seen.brokers, f"controller {seen.controller_id} of {seen.brokers}")
    holds(seen.cluster_id, "the cluster has no name")
    named = {f"{broker.host}:{broker.port}" for broker in seen.brokers.values()}
    missing = set(brokers.split(",")) - named
    holds(not missing, f"{missing} not among {named}")


@scenario("metadata: each partition has a leader that is one of its copies")
def leaders(brokers):
    where = topic(brokers, "leaders", partitions=3)
    seen = admin(brokers).list_topics(where, timeout=SECONDS).topics[where]
    same("partitions", sorted(seen.partitions), [0, 1, 2])
    for partition in seen.partitions.values():
        holds(partition.leader in partition.replicas, f"{partition.leader} of {partition.replicas}")
        holds(set(partition.isrs) <= set(partition.replicas), f"in sync: {partition.isrs}")


@scenario("describe cluster: the brokers that metadata names")
def describe_cluster(brokers):
    client = admin(brokers)
    seen, said = client.list_topics(timeout=SECONDS), client.describe_cluster().result(SECONDS)
    same("nodes", sorted(node.id for node in said.nodes), sorted(seen.brokers))
    same("cluster", said.cluster_id, seen.cluster_id)
    holds(said.controller is not None, "no controller")


# Producing.


def codec_scenario(codec):
    @scenario(f"codec {codec}: 500 records come back as they were sent")
    def play(brokers):
        where, sent = topic(brokers, f"codec-{codec}"), numbered(500, b"compressible " * 8)
        send(brokers, where, sent, compression_type=codec)
        same("read", values(read(brokers, where, 500)), sent)


for _codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_scenario(_codec)


@scenario("null and empty keys and values are told apart")
def nulls(brokers):
    where, sent = topic(brokers, "nulls"), []
    for key in (None, b"", b"key"):
        for value in (None, b"", b"value"):
            send(brokers, where, [value], key=key)
            sent.append((key, value))
    same("read", [(m.key(), m.value()) for m in read(brokers, where, 9)], sent)


@scenario("headers: order, equal names and null values are kept")
def headers(brokers):
    where, writer = topic(brokers, "headers"), producer(brokers)
    sent = [("a", b"1"), ("b", None), ("a", b"2"), ("c", b"")]
    writer.produce(where, b"x", headers=sent, partition=0)
    same("not delivered", writer.flush(SECONDS), 0)
    same("headers", read(brokers, where, 1)[0].headers(), sent)


def acks_scenario(acks):
    @scenario(f"acks {acks}: all records are read")
    def play(brokers):
        where, sent = topic(brokers, f"acks-{acks}"), numbered(50)
        reports = send(brokers, where, sent, acks=acks)
        if acks != "0":
            same("offsets", [message.offset() for message in reports], list(range(50)))
        same("read", values(read(brokers, where, 50)), sent)


for _acks in ("0", "1", "all"):
    acks_scenario(_acks)


@scenario("a record's own time is kept")
def create_time(brokers):
    # Nothing is kept by default for as long as since then.
    where = topic(brokers, "create-time", retention_ms="-1")
    writer, at = producer(brokers), 1_600_000_000_123
    writer.produce(where, b"x", timestamp=at, partition=0)
    same("not delivered", writer.flush(SECONDS), 0)
    same("time", read(brokers, where, 1)[0].timestamp(), (TIMESTAMP_CREATE_TIME, at))


@scenario("message.timestamp.type=LogAppendTime gives records the broker's time")
def append_time(brokers):
    where = topic(brokers, "append-time", message_timestamp_type="LogAppendTime")
    writer, before = producer(brokers), int(time.time() * 1000)
    writer.produce(where, b"x", timestamp=1_600_000_000_123, partition=0)
    same("not delivered", writer.flush(SECONDS), 0)
    kind, at = read(brokers, where, 1)[0].timestamp()
    same("kind", kind, TIMESTAMP_LOG_APPEND_TIME)
    holds(before - 2000 <= at <= time.time() * 1000 + 2000, f"{at} is not now, {before}")


def refused(brokers, where, value, **settings):
    reports, writer = [], producer(brokers, **settings)
    writer.produce(where, value, partition=0, on_delivery=lambda error, _: reports.append(error))
    same("not reported", writer.flush(SECONDS), 0)
    return reports[0] and reports[0].code()


@scenario("a message above message.max.bytes is refused, one below is taken")
def too_big(brokers):
    where = topic(brokers, "too-big")
    code = refused(brokers, where, bytes(2_000_000), message_max_bytes=4_000_000)
    same("2 MB", code, KafkaError.MSG_SIZE_TOO_LARGE)
    same("900 kB", refused(brokers, where, bytes(900_000)), None)


@scenario("max.message.bytes of a topic holds, both ways")
def topic_too_big(brokers):
    small = topic(brokers, "small", max_message_bytes=1000)
    same("2 kB", refused(brokers, small, bytes(2000)), KafkaError.MSG_SIZE_TOO_LARGE)
    same("100 bytes", refused(brokers, small, bytes(100)), None)
    large = topic(brokers, "large", max_message_bytes=5_000_000)
    same("4 MB", refused(brokers, large, bytes(4_000_000), message_max_bytes=4_500_000), None)
    same("its length", len(read(brokers, large, 1)[0].value()), 4_000_000)


@scenario("a topic with a bad name is refused")
def bad_topic(brokers):
    code = refused(brokers, "bad topic!", b"x", message_timeout_ms=8000)
    holds(code in (KafkaError.TOPIC_EXCEPTION, KafkaError._UNKNOWN_TOPIC), f"producing says {code}")
    for bad in ("bad topic!", ".", "..", "x" * 250):
        same(
            f"create {bad[:20]}",
            outcome(admin(brokers).create_topics([NewTopic(bad, 1, 1)])),
            KafkaError.TOPIC_EXCEPTION,
        )


@scenario("a partition that is not there is refused")
def bad_partition(brokers):
    where, writer, found = topic(brokers, "partition"), producer(brokers), []
    try:
        writer.produce(where, b"x", partition=7, on_delivery=lambda error, _: found.append(error))
        same("not reported", writer.flush(SECONDS), 0)
    except KafkaException as error:
        found.append(error.args[0])
    same("code", found[0].code(), KafkaError._UNKNOWN_PARTITION)


@scenario("producing to an unknown topic makes it")
def auto_create(brokers):
    where = name("auto")
    send(brokers, where, [b"x"])
    same("read", values(read(brokers, where, 1)), [b"x"])


@scenario("a consumer does not make a topic unless it asks to")
def no_auto_create(brokers):
    where, reader = name("never"), consumer(brokers)
    try:
        reader.subscribe([where])
        until(
            "the consumer hears of it",
            lambda: (
                (m := reader.poll(0.2))
                and m.error()
                and m.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            ),
        )
        holds(where not in admin(brokers).list_topics(timeout=SECONDS).topics, "it is there now")
    finally:
        reader.close()


@scenario("idempotent producer: 2000 records once each and in order")
def idempotent(brokers):
    where, sent = topic(brokers, "idempotent"), numbered(2000)
    send(brokers, where, sent, enable_idempotence=True, linger_ms=0, batch_num_messages=10)
    found = read(brokers, where, 2000)
    same("read", values(found), sent)
    same("offsets", [m.offset() for m in found], list(range(2000)))


# Consuming.


@scenario("watermarks tell where a partition begins and ends")
def watermarks(brokers):
    where, reader = topic(brokers, "watermarks"), consumer(brokers)
    same("empty", reader.get_watermark_offsets(TopicPartition(where, 0), SECONDS), (0, 0))
    send(brokers, where, numbered(7))
    same("seven", reader.get_watermark_offsets(TopicPartition(where, 0), SECONDS), (0, 7))
    reader.close()


@scenario("offset out of range: earliest, latest, or an error, as the consumer wishes")
def out_of_range(brokers):
    where = topic(brokers, "range")
    send(brokers, where, numbered(5))
    found = read(brokers, where, 5, offset=1000, auto_offset_reset="earliest")
    same("earliest", values(found), numbered(5))
    reader = consumer(brokers, auto_offset_reset="latest")
    reader.assign([TopicPartition(where, 0, 1000)])
    # It is at the end once it has been told so; what is sent then is read.
    until(
        "it went to the end",
        lambda: (
            reader.poll(0.2)
            or reader.get_watermark_offsets(TopicPartition(where, 0), cached=True)[1] == 5
        ),
    )
    time.sleep(1)
    send(brokers, where, [b"new"])
    same("latest", values(take(reader, 1)), [b"new"])
    reader.close()
    try:
        read(brokers, where, 1, offset=1000, auto_offset_reset="error")
        raise Saw("no error")
    except KafkaException as error:
        same("code", error.args[0].code(), KafkaError._AUTO_OFFSET_RESET)


@scenario("offsets by time: the first record at or after it")
def by_time(brokers):
    where = topic(brokers, "time", retention_ms="-1")
    writer, start = producer(brokers), 1_600_000_000_000
    for i in range(10):
        writer.produce(where, b"%d" % i, timestamp=start + 1000 * i, partition=0)
        writer.flush(SECONDS)
    reader = consumer(brokers)

    def at(ms):
        return reader.offsets_for_times([TopicPartition(where, 0, ms)], SECONDS)[0].offset

    same("before all", at(start - 5), 0)
    same("on one", at(start + 3000), 3)
    same("between two", at(start + 3001), 4)
    same("behind all", at(start + 99_000), OFFSET_END)
    reader.close()


@scenario("list offsets: earliest, latest, by time, and that of the largest time")
def list_offsets(brokers):
    where = topic(brokers, "list", retention_ms="-1")
    writer, start = producer(brokers), 1_600_000_000_000
    for step in (0, 5000, 2000):
        writer.produce(where, b"x", timestamp=start + step, partition=0)
        writer.flush(SECONDS)
    client, place = admin(brokers), TopicPartition(where, 0)

    def at(spec):
        return given(client.list_offsets({place: spec})).offset

    same("earliest", at(OffsetSpec.earliest()), 0)
    same("latest", at(OffsetSpec.latest()), 3)
    same("by time", at(OffsetSpec.for_timestamp(start + 1)), 1)
    same("largest time", at(OffsetSpec.max_timestamp()), 1)
    levels = [IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED]
    for level in levels:
        found = client.list_offsets({place: OffsetSpec.latest()}, isolation_level=level)
        same(f"latest, {level.name}", given(found).offset, 3)


@scenario("seek goes back and forth, pause and resume hold and let go")
def seek(brokers):
    where = topic(brokers, "seek")
    send(brokers, where, numbered(20))
    reader = consumer(brokers)
    place = TopicPartition(where, 0, OFFSET_BEGINNING)
    reader.assign([place])
    same("first", values(take(reader, 20)), numbered(20))
    reader.seek(TopicPartition(where, 0, 15))
    same("again", values(take(reader, 5)), numbered(20)[15:])
    reader.pause([place])
    send(brokers, where, [b"paused"])
    nothing_more(reader)
    reader.resume([place])
    same("resumed", values(take(reader, 1)), [b"paused"])
    reader.close()


@scenario("a record larger than a fetch is read all the same")
def small_fetch(brokers):
    where = topic(brokers, "fetch")
    send(brokers, where, [b"small", bytes(500_000), b"last"], linger_ms=0, batch_num_messages=1)
    found = read(brokers, where, 3, max_partition_fetch_bytes=1000, fetch_max_bytes=1_000_000)
    same("lengths", [len(m.value()) for m in found], [5, 500_000, 4])


@scenario("a waiting fetch is answered when a record comes, not when its time is over")
def long_poll(brokers):
    where = topic(brokers, "poll")
    reader = consumer(brokers, fetch_wait_max_ms=10_000, fetch_min_bytes=1)
    reader.assign([TopicPartition(where, 0, OFFSET_BEGINNING)])
    nothing_more(reader, 2)
    send(brokers, where, [b"x"])
    began = time.monotonic()
    same("read", values(take(reader, 1)), [b"x"])
    holds(time.monotonic() - began < 4, f"it came after {time.monotonic() - began:.1f} s")
    reader.close()


@scenario("forty partitions are read through one consumer")
def many_partitions(brokers):
    where, writer = topic(brokers, "forty", partitions=40), producer(brokers)
    for i in range(400):
        writer.produce(where, b"%d" % i, partition=i % 40)
    same("not delivered", writer.flush(SECONDS), 0)
    reader = consumer(brokers)
    reader.assign([TopicPartition(where, i, OFFSET_BEGINNING) for i in range(40)])
    found = take(reader, 400)
    same("read", sorted(int(m.value()) for m in found), list(range(400)))
    # What comes later in one of them is found as well.
    send(brokers, where, [b"late"], partition=33)
    same("late", values(take(reader, 1)), [b"late"])
    reader.close()
