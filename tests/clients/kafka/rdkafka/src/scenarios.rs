//! The scenarios.

use crate::holds;
use crate::stage::{Got, PATIENCE, Seen, Stage, read, send, values};
use futures_executor::block_on;
use rdkafka::admin::{AdminOptions, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Scenario = (&'static str, fn(&Stage) -> Seen);

pub const ALL: &[Scenario] = &[
    (
        "metadata: every broker has an address, a made topic its partitions",
        metadata,
    ),
    (
        "codecs: none, gzip, snappy, lz4 and zstd are read back",
        codecs,
    ),
    (
        "records: null keys and values, empty ones and headers are read back",
        odd_records,
    ),
    ("acks: 0, 1 and all", every_acks),
    (
        "too large: a record over the limit is refused, and the next one taken",
        too_large,
    ),
    (
        "idempotence: numbers stand once each and in order",
        idempotent,
    ),
    (
        "group: a second member goes on where the first has committed",
        resumed,
    ),
    (
        "group: two members share four partitions, by either protocol",
        shared,
    ),
    ("offsets: the first of a time, and the end", by_time),
    (
        "transactions: what is aborted is not read, what is committed is",
        transactions,
    ),
    (
        "transactions: offsets are committed with them, or not",
        moved_offsets,
    ),
    (
        "transactions: a second producer of the id fences the first",
        fenced,
    ),
    (
        "admin: partitions are added, settings read, topics deleted",
        administered,
    ),
];

fn metadata(stage: &Stage) -> Seen {
    let topic = stage.topic("metadata", 3)?;
    let reader = stage.reader("asks", &[])?;
    let found = reader.fetch_metadata(Some(&topic), PATIENCE)?;
    holds!(!found.brokers().is_empty(), "no brokers");
    for broker in found.brokers() {
        let address = (broker.host(), broker.port());
        holds!(
            !address.0.is_empty() && address.1 > 0,
            "a broker at {address:?}"
        );
    }
    let partitions = found.topics()[0].partitions();
    holds!(partitions.len() == 3, "{} partitions", partitions.len());
    let brokers: Vec<i32> = found.brokers().iter().map(|broker| broker.id()).collect();
    for partition in partitions {
        let leader = partition.leader();
        holds!(brokers.contains(&leader), "{leader} leads, of {brokers:?}");
    }
    Ok(())
}

fn codecs(stage: &Stage) -> Seen {
    let value = "the same again and again, ".repeat(40);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = stage.topic(codec, 1)?;
        let sender = stage.sender(&[("compression.type", codec), ("linger.ms", "20")])?;
        let sent = vec![&value[..]; 50];
        send(&sender, &topic, 0, &sent)?;
        let found = values(&stage.all(&topic, 1, "read_committed")?);
        holds!(found == sent, "{codec}: {} of 50, or others", found.len());
    }
    Ok(())
}

fn odd_records(stage: &Stage) -> Seen {
    let topic = stage.topic("odd", 1)?;
    let sender = stage.sender(&[])?;
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "twice",
            value: Some("1"),
        })
        .insert(Header {
            key: "twice",
            value: Some("2"),
        })
        .insert(Header::<&str> {
            key: "null",
            value: None,
        });
    let records: [BaseRecord<[u8], [u8], ()>; 3] = [
        BaseRecord::to(&topic).key(&b"only a key"[..]),
        BaseRecord::to(&topic).payload(&b""[..]).key(&b""[..]),
        BaseRecord::to(&topic)
            .payload(&b"with headers"[..])
            .headers(headers),
    ];
    for record in records {
        sender
            .send(record.partition(0))
            .map_err(|(error, _)| error)?;
    }
    sender.flush(PATIENCE)?;
    let reader = stage.reader(&stage.name("odd"), &[])?;
    reader.subscribe(&[&topic])?;
    let (mut got, until) = (Vec::new(), Instant::now() + PATIENCE);
    while got.len() < 3 && Instant::now() < until {
        if let Some(message) = reader.poll(Duration::from_millis(200)) {
            let message = message?;
            let told = message.headers().map(|headers| {
                let told = headers
                    .iter()
                    .map(|one| (one.key.to_owned(), one.value.map(<[u8]>::to_vec)));
                told.collect::<Vec<_>>()
            });
            got.push((Got::from(&message), told));
        }
    }
    holds!(got.len() == 3, "{} of 3 records", got.len());
    let shape = |one: &Got| (one.key.clone(), one.value.clone());
    let (first, second, third) = (shape(&got[0].0), shape(&got[1].0), shape(&got[2].0));
    holds!(first == (Some(b"only a key".to_vec()), None), "{first:?}");
    holds!(second == (Some(vec![]), Some(vec![])), "{second:?}");
    holds!(third == (None, Some(b"with headers".to_vec())), "{third:?}");
    let wanted = vec![
        ("twice".to_owned(), Some(b"1".to_vec())),
        ("twice".to_owned(), Some(b"2".to_vec())),
        ("null".to_owned(), None),
    ];
    holds!(got[2].1.as_ref() == Some(&wanted), "headers {:?}", got[2].1);
    Ok(())
}

