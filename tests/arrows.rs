//! The shape of the source tree, read from its text. A single crate has no
//! walls of its own: these rules are the walls. A new module is one line in
//! `ROWS`, a new package one line in `HOMES`.

mod names;

use names::{Name, Names};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The modules, top row first. A module names rows below its own only;
/// modules of one row do not name each other, the lowest row names nobody.
const ROWS: &[&[&str]] = &[
    &["cli"],
    &["daemon"],
    &["ports"],
    &["compute"],
    &["streams", "files"],
    &["replica"],
    &["log", "peers"],
    &["state", "consensus"],
    &["disk", "profile"],
    &["wire"],
    &["ids", "limits", "clock", "entropy", "metrics", "planted"],
];

/// Modules that only some of those above may name, and why.
const ONLY_FOR: &[(&str, &[&str], &str)] = &[
    (
        "profile",
        &["cli", "daemon"],
        "declare the Settings that are needed and let daemon/compose.rs fill them",
    ),
    (
        "disk",
        &[
            "cli", "daemon", "ports", "compute", "streams", "files", "replica", "log", "peers",
        ],
        "return an effect and let the replica carry it out",
    ),
];

/// Code that decides and touches nothing: a folder, a file or a file's name
/// anywhere. `Later` marks what is still to come.
const PURE: &[(&str, Stands)] = &[
    ("src/wire/", Stands::Now),
    ("src/state/", Stands::Now),
    ("src/consensus/", Stands::Now),
    ("src/streams/ages.rs", Stands::Now),
    ("src/streams/batch/", Stands::Now),
    ("src/streams/compact/", Stands::Now),
    ("src/streams/groups/", Stands::Now),
    ("src/streams/partition/", Stands::Now),
    ("src/streams/producers/", Stands::Now),
    ("src/streams/transactions/", Stands::Now),
    ("src/log/frame.rs", Stands::Now),
    ("src/log/format.rs", Stands::Now),
    ("src/log/footer.rs", Stands::Now),
    ("src/log/batch.rs", Stands::Now),
    ("src/peers/pace.rs", Stands::Now),
    ("src/peers/settle.rs", Stands::Now),
    ("src/peers/sim.rs", Stands::Now),
    ("src/peers/token.rs", Stands::Now),
    ("src/ports/kafka/messages/", Stands::Now),
    ("src/ports/zookeeper/codec/", Stands::Now),
    ("src/ports/zookeeper/handlers/", Stands::Now),
    ("src/ports/kafka/codec/", Stands::Later),
    ("/codec.rs", Stands::Now),
    ("/session.rs", Stands::Now),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Now,
    Later,
}

/// What pure code may not say, and where it comes from instead.
const IMPURE: &[(&str, &str)] = &[
    ("std::fs", "files are an effect for a shell to carry out"),
    ("std::net", "sockets are an effect for a shell to carry out"),
    ("std::os", "the machine is a shell's to touch"),
    ("std::env", "settings arrive as values"),
    ("std::process", "processes are a shell's to touch"),
    ("std::thread", "what decides runs where it is called"),
    ("std::time::Instant", "`now` is an argument"),
    ("std::time::SystemTime", "`now` is an argument"),
    (
        "std::hash::RandomState",
        "chance arrives inside the command",
    ),
    (
        "std::collections::hash_map::RandomState",
        "chance arrives inside the command",
    ),
    ("tokio", "what decides awaits nothing"),
    ("rand", "chance arrives inside the command"),
    ("getrandom", "chance arrives inside the command"),
    ("crate::clock::Clock", "`now` is an argument"),
    ("crate::clock::MachineClock", "`now` is an argument"),
    (
        "crate::entropy::Entropy",
        "chance arrives inside the command",
    ),
    (
        "crate::entropy::MachineEntropy",
        "chance arrives inside the command",
    ),
];

