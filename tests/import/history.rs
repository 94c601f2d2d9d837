//! From recorded files to the tree that the original had.

use super::{Copy, fixture};
use dolmen::cli::import::adler::Adler32;
use dolmen::cli::import::folder::Folder;
use dolmen::cli::import::moving::{Immovable, Moving};
use dolmen::cli::import::recover::{Recovered, Unrecovered, recover};
use dolmen::cli::import::tree::{Node, Tree};
use dolmen::cli::import::txn::Kind;
use dolmen::state::ImportedNode;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const RECORDED: &[&str] = &[
    "3.8-plain",
    "3.8-gzip",
    "3.8-snappy",
    "3.8-fuzzy",
    "3.9-sessions",
    "3.9-fuzzy",
];

fn read(folder: &Path) -> Result<Recovered, Unrecovered> {
    recover(&Folder::open(folder, None).unwrap(), false)
}

/// A node as `record` tells it.
fn told(path: &str, node: &Node) -> String {
    let data = match node.data.len() {
        length if length > 64 => format!("#{length}:{}", Adler32::of(&node.data)),
        _ => node.data.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let acl = node.acl.as_ref().expect("each list is there in the end");
    let acl: Vec<_> = acl
        .iter()
        .map(|entry| {
            let who = &entry.who;
            format!("{} {}:{}", entry.permissions.0, who.scheme, who.id)
        })
        .collect();
    let figures = &node.figures;
    let children = node.children.len() as i32;
    // Clients are shown the owner of ephemeral nodes alone.
    let owner = match Kind::of(figures.owner) {
        Kind::Ephemeral => figures.owner,
        _ => 0,
    };
    format!(
        "{path}\t{data}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{owner}\t{}\t{children}\t{}",
        acl.join(";"),
        figures.created_zxid,
        figures.modified_zxid,
        figures.created,
        figures.modified,
        figures.version,
        figures.creates * 2 - children,
        figures.acl_version,
        node.data.len(),
        figures.children_zxid,
    )
}

/// What the original served, each line as `told` says it. The usage of a quota
/// is left out: the original counts it anew at each start.
fn expected(name: &str) -> Vec<String> {
    let text = fs::read_to_string(fixture(name).join("expected.tsv")).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.contains("/zookeeper_stats"));
    lines
        .map(|line| {
            // Data that is null is told as `-`, other data behind `=`.
            let (path, rest) = line.split_once('\t').unwrap();
            let rest = rest.trim_start_matches(['-', '=']);
            format!("{path}\t{rest}")
        })
        .collect()
}

fn tree_lines(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut waiting = vec![String::from("/")];
    while let Some(path) = waiting.pop() {
        let node = tree.node(&path).unwrap();
        if !path.ends_with("/zookeeper_stats") {
            lines.push(told(&path, node));
        }
        let parent = path.trim_end_matches('/');
        waiting.extend(node.children.iter().map(|name| format!("{parent}/{name}")));
    }
    lines.sort();
    lines
}

