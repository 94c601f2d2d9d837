//! Backups of real nodes: made while clients write, checked, restored into
//! other clusters, and everything that can break off in between.

use super::cluster::{Machine, Typed};
use super::*;
use crate::zookeeper::client::{Client, greeting};
use dolmen::clock::Millis;
use dolmen::daemon::ask::Talk;
use dolmen::daemon::backup::codec::{Head, Reading, Writer};
use dolmen::daemon::backup::index::{Index, Plan};
use dolmen::daemon::import::codec::encode;
use dolmen::ids::{Index as LogIndex, NodeId, Uid, Zxid};
use dolmen::limits::{ADMIN_FRAME_BYTES_MAX, BACKUP_PIECE_BYTES, IMPORT_FRAME_BYTES_MAX};
use dolmen::ports::zookeeper::codec::{
    AtVersion, AuthPacket, ConnectResponse, CreateRequest, CreateTtlRequest, OfAnyPath, OfPath,
    SetDataRequest, Watched,
};
use dolmen::ports::zookeeper::handlers::{
    Auth, Create, CreateContainer, CreateTtl, Delete, GetAcl, GetChildren2, GetData, Operation,
    SetData, Sync,
};
use dolmen::state::{Acl, AclEntry, Data, FEATURES, Identity, ImportedNode, Permissions, Stat};
use dolmen::wire::frame::framed;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const CONTAINER: i32 = 4;
const TTL: i32 = 5;

/// A client who may do everything.
fn client(machine: &Machine) -> Client {
    client_of(&machine.door("zookeeper"))
}

fn client_of(door: &str) -> Client {
    let address = door.parse().unwrap();
    until("a session opens", || {
        let mut client = Client::dial(address);
        try_open(&mut client).then_some(client)
    })
}

/// A door that does not serve hangs up.
fn try_open(client: &mut Client) -> bool {
    let mut bytes = Vec::new();
    greeting().write(&mut bytes);
    if client.stream.write_all(&bytes).is_err() {
        return false;
    }
    let Some(frame) = client.frame() else {
        return false;
    };
    client.session = ConnectResponse::read(&frame).unwrap().session;
    let auth = AuthPacket {
        kind: 0,
        scheme: "digest".into(),
        auth: b"super:test"[..].into(),
    };
    client.send_as(-4, Auth::CODE, &auth);
    client.reply().0.error == 0
}

/// Whether the door opens a session now.
fn is_served(machine: &Machine) -> bool {
    let address = machine.door("zookeeper").parse().unwrap();
    try_open(&mut Client::dial(address))
}

fn acl(scheme: &str, id: &str, permissions: Permissions) -> Acl {
    vec![AclEntry {
        permissions,
        who: Identity::new(scheme, id),
    }]
}

fn open_to_all() -> Acl {
    acl("world", "anyone", Permissions::ALL)
}

fn create(client: &mut Client, path: &str, data: impl Into<Data>, flags: i32) -> Box<str> {
    let request = CreateRequest {
        path: path.into(),
        data: data.into(),
        acl: open_to_all(),
        flags,
    };
    client.call::<Create>(&request).unwrap().path
}

fn set(client: &mut Client, path: &str, data: &[u8]) {
    let request = SetDataRequest {
        path: path.into(),
        data: data.into(),
        version: -1,
    };
    client.call::<SetData>(&request).unwrap();
}

fn delete(client: &mut Client, path: &str) {
    let request = AtVersion {
        path: path.into(),
        version: -1,
    };
    client.call::<Delete>(&request).unwrap();
}