/// Where each package lives. Replacing one should be an afternoon in one
/// folder.
const HOMES: &[(&str, &[&str])] = &[
    ("base64", &["src/peers", "src/ports", "src/cli"]),
    ("clap", &["src/cli"]),
    ("clap_complete", &["src/cli/manual"]),
    ("crc32c", &["src/wire"]),
    ("datafusion", &["src/compute"]),
    (
        "flate2",
        &[
            "src/cli/import",
            "src/cli/support_bundle",
            "src/streams/batch/codec",
        ],
    ),
    (
        "http_body_util",
        &["src/ports/operator", "src/ports/webhdfs"],
    ),
    ("hyper", &["src/ports/operator", "src/ports/webhdfs"]),
    ("hyper_util", &["src/ports/operator", "src/ports/webhdfs"]),
    ("io_uring", &["src/disk"]),
    // A referee of tests, never a decoder of strangers' bytes: it allocates from
    // the lengths that they declare.
    ("kafka_protocol", &["src/ports/kafka/messages/tests"]),
    ("libc", &["src/disk"]),
    ("lz4_flex", &["src/streams/batch/codec"]),
    ("md5", &["src/ports/zookeeper"]),
    ("memmap2", &["src/disk"]),
    ("mio", &["src/ports/zookeeper"]),
    ("protobuf", &["src/consensus"]),
    ("quinn", &["src/peers"]),
    ("raft", &["src/consensus"]),
    ("rcgen", &["src/peers"]),
    (
        "regex",
        &[
            "src/streams/coordinators/groups/pattern",
            "src/ports/kafka/handlers/list_transactions",
        ],
    ),
    ("ring", &["src/peers", "src/ports", "src/streams/compact"]),
    // The chronicle's records are the daemon's own, and no other file's matter.
    (
        "rkyv",
        &[
            "src/log",
            "src/state/snapshot",
            "src/files",
            "src/daemon/chronicle",
        ],
    ),
    ("roff", &["src/cli/manual"]),
    ("rustls", &["src/peers/tls", "src/ports"]),
    ("slog", &["src/consensus"]),
    ("snap", &["src/cli/import", "src/streams/batch/codec"]),
    ("sysinfo", &["src/profile/detect", "src/profile/interfaces"]),
    ("toml", &["src/profile", "src/daemon/config"]),
    ("tonic", &["src/compute", "src/ports"]),
    ("tracing_journald", &["src/daemon/journal"]),
    ("tracing_subscriber", &["src/daemon", "src/cli"]),
    ("x509_parser", &["src/peers", "src/ports"]),
    ("zstd", &["src/streams/batch/codec"]),
];
const UNSAFE_HOME: &str = "src/disk";

/// Modules that stay clear of a package that others may use.
const AWAY: &[(&str, &[&str], &str)] = &[(
    "tokio",
    &[
        "src/log",
        "src/disk",
        "src/wire",
        "src/state",
        "src/consensus",
    ],
    "this code runs on threads of its own class; meet the doors' runtime by a queue",
)];

/// Text by path, from the root of the repository.
type Tree = BTreeMap<String, String>;

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    /// The rule that is broken and what to do.
    says: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.says)
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, file: &str, line: usize, says: String) {
        let finding = Finding {
            file: file.to_owned(),
            line,
            says,
        };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Findings::default();
    let sources = tree.iter().filter(|(file, _)| is_source(file));
    for (file, text) in sources {
        let names = names::read(file, text);
        for name in &names.paths {
            check_row(file, name, &mut findings);
            check_pure(file, name, &mut findings);
            check_home(file, name, &mut findings);
        }
        check_unsafe(file, &names, &mut findings);
    }
    check_map(tree, &mut findings);
    check_later(tree, &mut findings);
    findings.0
}

fn is_source(file: &str) -> bool {
    file.starts_with("src/") && file.ends_with(".rs")
}

/// The top module of a file; None for lib.rs, which names them all, and for
/// main.rs, which stands above them all.
fn top_module(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    let top = inside.split('/').next()?;
    let top = top.strip_suffix(".rs").unwrap_or(top);
    (top != "lib" && top != "main").then_some(top)
}

fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

