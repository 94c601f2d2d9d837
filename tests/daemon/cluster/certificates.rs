//! Certificates: renewed in time, made anew where they have ended, and refused
//! where they are not good.

use super::*;
use dolmen::clock::{Clock, MachineClock, Millis};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{NodeId, Uid};
use dolmen::peers::{Authority, Identity};

const DAY: u64 = 24 * 3600 * 1000;

pub(super) fn age_of(days: u64) -> u64 {
    days * DAY
}

/// Gives a stopped node a certificate that was issued so many days ago.
fn age(machine: &Machine, authority: &Authority, days: u64) -> Identity {
    let old = machine.identity();
    let then = Millis(MachineClock::new().now().0 - age_of(days));
    let aged = authority.identify(old.node, old.serial, then, &MachineEntropy);
    let aged = aged.unwrap();
    machine.store().keep_identity(&aged).unwrap();
    aged
}

fn until_renewed(machine: &Machine, old: &Identity) -> Identity {
    until("the certificate is renewed", || {
        let new = machine.identity();
        (new.serial > old.serial).then_some(new)
    })
}

pub(super) fn authority_of(machine: &Machine) -> Authority {
    machine.store().authority().unwrap().unwrap()
}

#[test]
fn certificates_are_renewed_also_for_who_cannot_sign() {
    let mut first = Machine::start();
    first.type_in(&["init"]).answer();
    let mut worker = Machine::start();
    worker.join(&first, &["--role", "worker"]);
    assert!(worker.store().authority().unwrap().is_none());
    let authority = authority_of(&first);
    first.stop();
    worker.stop();

    let (ended, due) = (age(&first, &authority, 91), age(&worker, &authority, 61));
    first.go_on();
    worker.go_on();
    first.node().until_it_says("certificate had ended");
    let (new, later) = (first.identity(), until_renewed(&worker, &due));
    assert_eq!(new.serial, ended.serial, "nobody need agree to it");
    assert!(later.valid_until.0 > due.valid_until.0 + 60 * DAY);
    worker.until_in(2);
    until("the list has the new serial", || {
        let members = first.members();
        let listed = members.iter().find(|member| member["node"] == 2)?;
        (listed["certificate"] == later.serial).then_some(())
    });

    // One that is due where the key is at hand.
    first.stop();
    let due = age(&first, &authority, 61);
    first.go_on();
    until_renewed(&first, &due);
    worker.until_in(2);

    refuse_what_is_not_good(&first, &mut worker, &authority);
}

/// The worker comes with certificates that its cluster must not take.
fn refuse_what_is_not_good(first: &Machine, worker: &mut Machine, authority: &Authority) {
    let good = worker.identity();
    let now = MachineClock::new().now();
    let foreign = Authority::found(Uid([7; 16])).unwrap();
    let same_name = Authority::found(good.cluster).unwrap();
    let issue = |by: &Authority, serial| by.identify(NodeId(2), serial, now, &MachineEntropy);

    worker.stop();
    let ended = age(worker, authority, 91);
    worker.go_on();
    worker.node().until_it_says("certificate has ended");
    until("its status says so", || {
        let warnings = worker.status()["warnings"].to_string();
        warnings.contains("no peer accepts it").then_some(())
    });
    assert_eq!(worker.identity(), ended, "it cannot help itself");

    worker.stop();
    let revoked = issue(authority, 2).unwrap();
    assert!(revoked.serial < good.serial);
    worker.store().keep_identity(&revoked).unwrap();
    worker.go_on();
    first.node().until_it_says(&format!(
        "node 2 shows certificate 2, and {} is the oldest accepted",
        good.serial
    ));

    worker.stop();
    let unsigned = issue(&same_name, good.serial).unwrap();
    worker.store().keep_identity(&unsigned).unwrap();
    let said = first.node().words().len();
    worker.go_on();
    until("the stranger is refused", || {
        let words = first.node().words();
        words[said..].contains("handshake failed").then_some(())
    });

    // Another cluster's: the node itself sees that it is not its own.
    worker.stop();
    let other = issue(&foreign, good.serial).unwrap();
    worker.store().keep_identity(&other).unwrap();
    worker.go_on();
    worker.node().until_it_says("a join was interrupted");

    worker.stop();
    worker.store().keep_identity(&good).unwrap();
    worker.go_on();
    worker.until_in(2);
}
