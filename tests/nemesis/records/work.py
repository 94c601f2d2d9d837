"""One client of the event log, a process of its own, run by the interpreter that
has confluent-kafka. What it does and hears it writes down, a JSON line each.

    work.py writer|mover|member|watcher|last BROKERS NAME FILE SEED COPIES

`writer` sends numbered records, idempotent and several in flight; `mover` moves
them to another topic in transactions, their offsets with them, some aborted;
`member` reads in a group and commits; `watcher` reads what is committed as it
comes; `last` makes the topics where they are not, reads all of both and the
groups' offsets, and ends. The others end by SIGTERM."""

import faulthandler
import json
import random
import signal
import sys
import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

SOURCE, TARGET = "nemesis-source", "nemesis-target"
PARTITIONS = 4
READERS, MOVERS = "nemesis-readers", "nemesis-movers"
SECONDS = 20
# Sent and not acknowledged, of one writer.
AHEAD_MAX = 200
# Records of a second, of one writer: all of them are held by the checker.
TURN_RECORDS, TURN_SECONDS = 20, 0.05
ABORTED_ONE_IN = 4
FINAL_SECONDS = 60
# Where all its brokers are gone for a while, librdkafka 2.16 begins anew, and what it
# was to ask of a group's coordinator waits for ever for the broker that it has given
# up (seen in its own log: "Decommissioning 1 broker(s): re-bootstrap"). So it stays
# with those it knows, and tries them more often than every ten seconds.
ONCE_BOOTSTRAPPED = {"metadata.recovery.strategy": "none", "reconnect.backoff.max.ms": 500}


class Quiet:
    def log(self, *_):
        pass


