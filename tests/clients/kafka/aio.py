"""What a user of aiokafka sees of a broker."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    ProducerFenced,
    TopicAlreadyExistsError,
)
from scenario import Saw, holds, main, name, same, scenario

SECONDS = 30


def aio(title, **how):
    """A scenario that is a coroutine."""

    def put(play):
        def started(brokers):
            asyncio.run(play(brokers))

        started.__code__ = started.__code__.replace(co_filename=play.__code__.co_filename)
        scenario(title, **how)(started)
        return play

    return put


class opened:
    """A client, started and at the end stopped."""

    def __init__(self, client):
        self.client = client

    async def __aenter__(self):
        try:
            await self.client.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self.client

    async def __aexit__(self, *_):
        await (self.client.close() if hasattr(self.client, "close") else self.client.stop())


def admin(brokers):
    return opened(AIOKafkaAdminClient(bootstrap_servers=brokers))


def producer(brokers, **settings):
    return opened(AIOKafkaProducer(bootstrap_servers=brokers, **settings))


def consumer(brokers, *topics, **settings):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **settings}
    return opened(AIOKafkaConsumer(*topics, bootstrap_servers=brokers, **settings))


async def topic(brokers, stem, partitions=1, **config):
    made = name(stem)
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    async with admin(brokers) as client:
        said = await client.create_topics([NewTopic(made, partitions, 1, topic_configs=settings)])
    holds(all(code[1] == 0 for code in said.topic_errors), f"create {made}: {said.topic_errors}")
    return made


async def take(reader, count, seconds=SECONDS):
    found = []

    async def some():
        while len(found) < count:
            batches = await reader.getmany(timeout_ms=200, max_records=count - len(found))
            for messages in batches.values():
                found.extend(messages)

    try:
        await asyncio.wait_for(some(), seconds)
    except asyncio.TimeoutError:
        pass
    return found


async def read(brokers, where, count, partition=0, seconds=SECONDS, **settings):
    async with consumer(brokers, **settings) as reader:
        place = TopicPartition(where, partition)
        reader.assign([place])
        await reader.seek_to_beginning(place)
        return await take(reader, count, seconds)


def values(messages):
    return [message.value for message in messages]


def numbered(count):
    return [b"record %d" % i for i in range(count)]


async def send(brokers, where, sent, partition=0, **settings):
    async with producer(brokers, **settings) as writer:
        waiting = [await writer.send(where, value, partition=partition) for value in sent]
        return [await one for one in waiting]


def codec_scenario(codec):
    @aio(f"codec {codec}: records come back as they were sent")
    async def play(brokers):
        where, sent = await topic(brokers, f"codec-{codec}"), [b"compressible " * 9] * 300
        await send(brokers, where, sent, compression_type=None if codec == "none" else codec)
        same("read", values(await read(brokers, where, 300)), sent)


for _codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_scenario(_codec)


def acks_scenario(acks):
    @aio(f"acks {acks}: all records are read")
    async def play(brokers):
        where = await topic(brokers, "acks")
        await send(brokers, where, numbered(30), acks=acks)
        same("read", values(await read(brokers, where, 30)), numbered(30))


for _acks in (0, 1, "all"):
    acks_scenario(_acks)


@aio("null and empty keys and values, headers with equal names")
async def nulls(brokers):
    where, sent = await topic(brokers, "nulls"), []
    headers = [("a", b"1"), ("a", b"2"), ("b", b"")]
    async with producer(brokers) as writer:
        for key, value in ((None, b"v"), (b"k", None), (b"", b""), (b"k", b"v")):
            await writer.send_and_wait(where, value, key=key, headers=headers, partition=0)
            sent.append((key, value, tuple(headers)))
    found = await read(brokers, where, 4)
    same("read", [(m.key, m.value, tuple(m.headers)) for m in found], sent)


@aio("idempotent producer: a thousand records once each and in order")
async def idempotent(brokers):
    where = await topic(brokers, "idempotent")
    await send(brokers, where, numbered(1000), enable_idempotence=True, max_batch_size=200)
    same("read", values(await read(brokers, where, 1000)), numbered(1000))


@aio("a message above the topic's limit is refused by the broker")
async def too_big(brokers):
    where = await topic(brokers, "big", max_message_bytes=1000)
    try:
        await send(brokers, where, [bytes(5000)])
        raise Saw("it was taken")
    except MessageSizeTooLargeError:
        pass


@aio("group: two members share, one leaves, commits are gone on from")
async def group(brokers):
    where, named = await topic(brokers, "group", partitions=4), name("group")
    for partition in range(4):
        await send(brokers, where, [b"%d" % partition], partition)
    how = {
        "group_id": named,
        "heartbeat_interval_ms": 300,
        "session_timeout_ms": 6000,
        "rebalance_timeout_ms": 6000,
    }
    async with consumer(brokers, where, **how) as first:
        second = AIOKafkaConsumer(
            where,
            bootstrap_servers=brokers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **how,
        )
        await second.start()
        try:
            deadline = time.monotonic() + SECONDS
            found = []
            while (len(first.assignment()), len(second.assignment())) != (2, 2):
                holds(
                    time.monotonic() < deadline,
                    f"shares {first.assignment()} and {second.assignment()}",
                )
                for member in (first, second):
                    found += await take(member, 1, 0.3)
            same(
                "together",
                {p.partition for p in first.assignment() | second.assignment()},
                {0, 1, 2, 3},
            )
            deadline = time.monotonic() + SECONDS
            while {m.value for m in found} != {b"0", b"1", b"2", b"3"}:
                holds(time.monotonic() < deadline, f"read {values(found)}")
                for member in (first, second):
                    found += await take(member, 4, 0.5)
            for member in (first, second):
                await member.commit()
        finally:
            await second.stop()
        deadline = time.monotonic() + SECONDS
        while len(first.assignment()) != 4:
            holds(time.monotonic() < deadline, f"after it left {first.assignment()}")
            await take(first, 1, 0.3)
        await send(brokers, where, [b"new"], 2)
        found = values(await take(first, 1))
        same("behind the commits", found, [b"new"])


@aio("offsets: beginning, end, by time, committed with metadata, out of range")
async def offsets(brokers):
    # Not longer ago than records are kept.
    where, start = await topic(brokers, "offsets"), int(time.time() * 1000) - 100_000
    place = TopicPartition(where, 0)
    async with producer(brokers) as writer:
        for i in range(6):
            await writer.send_and_wait(where, b"%d" % i, partition=0, timestamp_ms=start + 1000 * i)
    async with consumer(brokers, group_id=name("group"), auto_offset_reset="none") as reader:
        reader.assign([place])
        same("beginning", await reader.beginning_offsets([place]), {place: 0})
        same("end", await reader.end_offsets([place]), {place: 6})
        by_time = await reader.offsets_for_times({place: start + 2500})
        same("by time", by_time[place].offset, 3)
        same("behind all", (await reader.offsets_for_times({place: start + 99_000}))[place], None)
        await reader.commit({place: (4, "a word")})
        same("committed", await reader.committed(place), 4)
        reader.seek(place, 99)
        try:
            found = await take(reader, 1, 10)
            raise Saw(f"out of range gives {found}")
        except OffsetOutOfRangeError:
            pass


@aio("admin: topics made, grown, described, deleted")
async def topics(brokers):
    where = await topic(brokers, "admin", partitions=2)
    async with admin(brokers) as client:
        try:
            said = await client.create_topics([NewTopic(where, 1, 1)])
            same(
                "again", [error[1] for error in said.topic_errors], [TopicAlreadyExistsError.errno]
            )
        except TopicAlreadyExistsError:
            pass
        await client.create_partitions({where: NewPartitions(total_count=3)})
        (said,) = await client.describe_topics([where])
        same("partitions", len(said["partitions"]), 3)
        holds(where in await client.list_topics(), "it is not listed")
        await client.delete_topics([where])
        for _ in range(50):
            if where not in await client.list_topics():
                return
            await asyncio.sleep(0.1)
        raise Saw("it is listed after it was deleted")


@aio("admin: configs are described and changed")
async def configs(brokers):
    where = await topic(brokers, "configs", retention_ms=123_000)
    resource = ConfigResource(ConfigResourceType.TOPIC, where, configs={"retention.ms": "456000"})
    async with admin(brokers) as client:

        async def retention():
            (said,) = await client.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, where)]
            )
            return {entry[0]: entry[1] for entry in said.resources[0][4]}.get("retention.ms")

        same("as made", await retention(), "123000")
        await client.alter_configs([resource])
        same("changed", await retention(), "456000")


@aio("admin: groups are listed and described, their offsets read")
async def groups(brokers):
    where, named = await topic(brokers, "groups"), name("group")
    await send(brokers, where, numbered(3))
    async with consumer(brokers, where, group_id=named) as reader:
        await take(reader, 3)
        await reader.commit()
        async with admin(brokers) as client:
            listed = [one[0] for one in await client.list_consumer_groups()]
            holds(named in listed, f"not listed: {listed}")
            (said,) = await client.describe_consumer_groups([named])
            (described,) = said.groups
            same("state", (described[0], described[2]), (0, "Stable"))
            same("members", len(described[5]), 1)
            found = await client.list_consumer_group_offsets(named)
            same("offset", found[TopicPartition(where, 0)].offset, 3)


@aio("admin: records are deleted up to an offset")
async def delete_records(brokers):
    from aiokafka.admin import RecordsToDelete

    where = await topic(brokers, "records")
    await send(brokers, where, numbered(8))
    place = TopicPartition(where, 0)
    async with admin(brokers) as client:
        same(
            "begins",
            await client.delete_records({place: RecordsToDelete(before_offset=5)}),
            {place: 5},
        )
    same("read", values(await read(brokers, where, 3)), numbered(8)[5:])


async def committed(brokers, where, seconds=2):
    found = await read(brokers, where, 1000, seconds=seconds, isolation_level="read_committed")
    return values(found)


@aio("transactions: committed ones are read, aborted ones are not")
async def transactions(brokers):
    where = await topic(brokers, "txn")
    async with producer(brokers, transactional_id=name("id")) as writer:
        async with writer.transaction():
            await writer.send_and_wait(where, b"one", partition=0)
        try:
            async with writer.transaction():
                await writer.send_and_wait(where, b"two", partition=0)
                same("open", await committed(brokers, where), [b"one"])
                raise KeyError
        except KeyError:
            pass
        async with writer.transaction():
            await writer.send_and_wait(where, b"three", partition=0)
    same("committed", await committed(brokers, where), [b"one", b"three"])
    same("all", values(await read(brokers, where, 3)), [b"one", b"two", b"three"])


@aio("transactions: a second producer of the same id fences the first")
async def fencing(brokers):
    where, identity = await topic(brokers, "txn"), name("id")
    first = AIOKafkaProducer(bootstrap_servers=brokers, transactional_id=identity)
    await first.start()
    try:
        await first.begin_transaction()
        await first.send_and_wait(where, b"first", partition=0)
        async with producer(brokers, transactional_id=identity) as second:
            async with second.transaction():
                await second.send_and_wait(where, b"second", partition=0)
            try:
                await first.commit_transaction()
                raise Saw("the first could commit")
            except ProducerFenced:
                pass
    finally:
        try:
            await first.stop()
        except ProducerFenced:
            pass
    same("read", await committed(brokers, where), [b"second"])


@aio("transactions: a group's offsets go with them")
async def transaction_offsets(brokers):
    source, sink = await topic(brokers, "source"), await topic(brokers, "sink")
    named, place = name("group"), TopicPartition(source, 0)
    await send(brokers, source, numbered(5))
    async with consumer(brokers, source, group_id=named) as reader:
        same("read", len(await take(reader, 5)), 5)
        async with producer(brokers, transactional_id=name("id")) as writer:
            async with writer.transaction():
                await writer.send_and_wait(sink, b"x", partition=0)
                await writer.send_offsets_to_transaction({place: 3}, named)
            try:
                async with writer.transaction():
                    await writer.send_offsets_to_transaction({place: 5}, named)
                    raise KeyError
            except KeyError:
                pass
        same("committed", await reader.committed(place), 3)


if __name__ == "__main__":
    main()