/// Everything that a backup is to keep, of every kind.
fn fill(client: &mut Client) {
    create(client, "/app", Vec::new(), 0);
    create(client, "/app/binary", vec![0, 255, 1], 0);
    create(client, "/app/nothing", Data::NOTHING, 0);
    create(client, "/app/large", vec![7; 1_000_000], 0);
    for n in 0..3 {
        create(
            client,
            "/app/job-",
            format!("job {n}").into_bytes(),
            SEQUENTIAL,
        );
    }
    delete(client, "/app/job-0000000004");
    set(client, "/app/binary", b"again");
    let guarded = CreateRequest {
        path: "/guarded".into(),
        data: b"secret"[..].into(),
        acl: acl(
            "digest",
            "ann:NSbYr1+bBzeRNtn9BdTQkpIW1Hc=",
            Permissions::ALL,
        ),
        flags: 0,
    };
    client.call::<Create>(&guarded).unwrap();
    let container = CreateRequest {
        path: "/box".into(),
        data: Data::NOTHING,
        acl: open_to_all(),
        flags: CONTAINER,
    };
    client.call::<CreateContainer>(&container).unwrap();
    create(client, "/box/in", Vec::new(), 0);
    let ttl = CreateTtlRequest {
        path: "/brief".into(),
        data: b"t"[..].into(),
        acl: open_to_all(),
        flags: TTL,
        ttl_ms: 3_600_000,
    };
    client.call::<CreateTtl>(&ttl).unwrap();
    create(client, "/zookeeper/quota/app", Vec::new(), 0);
    let limits = b"count=-1,bytes=-1=;countHardLimit=9".to_vec();
    create(client, "/zookeeper/quota/app/zookeeper_limits", limits, 0);
    let stats = b"count=0,bytes=0".to_vec();
    create(client, "/zookeeper/quota/app/zookeeper_stats", stats, 0);
    set(client, "/dolmen/config/replica.snapshot_entries", b"54321");
    create(client, "/app/passing", Vec::new(), EPHEMERAL);
    set(client, "/", b"of the root");
}

/// A node as a client who may do everything sees it.
#[derive(Debug, PartialEq)]
struct Seen {
    data: Data,
    acl: Acl,
    stat: Stat,
}

/// All that a backup is to keep, by path.
fn seen(client: &mut Client) -> BTreeMap<Box<str>, Seen> {
    let root = OfAnyPath {
        path: Some("/".into()),
    };
    client.call::<Sync>(&root).unwrap();
    let (mut seen, mut waiting) = (BTreeMap::new(), vec![Box::<str>::from("/")]);
    while let Some(path) = waiting.pop() {
        let asked = Watched {
            path: path.clone(),
            watch: false,
        };
        let of_path = OfPath { path: path.clone() };
        let data = client.call::<GetData>(&asked).unwrap();
        let acl = client.call::<GetAcl>(&of_path).unwrap().acl;
        let names = client.call::<GetChildren2>(&asked).unwrap().names;
        let above = if *path == *"/" { "" } else { &path };
        waiting.extend(names.iter().map(|name| format!("{above}/{name}").into()));
        let is_the_systems = *path == *"/zookeeper/config"
            || (path.starts_with("/dolmen") && !path.starts_with("/dolmen/config/"));
        if !is_the_systems && data.stat.owner == 0 {
            let (data, stat) = (data.data, data.stat);
            seen.insert(path, Seen { data, acl, stat });
        }
    }
    seen
}

/// The children that were ever created: what the next number comes from.
fn created(stat: &Stat) -> i32 {
    (stat.children_version + stat.children) / 2
}

/// The same but for what went with its session, as the ephemeral nodes' parents
/// tell.
fn assert_same(restored: &BTreeMap<Box<str>, Seen>, was: &BTreeMap<Box<str>, Seen>) {
    let paths: Vec<_> = restored.keys().collect();
    assert_eq!(paths, was.keys().collect::<Vec<_>>());
    for (path, was) in was {
        let now = &restored[path];
        assert_eq!(created(&now.stat), created(&was.stat), "{path}");
        let alike = |stat: &Stat| Stat {
            children: 0,
            children_version: 0,
            ..*stat
        };
        let is_counted_anew = path.ends_with("zookeeper_stats");
        match is_counted_anew {
            true => assert_eq!(now.stat.modified_zxid, was.stat.modified_zxid),
            false => {
                assert_eq!(alike(&now.stat), alike(&was.stat), "{path}");
                assert_eq!(now.data, was.data, "{path}");
            }
        }
        assert_eq!(now.acl, was.acl, "{path}");
    }
}

fn backup(machine: &Machine, more: &[&str]) -> Typed {
    machine.type_in(&[&["backup", "create", "--json"], more].concat())
}

/// Makes one and gives its file.
fn made(machine: &Machine, name: &str) -> PathBuf {
    let file = machine.folder.path(name);
    backup(machine, &["-o", file.to_str().unwrap()]).answer();
    file
}

fn restore(machine: &Machine, file: &Path, more: &[&str]) -> Typed {
    let command = [&["backup", "restore", file.to_str().unwrap()], more].concat();
    machine.type_in(&command)
}