class Client:
    def __init__(self, brokers, name, file, seed):
        self.brokers, self.name = brokers, name
        self.dice = random.Random(f"{seed} {name}")
        # By line: what a killed client was told is not lost with it.
        self.file = open(file, "a", buffering=1)
        self.is_over = False
        signal.signal(signal.SIGTERM, self.end)
        # Says where it stands, for one that does not end.
        faulthandler.register(signal.SIGUSR1)

    def end(self, *_):
        self.is_over = True

    def note(self, what, **more):
        line = {"what": what, "who": self.name, "at": time.monotonic(), **more}
        self.file.write(json.dumps(line) + "\n")

    def settings(self, **more):
        named = {key.replace("_", "."): value for key, value in more.items()}
        return {"bootstrap.servers": self.brokers, "logger": Quiet(), **ONCE_BOOTSTRAPPED, **named}

    def consumer(self, group, **more):
        return Consumer(
            self.settings(
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=6000,
                heartbeat_interval_ms=500,
                **more,
            )
        )

    # -- writer

    def writer(self):
        producer = Producer(
            self.settings(enable_idempotence=True, linger_ms=2, delivery_timeout_ms=600_000)
        )
        number = 0
        while not self.is_over:
            for _ in range(TURN_RECORDS):
                number += 1
                value, partition = f"{self.name}/{number}", self.dice.randrange(PARTITIONS)
                self.note("sent", value=value, partition=partition)
                producer.produce(
                    SOURCE, value, partition=partition, on_delivery=self.delivered
                )
            due = time.monotonic() + self.dice.uniform(0, 2 * TURN_SECONDS)
            while (left := due - time.monotonic()) > 0:
                producer.poll(left)
            while len(producer) > AHEAD_MAX and not self.is_over:
                producer.poll(0.05)
        producer.flush(SECONDS)

    def delivered(self, error, message):
        if error is None:
            place = {"partition": message.partition(), "offset": message.offset()}
            self.note("acked", value=message.value().decode(), **place)
        else:
            self.note("failed", value=message.value().decode(), error=error.name())

    # -- mover

    def mover(self):
        self.note("began")
        consumer = self.consumer(MOVERS)
        consumer.subscribe([SOURCE])
        producer = None
        while not self.is_over:
            try:
                if producer is None:
                    settings = self.settings(transactional_id=self.name, linger_ms=2)
                    producer = Producer({**settings, "transaction.timeout.ms": 20_000})
                    producer.init_transactions(SECONDS)
                messages = [one for one in consumer.consume(50, 0.5) if one.error() is None]
                if messages:
                    self.move(consumer, producer, f"{self.name}/{time.monotonic_ns()}", messages)
            except KafkaException as error:
                self.note("error", error=str(error))
                # Whatever it was: a new producer ends what the old one began.
                producer = None
                self.rewind(consumer)
        self.note("leaves")
        consumer.close()
        self.note("left")

    def move(self, consumer, producer, txn, messages):
        aborts = self.dice.randrange(ABORTED_ONE_IN) == 0
        values = [one.value().decode() for one in messages]
        self.note("begun", txn=txn, values=values, aborts=aborts)
        producer.begin_transaction()
        for one in messages:
            producer.produce(TARGET, one.value(), key=txn, partition=one.partition())
        ends = {}
        for one in messages:
            ends[one.partition()] = one.offset() + 1
        offsets = [TopicPartition(SOURCE, part, end) for part, end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), SECONDS)
        if aborts:
            producer.flush(SECONDS)
            producer.abort_transaction(SECONDS)
            self.note("aborted", txn=txn)
            self.rewind(consumer)
            return
        self.note("commits", txn=txn)
        producer.commit_transaction(SECONDS)
        self.note("committed", txn=txn, offsets=ends)

    def rewind(self, consumer):
        """Back to what the group has committed, as who did not commit must."""
        try:
            for place in consumer.committed(consumer.assignment(), SECONDS):
                if place.error is None:
                    offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
                    consumer.seek(TopicPartition(place.topic, place.partition, offset))
        except KafkaException as error:
            self.note("error", error=str(error))
            consumer.unsubscribe()
            consumer.subscribe([SOURCE])

    # -- member

    def member(self):
        consumer = self.consumer(READERS)
        consumer.subscribe([SOURCE])
        while not self.is_over:
            messages = [one for one in consumer.consume(200, 0.2) if one.error() is None]
            ends = {}
            for one in messages:
                self.note("handled", partition=one.partition(), offset=one.offset())
                ends[one.partition()] = one.offset() + 1
            if ends:
                self.commit(consumer, ends)
        consumer.close()

    def commit(self, consumer, ends):
        began = time.monotonic()
        offsets = [TopicPartition(SOURCE, part, end) for part, end in ends.items()]
        try:
            for place in consumer.commit(offsets=offsets, asynchronous=False):
                if place.error is None:
                    more = {"partition": place.partition, "offset": place.offset}
                    self.note("stored", group=READERS, began=began, **more)
        except KafkaException as error:
            # Somebody else has the partitions now, or nobody answers.
            self.note("error", error=str(error))

    # -- watcher

    def watcher(self):
        consumer = self.consumer(f"{self.name}-alone")
        everything = [TopicPartition(t, p, OFFSET_BEGINNING) for t, p in places()]
        consumer.assign(everything)
        while not self.is_over:
            for one in consumer.consume(500, 0.2):
                if one.error() is None:
                    self.note("read", **told(one))
        consumer.close()

    # -- last

    def last(self, copies):
        self.make_topics(copies)
        consumer = self.consumer("nemesis-last", enable_partition_eof=True)
        consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in places()])
        left, end = set(places()), time.monotonic() + FINAL_SECONDS
        while left and time.monotonic() < end:
            for one in consumer.consume(500, 1):
                error = one.error()
                if error is None:
                    self.note("last", **told(one))
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((one.topic(), one.partition()))
        consumer.close()
        if left:
            raise SystemExit(f"these are not read to their end: {sorted(left)}")
        for group in (READERS, MOVERS):
            asking = self.consumer(group)
            asked = [TopicPartition(SOURCE, part) for part in range(PARTITIONS)]
            for place in asking.committed(asked, SECONDS):
                if place.error is not None:
                    raise SystemExit(f"{group} {place.partition}: {place.error}")
                more = {"partition": place.partition, "offset": max(0, place.offset)}
                self.note("kept", group=group, **more)
            asking.close()

    def make_topics(self, copies):
        admin, end = AdminClient(self.settings()), time.monotonic() + FINAL_SECONDS
        for topic in (SOURCE, TARGET):
            while True:
                new = NewTopic(topic, PARTITIONS, int(copies))
                (made,) = admin.create_topics([new]).values()
                try:
                    made.result(SECONDS)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        if time.monotonic() > end:
                            raise
                        # Brokers that come up are too few for the copies at first.
                        time.sleep(0.2)
                        continue
                break


def places():
    return [(topic, part) for topic in (SOURCE, TARGET) for part in range(PARTITIONS)]


def told(message):
    key = message.key()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "value": message.value().decode(),
        "txn": None if key is None else key.decode(),
    }


def main():
    role, brokers, name, file, seed, copies = sys.argv[1:]
    client = Client(brokers, name, file, seed)
    if role == "last":
        client.last(copies)
    else:
        {"writer": client.writer, "mover": client.mover, "member": client.member, "watcher": client.watcher}[role]()


if __name__ == "__main__":
    main()
