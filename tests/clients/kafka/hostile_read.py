"""Reading what is not there, and groups' members that are not what they say."""

from hostile_kit import (
    FETCH_SESSION_NOT_FOUND,
    ILLEGAL_GENERATION,
    INCONSISTENT_GROUP_PROTOCOL,
    INVALID_GROUP_ID,
    INVALID_REQUEST,
    INVALID_SESSION_TIMEOUT,
    MEMBER_ID_REQUIRED,
    NONE,
    OFFSET_METADATA_TOO_LARGE,
    OFFSET_OUT_OF_RANGE,
    UNKNOWN_LEADER_EPOCH,
    UNKNOWN_MEMBER_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
    coordinator,
    create,
    first,
    metadata,
    topic,
)
from raw import (
    FETCH,
    FIND_COORDINATOR,
    HEARTBEAT,
    JOIN_GROUP,
    LIST_OFFSETS,
    OFFSET_COMMIT,
    SYNC_GROUP,
    Connection,
    array,
    data,
    i8,
    i32,
    i64,
    text,
)
from scenario import holds, name, same, scenario, until


@scenario("metadata: a topic that one broker has made is there for all others in the next moment")
def made_elsewhere(brokers):
    connections = [Connection(address) for address in brokers.split(",")]
    for round in range(50):
        maker = connections[round % len(connections)]
        where = name("elsewhere")
        create(maker, where)
        for other in connections:
            code, _, _ = metadata(other, where)
            same(f"round {round}", code, NONE)
    for connection in connections:
        connection.socket.close()


def fetch(connection, where, partition=0, offset=0, epoch=-1, session=(0, -1), size=1 << 20):
    """The error code of the whole, of the partition, and its high watermark."""
    body = i32(-1) + i32(100) + i32(1) + i32(size) + i8(0) + i32(session[0]) + i32(session[1])
    place = i32(partition) + i32(epoch) + i64(offset) + i64(-1) + i32(size)
    body += array([text(where) + array([place])]) + array([]) + text("")
    said = connection.ask(FETCH, 11, body)
    said.i32()
    code, _ = said.i16(), said.i32()

    def answer():
        found = said.i32(), said.i16(), said.i64()
        (
            said.i64(),
            said.i64(),
            said.array(lambda: (said.i64(), said.i64())),
            said.i32(),
            said.data(),
        )
        return found

    topics = said.array(lambda: (said.text(), said.array(answer)))
    return code, topics and topics[0][1][0][1], topics and topics[0][1][0][2]


def fetch_scenario(title, wanted, **how):
    @scenario(f"fetch: {title}: {' or '.join(map(str, wanted))}, the connection stays")
    def play(brokers):
        where, leader = topic(brokers)
        with Connection(leader) as connection:
            whole, code, _ = fetch(
                connection,
                how.get("where", where),
                **{key: value for key, value in how.items() if key != "where"},
            )
            holds(whole in wanted or whole == NONE and code in wanted, f"codes {whole} and {code}")
            holds(connection.is_alive(), "the connection has ended")


fetch_scenario("from far behind the end", [OFFSET_OUT_OF_RANGE], offset=1 << 40)
fetch_scenario("from a negative offset", [OFFSET_OUT_OF_RANGE], offset=-5)
fetch_scenario("of an unknown partition", [UNKNOWN_TOPIC_OR_PARTITION], partition=77)
fetch_scenario("of an unknown topic", [UNKNOWN_TOPIC_OR_PARTITION], where="never-made")
fetch_scenario("by an epoch to come", [UNKNOWN_LEADER_EPOCH], epoch=1_000_000)
fetch_scenario("by a session that is not there", [FETCH_SESSION_NOT_FOUND], session=(12345, 7))
fetch_scenario("with two gigabytes to be given", [NONE], size=2_147_483_647)
fetch_scenario("with nothing to be given", [NONE], size=0)


@scenario("list offsets: 3 for what is not there, 75 for an epoch to come")
def list_offsets(brokers):
    where, leader = topic(brokers)
    with Connection(leader) as connection:

        def code(where, partition, epoch=-1):
            place = i32(partition) + i32(epoch) + i64(-1)
            body = i32(-1) + i8(0) + array([text(where) + array([place])])
            said = connection.ask(LIST_OFFSETS, 4, body)
            said.i32()
            answer = lambda: (said.i32(), said.i16(), said.i64(), said.i64(), said.i32())
            return said.array(lambda: (said.text(), said.array(answer)))[0][1][0][1]

        same("good", code(where, 0), NONE)
        same("partition", code(where, 8), UNKNOWN_TOPIC_OR_PARTITION)
        same("topic", code("never-made", 0), UNKNOWN_TOPIC_OR_PARTITION)
        same("epoch", code(where, 0, 1_000_000), UNKNOWN_LEADER_EPOCH)
        holds(connection.is_alive(), "the connection has ended")


