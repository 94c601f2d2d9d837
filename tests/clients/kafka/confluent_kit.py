"""What the scenarios of confluent-kafka share: clients, topics, sending and reading."""

import functools
import os
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from scenario import holds, name, same

SECONDS = 20
# librdkafka's mock cluster cannot be asked for a topic: it makes those that are
# named, of four partitions.
MAKES_TOPICS_ITSELF = os.environ.get("SCENARIOS_MAKE_NO_TOPICS") == "1"


class _Quiet:
    """librdkafka would write to standard error whenever a connection ends."""

    def log(self, *_):
        pass


QUIET = _Quiet()


@functools.cache
def admin(brokers):
    """One for all, since one that is dropped takes its answers with it."""
    return AdminClient({"bootstrap.servers": brokers, "logger": QUIET})


def asked(futures):
    """What came of each: its value, or the error's code."""
    found = {}
    for key, future in futures.items():
        try:
            found[key] = future.result(SECONDS)
        except KafkaException as error:
            found[key] = error.args[0].code()
    return found


def outcome(futures):
    (only,) = asked(futures).values()
    return only


def given(futures):
    """The only one's value; its error is raised."""
    (only,) = futures.values()
    return only.result(SECONDS)


def topic(brokers, stem, partitions=1, copies=1, **config):
    made = name(stem)
    if MAKES_TOPICS_ITSELF:
        admin(brokers).list_topics(made, timeout=SECONDS)
        return made
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    new = NewTopic(made, partitions, copies, config=settings)
    same(f"create {made}", outcome(admin(brokers).create_topics([new])), None)
    return made


def producer(brokers, **settings):
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    return Producer({"bootstrap.servers": brokers, "logger": QUIET, "linger.ms": 5, **settings})


def consumer(brokers, group=None, **settings):
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    settings = {
        "bootstrap.servers": brokers,
        "logger": QUIET,
        "group.id": group or name("group"),
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **settings,
    }
    if settings.get("group.protocol") != "consumer":
        settings.setdefault("session.timeout.ms", 6000)
        settings.setdefault("heartbeat.interval.ms", 500)
    return Consumer(settings)


def send(brokers, where, values, partition=0, key=None, **settings):
    """Sends values and waits until each is acknowledged; what was acknowledged."""
    reports = []
    writer = producer(brokers, **settings)
    for value in values:
        writer.produce(
            where,
            value,
            key=key,
            partition=partition,
            on_delivery=lambda error, message: reports.append((error, message)),
        )
    same("not delivered", writer.flush(SECONDS), 0)
    errors = [str(error) for error, _ in reports if error]
    holds(not errors, f"{len(errors)} of {len(reports)} failed: {errors[:1]}")
    return [message for _, message in reports]


def take(reader, count, seconds=SECONDS):
    """`count` records, or what came in time."""
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        for message in reader.consume(count - len(found), 0.2):
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
    return found


def nothing_more(reader, seconds=1):
    found = take(reader, 1, seconds)
    holds(not found, f"one record too many: {found and found[0].value()!r}")


def read(brokers, where, count, partition=0, offset=OFFSET_BEGINNING, **settings):
    reader = consumer(brokers, **settings)
    try:
        reader.assign([TopicPartition(where, partition, offset)])
        return take(reader, count)
    finally:
        reader.close()


def values(messages):
    return [message.value() for message in messages]


def numbered(count, stem=b"record"):
    return [b"%s %d" % (stem, i) for i in range(count)]
