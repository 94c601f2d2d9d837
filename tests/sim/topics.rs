//! Topics and brokers as they are shown: before anybody hears what came of a
//! command, on the node that asked.

use super::node::release;
use super::quiet::{CLUSTER, Cluster, TICK};
use dolmen::clock::MachineClock;
use dolmen::disk::Disk;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{NodeId, SessionId, TopicId, Uid, Zxid};
use dolmen::log::{FRAMES, OpenError, Opening};
use dolmen::replica::desk::{Answer, Ask, ConnectionId, Desk, Hello, Reply, Request};
use dolmen::replica::{self, Doorway, Hooks, Now, Opened, Replica, Running, Settings, Start};
use dolmen::state::topics::{
    Announce, CreateTopic, Kept, Layout, Listener, Security, StreamsOutcome,
};
use dolmen::state::{Command, Outcome, StreamsCommand, StreamsRefused, Topics};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

fn announce(node: u64) -> StreamsCommand {
    StreamsCommand::Announce(Announce {
        node: NodeId(node),
        disk: Uid([node as u8; 16]),
        kept: Kept::All,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            security: Security::Plaintext,
            host: "box".into(),
            port: 9092,
        }],
        rack: None,
    })
}

fn create(name: &str, id: u8) -> StreamsCommand {
    StreamsCommand::CreateTopic(CreateTopic {
        name: name.into(),
        id: TopicId([id; 16]),
        layout: Layout::Spread {
            partitions: Some(2),
            factor: None,
        },
        settings: Vec::new(),
        validates_only: false,
    })
}

/// What came of a command of a session, and what was shown then.
fn propose(
    cluster: &mut Cluster,
    (on, client): (u64, ConnectionId),
    command: StreamsCommand,
) -> (StreamsOutcome, Arc<Topics>) {
    let answer = cluster.ask(on, client, Request::Submit(Command::Streams(command)));
    let Ok(Answer::Outcome(Outcome::Streams(outcome))) = answer else {
        panic!("{answer:?}");
    };
    (outcome, shown(cluster, on))
}

fn shown(cluster: &Cluster, on: u64) -> Arc<Topics> {
    cluster.nodes[&NodeId(on)].shown.lock().unwrap().clone()
}

/// A cluster of three with a broker on one that does not lead.
fn with_a_broker() -> (Cluster, (u64, ConnectionId), SessionId) {
    let mut cluster = Cluster::of(7, 3);
    cluster.meet_all();
    let (client, session) = cluster.connect(2);
    assert!(!cluster.replica(2).is_leader());
    let at = (2, client);
    let (outcome, topics) = propose(&mut cluster, at, announce(2));
    assert!(
        matches!(outcome, StreamsOutcome::Announced(_)),
        "{outcome:?}"
    );
    assert!(topics.brokers().is_up(NodeId(2)));
    (cluster, at, session)
}

#[test]
fn a_follower_hears_what_came_of_a_command_once_it_shows() {
    let (mut cluster, at, _) = with_a_broker();
    for (n, name) in ["a", "b", "c"].into_iter().enumerate() {
        let (outcome, topics) = propose(&mut cluster, at, create(name, n as u8 + 1));
        assert!(matches!(outcome, StreamsOutcome::Created { .. }));
        assert!(topics.get(name).is_some(), "{name} is shown");
    }
    let before = shown(&cluster, 2);
    let (outcome, topics) = propose(&mut cluster, at, create("a", 9));
    assert_eq!(
        outcome,
        StreamsOutcome::Refused(StreamsRefused::TopicExists)
    );
    assert!(Arc::ptr_eq(&before, &topics), "nothing has changed");
    cluster.ticks(4);
    for node in [1, 3] {
        assert_eq!(*shown(&cluster, node), *topics);
    }
}

/// A command of the node's own has a callback instead of a place in a line.
#[test]
fn a_callback_finds_shown_what_it_hears() {
    let (mut cluster, _, _) = with_a_broker();
    for on in [1, 2] {
        let name = format!("of-{on}");
        let (place, found) = (cluster.nodes[&NodeId(on)].shown.clone(), Arc::default());
        let (put, asked): (Arc<Mutex<Option<bool>>>, _) = (Arc::clone(&found), name.clone());
        let moment = cluster.moment();
        let done = Box::new(move |outcome: Result<_, _>| {
            assert!(outcome.is_ok());
            let is_shown = place.lock().unwrap().get(&asked).is_some();
            *put.lock().unwrap() = Some(is_shown);
        });
        let command = Command::Streams(create(&name, on as u8));
        cluster.replica(on).command(moment, command, Some(done));
        cluster.until("it is heard", |_| found.lock().unwrap().is_some());
        assert_eq!(*found.lock().unwrap(), Some(true), "{name}");
    }
}