fn list(place: &Path) -> Typed {
    let (code, out, words) = run(dolmen().args(["backup", "list"]).arg(place));
    Typed { code, out, words }
}

fn json(typed: Typed) -> Value {
    serde_json::from_str(&typed.answer()).unwrap()
}

#[test]
fn a_mixture_comes_back_in_a_new_cluster_of_one_and_of_three() {
    let old = Machine::start();
    let mut ann = client(&old);
    fill(&mut ann);
    let was = seen(&mut ann);
    until("the node has its line", || {
        let asked = Watched {
            path: "/dolmen/nodes".into(),
            watch: false,
        };
        let names = ann.call::<GetChildren2>(&asked).unwrap().names;
        (!names.is_empty()).then_some(())
    });
    let made = json(backup(
        &old,
        &["-o", &format!("{}/", old.folder.0.display())],
    ));
    let file = PathBuf::from(made["file"].as_str().unwrap());
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(made["backup"]["left_out"]["ephemerals"], 1);
    assert_eq!(made["backup"]["left_out"]["sessions"], 1);
    let table = list(&old.folder.0).answer();
    assert!(
        table.contains(file.to_str().unwrap()) && table.contains("  whole\n"),
        "{table}"
    );
    let last = old.node().chronicle().pop().unwrap();
    assert_eq!(last["event"]["what"], "backup_written");
    assert_eq!(last["event"]["path"], file.to_str().unwrap());

    let one = Machine::start();
    let said = json(restore(&one, &file, &["--json"]));
    assert_eq!(said["already"], false);
    let mut bob = client(&one);
    assert_same(&seen(&mut bob), &was);
    goes_on_behind(&mut bob, &made);
    let last = one.node().chronicle().pop().unwrap();
    assert_eq!(last["event"]["what"], "restored");

    let three = [Machine::start(), Machine::start(), Machine::start()];
    three[0].type_in(&["init"]).answer();
    three[1].join(&three[0], &[]);
    three[2].join(&three[0], &[]);
    three[0].until_voters(3);
    restore(&three[2], &file, &[]).answer();
    for machine in &three {
        assert_same(&seen(&mut client(machine)), &was);
    }
    goes_on_behind(&mut client(&three[1]), &made);
}

/// Numbers go on where they stood, figures count what is there, and containers
/// and TTL nodes are still what they were.
fn goes_on_behind(client: &mut Client, made: &Value) {
    let zxid = made["backup"]["zxid"].as_str().unwrap();
    let zxid = u64::from_str_radix(&zxid[2..], 16).unwrap();
    let path = create(client, "/app/job-", Vec::new(), SEQUENTIAL);
    assert_eq!(&*path, "/app/job-0000000007");
    let stats = Watched {
        path: "/zookeeper/quota/app/zookeeper_stats".into(),
        watch: false,
    };
    let stats = client.call::<GetData>(&stats).unwrap().data;
    // /app, three, two of the jobs and the new one; the ephemeral one is gone.
    let text = String::from_utf8(stats.to_vec()).unwrap();
    assert!(text.starts_with("count=7,bytes=1000015"), "{text}");
    for _ in 0..2 {
        create(client, "/app/job-", Vec::new(), SEQUENTIAL);
    }
    let tenth = CreateRequest {
        path: "/app/tenth".into(),
        data: Data::NOTHING,
        acl: open_to_all(),
        flags: 0,
    };
    assert_eq!(client.call::<Create>(&tenth).unwrap_err(), -125);
    let new = Watched { path, watch: false };
    let stat = client.call::<GetData>(&new).unwrap().stat;
    // Ahead of whatever clients of the old cluster have seen after the backup.
    assert!(stat.created_zxid.0 >> 32 > (zxid >> 32) + 1000);
    delete(client, "/box/in");
    until("the empty container goes", || {
        let asked = Watched {
            path: "/box".into(),
            watch: false,
        };
        client.call::<GetData>(&asked).is_err().then_some(())
    });
}

