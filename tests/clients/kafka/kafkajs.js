// What a user of kafkajs sees of a broker; prints as scenario.py does.
"use strict";

const assert = require("assert").strict;
const crypto = require("crypto");
const {
  CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel,
} = require("kafkajs");
CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy");

const SECONDS = 90;
const [brokers, extent = "full", ...words] = process.argv.slice(2);
const kafka = new Kafka({
  clientId: "scenarios", brokers: brokers.split(","), logLevel: logLevel.NOTHING,
  retry: { retries: 4 },
});
const scenarios = [];
const scenario = (title, play) => scenarios.push({ title, play });
const name = (stem) => `${stem}-${crypto.randomBytes(5).toString("hex")}`;
const numbered = (count) => Array.from({ length: count }, (_, i) => `record ${i}`);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(what, condition, seconds = 30) {
  const deadline = Date.now() + 1000 * seconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not so: ${what}`);
    await sleep(100);
  }
}

// A client for as long as `use` takes.
async function opened(client, use) {
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.disconnect();
  }
}

const admin = (use) => opened(kafka.admin(), use);
const producer = (settings, use) => opened(kafka.producer(settings), use);

async function topic(stem, numPartitions = 1, config = {}) {
  const made = name(stem);
  const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value: String(value) }));
  const topics = [{ topic: made, numPartitions, replicationFactor: 1, configEntries }];
  await admin((client) => client.createTopics({ topics, waitForLeaders: true }));
  return made;
}

const send = (where, values, how = {}, settings = {}) => producer(settings, (client) =>
  client.send({ topic: where, messages: values.map((value) => ({ value, partition: 0 })), ...how }));

// A member that keeps what it reads, by partition and offset.
async function member(where, groupId, settings = {}, run = {}) {
  const consumer = kafka.consumer({
    groupId, sessionTimeout: 6000, rebalanceTimeout: 8000, heartbeatInterval: 500, maxWaitTimeInMs: 500,
    ...settings,
  });
  const found = [], shares = { now: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    shares.now = payload.memberAssignment[where] || [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic: where, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ partition, message }) => { found.push({ partition, ...message }); },
    ...run,
  });
  return { consumer, found, shares, stop: () => consumer.disconnect() };
}

const text = (messages) => messages.map((m) => m.value && m.value.toString());

async function read(where, count, settings = {}) {
  const reader = await member(where, name("group"), settings);
  try {
    await until(`${count} are read`, () => reader.found.length >= count)
      .catch((error) => { throw new Error(`${error.message}, but ${reader.found.length}`); });
    return reader.found;
  } finally {
    await reader.stop();
  }
}

scenario("metadata: brokers, a controller among them", async () => {
  await admin(async (client) => {
    const said = await client.describeCluster();
    assert.ok(said.brokers.some((one) => one.nodeId === said.controller), JSON.stringify(said));
    assert.ok(said.clusterId);
  });
});

for (const [title, compression] of [
  ["none", CompressionTypes.None], ["gzip", CompressionTypes.GZIP], ["snappy", CompressionTypes.Snappy],
]) {
  scenario(`codec ${title}: records come back as they were sent`, async () => {
    const where = await topic(`codec-${title}`), sent = numbered(300).map((one) => one.repeat(9));
    await send(where, sent, { compression });
    assert.deepEqual(text(await read(where, 300)), sent);
  });
}

for (const acks of [0, 1, -1]) {
  scenario(`acks ${acks}: all records are read`, async () => {
    const where = await topic("acks");
    await send(where, numbered(30), { acks });
    assert.deepEqual(text(await read(where, 30)), numbered(30));
  });
}

scenario("null and empty keys and values, and headers", async () => {
  const where = await topic("nulls");
  const messages = [
    { key: null, value: "v" }, { key: "k", value: null }, { key: "", value: "" },
    { key: "k", value: "v", headers: { a: ["1", "2"], b: "" } },
  ];
  await producer({}, (client) => client.send({
    topic: where, messages: messages.map((one) => ({ partition: 0, ...one })),
  }));
  const found = await read(where, 4);
  const plain = found.map((one) => [one.key && one.key.toString(), one.value && one.value.toString()]);
  assert.deepEqual(plain, [[null, "v"], ["k", null], ["", ""], ["k", "v"]]);
  assert.deepEqual(found[3].headers.a.map(String), ["1", "2"]);
});

scenario("idempotent producer: records once each and in order", async () => {
  const where = await topic("idempotent");
  await producer({ idempotent: true, maxInFlightRequests: 1 }, async (client) => {
    for (const value of numbered(50)) {
      await client.send({ topic: where, messages: [{ value, partition: 0 }] });
    }
  });
  assert.deepEqual(text(await read(where, 50)), numbered(50));
});

scenario("a message above the topic's limit is refused by the broker", async () => {
  const where = await topic("big", 1, { "max.message.bytes": 1000 });
  await assert.rejects(send(where, ["x".repeat(5000)]), { type: "MESSAGE_TOO_LARGE" });
});

scenario("group: two members share, one leaves, none is read twice", async () => {
  const where = await topic("group", 4), group = name("group");
  const first = await member(where, group), members = [first];
  try {
    await until("the first has all", () => first.shares.now.length === 4);
    const second = await member(where, group);
    members.push(second);
    await until("both have two", () => first.shares.now.length === 2 && second.shares.now.length === 2);
    const messages = [0, 1, 2, 3].map((partition) => ({ partition, value: `a${partition}` }));
    await producer({}, (client) => client.send({ topic: where, messages }));
    await until("all are read", () => first.found.length + second.found.length === 4);
    members.pop();
    await second.stop();
    await until("the first has all again", () => first.shares.now.length === 4);
    await producer({}, (client) => client.send({
      topic: where, messages: messages.map((one) => ({ ...one, value: one.value.replace("a", "b") })),
    }));
    await until("all are read", () => first.found.length + second.found.length >= 8);
    const found = text([...first.found, ...second.found]).sort();
    assert.deepEqual(found, ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]);
  } finally {
    for (const one of members) await one.stop();
  }
});

scenario("group: goes on where it had committed", async () => {
  const where = await topic("resume"), group = name("group");
  await send(where, numbered(5));
  const first = await member(where, group);
  await until("five are read", () => first.found.length === 5);
  await first.stop();
  await send(where, ["new"]);
  const second = await member(where, group);
  try {
    await until("one is read", () => second.found.length >= 1);
    assert.deepEqual(text(second.found), ["new"]);
  } finally {
    await second.stop();
  }
});

scenario("seek: a consumer goes back", async () => {
  const where = await topic("seek");
  await send(where, numbered(5));
  const reader = await member(where, name("group"));
  try {
    await until("five are read", () => reader.found.length === 5);
    reader.consumer.seek({ topic: where, partition: 0, offset: "3" });
    await until("two more are read", () => reader.found.length >= 7);
    assert.deepEqual(text(reader.found.slice(5)), ["record 3", "record 4"]);
  } finally {
    await reader.stop();
  }
});

scenario("admin: topics made, made twice, grown, deleted", async () => {
  const where = await topic("life", 2);
  await admin(async (client) => {
    assert.equal(await client.createTopics({ topics: [{ topic: where }] }), false);
    await client.createPartitions({ topicPartitions: [{ topic: where, count: 4 }] });
    const shows = async () => (await client.fetchTopicMetadata({ topics: [where] })).topics[0].partitions;
    await until("four partitions show", async () => (await shows()).length === 4);
    assert.ok((await client.listTopics()).includes(where));
    await client.deleteTopics({ topics: [where] });
    await until("it is not listed", async () => !(await client.listTopics()).includes(where));
  });
});

scenario("admin: validate only makes nothing", async () => {
  const where = name("maybe");
  await admin(async (client) => {
    // To wait for its leaders would ask for a topic that is not made.
    await client.createTopics({
      validateOnly: true, waitForLeaders: false, topics: [{ topic: where, numPartitions: 1 }],
    });
    assert.ok(!(await client.listTopics()).includes(where));
  });
});

scenario("admin: configs are described and changed", async () => {
  const where = await topic("configs", 1, { "retention.ms": 123000 });
  await admin(async (client) => {
    const type = ConfigResourceTypes.TOPIC;
    const shows = async () => {
      const said = await client.describeConfigs({ includeSynonyms: false, resources: [{ type, name: where }] });
      const entry = said.resources[0].configEntries.find((one) => one.configName === "retention.ms");
      return entry && entry.configValue;
    };
    assert.equal(await shows(), "123000");
    const configEntries = [{ name: "retention.ms", value: "456000" }];
    await client.alterConfigs({ validateOnly: false, resources: [{ type, name: where, configEntries }] });
    await until("the change shows", async () => (await shows()) === "456000");
  });
});

scenario("admin: offsets of topics, by time and of groups", async () => {
  // Not longer ago than records are kept.
  const where = await topic("offsets"), start = Date.now() - 100_000;
  await producer({}, async (client) => {
    for (let i = 0; i < 4; i++) {
      const messages = [{ value: "x", partition: 0, timestamp: String(start + 1000 * i) }];
      await client.send({ topic: where, messages });
    }
  });
  await admin(async (client) => {
    const [at] = await client.fetchTopicOffsets(where);
    assert.deepEqual([at.low, at.high, at.offset], ["0", "4", "4"]);
    const [later] = await client.fetchTopicOffsetsByTimestamp(where, start + 1500);
    assert.equal(later.offset, "2");
    const groupId = name("group");
    await client.setOffsets({ groupId, topic: where, partitions: [{ partition: 0, offset: "3" }] });
    const [said] = await client.fetchOffsets({ groupId, topics: [where] });
    assert.equal(said.partitions[0].offset, "3");
  });
});

scenario("admin: groups are listed, described and deleted", async () => {
  const where = await topic("groups"), group = name("group");
  const one = await member(where, group);
  await until("it has its share", () => one.shares.now.length === 1);
  await admin(async (client) => {
    assert.ok((await client.listGroups()).groups.some(({ groupId }) => groupId === group));
    const [said] = (await client.describeGroups([group])).groups;
    assert.deepEqual([said.state, said.members.length], ["Stable", 1]);
    await assert.rejects(client.deleteGroups([group]));
    await one.stop();
    await client.deleteGroups([group]);
    assert.ok(!(await client.listGroups()).groups.some(({ groupId }) => groupId === group));
  });
});

scenario("admin: records are deleted up to an offset", async () => {
  const where = await topic("records");
  await send(where, numbered(6));
  await admin(async (client) => {
    // It knows of no topic that it was not asked for before.
    await client.fetchTopicOffsets(where);
    await client.deleteTopicRecords({ topic: where, partitions: [{ partition: 0, offset: "4" }] });
  });
  assert.deepEqual(text(await read(where, 2)), ["record 4", "record 5"]);
});

const transactional = (use, transactionalId = name("id")) =>
  producer({ transactionalId, idempotent: true, maxInFlightRequests: 1 }, use);

scenario("transactions: committed ones are read, aborted ones are not", async () => {
  const where = await topic("txn");
  await transactional(async (client) => {
    for (const [value, ends] of [["one", "commit"], ["two", "abort"], ["three", "commit"]]) {
      const transaction = await client.transaction();
      await transaction.send({ topic: where, messages: [{ value, partition: 0 }] });
      await transaction[ends]();
    }
  });
  assert.deepEqual(text(await read(where, 2)), ["one", "three"]);
  const all = await read(where, 3, { readUncommitted: true });
  assert.deepEqual(text(all), ["one", "two", "three"]);
});

scenario("transactions: a second producer of the same id fences the first", async () => {
  const where = await topic("txn"), identity = name("id");
  await transactional(async (first) => {
    const one = await first.transaction();
    await one.send({ topic: where, messages: [{ value: "first", partition: 0 }] });
    await transactional(async (second) => {
      const two = await second.transaction();
      await two.send({ topic: where, messages: [{ value: "second", partition: 0 }] });
      await two.commit();
    }, identity);
    await assert.rejects(one.commit());
  }, identity);
  assert.deepEqual(text(await read(where, 1)), ["second"]);
});

scenario("transactions: a group's offsets go with them", async () => {
  const source = await topic("source"), sink = await topic("sink"), consumerGroupId = name("group");
  await send(source, numbered(5));
  const to = (offset) => ({
    consumerGroupId, topics: [{ topic: source, partitions: [{ partition: 0, offset }] }],
  });
  await transactional(async (client) => {
    for (const [offset, ends] of [["3", "commit"], ["5", "abort"]]) {
      const transaction = await client.transaction();
      await transaction.send({ topic: sink, messages: [{ value: offset, partition: 0 }] });
      await transaction.sendOffsets(to(offset));
      await transaction[ends]();
    }
  });
  await admin(async (client) => {
    const [said] = await client.fetchOffsets({ groupId: consumerGroupId, topics: [source] });
    assert.equal(said.partitions[0].offset, "3");
  });
  assert.deepEqual(text(await read(sink, 1)), ["3"]);
});

async function main() {
  let played = 0;
  for (const { title, play } of scenarios) {
    if (words.length && !words.some((word) => title.includes(word))) continue;
    const began = Date.now();
    let timer;
    const late = new Promise((_, fail) => {
      timer = setTimeout(() => fail(new Error("no end in time")), 1000 * SECONDS);
    });
    let said = `ok ${title}`;
    await Promise.race([play(), late]).catch((error) => {
      said = `FAILED ${title}: ${error.name}: ${error.message}`.slice(0, 500);
    });
    clearTimeout(timer);
    played += 1;
    console.log(`${said.split(/\s+/).join(" ")} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  }
  console.log(`played ${played}`);
  process.exit(0);
}

main();