#[test]
fn a_session_that_ends_takes_its_broker_down_at_once() {
    let (mut cluster, (on, client), session) = with_a_broker();
    let (outcome, topics) = propose(&mut cluster, (on, client), create("a", 1));
    assert!(matches!(outcome, StreamsOutcome::Created { .. }));
    assert_eq!(topics.brokers().of_session(session), Some(NodeId(2)));
    let closed = cluster.ask(on, client, Request::Submit(Command::CloseSession));
    assert_eq!(closed, Ok(Answer::Outcome(Outcome::Closed)));
    let topics = shown(&cluster, on);
    assert_eq!(topics.brokers().life(NodeId(2)), None);
    assert_eq!(topics.get("a").unwrap().partitions[0].leader, None);

    // Another session is another life.
    let (client, _) = cluster.connect(2);
    let (_, topics) = propose(&mut cluster, (2, client), announce(2));
    let led = topics.get("a").unwrap().partitions[0].leader;
    assert_eq!(led, Some(NodeId(2)));
}

/// A replica by itself, on a thread of its own, and what it shows.
fn on_a_thread() -> (Running, Arc<Mutex<Arc<Topics>>>) {
    let shown = Arc::new(Mutex::new(Arc::<Topics>::default()));
    let put = shown.clone();
    let hooks = Hooks {
        beat: Box::new(|| ()),
        fatal: Box::new(|fatal| panic!("{fatal}")),
        send: Box::new(|_| ()),
        members: Box::new(|_| ()),
        topics: Box::new(move |topics| *put.lock().unwrap() = topics.clone()),
    };
    let clock = Arc::new(MachineClock::new());
    let (running, _) = replica::start(open_alone, clock, hooks).unwrap();
    (running, shown)
}

fn open_alone() -> Result<(Replica, Opened), OpenError> {
    let disk = SimDisk::new(1);
    Replica::open(Start {
        settings: Settings {
            node: NodeId(1),
            cluster: CLUSTER,
            release: release(1),
            tick: TICK,
            election_ticks: 10,
            seed: 1,
            heartbeat_ticks: 2,
            serves_read_only: false,
            room_low_bytes: 0,
        },
        is_founder: true,
        has_others: false,
        opening: Opening {
            disk: Arc::new(disk.clone()),
            lane: disk.lane().unwrap(),
            entropy: &MachineEntropy,
            settings: dolmen::log::Settings {
                journal_file_bytes: 1 << 20,
                reserve_bytes: 0,
                ..dolmen::log::Settings::default()
            },
            formats: &[&FRAMES],
        },
        data: Arc::new(disk),
        entropy: Arc::new(MachineEntropy),
        now: Now::default(),
    })
}

/// The next reply at a door that was called.
fn heard(doorway: &Doorway, called: &mpsc::Receiver<bool>) -> (bool, Reply) {
    let was_shown = called.recv_timeout(Duration::from_secs(20)).unwrap();
    let mut replies = Vec::new();
    doorway.take(&mut replies);
    assert_eq!(replies.len(), 1, "{replies:?}");
    (was_shown, replies.remove(0))
}

/// The door is called on the replica's thread: what it sees there is what was
/// shown before.
#[test]
fn the_thread_shows_topics_before_it_calls_a_door() {
    let (running, shown) = on_a_thread();
    let doorway = running.handle().doorway();
    let (call, called) = mpsc::channel();
    doorway.call(Arc::new(move || {
        let topics = shown.lock().unwrap().clone();
        let _ = call.send(topics.get("a").is_some());
    }));
    let connection = ConnectionId(1);
    let hello = Hello {
        session: SessionId(0),
        password: [0; 16],
        timeout_ms: 10_000,
        last_zxid_seen: Zxid(0),
        takes_read_only: false,
    };
    // Not taken before the node leads, which it does in its first turns.
    loop {
        doorway.say(&mut vec![Ask::Open {
            connection,
            hello: hello.clone(),
            who: Vec::new(),
        }]);
        if let (_, Reply::Opened { .. }) = heard(&doorway, &called) {
            break;
        }
    }
    for (command, is_shown) in [(announce(1), false), (create("a", 1), true)] {
        doorway.say(&mut vec![Ask::Request {
            connection,
            tag: 1,
            request: Request::Submit(Command::Streams(command)),
        }]);
        let (was_shown, reply) = heard(&doorway, &called);
        assert!(matches!(reply, Reply::Answer { answer: Ok(_), .. }));
        assert_eq!(was_shown, is_shown);
    }
    running.close().unwrap();
}