#[test]
fn a_backup_among_writes_is_one_moment_and_has_all_that_was_acknowledged() {
    let machine = Machine::start();
    let mut ann = client(&machine);
    create(&mut ann, "/count", b"0".to_vec(), 0);
    // Enough that slices are taken while the writer writes.
    for n in 0..3000 {
        create(&mut ann, &format!("/before-{n:04}"), vec![1; 100], 0);
    }
    let (acknowledged, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (writes, ends) = (acknowledged.clone(), is_over.clone());
    let door = machine.door("zookeeper");
    let writer = std::thread::spawn(move || {
        let (mut ann, mut n) = (client_of(&door), 0);
        while !ends.load(Relaxed) {
            n += 1;
            create(&mut ann, &format!("/n-{n}"), Vec::new(), 0);
            // In what was walked already, and in what was not.
            set(
                &mut ann,
                &format!("/before-{:04}", n * 7 % 3000),
                b"changed",
            );
            set(&mut ann, "/count", n.to_string().as_bytes());
            writes.store(n, Relaxed);
        }
    });
    until("some writes are done", || {
        (acknowledged.load(Relaxed) > 20).then_some(())
    });
    let before = acknowledged.load(Relaxed);
    let file = made(&machine, "busy.backup");
    let after = acknowledged.load(Relaxed);
    is_over.store(true, Relaxed);
    writer.join().unwrap();
    assert!(after > before, "nothing was written meanwhile");

    let other = Machine::start();
    restore(&other, &file, &[]).answer();
    let seen = seen(&mut client(&other));
    let count: u64 = String::from_utf8(seen["/count"].data.to_vec())
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        count >= before && count <= after,
        "{before} {count} {after}"
    );
    let last = seen
        .keys()
        .filter_map(|path| path.strip_prefix("/n-")?.parse::<u64>().ok())
        .max();
    let last = last.unwrap();
    assert!(last == count || last == count + 1, "{last} {count}");
    for n in 1..=last {
        assert!(seen.contains_key(&*format!("/n-{n}")), "{n}");
    }
    // Every write before the moment is in it, and none behind.
    let changed = |n: u64| *seen[&*format!("/before-{:04}", n * 7 % 3000)].data == *b"changed";
    assert!((1..=count).all(changed));
    let all = seen
        .iter()
        .filter(|(path, one)| path.starts_with("/before") && one.stat.version > 0);
    assert!(all.count() as u64 <= last);
}

#[test]
fn what_is_there_is_replaced_only_when_told_and_is_kept() {
    let old = Machine::start();
    fill(&mut client(&old));
    let was = seen(&mut client(&old));
    let file = made(&old, "old.backup");

    let machine = Machine::start();
    let mut ann = client(&machine);
    create(&mut ann, "/mine", b"of here".to_vec(), 0);
    create(&mut ann, "/mine/below", Vec::new(), 0);
    restore(&machine, &file, &[]).refused_with("type it again with --discard");
    assert!(
        client(&machine)
            .call::<Sync>(&OfAnyPath { path: None })
            .is_ok()
    );

    let folder = machine.folder.path("kept");
    let keep = ["--discard", "--keep", folder.to_str().unwrap(), "--json"];
    let refused = restore(&machine, &file, &keep).refusal();
    assert!(refused.contains("so nothing was changed"), "{refused}");
    assert_eq!(
        seen(&mut client(&machine))["/mine"].data,
        b"of here"[..].into()
    );

    fs::create_dir(&folder).unwrap();
    let mut ann = client(&machine);
    let said = json(restore(&machine, &file, &keep));
    assert_same(&seen(&mut client(&machine)), &was);
    // Whoever was there began anew, and saw nothing in between.
    assert_eq!(ann.frame(), None);
    let kept = PathBuf::from(said["kept"].as_str().unwrap());
    assert!(kept.starts_with(&folder), "{}", kept.display());

    let said = json(restore(&machine, &file, &["--json"]));
    assert_eq!(said["already"], true);
    create(&mut client(&machine), "/since", Vec::new(), 0);
    restore(&machine, &file, &["--discard"]).answer();
    assert_same(&seen(&mut client(&machine)), &was);
    // And back to what was discarded first.
    restore(&machine, &kept, &["--discard"]).answer();
    let back = seen(&mut client(&machine));
    assert_eq!(back["/mine"].data, b"of here"[..].into());
    assert!(back.contains_key("/mine/below") && !back.contains_key("/app"));
}

/// A file's parts, as restore reads them.
fn plan(file: &Path) -> (Vec<u8>, Plan) {
    let bytes = fs::read(file).unwrap();
    let (mut reading, mut index) = (Reading::default(), Index::default());
    reading.add(&bytes);
    while let Some(part) = reading.next_part().unwrap() {
        index.add(part).unwrap();
    }
    (bytes, index.finish().unwrap())
}