fn check_row(file: &str, name: &Name, findings: &mut Findings) {
    let (Some(from), true) = (top_module(file), name.path[0] == "crate") else {
        return;
    };
    let Some(to) = name.path.get(1) else {
        if name.is_all {
            let says = "takes in the whole crate, so that nobody sees whom it names; \
                        name the modules";
            findings.add(file, name.line, says.into());
        }
        return;
    };
    if from == to {
        return;
    }
    let Some(from_row) = row_of(from) else {
        return; // `check_map` says so once.
    };
    let Some(to_row) = row_of(to) else {
        let says = format!(
            "`{from}` names `crate::{to}`, which is in no row; \
             give it a module and that a place in ROWS of tests/arrows.rs"
        );
        return findings.add(file, name.line, says);
    };
    if to_row < from_row {
        let says = format!(
            "`{from}` names `{to}`, a row above it; move what both need to a row \
             below them, or let a row above both introduce them"
        );
        findings.add(file, name.line, says);
    } else if to_row == from_row {
        let says = format!(
            "`{from}` names `{to}` of its own row; move what both need to a row \
             below them, or let the row above introduce them"
        );
        findings.add(file, name.line, says);
    } else if let Some((_, _, instead)) = ONLY_FOR
        .iter()
        .find(|(module, known_to, _)| module == to && !known_to.contains(&from))
    {
        let says = format!("`{from}` may not know `{to}`; {instead}");
        findings.add(file, name.line, says);
    }
}

fn is_pure(file: &str, pure: &str) -> bool {
    if pure.starts_with('/') {
        file.ends_with(pure)
    } else {
        file.starts_with(pure)
    }
}

