"""Consumer groups, of both protocols, by confluent-kafka."""

import threading

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kit import (
    SECONDS,
    admin,
    consumer,
    given,
    numbered,
    outcome,
    send,
    take,
    topic,
    values,
)
from scenario import holds, name, same, scenario, until


class Member:
    """A consumer in a thread of its own."""

    def __init__(self, brokers, where, group, protocol, **settings):
        self.values, self.partitions, self.stops, self.error = [], set(), False, None
        if protocol == "consumer":
            settings["group_protocol"] = "consumer"
        self.reader = consumer(brokers, group, **settings)
        self.where = where
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            self.reader.subscribe(
                [self.where], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
            )
            while not self.stops:
                message = self.reader.poll(0.1)
                if message is None:
                    continue
                if message.error():
                    raise KafkaException(message.error())
                self.values.append(message.value())
                self.reader.commit(message, asynchronous=False)
        except Exception as error:
            self.error = error
        finally:
            self.reader.close()

    def _assign(self, reader, partitions):
        self.partitions |= {place.partition for place in partitions}

    def _revoke(self, reader, partitions):
        self.partitions -= {place.partition for place in partitions}

    def stop(self):
        self.stops = True
        self.thread.join(SECONDS)
        if self.error:
            raise self.error


def group_scenario(protocol):
    @scenario(f"{protocol} group: two members share the partitions, one leaves, none is read twice")
    def shares(brokers):
        where, group = topic(brokers, "shared", partitions=4), name("group")
        members = [Member(brokers, where, group, protocol) for _ in range(2)]
        first, second = members
        try:
            until(
                "both have two",
                lambda: (len(first.partitions), len(second.partitions)) == (2, 2),
                40,
            )
            same("together", first.partitions | second.partitions, {0, 1, 2, 3})
            for partition in range(4):
                send(brokers, where, [b"a%d" % partition], partition=partition)
            until("all are read", lambda: len(first.values) + len(second.values) == 4)
            first.stop()
            until("the other has all", lambda: second.partitions == {0, 1, 2, 3}, 40)
            for partition in range(4):
                send(brokers, where, [b"b%d" % partition], partition=partition)
            until("all are read", lambda: len(first.values) + len(second.values) == 8)
        finally:
            for member in members:
                member.stop()
        found = sorted(first.values + second.values)
        same("read", found, sorted(b"%s%d" % (x, i) for x in (b"a", b"b") for i in range(4)))

    @scenario(f"{protocol} group: goes on where it had committed")
    def resumes(brokers):
        where, group = topic(brokers, "resume"), name("group")
        settings = {"group_protocol": "consumer"} if protocol == "consumer" else {}
        send(brokers, where, numbered(10))
        for part in (numbered(10)[:6], numbered(10)[6:]):
            reader = consumer(brokers, group, **settings)
            reader.subscribe([where])
            found = take(reader, len(part))
            same("read", values(found), part)
            reader.commit(found[-1], asynchronous=False)
            reader.close()
        reader = consumer(brokers, group, **settings)
        place = reader.committed([TopicPartition(where, 0)], SECONDS)[0]
        same("committed", place.offset, 10)
        reader.close()

    @scenario(f"{protocol} group: a silent member's partitions go to the others", full=True)
    def silent(brokers):
        where, group = topic(brokers, "silent", partitions=2), name("group")
        settings = {} if protocol == "consumer" else {"session_timeout_ms": 6000}
        # It polls no more after it has got its share, and says nothing else.
        asleep = consumer(
            brokers,
            group,
            max_poll_interval_ms=6000,
            **settings,
            **({"group_protocol": "consumer"} if protocol == "consumer" else {}),
        )
        asleep.subscribe([where])
        until("it has a share", lambda: asleep.poll(0.1) or len(asleep.assignment()) == 2, 40)
        awake = Member(brokers, where, group, protocol)
        try:
            until("the other has all", lambda: awake.partitions == {0, 1}, 60)
        finally:
            awake.stop()
            asleep.close()


for _protocol in ("classic", "consumer"):
    group_scenario(_protocol)


@scenario("classic group, cooperative-sticky: who joins takes a part, the rest goes on")
def cooperative(brokers):
    where, group = topic(brokers, "sticky", partitions=4), name("group")
    how = {"partition_assignment_strategy": "cooperative-sticky"}
    first = Member(brokers, where, group, "classic", **how)
    second = None
    try:
        until("one has all", lambda: first.partitions == {0, 1, 2, 3}, 40)
        second = Member(brokers, where, group, "classic", **how)
        until(
            "both have two", lambda: (len(first.partitions), len(second.partitions)) == (2, 2), 40
        )
        same("together", first.partitions | second.partitions, {0, 1, 2, 3})
    finally:
        first.stop()
        if second:
            second.stop()