/// Restores as far as the first few nodes, and goes away.
fn half_restore(machine: &Machine, file: &Path) {
    let (bytes, plan) = plan(file);
    let mut talk = Talk::open(&machine.folder.path("admin.sock")).unwrap();
    let id = plan.head.id.to_string();
    let begin = json!({
        "ask": "restore_begin", "backup": id, "features": plan.head.features, "discard": false,
    });
    assert_eq!(talk.ask(&begin).unwrap()["stands"], "filling");
    let fill = json!({
        "ask": "restore_fill", "backup": id, "nodes": plan.sums.nodes,
        "digest": plan.sums.digest, "zxid": format!("{:#x}", plan.head.zxid.0),
    });
    assert_eq!(talk.ask(&fill).unwrap(), "ready");
    let read = |at: u64, length: usize| Ok(bytes[at as usize..][..length].to_vec());
    let first: Vec<ImportedNode> = plan.batches(read).next().unwrap().unwrap();
    let few = encode(&first[..first.len() / 2]);
    talk.hand(&few, IMPORT_FRAME_BYTES_MAX).unwrap();
}

#[test]
fn a_restore_that_breaks_off_shows_nothing_and_goes_on_when_typed_again() {
    let old = Machine::start();
    fill(&mut client(&old));
    let was = seen(&mut client(&old));
    let file = made(&old, "old.backup");
    create(&mut client(&old), "/later", Vec::new(), 0);
    let other = made(&old, "other.backup");

    let mut machine = Machine::start();
    half_restore(&machine, &file);
    assert!(!is_served(&machine));
    machine.kill();
    machine.go_on();
    assert!(!is_served(&machine), "after a kill");
    let warning = "a restore is under way or broke off (filling ";
    until("status warns", || {
        let warnings = machine.status()["warnings"].to_string();
        warnings.contains(warning).then_some(())
    });
    restore(&machine, &other, &[]).refused_with("another backup (id ");
    backup(&machine, &["-o", "/nonexistent/x"]).refused_with("a backup is half restored here");
    machine
        .type_in(&["backup", "restore", "--give-up"])
        .refused_with("what was here may be gone");
    restore(&machine, &file, &[]).answer();
    assert_same(&seen(&mut client(&machine)), &was);
    until("the warning goes", || {
        let warnings = machine.status()["warnings"].to_string();
        (!warnings.contains(warning)).then_some(())
    });
    // Another in place of one that broke off.
    let machine = Machine::start();
    half_restore(&machine, &file);
    restore(&machine, &other, &["--discard"]).answer();
    assert!(seen(&mut client(&machine)).contains_key("/later"));
}

#[test]
fn a_restore_that_has_removed_nothing_can_be_given_up() {
    let machine = Machine::start();
    create(&mut client(&machine), "/mine", Vec::new(), 0);
    let file = made(&machine, "mine.backup");
    let (_, plan) = plan(&file);
    let mut talk = Talk::open(&machine.folder.path("admin.sock")).unwrap();
    let begin = json!({
        "ask": "restore_begin", "backup": plan.head.id.to_string(),
        "features": plan.head.features, "discard": true,
    });
    assert_eq!(talk.ask(&begin).unwrap()["stands"], "held");
    assert!(!is_served(&machine));
    restore(&machine, &file, &[]).refused_with("--give-up");
    let give_up = ["backup", "restore", "--give-up"];
    machine.type_in(&give_up).answer();
    assert!(seen(&mut client(&machine)).contains_key("/mine"));
    machine
        .type_in(&give_up)
        .refused_with("no restore is under way");

    // A half restored one, and the stick is lost: an empty cluster is left.
    set(&mut client(&machine), "/", b"of the root");
    let file = made(&machine, "more.backup");
    let machine = Machine::start();
    half_restore(&machine, &file);
    machine
        .type_in(&give_up)
        .refused_with("--give-up --discard");
    let all = [&give_up[..], &["--discard"]].concat();
    let said = machine.type_in(&all).answer();
    assert!(said.contains("the cluster is empty"), "{said}");
    assert!(!seen(&mut client(&machine)).contains_key("/mine"));
    // As good as new.
    restore(&machine, &file, &[]).answer();
}