fn every_acks(stage: &Stage) -> Seen {
    let topic = stage.topic("acks", 1)?;
    for acks in ["0", "1", "all"] {
        let sender = stage.sender(&[("acks", acks)])?;
        send(&sender, &topic, 0, &[acks; 10])?;
    }
    // What nobody acknowledges is on its way for a while.
    let until = Instant::now() + PATIENCE;
    loop {
        let found = stage.all(&topic, 1, "read_committed")?.len();
        if found == 30 {
            return Ok(());
        }
        holds!(Instant::now() < until, "{found} of 30 records");
    }
}

fn too_large(stage: &Stage) -> Seen {
    let topic = stage.topic("large", 1)?;
    let sender = stage.sender(&[("message.max.bytes", "4000000")])?;
    let large = "x".repeat(2_000_000);
    match send(&sender, &topic, 0, &[&large]) {
        Err(error) => {
            let code = error
                .downcast_ref::<KafkaError>()
                .and_then(KafkaError::rdkafka_error_code);
            holds!(
                code == Some(RDKafkaErrorCode::MessageSizeTooLarge),
                "{error}"
            );
        }
        Ok(offsets) => holds!(false, "taken at {offsets:?}"),
    }
    let offsets = send(&sender, &topic, 0, &["small"])?;
    holds!(offsets == [0], "the next one at {offsets:?}");
    Ok(())
}

fn idempotent(stage: &Stage) -> Seen {
    let topic = stage.topic("idempotent", 1)?;
    let sender = stage.sender(&[("enable.idempotence", "true"), ("linger.ms", "1")])?;
    let sent: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let words: Vec<&str> = sent.iter().map(String::as_str).collect();
    send(&sender, &topic, 0, &words)?;
    let found = values(&stage.all(&topic, 1, "read_committed")?);
    holds!(found == sent, "{} records, or another order", found.len());
    Ok(())
}

fn resumed(stage: &Stage) -> Seen {
    let (topic, group) = (stage.topic("resumed", 1)?, stage.name("group"));
    send(&stage.sender(&[])?, &topic, 0, &["1", "2", "3", "4"])?;
    let first = stage.reader(&group, &[])?;
    first.subscribe(&[&topic])?;
    read(&first, 2)?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(&topic, 0, Offset::Offset(2))?;
    first.commit(&place, CommitMode::Sync)?;
    // It leaves the group.
    drop(first);
    let second = stage.reader(&group, &[])?;
    second.subscribe(&[&topic])?;
    let found = values(&read(&second, 2)?);
    holds!(found == ["3", "4"], "it went on with {found:?}");
    Ok(())
}

fn shared(stage: &Stage) -> Seen {
    for protocol in ["classic", "consumer"] {
        let (topic, group) = (stage.topic("shared", 4)?, stage.name("group"));
        let member = || -> Result<BaseConsumer, KafkaError> {
            let mut config = stage.config();
            config
                .set("group.id", &group)
                .set("group.protocol", protocol);
            config.set("auto.offset.reset", "earliest");
            let member: BaseConsumer = config.create()?;
            member.subscribe(&[&topic])?;
            Ok(member)
        };
        let members = [member()?, member()?];
        let until = Instant::now() + PATIENCE;
        loop {
            for member in &members {
                if let Some(Err(error)) = member.poll(Duration::from_millis(100)) {
                    return Err(format!("{protocol}: {error}").into());
                }
            }
            let mut held = Vec::new();
            let shares = members.each_ref().map(|member| member.assignment());
            let mut counts = Vec::new();
            for share in shares {
                let share = share?;
                counts.push(share.count());
                held.extend(share.elements().iter().map(|one| one.partition()));
            }
            held.sort_unstable();
            if held == [0, 1, 2, 3] && counts == [2, 2] {
                break;
            }
            holds!(
                Instant::now() < until,
                "{protocol}: they hold {counts:?}, {held:?}"
            );
        }
    }
    Ok(())
}

fn by_time(stage: &Stage) -> Seen {
    let topic = stage.topic("times", 1)?;
    let sender = stage.sender(&[])?;
    // Older ones the broker would forget: a week is kept.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let base = now - 10_000;
    for at in [1_000, 2_000, 3_000] {
        let record = BaseRecord::<(), str>::to(&topic)
            .partition(0)
            .payload("x")
            .timestamp(base + at);
        sender.send(record).map_err(|(error, _)| error)?;
        sender.flush(PATIENCE)?;
    }
    let reader = stage.reader("asks", &[])?;
    for (at, wanted) in [
        (0, Offset::Offset(0)),
        (1_001, Offset::Offset(1)),
        (3_000, Offset::Offset(2)),
        (3_001, Offset::End),
    ] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&topic, 0, Offset::Offset(base + at))?;
        let found = reader.offsets_for_times(asked, PATIENCE)?;
        let offset = found.elements()[0].offset();
        holds!(offset == wanted, "{at}: {offset:?} in place of {wanted:?}");
    }
    let marks = reader.fetch_watermarks(&topic, 0, PATIENCE)?;
    holds!(marks == (0, 3), "from {} to {}", marks.0, marks.1);
    Ok(())
}

