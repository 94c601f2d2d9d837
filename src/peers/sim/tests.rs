//! What the simulated network keeps, whatever befalls it.

use super::*;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Runs until a time, or until nothing is due before it.
fn run(net: &mut SimNet, until: Duration) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Some(due) = net.next_due().filter(|due| *due <= until) {
        all.extend(net.deliver(due));
    }
    all
}

fn send(net: &mut SimNet, now: Duration, text: &str) {
    net.send(now, ONE, TWO, Plane::Control, text.into());
}

fn texts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Frame { bytes, .. } => std::str::from_utf8(bytes).ok(),
            _ => None,
        })
        .collect()
}

fn words(deliveries: &[Delivery]) -> Vec<String> {
    deliveries
        .iter()
        .filter_map(|delivery| match delivery {
            Delivery::Up {
                at,
                node,
                incarnation,
            } => Some(format!("{at}: up {node}.{incarnation}")),
            Delivery::Down { at, node } => Some(format!("{at}: down {node}")),
            Delivery::Frame { .. } => None,
        })
        .collect()
}

/// Two nodes, connected at one second.
fn connected() -> (SimNet, Duration) {
    let mut net = SimNet::new(7, 2, Faults::none());
    let heard = run(&mut net, millis(1000));
    assert_eq!(words(&heard), ["1: up 2.1", "2: up 1.1"]);
    (net, millis(1000))
}

#[test]
fn a_quiet_network_brings_all_in_order() {
    let (mut net, now) = connected();
    for n in 0..5 {
        send(&mut net, now, &n.to_string());
    }
    assert_eq!(
        texts(&run(&mut net, millis(2000))),
        ["0", "1", "2", "3", "4"]
    );
    let counts = net.counts();
    assert_eq!((counts.delivered, counts.dropped, counts.lost), (5, 0, 0));
}

#[test]
fn before_the_connection_stands_frames_are_dropped() {
    let mut net = SimNet::new(7, 2, Faults::none());
    send(&mut net, Duration::ZERO, "early");
    assert_eq!(net.counts().dropped, 1);
    assert!(texts(&run(&mut net, millis(1000))).is_empty());
}

#[test]
fn a_short_block_delays_and_a_long_one_breaks() {
    let (mut net, now) = connected();
    net.block(now, ONE, TWO);
    send(&mut net, now, "held");
    net.send(now, TWO, ONE, Plane::Control, "other way".into());
    assert_eq!(texts(&run(&mut net, millis(2000))), ["other way"]);
    net.heal(millis(2000));
    send(&mut net, millis(2000), "behind");
    assert_eq!(texts(&run(&mut net, millis(3000))), ["held", "behind"]);

    net.block(millis(3000), ONE, TWO);
    send(&mut net, millis(3000), "cut off");
    let heard = run(&mut net, millis(60_000));
    let mut downs = words(&heard);
    downs.sort();
    assert_eq!(downs, ["1: down 2", "2: down 1"]);
    net.heal(millis(60_000));
    let heard = run(&mut net, millis(70_000));
    assert_eq!(words(&heard), ["1: up 2.1", "2: up 1.1"]);
    assert!(texts(&heard).is_empty());
    send(&mut net, millis(70_000), "again");
    assert_eq!(texts(&run(&mut net, millis(71_000))), ["again"]);
}

#[test]
fn a_clogged_way_loses_nothing_and_keeps_order() {
    let (mut net, now) = connected();
    net.clog(ONE, TWO, millis(1500));
    for n in 0..3 {
        send(&mut net, now, &n.to_string());
    }
    assert!(texts(&run(&mut net, millis(1499))).is_empty());
    send(&mut net, millis(1499), "3");
    assert_eq!(texts(&run(&mut net, millis(1600))), ["0", "1", "2", "3"]);
}

#[test]
fn a_restarted_process_is_up_under_a_later_incarnation() {
    let (mut net, now) = connected();
    send(&mut net, now, "under way");
    net.crash(now, TWO);
    net.restart(now, TWO);
    let heard = run(&mut net, millis(10_000));
    assert!(texts(&heard).is_empty());
    assert_eq!(words(&heard), ["1: down 2", "1: up 2.2", "2: up 1.1"]);
}

#[test]
fn what_no_stream_does_is_there_to_be_asked_for() {
    let mut faults = Faults::none();
    (faults.reorder_one_in, faults.duplicate_one_in) = (2, 5);
    let mut net = SimNet::new(3, 2, faults);
    run(&mut net, millis(1000));
    for n in 100..200 {
        send(&mut net, millis(1000), &n.to_string());
    }
    let heard = run(&mut net, millis(2000));
    let texts = texts(&heard);
    assert!(texts.len() > 100 && !texts.is_sorted(), "{texts:?}");
}

/// Three nodes in a stirred network, each sending numbered frames.
fn stirred(seed: u64) -> Vec<Delivery> {
    let mut net = SimNet::new(seed, 3, Faults::harsh());
    let mut all = Vec::new();
    for step in 0..2000 {
        let now = millis(step * 20);
        all.extend(run(&mut net, now));
        for from in 1..=3 {
            for to in (1..=3).filter(|to| *to != from) {
                let bytes = step.to_le_bytes().to_vec();
                net.send(now, NodeId(from), NodeId(to), Plane::Control, bytes);
            }
        }
        if step % 50 == 0 {
            net.stir(now);
        }
    }
    net.heal(millis(40_000));
    all.extend(run(&mut net, millis(80_000)));
    all
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..3 {
        assert_eq!(stirred(seed), stirred(seed));
    }
    assert_ne!(stirred(0), stirred(1));
}

#[test]
fn whatever_is_stirred_connections_keep_their_word() {
    for seed in 0..30 {
        // By (receiver, sender): whether it is up, and the last number.
        let mut known: BTreeMap<Way, (bool, Option<u64>)> = BTreeMap::new();
        let mut downs = 0;
        for delivery in stirred(seed) {
            match delivery {
                Delivery::Up { at, node, .. } => {
                    let (is_up, last) = known.entry((at, node)).or_default();
                    assert!(!*is_up, "seed {seed}: up twice");
                    (*is_up, *last) = (true, None);
                }
                Delivery::Down { at, node } => {
                    let (is_up, _) = known.entry((at, node)).or_default();
                    assert!(std::mem::take(is_up), "seed {seed}: down twice");
                    downs += 1;
                }
                Delivery::Frame {
                    from, to, bytes, ..
                } => {
                    let (is_up, last) = known.entry((to, from)).or_default();
                    assert!(*is_up, "seed {seed}: a frame after down");
                    let number = u64::from_le_bytes(bytes.try_into().unwrap());
                    assert!(*last < Some(number), "seed {seed}: {number} after {last:?}");
                    *last = Some(number);
                }
            }
        }
        assert!(downs > 0, "seed {seed} broke nothing");
        assert_eq!(known.len(), 6);
        assert!(
            known.values().all(|(is_up, _)| *is_up),
            "seed {seed}: {known:?}"
        );
    }
}