#[test]
fn a_damaged_file_is_named_with_its_byte_and_changes_nothing() {
    let machine = Machine::start();
    let mut ann = client(&machine);
    create(&mut ann, "/a", vec![5; 3000], 0);
    let file = made(&machine, "good.backup");
    let bytes = fs::read(&file).unwrap();
    let empty = Machine::start();
    let check = |name: &str, bytes: &[u8], says: &str| {
        let bad = machine.folder.path(name);
        fs::write(&bad, bytes).unwrap();
        let listed = list(&bad);
        assert_eq!(listed.code, 1, "{}", listed.out);
        assert!(listed.out.contains(says), "{} says not {says}", listed.out);
        let refused = restore(&empty, &bad, &[]).refusal();
        assert!(refused.contains(says), "{refused}");
        assert!(refused.contains("nothing was changed"), "{refused}");
    };
    let absent = list(&machine.folder.path("absent.backup"));
    assert_eq!(absent.code, 1, "{}", absent.out);
    assert!(
        absent.out.contains("cannot be read: No such file"),
        "{}",
        absent.out
    );
    let cut = format!("byte {}: the file ends here", bytes.len() - 1);
    check("cut.backup", &bytes[..bytes.len() - 1], &cut);
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    check("flipped.backup", &flipped, ": a frame's checksum is ");
    let longer = [&bytes[..], b"x"].concat();
    check("longer.backup", &longer, "bytes follow the end mark");
    check(
        "other.backup",
        b"PK\x03\x04 something else",
        "this is no backup",
    );
    let mut later = bytes.clone();
    later[8] = 2;
    check(
        "later.backup",
        &later,
        "format version 2; this build reads 1",
    );
    assert!(is_served(&empty));
    let whole = list(&machine.folder.0);
    assert_eq!(whole.code, 1);
    assert!(whole.out.contains("good.backup") && whole.words.contains("5 of 6 files"));
}

fn head() -> Head {
    Head {
        id: Uid([3; 16]),
        cluster: Uid([4; 16]),
        node: NodeId(1),
        zxid: Zxid(7),
        log_index: LogIndex(7),
        at: Millis(0),
        version: "9.9.9".into(),
        features: FEATURES,
        is_stale: false,
        nodes: 0,
        ephemerals: 0,
        sessions: 0,
    }
}

#[test]
fn a_backup_of_a_later_feature_level_is_refused_with_both_numbers() {
    let machine = Machine::start();
    let mut writer = Writer::default();
    let later = Head {
        features: FEATURES + 1,
        ..head()
    };
    let mut bytes = writer.head(&later);
    bytes.extend(writer.end(&Default::default()));
    let file = machine.folder.path("later.backup");
    fs::write(&file, bytes).unwrap();
    let says = format!(
        "made at feature level {} and this build knows level {FEATURES}",
        FEATURES + 1
    );
    restore(&machine, &file, &[]).refused_with(&says);
    let listed = list(&file).answer();
    assert!(listed.contains("of feature level"), "{listed}");
}

/// What stands in a folder beside what a node keeps there.
fn backups_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("backup")).collect()
}

#[test]
fn a_file_has_its_name_only_when_it_is_whole() {
    let machine = Machine::start();
    create(&mut client(&machine), "/a", vec![5; 100_000], 0);
    let folder = &machine.folder.0;
    let file = machine.folder.path("a.backup");
    let name = file.to_str().unwrap();
    backup(&machine, &["-o", name]).answer();
    let first = fs::read(&file).unwrap();
    backup(&machine, &["-o", name]).refused_with("is there already");
    assert_eq!(fs::read(&file).unwrap(), first);
    create(&mut client(&machine), "/b", Vec::new(), 0);
    // What a killed one left is no hindrance.
    fs::write(machine.folder.path("a.backup.unfinished"), b"half").unwrap();
    backup(&machine, &["-o", name, "--force"]).answer();
    assert_ne!(fs::read(&file).unwrap(), first);
    assert_eq!(backups_in(folder), ["a.backup"]);

    // No more than 8 KiB fit a file.
    let full = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} backup create --socket {} -o {}",
        binary().display(),
        folder.join("admin.sock").display(),
        folder.join("full.backup").display()
    );
    let (code, _, words) = run(clean(Command::new("bash")).args(["-c", &full]));
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("full.backup cannot be written"), "{words}");
    assert_eq!(backups_in(folder), ["a.backup"]);
    backup(&machine, &["-o", "/nonexistent/folder/x"]).refused_with("cannot be made");
}

