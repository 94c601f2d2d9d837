//! Clients that are over their quota and go on as if nobody had told them.

use super::*;

const MUTED: Duration = Duration::from_millis(700);
/// Longer than any test takes.
const FOR_LONG: i32 = 60_000;

#[test]
fn who_does_not_wait_is_not_heard_for_so_long() {
    let gate = Gate::open(|settings| settings.frame_time_max = MUTED / 2);
    gate.desk.let_go(100);
    let mut client = gate.dial();
    // The whole of one more comes with it, and half of another.
    let (whole, half) = (produce(2, 1000), produce(3, 1000));
    let begun = Instant::now();
    let mute = muting(1, MUTED.as_millis() as i32);
    client.send(&[&mute[..], &whole, &half[..500]].concat());
    assert_eq!(
        client.answer(),
        Some(1),
        "that it is to wait is told at once"
    );
    assert!(begun.elapsed() < MUTED, "a machine that is far too slow");
    // Others are heard meanwhile.
    gate.is_well();
    gate.desk.wait_appended(1);
    assert!(
        begun.elapsed() >= MUTED,
        "heard after {:?}",
        begun.elapsed()
    );
    assert_eq!(client.answer(), Some(2));
    // What was not read took none of the time that a frame has.
    client.send(&half[500..]);
    assert_eq!(client.answer(), Some(3));
}

#[test]
fn what_is_sent_meanwhile_stays_in_the_network() {
    const MANY: usize = 64 << 20;
    let gate = Gate::open(|_| {});
    gate.desk.let_go(100);
    let mut client = gate.dial();
    client.send(&muting(1, FOR_LONG));
    assert_eq!(client.answer(), Some(1));
    let before = gate.counts.received_bytes.get();
    // Until the kernel takes no more.
    client
        .0
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (frame, mut sent) = (produce(2, MANY), 0);
    while let Ok(bytes) = client.0.write(&frame[sent..]) {
        sent += bytes;
        assert!(sent < MANY, "all of it was taken");
    }
    assert!(sent > 0);
    assert_eq!(gate.counts.received_bytes.get(), before);
    assert_eq!(gate.counts.held_bytes.get(), 0);
}

#[test]
fn who_closes_is_let_go_at_once_and_what_it_sent_is_carried_out() {
    let gate = Gate::open(|_| {});
    gate.desk.let_go(100);
    for is_whole in [true, false] {
        let mut client = gate.dial();
        client.send(&muting(1, FOR_LONG));
        assert_eq!(client.answer(), Some(1));
        let before = gate.desk.appended().len();
        let begun = Instant::now();
        if is_whole {
            // Each mutes it anew, and is not heeded any more.
            client.send(&[produce(2, 10), muting(3, FOR_LONG), produce(4, 10)].concat());
            client.0.shutdown(Shutdown::Write).unwrap();
            let answers: Vec<_> = std::iter::from_fn(|| client.answer()).collect();
            assert_eq!(answers, [2, 3, 4]);
            assert_eq!(gate.desk.appended().len(), before + 2);
        } else {
            client.send(&produce(2, 10)[..20]);
        }
        drop(client);
        gate.wait("the connection ends", |counts| {
            counts.connections.get() == 0
        });
        assert!(begun.elapsed() < PATIENCE);
    }
}

#[test]
fn a_door_that_closes_waits_for_nobody_who_is_muted() {
    let mut gate = Gate::open(|_| {});
    let mut client = gate.dial();
    client.send(&[muting(1, FOR_LONG), produce(2, 10)].concat());
    assert_eq!(client.answer(), Some(1));
    let begun = Instant::now();
    let running = gate.running.take().unwrap();
    let closing = std::thread::spawn(move || running.close());
    assert!(client.is_closed());
    assert!(begun.elapsed() < Duration::from_secs(2), "told late");
    drop(client);
    closing.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(gate.desk.appended().is_empty());
}
