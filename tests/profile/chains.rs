//! Inheritance, and local files over the vendor's.

use super::{Folder, recorded};
use dolmen::profile::{KNOBS, Layers, Shelf, choose};

fn profile(name: &str, rest: &str) -> String {
    format!("schema = 1\nname = \"{name}\"\ndescription = \"d\"\n{rest}")
}

#[track_caller]
fn origin(shelf: &Shelf, name: &str, key: &str) -> String {
    let mut layers = Layers::built_in(&[KNOBS]);
    shelf.lay(name, &mut layers).unwrap();
    let setting = layers.setting(key);
    format!(
        "{} from {}",
        setting.value.as_ref().unwrap(),
        setting.origin
    )
}

#[test]
fn a_value_comes_from_the_nearest_of_the_chain_that_says_it() {
    let folder = Folder::new("chain");
    folder.file(
        "a.toml",
        &profile("a", "inherits = \"b\"\n[log]\nsegment_mib = 1"),
    );
    folder.file(
        "b.toml",
        &profile(
            "b",
            "inherits = \"c\"\n[log]\nsegment_mib = 2\nring_entries = 16",
        ),
    );
    folder.file(
        "c.toml",
        &profile("c", "[log]\nring_entries = 32\nreserve_mib = 3"),
    );
    let shelf = Shelf::open(std::slice::from_ref(&folder.0)).unwrap();
    let at = |file: &str| format!("{}/{file}", folder.0.display());
    assert_eq!(
        origin(&shelf, "a", "log.segment_mib"),
        format!("1 from profile a ({}:6:15)", at("a.toml"))
    );
    assert_eq!(
        origin(&shelf, "a", "log.ring_entries"),
        format!("16 from profile b ({}:7:16)", at("b.toml"))
    );
    assert_eq!(
        origin(&shelf, "a", "log.reserve_mib"),
        format!("3 from profile c ({}:6:15)", at("c.toml"))
    );
    assert_eq!(origin(&shelf, "a", "log.engine"), "\"auto\" from built-in");
}

#[test]
fn a_chain_that_goes_round_is_refused() {
    let folder = Folder::new("round");
    folder.file("a.toml", &profile("a", "inherits = \"b\""));
    folder.file("b.toml", &profile("b", "inherits = \"a\""));
    folder.file("self.toml", &profile("self", "inherits = \"self\""));
    let faults = Shelf::open(std::slice::from_ref(&folder.0)).unwrap_err();
    let at = |file: &str| format!("{}/{file}", folder.0.display());
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("{}:4:12: inherits goes round: a > b > a", at("b.toml")),
            format!("{}:4:12: inherits goes round: b > a > b", at("a.toml")),
            format!("{}:4:12: inherits goes round: self > self", at("self.toml")),
        ]
    );
}

#[test]
fn a_base_that_is_not_there_is_refused() {
    let folder = Folder::new("base");
    let file = folder.file("a.toml", &profile("a", "inherits = \"genric\""));
    let faults = Shelf::open(std::slice::from_ref(&folder.0)).unwrap_err();
    let wanted = "there is no profile \"genric\", did you mean generic?";
    assert_eq!(
        faults[0].to_string(),
        format!("{}:4:12: {wanted}", file.display())
    );
}

#[test]
fn a_local_file_takes_the_place_of_the_vendors() {
    let (vendor, local) = (Folder::new("vendor"), Folder::new("local"));
    vendor.file(
        "rpi5-sd.toml",
        &profile("rpi5-sd", "[log]\nsegment_mib = 2"),
    );
    local.file(
        "rpi5-sd.toml",
        &profile("rpi5-sd", "[log]\nring_entries = 16"),
    );
    local.file("not-a-profile.txt", "left alone");
    let shelf = Shelf::open(&[vendor.0.clone(), local.0.clone()]).unwrap();
    assert_eq!(
        origin(&shelf, "rpi5-sd", "log.segment_mib"),
        "64 from built-in"
    );
    assert!(origin(&shelf, "rpi5-sd", "log.ring_entries").starts_with("16 from profile rpi5-sd"));
}

#[test]
fn priority_decides_between_equals_and_then_the_name() {
    let folder = Folder::new("priority");
    folder.file("b.toml", &profile("b", "priority = 7"));
    folder.file("a.toml", &profile("a", "priority = 7"));
    let shelf = Shelf::open(std::slice::from_ref(&folder.0)).unwrap();
    assert_eq!(choose(&shelf, &recorded("generic")).unwrap().name, "a");
    assert_eq!(
        choose(&shelf, &recorded("generic-vm")).unwrap().name,
        "generic-vm"
    );
}

#[test]
fn folders_that_are_absent_hold_none() {
    let shelf = Shelf::open(&["/no/such/folder".into()]).unwrap();
    let names: Vec<&str> = shelf
        .profiles()
        .map(|profile| profile.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "generic",
            "generic-vm",
            "nuc-i5",
            "rack-nvme-plp",
            "rpi5-nvme",
            "rpi5-sd"
        ]
    );
}

/// A profile built in and the file of that name are one text, and none is
/// forgotten in the binary.
#[test]
fn every_file_of_hw_profiles_is_built_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hw-profiles");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let shelf = Shelf::built_in();
    let mut names: Vec<String> = shelf
        .profiles()
        .map(|one| format!("{}.toml", one.name))
        .collect();
    names.sort();
    assert_eq!(files, names);
}
