//! The engine that an earlier start has measured, so that a start after a
//! crash does not measure again: it takes a third of a second in which nobody
//! is served. Forgotten after a week, with another kernel, and where the ring
//! is refused now.

use crate::clock::Millis;
use crate::disk::choose::Chosen;
use crate::disk::{Engine, try_ring};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

const NAME: &str = "engine.json";
const FORMAT: u32 = 1;
const LASTS_MS: u64 = 7 * 24 * 3600 * 1000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memo {
    format: u32,
    engine: String,
    lone_blocking: bool,
    reason: String,
    kernel: String,
    measured_ms: u64,
}

/// What was measured here before, if it still holds. Whatever is wrong with
/// the file, measuring again is right.
pub fn recall(data: &Path, ring_entries: u32, now: Millis) -> Option<Chosen> {
    let text = fs::read_to_string(data.join(NAME)).ok()?;
    let memo: Memo = serde_json::from_str(&text).ok()?;
    let is_young = now.0.checked_sub(memo.measured_ms)? < LASTS_MS;
    if memo.format != FORMAT || memo.kernel != kernel()? || !is_young {
        return None;
    }
    let engine = [Engine::Uring, Engine::Threads]
        .into_iter()
        .find(|engine| engine.name() == memo.engine)?;
    if engine == Engine::Uring && try_ring(ring_entries).is_err() {
        return None;
    }
    Some(Chosen {
        engine,
        lone_blocking: memo.lone_blocking,
        reason: format!(
            "{}, as measured on {}",
            memo.reason,
            Millis(memo.measured_ms)
        ),
        figures: Vec::new(),
    })
}

/// What the file holds, for who looks at it from outside.
pub fn told(data: &Path) -> Result<serde_json::Value, String> {
    let text = fs::read_to_string(data.join(NAME)).map_err(|error| error.to_string())?;
    let memo: Memo = serde_json::from_str(&text)
        .map_err(|error| format!("it is none of ours, line {}", error.line()))?;
    Ok(serde_json::json!(memo))
}

/// Keeps what was measured. A disk that takes no file more measures again.
pub fn keep(data: &Path, chosen: &Chosen, now: Millis) {
    let Some(kernel) = kernel() else {
        return;
    };
    let memo = Memo {
        format: FORMAT,
        engine: chosen.engine.name().into(),
        lone_blocking: chosen.lone_blocking,
        reason: chosen.reason.clone(),
        kernel,
        measured_ms: now.0,
    };
    let unfinished = data.join("engine.new");
    let kept = serde_json::to_vec(&memo)
        .map_err(std::io::Error::other)
        .and_then(|text| fs::write(&unfinished, text))
        .and_then(|()| fs::rename(&unfinished, data.join(NAME)));
    if let Err(error) = kept {
        tracing::debug!(%error, "the engine is measured again at the next start");
    }
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(release.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_holds_for_a_week_and_for_one_kernel() {
        let folder = std::env::temp_dir().join(format!("dolmen-memo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let now = Millis(1_800_000_000_000);
        assert!(recall(&folder, 8, now).is_none());
        let chosen = Chosen {
            engine: Engine::Threads,
            lone_blocking: true,
            reason: "threads: quicker".into(),
            figures: Vec::new(),
        };
        keep(&folder, &chosen, now);
        let recalled = recall(&folder, 8, Millis(now.0 + LASTS_MS - 1)).unwrap();
        assert_eq!(
            (recalled.engine, recalled.lone_blocking),
            (Engine::Threads, true)
        );
        assert!(
            recalled
                .reason
                .starts_with("threads: quicker, as measured on 2027-")
        );
        assert!(recall(&folder, 8, Millis(now.0 + LASTS_MS)).is_none());
        // A clock that went back.
        assert!(recall(&folder, 8, Millis(now.0 - 1)).is_none());

        let text = fs::read_to_string(folder.join(NAME)).unwrap();
        fs::write(folder.join(NAME), text.replace(&kernel().unwrap(), "2.6.0")).unwrap();
        assert!(recall(&folder, 8, now).is_none());
        fs::write(folder.join(NAME), "{").unwrap();
        assert!(recall(&folder, 8, now).is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