fn check_pure(file: &str, name: &Name, findings: &mut Findings) {
    if !PURE.iter().any(|(pure, _)| is_pure(file, pure)) {
        return;
    }
    let said = name.path.join("::");
    for (word, instead) in IMPURE {
        // A glob says everything below it.
        let by_glob = name.is_all && is_at_or_below(word, &said);
        if is_at_or_below(&said, word) || by_glob {
            let says = format!("pure code says `{word}`; {instead}");
            findings.add(file, name.line, says);
        }
    }
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether a file is a home, or stands in one: `src/ports/operator` is that
/// file with `.rs` and everything in that folder.
fn lives_in(file: &str, home: &str) -> bool {
    file.strip_prefix(home)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn check_home(file: &str, name: &Name, findings: &mut Findings) {
    let package = name.path[0].as_str();
    // A family such as datafusion_expr lives with its head.
    let is_of = |head: &str| {
        package
            .strip_prefix(head)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let exact = HOMES.iter().find(|(home_of, _)| *home_of == package);
    let home = exact.or_else(|| HOMES.iter().find(|(head, _)| is_of(head)));
    if let Some((_, homes)) = home
        && !homes.iter().any(|home| lives_in(file, home))
    {
        let homes = homes.join(", ");
        let says = format!(
            "names the package `{package}` away from its home; \
             put the call in {homes} and name that"
        );
        findings.add(file, name.line, says);
    }
    for (_, modules, instead) in AWAY.iter().filter(|(away, ..)| is_of(away)) {
        if let Some(module) = modules.iter().find(|module| lives_in(file, module)) {
            let says = format!("names the package `{package}` in {module}; {instead}");
            findings.add(file, name.line, says);
        }
    }
}

fn check_unsafe(file: &str, names: &Names, findings: &mut Findings) {
    if !lives_in(file, UNSAFE_HOME) {
        for &line in &names.unsafe_lines {
            let says = format!(
                "says `unsafe` outside {UNSAFE_HOME}; \
                 put the call there behind a function that is safe"
            );
            findings.add(file, line, says);
        }
    }
}

/// `lib.rs` declares what the tree holds, its map lists what it declares in
/// the order of `ROWS`, and docs/ARCHITECTURE.md shows the same map.
fn check_map(tree: &Tree, findings: &mut Findings) {
    const LIB: &str = "src/lib.rs";
    const PAGE: &str = "docs/ARCHITECTURE.md";
    let lib = tree.get(LIB).map_or("", String::as_str);
    let map = fenced(lib, "//!");
    let declared = names::read(LIB, lib).modules;

    for (module, line) in &declared {
        if row_of(module).is_none() {
            let says =
                format!("`{module}` is in no row; give it a place in ROWS of tests/arrows.rs");
            findings.add(LIB, *line, says);
        }
        if !map.iter().any(|(_, sentence)| head(sentence) == module) {
            let says = format!("`{module}` is not in the map; give it a sentence there");
            findings.add(LIB, *line, says);
        }
    }
    let mut last_place = None;
    for (line, sentence) in &map {
        let module = head(sentence);
        if !declared.iter().any(|(declared, _)| declared == module) {
            let says = format!("the map lists `{module}`, which is not there; take it out");
            findings.add(LIB, *line, says);
        }
        let place = ROWS.iter().flat_map(|row| *row).position(|m| *m == module);
        if place < last_place {
            let says = format!(
                "the map lists `{module}` out of order; ROWS of tests/arrows.rs is the order"
            );
            findings.add(LIB, *line, says);
        }
        last_place = last_place.max(place);
    }
    for file in tree.keys().filter(|file| is_source(file)) {
        let Some(top) = top_module(file) else {
            continue;
        };
        if !declared.iter().any(|(declared, _)| declared == top) {
            let says = format!("`{top}` is not declared in {LIB}; declare it or remove it");
            findings.add(file, 1, says);
        }
    }
    if let Some(page) = tree.get(PAGE) {
        let shown = fenced(page, "");
        let differs = |(n, (_, sentence)): (usize, &(usize, &str))| {
            shown.get(n).is_none_or(|(_, shown)| shown != sentence)
        };
        if let Some(n) = map
            .iter()
            .enumerate()
            .position(differs)
            .or((shown.len() > map.len()).then_some(map.len()))
        {
            let line = shown.get(n).or(shown.last()).map_or(1, |(line, _)| *line);
            let says = format!("the map differs from that of {LIB}; copy that one here");
            findings.add(PAGE, line, says);
        }
    } else {
        let says = format!("is missing; write it, with the map of {LIB}");
        findings.add(PAGE, 1, says);
    }
}

/// The lines of the first block fenced as text, each after `margin`.
fn fenced<'a>(page: &'a str, margin: &str) -> Vec<(usize, &'a str)> {
    page.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.strip_prefix(margin).unwrap_or(line).trim()))
        .skip_while(|(_, line)| *line != "```text")
        .skip(1)
        .take_while(|(_, line)| *line != "```")
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

fn head(sentence: &str) -> &str {
    sentence.split_whitespace().next().unwrap_or("")
}

/// A rule about a file that was renamed would hold nothing and say nothing.
fn check_later(tree: &Tree, findings: &mut Findings) {
    for (pure, stands) in PURE {
        let exists = tree
            .keys()
            .any(|file| is_source(file) && is_pure(file, pure));
        let says = match (stands, exists) {
            (Stands::Now, false) => "is not there any more; name what took its place",
            (Stands::Later, true) => "is there now; mark it Stands::Now",
            _ => continue,
        };
        let says = format!("{pure} in PURE {says}");
        findings.add("tests/arrows.rs", 1, says);
    }
}

#[test]
fn the_source_tree_keeps_its_arrows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = Tree::new();
    gather(root, Path::new("src"), &mut tree);
    let page = "docs/ARCHITECTURE.md";
    if let Ok(text) = std::fs::read_to_string(root.join(page)) {
        tree.insert(page.into(), text);
    }
    let findings: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

fn gather(root: &Path, folder: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(root.join(folder)).expect("src/ is readable") {
        let entry = entry.expect("src/ is readable");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            gather(root, &path, tree);
        } else {
            let file = path.to_str().expect("a source file has a plain name");
            if let (true, Ok(text)) = (is_source(file), std::fs::read_to_string(entry.path())) {
                tree.insert(file.into(), text);
            }
        }
    }
}

mod tests {
    use super::*;

    /// A tree that keeps every rule, with one file of it written anew, and the
    /// findings it should bring: `line: words that the finding says`.
    fn change(file: &str, text: &str, expected: &[(usize, &str)]) {
        let mut tree = sound_tree();
        tree.insert(file.to_owned(), text.to_owned());
        let findings = check(&tree);
        let shown: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(findings.len(), expected.len(), "{shown:#?}");
        for (finding, (line, words)) in findings.iter().zip(expected) {
            assert_eq!((finding.file.as_str(), finding.line), (file, *line));
            assert!(finding.says.contains(words), "{finding}");
        }
    }