fn transactional(stage: &Stage, id: &str) -> Result<crate::stage::Sender, KafkaError> {
    let sender = stage.sender(&[
        ("transactional.id", id),
        ("transaction.timeout.ms", "20000"),
    ])?;
    sender.init_transactions(PATIENCE)?;
    Ok(sender)
}

fn transactions(stage: &Stage) -> Seen {
    let topic = stage.topic("transactions", 1)?;
    let sender = transactional(stage, &stage.name("id"))?;
    for (number, commits) in [("1", true), ("2", false), ("3", true), ("4", false)] {
        sender.begin_transaction()?;
        send(&sender, &topic, 0, &[number; 3])?;
        match commits {
            true => sender.commit_transaction(PATIENCE)?,
            false => sender.abort_transaction(PATIENCE)?,
        }
    }
    let committed = values(&stage.all(&topic, 1, "read_committed")?);
    holds!(
        committed == ["1", "1", "1", "3", "3", "3"],
        "committed: {committed:?}"
    );
    let all = values(&stage.all(&topic, 1, "read_uncommitted")?).len();
    holds!(all == 12, "{all} of 12 without regard to that");
    Ok(())
}

fn moved_offsets(stage: &Stage) -> Seen {
    let (topic, group) = (stage.topic("moved", 1)?, stage.name("group"));
    send(&stage.sender(&[])?, &topic, 0, &["1", "2", "3"])?;
    let reader = stage.reader(&group, &[])?;
    reader.subscribe(&[&topic])?;
    read(&reader, 3)?;
    let sender = transactional(stage, &stage.name("id"))?;
    for (offset, commits, wanted) in [
        (1, false, Offset::Invalid),
        (2, true, Offset::Offset(2)),
        (3, false, Offset::Offset(2)),
    ] {
        sender.begin_transaction()?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&topic, 0, Offset::Offset(offset))?;
        let member = reader.group_metadata().ok_or("it is in no group")?;
        sender.send_offsets_to_transaction(&place, &member, PATIENCE)?;
        match commits {
            true => sender.commit_transaction(PATIENCE)?,
            false => sender.abort_transaction(PATIENCE)?,
        }
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic, 0);
        let kept = reader.committed_offsets(asked, PATIENCE)?.elements()[0].offset();
        holds!(
            kept == wanted,
            "after {offset}: {kept:?} in place of {wanted:?}"
        );
    }
    Ok(())
}

fn fenced(stage: &Stage) -> Seen {
    let (topic, id) = (stage.topic("fenced", 1)?, stage.name("id"));
    let first = transactional(stage, &id)?;
    first.begin_transaction()?;
    send(&first, &topic, 0, &["of the first"])?;
    let second = transactional(stage, &id)?;
    let late = first.commit_transaction(PATIENCE);
    holds!(late.is_err(), "the first has committed");
    second.begin_transaction()?;
    send(&second, &topic, 0, &["of the second"])?;
    second.commit_transaction(PATIENCE)?;
    let found = values(&stage.all(&topic, 1, "read_committed")?);
    holds!(found == ["of the second"], "{found:?}");
    Ok(())
}

fn administered(stage: &Stage) -> Seen {
    let (topic, admin, how) = (
        stage.topic("admin", 1)?,
        stage.admin()?,
        AdminOptions::new(),
    );
    for more in block_on(admin.create_partitions([&NewPartitions::new(&topic, 3)], &how))? {
        more.map_err(|(_, code)| format!("no more partitions: {code}"))?;
    }
    let reader = stage.reader("asks", &[])?;
    let count = || -> Result<usize, KafkaError> {
        let found = reader.fetch_metadata(Some(&topic), PATIENCE)?;
        Ok(found.topics()[0].partitions().len())
    };
    let until = Instant::now() + PATIENCE;
    while count()? != 3 {
        holds!(Instant::now() < until, "{} partitions", count()?);
    }
    let asked = [ResourceSpecifier::Topic(&topic)];
    for found in block_on(admin.describe_configs(&asked, &how))? {
        let found = found.map_err(|code| format!("no settings: {code}"))?;
        let policy = found
            .get("cleanup.policy")
            .and_then(|one| one.value.clone());
        holds!(
            policy.as_deref() == Some("delete"),
            "cleanup.policy {policy:?}"
        );
    }
    for gone in block_on(admin.delete_topics(&[&topic], &how))? {
        gone.map_err(|(_, code)| format!("not deleted: {code}"))?;
    }
    let again = block_on(admin.delete_topics(&[&topic], &how))?;
    let unknown = matches!(
        &again[..],
        [Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))]
    );
    holds!(unknown, "deleted again: {again:?}");
    Ok(())
}