class Group:
    """One member of a group, by hand."""

    def __init__(self, brokers):
        self.name = name("group")
        self.connection = Connection(coordinator(brokers, self.name))
        # A coordinator that has just come to lead reads what there was before.
        is_read = lambda: self.heartbeat(1, "nobody") == UNKNOWN_MEMBER_ID
        until("the coordinator has read what there was", is_read)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.socket.close()

    def join(self, member="", session=10_000, group=None, protocols=("range",), kind="consumer"):
        offered = [text(protocol) + data(b"") for protocol in protocols]
        body = (
            text(self.name if group is None else group) + i32(session) + i32(10_000) + text(member)
        )
        said = self.connection.ask(JOIN_GROUP, 4, body + text(kind) + array(offered))
        said.i32()
        code, generation, _, _, own = said.i16(), said.i32(), said.text(), said.text(), said.text()
        return code, generation, own

    def joined(self):
        code, generation, member = self.join()
        if code == MEMBER_ID_REQUIRED:
            code, generation, member = self.join(member)
        same("join", code, NONE)
        same("sync", self.sync(generation, member), NONE)
        return generation, member

    def sync(self, generation, member):
        share = array([text(member) + data(b"share")])
        said = self.connection.ask(
            SYNC_GROUP, 1, text(self.name) + i32(generation) + text(member) + share
        )
        said.i32()
        return said.i16()

    def heartbeat(self, generation, member):
        said = self.connection.ask(HEARTBEAT, 1, text(self.name) + i32(generation) + text(member))
        said.i32()
        return said.i16()

    def commit(self, where, generation, member, metadata="", offset=1):
        place = i32(0) + i64(offset) + text(metadata)
        body = text(self.name) + i32(generation) + text(member) + i64(-1)
        said = self.connection.ask(OFFSET_COMMIT, 3, body + array([text(where) + array([place])]))
        said.i32()
        answer = lambda: (said.i32(), said.i16())
        return said.array(lambda: (said.text(), said.array(answer)))[0][1][0][1]


@scenario(
    "group: 22 for a wrong generation, 25 for an unknown member, by heartbeat, sync and commit"
)
def generations(brokers):
    where, _ = topic(brokers)
    with Group(brokers) as group:
        generation, member = group.joined()
        same("good", group.heartbeat(generation, member), NONE)
        for wrong in (generation + 1, generation - 1, 1 << 30):
            same(f"heartbeat {wrong}", group.heartbeat(wrong, member), ILLEGAL_GENERATION)
            same(f"sync {wrong}", group.sync(wrong, member), ILLEGAL_GENERATION)
            same(f"commit {wrong}", group.commit(where, wrong, member), ILLEGAL_GENERATION)
        same("heartbeat", group.heartbeat(generation, "nobody"), UNKNOWN_MEMBER_ID)
        same("commit", group.commit(where, generation, "nobody"), UNKNOWN_MEMBER_ID)
        same("commit without a member", group.commit(where, -1, ""), UNKNOWN_MEMBER_ID)
        same("good", group.commit(where, generation, member), NONE)
        holds(group.connection.is_alive(), "the connection has ended")


@scenario("group: 24 without a name, 26 for a session of a millisecond, 23 for another protocol")
def joins(brokers):
    with Group(brokers) as group:
        same("no name", group.join(group="")[0], INVALID_GROUP_ID)
        same("session", group.join(session=1)[0], INVALID_SESSION_TIMEOUT)
        same("a day", group.join(session=86_400_000)[0], INVALID_SESSION_TIMEOUT)
        same("a member nobody knows", group.join("nobody")[0], UNKNOWN_MEMBER_ID)
        group.joined()
        code, _, _ = group.join(protocols=("other",))
        holds(code in (INCONSISTENT_GROUP_PROTOCOL, MEMBER_ID_REQUIRED), f"other protocol: {code}")
        same("another kind", group.join(kind="other")[0], INCONSISTENT_GROUP_PROTOCOL)
        same("no protocol", group.join(protocols=())[0], INCONSISTENT_GROUP_PROTOCOL)
        holds(group.connection.is_alive(), "the connection has ended")


@scenario("commit: 12 for metadata that is too long, 3 for an unknown topic")
def commits(brokers):
    where, _ = topic(brokers)
    with Group(brokers) as group:
        same("good", group.commit(where, -1, "", "x" * 4000), NONE)
        same("too long", group.commit(where, -1, "", "x" * 5000), OFFSET_METADATA_TOO_LARGE)
        same("unknown topic", group.commit("never-made", -1, ""), UNKNOWN_TOPIC_OR_PARTITION)
        code = group.commit(where, 3, "")
        holds(
            code in (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID), f"a generation without members: {code}"
        )
        holds(group.connection.is_alive(), "the connection has ended")


@scenario("find coordinator: 42 for a kind that is none")
def no_kind(brokers):
    with Connection(first(brokers)) as connection:
        said = connection.ask(FIND_COORDINATOR, 1, text("x") + i8(9))
        said.i32()
        same("code", said.i16(), INVALID_REQUEST)
        holds(connection.is_alive(), "the connection has ended")