    /// Every module that a rule names is in it, so that a new rule needs no
    /// change here.
    fn sound_tree() -> Tree {
        let pure = PURE
            .iter()
            .filter(|(_, stands)| *stands == Stands::Now)
            .map(
                |(file, _)| match (file.strip_prefix('/'), file.ends_with('/')) {
                    (Some(name), _) => format!("src/wire/{name}"),
                    (None, true) => format!("{file}held.rs"),
                    (None, false) => file.to_string(),
                },
            );
        let mut tree: Tree = pure.map(|file| (file, String::new())).collect();
        let own = [
            ("src/main.rs", "fn main() { dolmen::log::run() }"),
            ("src/clock.rs", "use std::time::Instant;"),
            ("src/disk/mod.rs", "unsafe { libc::sync() }"),
            ("src/log/mod.rs", "use crate::{disk::File, wire};"),
            ("src/profile/mod.rs", "use toml::Value;"),
            ("src/wire/mod.rs", "pub struct Cursor;"),
        ];
        let own = own.map(|(file, text)| (file.to_string(), text.to_string()));
        tree.extend(own);
        let is_there = |module: &&&str| {
            let (file, folder) = (format!("src/{module}.rs"), format!("src/{module}/"));
            tree.keys()
                .any(|path| *path == file || path.starts_with(&folder))
        };
        let modules: Vec<&str> = ROWS
            .iter()
            .flat_map(|row| row.iter())
            .filter(is_there)
            .copied()
            .collect();
        let map: String = modules
            .iter()
            .map(|name| format!("{name}  words\n"))
            .collect();
        let margined: String = map.lines().map(|line| format!("//! {line}\n")).collect();
        let mods: Vec<String> = modules
            .iter()
            .map(|name| format!("pub mod {name};"))
            .collect();
        let fenced = |map: &str, margin: &str| format!("{margin}```text\n{map}{margin}```\n");
        tree.insert(
            "src/lib.rs".into(),
            fenced(&margined, "//! ") + &mods.join("\n"),
        );
        tree.insert("docs/ARCHITECTURE.md".into(), fenced(&map, ""));
        tree
    }

    #[test]
    fn a_sound_tree_has_no_findings() {
        assert_eq!(check(&sound_tree()), []);
    }

    #[test]
    fn an_upward_use_is_found() {
        let expected = &[(2, "`disk` names `log`, a row above it")];
        change("src/disk/mod.rs", "\nuse crate::log::Log;", expected);
        change("src/disk/sim.rs", "\nuse crate::{log, wire};", expected);
        change("src/disk/sim.rs", "\nuse super::super::log::Log;", expected);
        change(
            "src/disk/sim.rs",
            "\nfn f() -> crate::log::Log {}",
            expected,
        );
        change(
            "src/disk/sim.rs",
            "mod tests {\nuse super::super::super::log; }",
            expected,
        );
    }

    #[test]
    fn a_use_within_one_row_is_found() {
        let expected = &[(1, "`disk` names `profile` of its own row")];
        change("src/disk/mod.rs", "use crate::profile::Profile;", expected);
        let expected = &[(1, "`clock` names `planted` of its own row")];
        change("src/clock.rs", "fn f() { planted!(X) }", expected);
    }

    #[test]
    fn a_module_for_few_is_found_elsewhere() {
        let expected = &[(1, "`log` may not know `profile`; declare the Settings")];
        change("src/log/mod.rs", "use crate::profile::Profile;", expected);
    }

    #[test]
    fn the_whole_crate_may_not_be_taken_in() {
        let expected = &[(1, "takes in the whole crate")];
        change("src/log/mod.rs", "use crate::*;", expected);
        change("src/log/mod.rs", "use crate as c;", expected);
        change("src/clock.rs", "use super::*;", expected);
    }

    #[test]
    fn a_word_in_a_comment_or_a_string_is_no_finding() {
        change(
            "src/wire/mod.rs",
            "// crate::log\n/// std::fs\nf(\"crate::log unsafe\");",
            &[],
        );
    }

