//! What is refused in a profile, and in which words.

use dolmen::profile::{Document, Profile};

const HEAD: &str = "schema = 1\nname = \"x\"\ndescription = \"d\"\n";

/// Checks a profile's text below its first three lines.
#[track_caller]
fn check(text: &str, wanted: &[&str]) {
    let text = format!("{HEAD}{text}");
    assert_eq!(faults(&text), wanted, "\n{text}");
}

fn faults(text: &str) -> Vec<String> {
    let document = Document::parse("x.toml", text.as_bytes()).map_err(|fault| vec![fault]);
    match document.and_then(|document| Profile::parse(&document)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn an_unknown_key_is_shown_the_nearest() {
    check(
        "[log]\n  ring_entires = 64",
        &["x.toml:5:3: unknown key log.ring_entires, did you mean log.ring_entries?"],
    );
    check(
        "[logs]\nengine = \"auto\"",
        &["x.toml:5:1: unknown key logs.engine, did you mean log.engine?"],
    );
    check(
        "match = { disk.buss = [\"nvme\"] }",
        &["x.toml:4:16: unknown key match.disk.buss, did you mean match.disk.bus?"],
    );
    check(
        "[quic]\ngso = true",
        &[
            "x.toml:5:1: unknown key quic.gso; here are schema, name, description, inherits, priority, tested, match, log, tune",
        ],
    );
}

#[test]
fn an_empty_section_must_exist() {
    check("[log]", &[]);
    check("[lgo]", &["x.toml:4:2: unknown key lgo, did you mean log?"]);
}

#[test]
fn a_profile_says_nothing_about_the_node() {
    check(
        "[node]\ndata = \"/srv\"",
        &[
            "x.toml:5:1: unknown key node.data; here are schema, name, description, inherits, priority, tested, match, log, tune",
        ],
    );
}

#[test]
fn a_key_in_another_unit_is_recognised() {
    check(
        "[log]\nsegment_gb = 1",
        &[
            "x.toml:5:1: unknown key log.segment_gb: this is counted in MiB, did you mean log.segment_mib?",
        ],
    );
}

#[test]
fn a_wrong_value_is_told_what_is_allowed() {
    check(
        "[log]\nengine = \"fast\"",
        &["x.toml:5:10: log.engine is one of \"auto\", \"uring\", \"threads\", not \"fast\""],
    );
    check(
        "[log]\nsegment_mib = \"64MiB\"",
        &[
            "x.toml:5:15: log.segment_mib is a whole number of MiB from 1 to 1024, not \"64MiB\"; leave out the quotes and the unit",
        ],
    );
    check(
        "[log]\nring_entries = 4",
        &["x.toml:5:16: log.ring_entries is a whole number of entries from 8 to 4096, not 4"],
    );
    check(
        "[log]\nring_entries = 6.5",
        &[
            "x.toml:5:16: log.ring_entries is a whole number of entries from 8 to 4096, not a fraction",
        ],
    );
    check(
        "[log]\nreserve_mib = 99999999999999999999",
        &[
            "x.toml:5:15: log.reserve_mib is a whole number of MiB from 1 to 4096, not a number beyond 64 bits",
        ],
    );
    check(
        "[log]\njournal_direct_io = \"yes\"",
        &["x.toml:5:21: log.journal_direct_io is true or false, not \"yes\"; leave out the quotes"],
    );
    check(
        "[match]\ndisk.bus = [\"nvme\", \"floppy\"]",
        &[
            "x.toml:5:12: match.disk.bus is a list of \"nvme\", \"sata\", \"virtio\", \"mmc\", \"usb\", not [\"nvme\", \"floppy\"]",
        ],
    );
}

#[test]
fn every_fault_is_told_at_once() {
    check(
        "priority = -1\ntested = \"yes\"\n[log]\nsegment_mib = 0",
        &[
            "x.toml:4:12: priority is a whole number from 0 to 1000, not -1",
            "x.toml:5:10: tested is one of \"paper\", \"lab\", not \"yes\"",
            "x.toml:7:15: log.segment_mib is a whole number of MiB from 1 to 1024, not 0",
        ],
    );
}

#[test]
fn a_range_ends_after_it_starts() {
    check(
        "[match]\ncores = { min = 8, max = 4 }",
        &["x.toml:5:17: match.cores.min is 8, above match.cores.max, which is 4"],
    );
}

#[test]
fn a_profile_says_what_it_is() {
    assert_eq!(
        faults("schema = 1\nname = \"x\""),
        ["x.toml: description is missing"]
    );
    assert_eq!(
        faults("schema = 1\nname = \"y\"\ndescription = \"d\""),
        ["x.toml:2:8: name is \"y\" and the file is not called y.toml"]
    );
    assert_eq!(
        faults("schema = 2\nname = \"x\"\ndescription = \"d\""),
        ["x.toml:1:10: schema is 1, not 2"]
    );
}

#[test]
fn a_strangers_text_stays_on_one_line() {
    check(
        "[log]\nengine = \"a\\n\\u001b[31m\"",
        &[
            "x.toml:5:10: log.engine is one of \"auto\", \"uring\", \"threads\", not \"a\\n\\u{1b}[31m\"",
        ],
    );
}

/// Whatever the bytes are, there is an answer: every shipped file with every
/// byte cut off behind it, and with each byte in turn made another.
#[test]
fn no_text_stops_the_reader() {
    let read = |bytes: &[u8]| {
        let document = Document::parse("generic.toml", bytes).map_err(|fault| vec![fault]);
        drop(document.and_then(|document| Profile::parse(&document)));
    };
    let text = include_bytes!("../../hw-profiles/rack-nvme-plp.toml");
    let entries = text.iter().position(|byte| *byte == b's').unwrap();
    for at in entries..text.len() {
        read(&text[entries..at]);
        for other in [b'"', b'[', b'=', b'\n', 0xff, 0] {
            let mut bytes = text[entries..].to_vec();
            bytes[at - entries] = other;
            read(&bytes);
        }
    }
}
