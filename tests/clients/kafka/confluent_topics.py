"""Topics and their configurations, what of them is forgotten, and users, by confluent-kafka."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    KafkaError,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from confluent_kit import (
    SECONDS,
    admin,
    consumer,
    given,
    numbered,
    outcome,
    producer,
    read,
    send,
    topic,
    values,
)
from scenario import Saw, holds, name, same, scenario, until

# Topics.


@scenario("topic life: made, made twice, grown, shrunk, deleted, deleted twice")
def topic_life(brokers):
    client, where = admin(brokers), name("life")
    new = NewTopic(where, 2, 1)
    same("create", outcome(client.create_topics([new])), None)
    same("again", outcome(client.create_topics([new])), KafkaError.TOPIC_ALREADY_EXISTS)
    same("grow", outcome(client.create_partitions([NewPartitions(where, 5)])), None)
    until(
        "metadata shows five",
        lambda: len(client.list_topics(where, timeout=SECONDS).topics[where].partitions) == 5,
    )
    same(
        "shrink",
        outcome(client.create_partitions([NewPartitions(where, 3)])),
        KafkaError.INVALID_PARTITIONS,
    )
    same("delete", outcome(client.delete_topics([where])), None)
    until("metadata does not", lambda: where not in client.list_topics(timeout=SECONDS).topics)
    same("again", outcome(client.delete_topics([where])), KafkaError.UNKNOWN_TOPIC_OR_PART)


@scenario("a topic made again under its name is empty and another")
def made_again(brokers):
    client, where = admin(brokers), topic(brokers, "again")
    before = given(client.describe_topics(TopicCollection([where]))).topic_id
    send(brokers, where, numbered(5))
    same("delete", outcome(client.delete_topics([where])), None)
    until("it can be made", lambda: outcome(client.create_topics([NewTopic(where, 1, 1)])) is None)
    after = given(client.describe_topics(TopicCollection([where]))).topic_id
    holds(str(before) != str(after), f"both are {before}")
    reader = consumer(brokers)
    same("watermarks", reader.get_watermark_offsets(TopicPartition(where, 0), SECONDS), (0, 0))
    reader.close()
    send(brokers, where, [b"new"])
    same("read", values(read(brokers, where, 1)), [b"new"])


@scenario("validate only: says what would come of it and does nothing")
def validate_only(brokers):
    client, where = admin(brokers), name("maybe")
    same("good", outcome(client.create_topics([NewTopic(where, 1, 1)], validate_only=True)), None)
    holds(where not in client.list_topics(timeout=SECONDS).topics, "it is there")
    bad = NewTopic(where, 1, 1, config={"retention.ms": "soon"})
    same("bad", outcome(client.create_topics([bad], validate_only=True)), KafkaError.INVALID_CONFIG)
    there = topic(brokers, "there")
    grown = client.create_partitions([NewPartitions(there, 4)], validate_only=True)
    same("grow", outcome(grown), None)
    same("partitions", len(client.list_topics(there, timeout=SECONDS).topics[there].partitions), 1)


@scenario("a topic is refused with more copies than brokers, or with no partition")
def bad_shapes(brokers):
    client = admin(brokers)
    same(
        "copies",
        outcome(client.create_topics([NewTopic(name("copies"), 1, 99)])),
        KafkaError.INVALID_REPLICATION_FACTOR,
    )
    same(
        "partitions",
        outcome(client.create_topics([NewTopic(name("none"), 0, 1)])),
        KafkaError.INVALID_PARTITIONS,
    )


@scenario("a topic takes the broker's defaults where none is said")
def default_shape(brokers):
    client, where = admin(brokers), name("default")
    same("create", outcome(client.create_topics([NewTopic(where, -1, -1)])), None)
    seen = client.list_topics(where, timeout=SECONDS).topics[where]
    holds(len(seen.partitions) >= 1 and seen.partitions[0].replicas, f"{seen.partitions}")


@scenario("describe topics: its partitions, leader and id; one that is not there")
def describe_topics(brokers):
    client, where = admin(brokers), topic(brokers, "described", partitions=2)
    said = given(client.describe_topics(TopicCollection([where])))
    same("name", said.name, where)
    same("partitions", [one.id for one in said.partitions], [0, 1])
    holds(all(one.leader is not None for one in said.partitions), "one has no leader")
    holds(not said.is_internal, "it counts as internal")
    same(
        "unknown",
        outcome(client.describe_topics(TopicCollection([name("unknown")]))),
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    )


# Configurations.


def settings_of(client, where):
    said = given(client.describe_configs([ConfigResource(ResourceType.TOPIC, where)]))
    return {key: entry.value for key, entry in said.items()}


def changed(client, where, key, operation, value=None):
    entry = ConfigEntry(key, value, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, where, incremental_configs=[entry])
    return outcome(client.incremental_alter_configs([resource]))


@scenario("configs of a topic: described, set, set back, refused")
def configs(brokers):
    client, where = admin(brokers), topic(brokers, "configs", retention_ms=123_000)
    before = settings_of(client, where)
    same("as made", before.get("retention.ms"), "123000")
    for key in ("cleanup.policy", "max.message.bytes", "segment.bytes", "min.insync.replicas"):
        holds(key in before, f"{key} is not described")
    op = AlterConfigOpType
    same("set", changed(client, where, "retention.ms", op.SET, "456000"), None)
    until("it shows", lambda: settings_of(client, where)["retention.ms"] == "456000")
    same("delete", changed(client, where, "retention.ms", op.DELETE), None)
    until("the default shows", lambda: settings_of(client, where)["retention.ms"] == "604800000")
    same("append", changed(client, where, "cleanup.policy", op.APPEND, "compact"), None)
    until(
        "both show",
        lambda: (
            sorted(settings_of(client, where)["cleanup.policy"].split(",")) == ["compact", "delete"]
        ),
    )
    same("subtract", changed(client, where, "cleanup.policy", op.SUBTRACT, "delete"), None)
    until("one shows", lambda: settings_of(client, where)["cleanup.policy"] == "compact")
    same("unknown", changed(client, where, "no.such", op.SET, "1"), KafkaError.INVALID_CONFIG)
    same("bad", changed(client, where, "retention.ms", op.SET, "soon"), KafkaError.INVALID_CONFIG)
    unknown = name("unknown")
    code = outcome(client.describe_configs([ConfigResource(ResourceType.TOPIC, unknown)]))
    same("no topic", code, KafkaError.UNKNOWN_TOPIC_OR_PART)


@scenario("configs of a broker are described")
def broker_configs(brokers):
    client = admin(brokers)
    for broker in client.list_topics(timeout=SECONDS).brokers:
        said = given(client.describe_configs([ConfigResource(ResourceType.BROKER, str(broker))]))
        holds("message.max.bytes" in said, f"of {sorted(said)[:20]} none is message.max.bytes")


# What is forgotten.


@scenario("delete records: the partition begins later")
def delete_records(brokers):
    client, where = admin(brokers), topic(brokers, "deleted")
    send(brokers, where, numbered(10))
    found = given(client.delete_records([TopicPartition(where, 0, 4)]))
    same("low watermark", found.low_watermark, 4)
    same("read", values(read(brokers, where, 6)), numbered(10)[4:])
    same(
        "out of range",
        outcome(client.delete_records([TopicPartition(where, 0, 99)])),
        KafkaError.OFFSET_OUT_OF_RANGE,
    )
    found = given(client.delete_records([TopicPartition(where, 0, OFFSET_END)]))
    same("all", found.low_watermark, 10)
    reader = consumer(brokers)
    same("watermarks", reader.get_watermark_offsets(TopicPartition(where, 0), SECONDS), (10, 10))
    reader.close()


@scenario(
    "compaction: the last value of each key stays, at its offset, and tombstones go",
    full=True,
    seconds=240,
)
def compaction(brokers):
    where = topic(
        brokers,
        "compacted",
        cleanup_policy="compact",
        min_cleanable_dirty_ratio=0.01,
        segment_ms=500,
        delete_retention_ms=500,
    )
    writer = producer(brokers)
    for turn in range(20):
        for key in range(10):
            value = None if key == 9 and turn == 19 else b"%d of %d" % (turn, key)
            writer.produce(where, value, key=b"%d" % key, partition=0)
        writer.flush(SECONDS)

    def left():
        # Another record closes what is older; its own key is not counted.
        send(brokers, where, [b"roll"], key=b"roll")
        reader = consumer(brokers, enable_partition_eof=True)
        reader.assign([TopicPartition(where, 0, OFFSET_BEGINNING)])
        found = []
        while (message := reader.poll(SECONDS)) is not None and not message.error():
            if message.key() != b"roll":
                found.append((message.key(), message.value(), message.offset()))
        reader.close()
        return found

    wanted = [(b"%d" % key, b"19 of %d" % key, 190 + key) for key in range(9)]
    found = []
    try:
        until(
            "only the last are left",
            lambda: found.__setitem__(slice(None), left()) or found == wanted,
            180,
            every=2,
        )
    except Saw as saw:
        raise Saw(f"{saw}; {len(found)} are left, {found[:3]}") from None


@scenario("retention by size: old segments go, new records stay", full=True, seconds=240)
def retention(brokers):
    where = topic(
        brokers,
        "retained",
        retention_bytes=200_000,
        segment_bytes=1_048_576,
        segment_ms=1000,
        file_delete_delay_ms=100,
    )
    reader = consumer(brokers)
    for _ in range(6):
        send(brokers, where, [bytes(50_000)] * 10)
        time.sleep(1.2)
    low = lambda: reader.get_watermark_offsets(TopicPartition(where, 0), SECONDS)[0]
    try:
        # Kafka looks every five minutes; a small machine cannot wait so long.
        until("the partition begins later", lambda: low() > 0, 200, every=2)
    finally:
        reader.close()


# Users.


@scenario("SCRAM users: made, listed, deleted")
def scram_users(brokers):
    client, user = admin(brokers), name("user")
    mechanism = ScramMechanism.SCRAM_SHA_256
    info = ScramCredentialInfo(mechanism, 4096)
    made = UserScramCredentialUpsertion(user, info, b"password", b"salt")
    same("make", outcome(client.alter_user_scram_credentials([made])), None)
    said = given(client.describe_user_scram_credentials([user]))
    found = [(one.mechanism, one.iterations) for one in said.scram_credential_infos]
    same("listed", found, [(mechanism, 4096)])
    gone = UserScramCredentialDeletion(user, mechanism)
    same("delete", outcome(client.alter_user_scram_credentials([gone])), None)
    said = outcome(client.describe_user_scram_credentials([user]))
    same("gone", said, KafkaError.RESOURCE_NOT_FOUND)