/// Asks for a backup, and takes nothing of it.
fn asked_for(machine: &Machine) -> UnixStream {
    let mut stream = UnixStream::connect(machine.folder.path("admin.sock")).unwrap();
    let question = json!({ "ask": "backup_create", "stale": false }).to_string();
    let question = framed(question.as_bytes(), ADMIN_FRAME_BYTES_MAX).unwrap();
    stream.write_all(&question).unwrap();
    stream
}

/// The next bytes that come within `patience`.
fn some_bytes(stream: &mut UnixStream, patience: Duration) -> std::io::Result<String> {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut bytes = [0; 512];
    let length = stream.read(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into())
}

#[test]
fn who_types_again_does_not_hear_of_a_taker_that_is_gone() {
    let machine = Machine::start();
    let mut ann = client(&machine);
    // More than fits a socket that nobody reads.
    for n in 0..16 {
        create(&mut ann, &format!("/n-{n}"), vec![5; 100_000], 0);
    }
    let mut first = asked_for(&machine);
    assert!(some_bytes(&mut first, PATIENCE).unwrap().contains("answer"));
    let mut second = asked_for(&machine);
    // Not told at once, for the first might be one that breaks off.
    let early = some_bytes(&mut second, Duration::from_millis(100));
    let early = early.expect_err("nothing is said of the first yet").kind();
    assert_eq!(early, std::io::ErrorKind::WouldBlock);
    drop(first);
    let said = some_bytes(&mut second, PATIENCE).unwrap();
    assert!(said.contains("answer"), "{said}");

    // One that goes on is told of.
    backup(&machine, &["-o", "x.backup"]).refused_with("another backup is being made");
}

/// Something that begins to hand a backup out, as far as its head.
fn stand_in(socket: &Path) -> std::thread::JoinHandle<UnixStream> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 256];
        assert!(stream.read(&mut question).unwrap() > 0);
        let answer = json!({ "answer": head().json() }).to_string();
        let answer = framed(answer.as_bytes(), ADMIN_FRAME_BYTES_MAX).unwrap();
        let bytes = Writer::default().head(&head());
        let piece = framed(&bytes, BACKUP_PIECE_BYTES).unwrap();
        stream.write_all(&[answer, piece].concat()).unwrap();
        stream
    })
}

#[test]
fn a_daemon_that_dies_or_a_person_who_stops_leaves_no_file() {
    let folder = Folder::new();
    let create = |socket: &str| {
        let mut command = dolmen();
        command
            .args(["backup", "create", "--socket"])
            .arg(folder.path(socket));
        command.arg("-o").arg(folder.path("x.backup"));
        command
    };
    let daemon = stand_in(&folder.path("dies.sock"));
    let child = create("dies.sock").stderr(Stdio::piped()).spawn().unwrap();
    drop(daemon.join().unwrap());
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("nothing was written"), "{words}");
    assert_eq!(backups_in(&folder.0), [""; 0]);

    for signal in ["INT", "TERM"] {
        let socket = format!("stalls-{signal}.sock");
        let daemon = stand_in(&folder.path(&socket));
        let child = create(&socket).stderr(Stdio::piped()).spawn().unwrap();
        let stream = daemon.join().unwrap();
        until("it has begun to write", || {
            folder.path("x.backup.unfinished").exists().then_some(())
        });
        send(signal, child.id());
        let output = child.wait_with_output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert_eq!(words, "dolmen: stopped: nothing was written\n");
        assert_eq!(backups_in(&folder.0), [""; 0]);
        drop(stream);
    }
}

#[test]
fn without_a_majority_a_backup_is_refused_or_says_that_it_is_stale() {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let mut second = Machine::start();
    second.join(&first, &[]);
    first.until_voters(2);
    create(&mut client(&first), "/a", Vec::new(), 0);
    second.kill();
    backup(
        &first,
        &["-o", first.folder.path("x.backup").to_str().unwrap()],
    )
    .refused_with("--accept-stale");
    assert_eq!(backups_in(&first.folder.0), [""; 0]);
    let file = first.folder.path("stale.backup");
    let command = [
        "backup",
        "create",
        "--accept-stale",
        "-o",
        file.to_str().unwrap(),
    ];
    let table = first.type_in(&command).answer();
    assert!(table.contains("\nstale "), "{table}");
    assert!(
        list(&file)
            .answer()
            .contains("whole, made without a majority")
    );
}