#[test]
fn every_recorded_folder_gives_the_tree_that_the_original_served() {
    let mut passed_over = 0;
    for name in RECORDED {
        let recovered = read(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (tree, account) = (recovered.tree, recovered.account);
        assert_eq!(tree_lines(&tree), expected(name), "{name}");
        assert!(
            account.unsound.is_empty() && account.gaps.is_empty(),
            "{name}"
        );
        assert!(account.transactions > 0, "{name}: {account:?}");
        passed_over += account.passed_over;
    }
    assert!(
        passed_over > 0,
        "no snapshot was taken while a client wrote"
    );
}

#[test]
fn what_moves_comes_parents_first_and_without_the_ephemerals() {
    let recovered = read(&fixture("3.9-sessions")).unwrap();
    let (moving, survey) = Moving::new(recovered.tree, Vec::new()).unwrap();
    let nodes: Vec<ImportedNode> = moving.flatten().collect();
    assert_eq!(survey.nodes, nodes.len() as u64);
    assert_eq!((survey.ephemerals, survey.unreachable), (4, 0));
    assert_eq!((survey.containers, survey.ttls, survey.quotas), (1, 1, 1));
    // The two that were killed, and the one that the kill overtook or not.
    assert!((2..=3).contains(&survey.sessions), "{survey:?}");

    let mut seen = BTreeSet::new();
    for node in &nodes {
        let parent = node.path.rsplit_once('/').unwrap().0;
        let parent = if parent.is_empty() { "/" } else { parent };
        assert!(&*node.path == "/" || seen.contains(parent), "{}", node.path);
        assert!(seen.insert(&*node.path), "{} comes twice", node.path);
        assert_eq!(node.stat.data_length as usize, node.data.len());
    }
    assert!(!seen.contains("/live-0") && !seen.contains("/zookeeper/config"));
    let find = |path: &str| nodes.iter().find(|node| &*node.path == path).unwrap();
    // 14 items were created, the last two by sessions; 8 stay.
    let queue = find("/queue").stat;
    assert_eq!((queue.children, queue.children_version), (8, 14));
    assert_eq!(find("/container").stat.owner, 1 << 63);
    assert_eq!(find("/ttl").stat.owner, 0xff << 56 | 3_600_000_000);
    assert_eq!(&*find("/plain").acl[1].who.scheme, "digest");
}

#[test]
fn a_skipped_subtree_stays_behind() {
    let recovered = read(&fixture("3.8-plain")).unwrap();
    let before = recovered.tree.len() as u64;
    let (moving, survey) = Moving::new(recovered.tree, vec!["/deep".into()]).unwrap();
    assert_eq!(survey.skipped, 21);
    // /zookeeper/config is the other one.
    assert_eq!(survey.nodes + survey.skipped + 1, before);
    assert!(moving.flatten().all(|node| !node.path.starts_with("/deep")));
}

#[test]
fn a_newest_snapshot_that_is_damaged_is_passed_over_for_the_one_before() {
    let copy = Copy::of("3.8-plain");
    let snapshots = copy.names("snapshot.");
    let newest = snapshots.last().unwrap();
    let length = fs::metadata(newest).unwrap().len() as usize;
    for place in [0, 5, 20, 100, length / 2, length - 20, length - 1] {
        copy.change(newest, |bytes| bytes[place] ^= 4);
        let recovered = read(&copy.0).unwrap();
        assert_eq!(recovered.account.snapshot, snapshots[0], "byte {place}");
        assert_eq!(recovered.account.unsound.len(), 1);
        assert_eq!(
            tree_lines(&recovered.tree),
            expected("3.8-plain"),
            "byte {place}"
        );
        copy.change(newest, |bytes| bytes[place] ^= 4);
    }
    copy.change(newest, |bytes| bytes.truncate(length - 1));
    assert_eq!(read(&copy.0).unwrap().account.unsound.len(), 1);
    copy.change(&snapshots[0], |bytes| bytes.truncate(100));
    let said = read(&copy.0).err().unwrap().to_string();
    assert!(said.starts_with("no snapshot is sound: "), "{said}");
    assert_eq!(
        said.matches("the file ends inside a record").count(),
        2,
        "{said}"
    );
}

#[test]
fn a_compressed_snapshot_cut_anywhere_is_not_believed() {
    for name in ["3.8-gzip", "3.8-snappy"] {
        let copy = Copy::of(name);
        let newest = copy.names("snapshot.").pop().unwrap();
        let whole = fs::read(&newest).unwrap();
        for length in (0..whole.len()).step_by(61) {
            fs::write(&newest, &whole[..length]).unwrap();
            match read(&copy.0) {
                Ok(recovered) => assert_ne!(recovered.account.snapshot, newest, "{length}"),
                Err(Unrecovered::NoSoundSnapshot(_)) => {}
                Err(error) => panic!("{length}: {error}"),
            }
        }
    }
}

/// Where the last log's entries end.
fn written(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

#[test]
fn a_torn_tail_is_cut_and_told_and_damage_before_it_is_named() {
    let copy = Copy::of("3.8-plain");
    let last = copy.names("log.").pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let all = read(&copy.0).unwrap().account;
    assert!(all.torn.is_empty());

    fs::write(&last, &whole[..written(&whole) - 5]).unwrap();
    let torn = read(&copy.0).unwrap().account;
    assert_eq!(torn.transactions, all.transactions - 1);
    assert_eq!(torn.torn.len(), 1);
    assert_eq!(torn.torn[0].0, last);

    let mut bytes = whole.clone();
    bytes[16 + 30] ^= 1;
    fs::write(&last, bytes).unwrap();
    let said = read(&copy.0).err().unwrap().to_string();
    let names = format!("{} is damaged at byte 16: ", last.display());
    assert!(said.starts_with(&names), "{said}");

    fs::write(&last, &whole[..10]).unwrap();
    let headless = read(&copy.0).unwrap().account;
    assert_eq!(headless.torn.len(), 1);
    assert_eq!(headless.torn[0].1.at, 0);
}

#[test]
fn a_missing_log_is_a_gap_and_not_passed_over_unasked() {
    let copy = Copy::of("3.8-plain");
    let logs = copy.names("log.");
    let snapshots = copy.names("snapshot.");
    // Back to the first snapshot, whose transactions go on in the middle log.
    fs::remove_file(snapshots.last().unwrap()).unwrap();
    assert_eq!(
        tree_lines(&read(&copy.0).unwrap().tree),
        expected("3.8-plain")
    );
    fs::remove_file(&logs[1]).unwrap();
    let said = read(&copy.0).err().unwrap().to_string();
    assert!(
        said.contains("--accept-gaps") && said.contains(logs[2].to_str().unwrap()),
        "{said}"
    );
    let folder = Folder::open(&copy.0, None).unwrap();
    let accepted = recover(&folder, true).unwrap();
    assert_eq!(accepted.account.gaps.len(), 1);
}

#[test]
fn an_empty_folder_is_named() {
    let copy = Copy::of("3.8-plain");
    for path in copy.names("snapshot.") {
        fs::remove_file(path).unwrap();
    }
    let said = read(&copy.0).err().unwrap().to_string();
    assert!(
        said.contains("holds no snapshot: name ZooKeeper's dataDir"),
        "{said}"
    );
}

#[test]
fn a_node_of_the_reserved_name_must_be_skipped() {
    let copy = Copy::of("3.8-plain");
    let mut recovered = read(&copy.0).unwrap();
    let root = recovered.tree.take("/").unwrap();
    recovered.tree.place("/".into(), root).unwrap();
    let node = recovered.tree.take("/multi").unwrap();
    recovered.tree.place("/dolmen".into(), node).unwrap();
    let immovable = Moving::new(recovered.tree, Vec::new()).err();
    assert_eq!(immovable, Some(Immovable::Reserved));
}
