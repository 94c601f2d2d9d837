//! Clients that lie, stall, pile up or flood, and what the others notice.

use super::*;
use dolmen::ports::kafka::Limits;

#[test]
fn a_length_that_no_frame_has_ends_the_connection() {
    let gate = Gate::open(|_| {});
    for declared in [-1, i32::MIN, i32::MAX, 104_857_601] {
        let mut client = gate.dial();
        client.send(&declared.to_be_bytes());
        assert!(client.is_closed(), "{declared}");
    }
    gate.is_well();
    gate.wait("all are counted", |counts| counts.cut_off.get() == 4);
}

#[test]
fn a_length_alone_takes_no_memory() {
    let gate = Gate::open(|_| {});
    let liars = (0..50).map(|_| {
        let mut client = gate.dial();
        client.send(&104_857_600u32.to_be_bytes());
        client.send(&[0; 100]);
        client
    });
    let liars: Vec<_> = liars.collect();
    gate.wait("all bytes are here", |counts| {
        counts.received_bytes.get() >= 50 * 104
    });
    assert_eq!(gate.counts.held_bytes.get(), 0);
    gate.desk.let_go(100);
    let mut client = gate.dial();
    client.send(&produce(1, 5 << 20));
    assert_eq!(client.answer(), Some(1));
    drop(liars);
}

#[test]
fn what_is_not_spoken_ends_the_connection() {
    let gate = Gate::open(|_| {});
    for frame in [
        request(999, 0, 1, &[]),
        request(-1, 0, 1, &[]),
        request(Metadata::KEY, 99, 1, &[]),
        request(Metadata::KEY, -1, 1, &[]),
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 3, 1, 2, 3],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut client = gate.dial();
        client.send(&frame);
        assert!(client.is_closed(), "{frame:?}");
    }
    let mut client = gate.dial();
    client.send(&request(ApiVersions::KEY, 99, 5, &[]));
    let offer = client.frame().unwrap();
    assert_eq!(offer[..10], [0, 0, 0, 5, 0, 35, 0, 0, 0, 1]);
    client.send(&heartbeat(6));
    assert_eq!(client.answer(), Some(6));
}

#[test]
fn slow_frames_and_silence_have_their_time() {
    let gate = Gate::open(|settings| {
        settings.frame_time_max = Duration::from_millis(300);
        settings.first_request_time_max = Duration::from_millis(600);
        settings.idle_time_max = Duration::from_millis(1200);
    });
    let (mut slow, mut silent, mut idle) = (gate.dial(), gate.dial(), gate.dial());
    let begun = Instant::now();
    slow.send(&heartbeat(1));
    assert_eq!(slow.answer(), Some(1));
    let half = heartbeat(2);
    slow.send(&half[..half.len() - 1]);
    idle.send(&heartbeat(1));
    assert_eq!(idle.answer(), Some(1));

    assert!(slow.is_closed());
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(silent.is_closed());
    assert!(begun.elapsed() >= Duration::from_millis(600));
    assert!(idle.is_closed());
    assert!(begun.elapsed() >= Duration::from_millis(1200));
    gate.wait("who was idle did no wrong", |counts| {
        counts.cut_off.get() == 2 && counts.connections.get() == 0
    });
}

#[test]
fn a_wait_is_not_idle() {
    let gate = Gate::open(|settings| settings.idle_time_max = Duration::from_millis(200));
    let mut client = gate.dial();
    client.send(&produce(1, 10));
    gate.desk.wait_appended(1);
    std::thread::sleep(Duration::from_millis(700));
    gate.desk.let_go(2);
    assert_eq!(client.answer(), Some(1));
}

#[test]
fn who_takes_nothing_is_owed_one_answer_beyond_the_bound() {
    const ANSWER: usize = 16 << 20;
    let gate = Gate::open(|_| {});
    let mut client = gate.dial();
    let all: Vec<u8> = (1..=5).flat_map(|id| fetch(id, ANSWER as i32)).collect();
    client.send(&all);
    gate.wait("the first is made", |counts| counts.held_bytes.get() > 0);
    // More is made only once the kernel has taken nearly all of the first.
    for _ in 0..50 {
        assert!(gate.desk.fetched.load(Ordering::Relaxed) <= 1);
        std::thread::sleep(Duration::from_millis(2));
    }
    gate.is_well();
    for id in 1..=5 {
        let frame = client.frame().unwrap();
        assert_eq!(frame.len(), ANSWER + 4);
        assert_eq!(frame[..4], i32::to_be_bytes(id));
    }
}