@scenario("static member: comes back within its session to what it had, without a rebalance")
def static_member(brokers):
    where, group = topic(brokers, "static", partitions=2), name("group")
    how = {"session_timeout_ms": 30_000}
    stays = Member(brokers, where, group, "classic", group_instance_id="stays", **how)
    goes = Member(brokers, where, group, "classic", group_instance_id="goes", **how)
    try:
        until("each has one", lambda: (len(stays.partitions), len(goes.partitions)) == (1, 1), 40)
        had, kept = set(goes.partitions), set(stays.partitions)
        goes.stop()
        goes = Member(brokers, where, group, "classic", group_instance_id="goes", **how)
        until("it has one again", lambda: goes.partitions, 40)
        same("its share", goes.partitions, had)
        same("the other's", stays.partitions, kept)
    finally:
        stays.stop()
        goes.stop()


@scenario("static member: a second one of the same name fences the first")
def static_fenced(brokers):
    where, group = topic(brokers, "fenced"), name("group")
    first = Member(brokers, where, group, "classic", group_instance_id="same")
    second = None
    try:
        until("the first has it", lambda: first.partitions == {0}, 40)
        second = Member(brokers, where, group, "classic", group_instance_id="same")
        until("the first hears of it", lambda: first.error is not None, 40)
        code = first.error.args[0].code()
        holds(code in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL), f"code {code}")
    finally:
        first.stops = True
        first.thread.join(SECONDS)
        if second:
            second.stop()


@scenario("commits carry metadata, and without a group there is none")
def commit_metadata(brokers):
    where, group = topic(brokers, "commit"), name("group")
    send(brokers, where, numbered(3))
    reader = consumer(brokers, group)
    reader.commit(offsets=[TopicPartition(where, 0, 2, "a word")], asynchronous=False)
    place = reader.committed([TopicPartition(where, 0)], SECONDS)[0]
    same("committed", (place.offset, place.metadata), (2, "a word"))
    reader.close()
    other = consumer(brokers)
    place = other.committed([TopicPartition(where, 0)], SECONDS)[0]
    same("another group", place.offset, -1001)
    other.close()


@scenario("group admin: list, describe, offsets, and deleting")
def group_admin(brokers):
    where, group, client = topic(brokers, "admin", partitions=2), name("group"), admin(brokers)
    member = Member(brokers, where, group, "classic", client_id="its name")
    try:
        until("it has both", lambda: member.partitions == {0, 1}, 40)
        listed = client.list_consumer_groups().result(SECONDS)
        holds(group in [one.group_id for one in listed.valid], f"not listed, {listed.errors}")
        said = given(client.describe_consumer_groups([group]))
        same("state", said.state.name, "STABLE")
        same("members", [one.client_id for one in said.members], ["its name"])
        shares = said.members[0].assignment.topic_partitions
        same("its share", sorted(place.partition for place in shares), [0, 1])
        holds(said.coordinator is not None, "no coordinator")
        same("delete", outcome(client.delete_consumer_groups([group])), KafkaError.NON_EMPTY_GROUP)
    finally:
        member.stop()
    until(
        "it is empty", lambda: given(client.describe_consumer_groups([group])).state.name == "EMPTY"
    )
    places = [TopicPartition(where, 0, 5), TopicPartition(where, 1, 7)]
    wanted = ConsumerGroupTopicPartitions(group, places)
    send(brokers, where, numbered(9), partition=0)
    send(brokers, where, numbered(9), partition=1)
    given(client.alter_consumer_group_offsets([wanted]))
    found = given(client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
    found = sorted((place.partition, place.offset) for place in found.topic_partitions)
    same("offsets", found, [(0, 5), (1, 7)])
    same("delete", outcome(client.delete_consumer_groups([group])), None)
    same("again", outcome(client.delete_consumer_groups([group])), KafkaError.GROUP_ID_NOT_FOUND)


@scenario("group admin: a group of the new protocol is described with its members")
def new_group_admin(brokers):
    where, group, client = topic(brokers, "admin", partitions=2), name("group"), admin(brokers)
    member = Member(brokers, where, group, "consumer")
    try:
        until("it has both", lambda: member.partitions == {0, 1}, 40)
        said = given(client.describe_consumer_groups([group]))
        same("state", said.state.name, "STABLE")
        same("type", said.type.name, "CONSUMER")
        shares = said.members[0].assignment.topic_partitions
        same("its share", sorted(place.partition for place in shares), [0, 1])
    finally:
        member.stop()