    #[test]
    fn a_clock_read_in_pure_code_is_found() {
        let expected = &[(
            2,
            "pure code says `std::time::Instant`; `now` is an argument",
        )];
        change("src/wire/mod.rs", "\nstd::time::Instant::now()", expected);
        change(
            "src/wire/mod.rs",
            "use std::time;\ntime::Instant::now()",
            expected,
        );
        change(
            "src/wire/mod.rs",
            "\nuse std::time::{self, Duration, Instant};",
            expected,
        );
        let expected = &[(1, "`std::time::Instant`"), (1, "`std::time::SystemTime`")];
        change("src/wire/mod.rs", "use std::time::*;", expected);
        change("src/wire/mod.rs", "use std::time::Duration;", &[]);
    }

    #[test]
    fn a_file_in_pure_code_is_found() {
        let expected = &[(1, "pure code says `std::fs`")];
        change(
            "src/wire/deep/mod.rs",
            "fn f() { std::fs::read(p) }",
            expected,
        );
    }

    #[test]
    fn unsafe_away_from_the_disk_is_found() {
        change(
            "src/log/mod.rs",
            "\n\nunsafe {}",
            &[(3, "says `unsafe` outside src/disk")],
        );
    }

    #[test]
    fn a_package_away_from_home_is_found() {
        let expected = &[(1, "names the package `libc` away from its home")];
        change("src/log/mod.rs", "libc::sync()", expected);
        change("src/log/mod.rs", "use {std::io, ::libc as c};", expected);
        let expected = &[(1, "names the package `datafusion_expr` away")];
        change("src/log/mod.rs", "use datafusion_expr::Expr;", expected);
    }

    #[test]
    fn tokio_beside_the_log_is_found() {
        let expected = &[(1, "names the package `tokio` in src/log; this code runs")];
        change("src/log/mod.rs", "#[tokio::test] fn f() {}", expected);
    }

    #[test]
    fn a_module_that_nobody_lists_is_found() {
        let expected = &[(1, "`disc` is not declared in src/lib.rs")];
        change("src/disc.rs", "", expected);
        let lib = &sound_tree()["src/lib.rs"];
        let last = lib.lines().count() + 1;
        let expected = &[
            (last, "`disc` is in no row"),
            (last, "`disc` is not in the map"),
        ];
        change("src/lib.rs", &format!("{lib}\npub mod disc;"), expected);
    }

    #[test]
    fn a_map_that_drifts_is_found() {
        let lib = &sound_tree()["src/lib.rs"];
        let doubled = lib.replace("//! wire ", "//! ids  numbers\n//! wire ");
        let at = 1 + lib
            .lines()
            .position(|line| line == "//! wire  words")
            .unwrap();
        let after = at + 1;
        let mut tree = sound_tree();
        tree.insert("src/lib.rs".into(), doubled);
        let shown: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        assert_eq!(
            shown,
            [
                format!("src/lib.rs:{at}: the map lists `ids`, which is not there; take it out"),
                format!(
                    "src/lib.rs:{after}: the map lists `wire` out of order; ROWS of tests/arrows.rs is the order"
                ),
                format!(
                    "docs/ARCHITECTURE.md:{at}: the map differs from that of src/lib.rs; copy that one here"
                ),
            ]
        );
    }

    #[test]
    fn a_rule_without_its_file_is_found() {
        let mut tree = sound_tree();
        tree.remove("src/log/frame.rs");
        let shown: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        let says = "src/log/frame.rs in PURE is not there any more; name what took its place";
        assert_eq!(shown, [format!("tests/arrows.rs:1: {says}")]);

        let mut tree = sound_tree();
        tree.insert("src/ports/kafka/codec/mod.rs".into(), String::new());
        let shown: Vec<String> = check(&tree).iter().map(Finding::to_string).collect();
        let says =
            "tests/arrows.rs:1: src/ports/kafka/codec/ in PURE is there now; mark it Stands::Now";
        assert!(shown.iter().any(|shown| shown == says), "{shown:?}");
    }
}