#[test]
fn who_never_takes_its_answers_is_closed() {
    let gate = Gate::open(|settings| settings.idle_time_max = Duration::from_millis(300));
    let mut client = gate.dial();
    client.send(&fetch(1, 64 << 20));
    gate.wait("it is cut off", |counts| counts.cut_off.get() == 1);
    gate.wait("its memory is free", |counts| counts.held_bytes.get() == 0);
}

#[test]
fn floods_of_connections_leave_the_others_theirs() {
    let limits = |all, of_address| Limits {
        connections_max: all,
        connections_per_address_max: of_address,
        ..Limits::default()
    };
    let gate = Gate::open(|settings| settings.limits = limits(100, 8));
    let mut flood: Vec<_> = (0..8).map(|_| gate.dial()).collect();
    for client in &mut flood {
        client.send(&heartbeat(1));
        assert_eq!(client.answer(), Some(1));
    }
    assert!(gate.dial().is_closed());
    // Another address has its own.
    let mut other = dial_from([127, 0, 0, 2], gate.address);
    other.send(&heartbeat(1));
    assert_eq!(other.answer(), Some(1));

    gate.running().set_limits(limits(9, 100));
    assert!(gate.dial().is_closed());
    assert!(dial_from([127, 0, 0, 3], gate.address).is_closed());
    assert_eq!(gate.counts.turned_away.get(), 3);
    flood.pop();
    gate.wait("its place is free", |counts| counts.connections.get() == 8);
    gate.is_well();
}

/// Loopback is a whole network of addresses.
fn dial_from(from: [u8; 4], to: SocketAddr) -> Client<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let socket = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((from, 0))).unwrap();
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Client(socket)
}

#[test]
fn producers_wait_for_memory_and_heartbeats_do_not() {
    const FRAME: usize = 1 << 20;
    let gate = Gate::open(|settings| settings.limits.memory_bytes_max = 3 * FRAME);
    let mut producers: Vec<_> = (1..=8)
        .map(|id| {
            let client = gate.dial();
            let sending = client.0.try_clone().unwrap();
            let thread = std::thread::spawn(move || Client(sending).send(&produce(id, FRAME)));
            (client, id, thread)
        })
        .collect();
    gate.desk.wait_appended(2);
    gate.wait("others wait", |counts| counts.waits.get() >= 4);
    let mut other = gate.dial();
    for id in 0..100 {
        // A large one for a request that is not a Produce.
        other.send(&request(Heartbeat::KEY, 4, id, &[0; 60_000]));
        assert_eq!(other.answer(), Some(id));
        // The bound, the reserve, and a frame of each kind that may go beyond.
        let held_max = (4 * FRAME + (8 << 20) + (64 << 10)) as u64;
        assert!(gate.counts.held_bytes.get() <= held_max);
    }
    assert!(gate.desk.appended().len() <= 4);
    gate.desk.let_go(100);
    for (client, id, thread) in &mut producers {
        assert_eq!(client.answer(), Some(*id));
        drop(std::mem::replace(thread, std::thread::spawn(|| {})).join());
    }
    gate.wait("all is given back", |counts| counts.held_bytes.get() == 0);
}

#[test]
fn frames_that_are_half_here_come_to_an_end_together() {
    const FRAME: usize = 1 << 20;
    const COUNT: i32 = 24;
    let gate = Gate::open(|settings| settings.limits.memory_bytes_max = 4 * FRAME);
    gate.desk.let_go(COUNT + 1);
    let mut halves = Vec::new();
    for id in 1..=COUNT {
        let (mut client, whole) = (gate.dial(), produce(id, FRAME));
        client.send(&whole[..FRAME / 2 - 1]);
        halves.push((client, id, whole));
    }
    // Some have the memory for what they have sent, and one goes beyond.
    gate.wait("all memory is held", |counts| {
        counts.held_bytes.get() > 4 * FRAME as u64 && counts.waits.get() > 10
    });
    std::thread::scope(|scope| {
        for (client, id, whole) in &mut halves {
            scope.spawn(|| {
                client.send(&whole[FRAME / 2 - 1..]);
                assert_eq!(client.answer(), Some(*id));
            });
        }
    });
    gate.wait("all is given back", |counts| counts.held_bytes.get() == 0);
}

#[test]
fn no_frame_waits_for_memory_for_ever() {
    const FRAME: usize = 1 << 20;
    let time = Duration::from_millis(300);
    let gate = Gate::open(|settings| {
        settings.limits.memory_bytes_max = FRAME;
        settings.memory_time_max = time;
    });
    let [mut a, mut b, mut c] = [(); 3].map(|()| gate.dial());
    a.send(&produce(1, FRAME));
    b.send(&produce(2, FRAME));
    gate.desk.wait_appended(2);
    let begun = Instant::now();
    c.send(&produce(3, 8 << 10));
    let mut large = gate.dial();
    large.send(&produce(4, FRAME)[..FRAME / 2]);
    assert!(large.is_closed());
    assert!(begun.elapsed() >= time);
    gate.desk.let_go(4);
    for (client, id) in [(&mut a, 1), (&mut b, 2), (&mut c, 3)] {
        assert_eq!(client.answer(), Some(id));
    }
    gate.wait("it is counted", |counts| counts.cut_off.get() == 1);
}

#[test]
fn who_leaves_while_its_frame_waits_for_memory_is_let_go() {
    const FRAME: usize = 1 << 20;
    let gate = Gate::open(|settings| settings.limits.memory_bytes_max = FRAME);
    let [mut a, mut b] = [(); 2].map(|()| gate.dial());
    a.send(&produce(1, FRAME));
    gate.desk.wait_appended(1);
    b.send(&produce(2, FRAME));
    gate.desk.wait_appended(2);
    let mut half = gate.dial();
    // What is not read has room in the kernel, or the end of it would not come.
    half.send(&produce(3, FRAME)[..40 << 10]);
    gate.wait("it waits", |counts| counts.waits.get() > 0);
    drop(half);
    gate.wait("it is gone", |counts| counts.connections.get() == 2);
    assert_eq!(gate.counts.cut_off.get(), 0);
    gate.desk.let_go(3);
    assert_eq!((a.answer(), b.answer()), (Some(1), Some(2)));
    gate.wait("all is given back", |counts| counts.held_bytes.get() == 0);
}

#[test]
fn strangers_who_take_nothing_and_send_ahead_hold_up_nobody() {
    let gate = Gate::open(|settings| settings.needs_sasl = true);
    let strangers: Vec<_> = (0..64)
        .map(|_| {
            let mut client = gate.dial();
            let ahead: Vec<u8> = (0..200)
                .flat_map(|id| request(ApiVersions::KEY, 3, id, &[0; 4000]))
                .collect();
            // It may stand still with it.
            client.0.set_nonblocking(true).unwrap();
            let _ = client.0.write(&ahead);
            client
        })
        .collect();
    gate.wait("they are heard", |counts| {
        counts.received_bytes.get() > 64 * 4000
    });
    assert_eq!(gate.counts.held_bytes.get(), 0);
    assert_eq!(gate.counts.waits.get(), 0);
    drop(strangers);
}

#[test]
fn nothing_is_answered_to_who_has_not_shown_who_it_is() {
    let gate = Gate::open(|settings| settings.needs_sasl = true);
    let mut client = gate.dial();
    client.send(&request(ApiVersions::KEY, 3, 1, &[]));
    assert_eq!(client.answer(), Some(1));
    client.send(&heartbeat(2));
    assert!(client.is_closed());
    let mut client = gate.dial();
    client.send(&9000u32.to_be_bytes());
    assert!(client.is_closed());
    gate.wait("both are counted", |counts| counts.cut_off.get() == 2);
    assert_eq!(gate.counts.refused.get(), 1);
}

#[test]
fn many_clients_at_once_are_each_answered_in_order() {
    let gate = Gate::open(|_| {});
    gate.desk.let_go(i32::MAX);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = gate.dial();
                for round in 0..20 {
                    let ids = round * 50..(round + 1) * 50;
                    let ahead: Vec<u8> = ids
                        .clone()
                        .flat_map(|id| match id % 3 {
                            0 => heartbeat(id),
                            1 => produce(id, id as usize * 7),
                            _ => fetch(id, id * 3),
                        })
                        .collect();
                    client.send(&ahead);
                    for id in ids {
                        assert_eq!(client.answer(), Some(id));
                    }
                }
            });
        }
    });
    gate.wait("all is given back", |counts| counts.held_bytes.get() == 0);
}
