//! One list of rows, shown as probe.toml, as JSON and for people.

use super::bench::Spread;
use super::knobs::{self, Derived};
use super::processor::NOT_LINKED;
use super::{Group, Measured};
use crate::clock::Millis;
use crate::disk::class::Granted;
use serde_json::{Map, Value, json};

/// A part of the probe: its name in the file, and its title for people.
struct Section {
    name: &'static str,
    title: &'static str,
    rows: Vec<Row>,
}

/// One thing that was measured.
struct Row {
    name: String,
    figures: Vec<(&'static str, Value)>,
}

impl Measured {
    pub fn derived(&self) -> Vec<Derived> {
        knobs::derive(self)
    }

    pub fn warnings(&self) -> Vec<String> {
        knobs::warnings(self)
    }

    /// probe.toml. Its figures are for people; the knobs below them are what
    /// the node takes, as long as kernel and device are these.
    pub fn toml(&self) -> String {
        let mut text = String::from(
            "# What `dolmen probe --write` found on this machine: above its hardware profile and\n\
             # below dolmen.toml. Set aside once the disk or the kernel's version is another.\n",
        );
        for warning in self.warnings() {
            text += &comment(&format!("warning: {warning}"));
        }
        text += "\nschema = 1\n\n[probe]\n";
        for (name, value) in self.identity() {
            // JSON's texts, numbers and lists are TOML's too.
            text += &format!("{name} = {value}\n");
        }
        for section in self.sections() {
            text += &format!("\n# {}\n[probe.{}]\n", section.title, section.name);
            for row in section.rows {
                let figure = |(name, value): &(&str, Value)| format!("{name} = {value}");
                let figures: Vec<_> = row.figures.iter().map(figure).collect();
                text += &format!("{} = {{ {} }}\n", row.name, figures.join(", "));
            }
        }
        text += "\n# What follows from the figures.\n[log]\n";
        for derived in self.derived() {
            let name = derived.key.trim_start_matches("log.");
            text += &match derived.value {
                Some(value) => format!("{}{name} = {value}\n", comment(&derived.reason)),
                None => comment(&format!("{name} is left as it is: {}", derived.reason)),
            };
        }
        text
    }

    pub fn json(&self) -> Value {
        let mut all: Map<String, Value> = Map::new();
        all.insert("probe".into(), object(self.identity()));
        for section in self.sections() {
            let rows = section.rows.into_iter();
            let rows = rows.map(|row| (row.name, object(row.figures))).collect();
            all.insert(section.name.into(), Value::Object(rows));
        }
        let knob = |derived: Derived| json!({ "key": derived.key, "value": derived.value, "reason": derived.reason });
        let knobs = self.derived().into_iter().map(knob).collect();
        all.insert("knobs".into(), knobs);
        all.insert("warnings".into(), json!(self.warnings()));
        Value::Object(all)
    }

    /// Title by title, each with lines of cells.
    pub fn tables(&self) -> Vec<(&'static str, Vec<[String; 2]>)> {
        let plain = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let cells = |row: Row| {
            let figure = |(name, value): &(&str, Value)| match name.rsplit_once('_') {
                Some((name, "us")) => format!("{name} {value} us"),
                _ => format!("{name} {}", plain(value)),
            };
            let figures: Vec<_> = row.figures.iter().map(figure).collect();
            [row.name.replace('_', " "), figures.join(", ")]
        };
        let identity = self.identity().into_iter();
        let identity = identity.map(|(name, value)| [name.replace('_', " "), plain(&value)]);
        let mut tables = vec![("what was measured", identity.collect())];
        for section in self.sections() {
            let rows = section.rows.into_iter().map(cells).collect();
            tables.push((section.title, rows));
        }
        tables
    }

    fn identity(&self) -> Vec<(&'static str, Value)> {
        let disk = &self.machine.disk;
        let class = match &self.class {
            Granted::Full => "real-time".into(),
            Granted::Nice(nice) => format!("nice {nice}"),
            Granted::Ordinary { .. } => "ordinary".into(),
        };
        let ring = match &self.ring {
            Ok(ring) if ring.is_single_issuer => format!("{} entries, single issuer", ring.entries),
            Ok(ring) => format!("{} entries", ring.entries),
            Err(refused) => refused.clone(),
        };
        let known = [
            (
                "tool",
                Some(json!(concat!("dolmen ", env!("CARGO_PKG_VERSION")))),
            ),
            ("date", Some(json!(date(self.at)))),
            ("seconds", Some(json!(self.time.as_secs_f64()))),
            (
                "kernel",
                Some(json!(self.machine.kernel.as_deref().unwrap_or("unknown"))),
            ),
            ("device", disk.mark.as_ref().map(|mark| json!(mark))),
            ("disks", Some(json!(disk.disks))),
            ("bus", disk.bus.map(|bus| json!(bus))),
            ("write_cache", disk.write_cache.map(|word| json!(word))),
            ("fua", disk.fua.map(|fua| json!(fua))),
            (
                "file_system",
                disk.file_system.as_ref().map(|name| json!(name)),
            ),
            (
                "mount_options",
                disk.mount_options.as_ref().map(|options| json!(options)),
            ),
            ("direct_io", Some(json!(self.is_direct_granted))),
            ("io_uring", Some(json!(ring))),
            ("thread_class", Some(json!(class))),
        ];
        let known = known.into_iter();
        known
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    fn sections(&self) -> Vec<Section> {
        let ways = self.flush.iter().flat_map(|flush| {
            let cache = if flush.is_direct {
                "direct"
            } else {
                "buffered"
            };
            let name = format!("{}_{cache}", flush.engine.name());
            [
                row(format!("{name}_quiet"), of_spread(&flush.quiet)),
                row(format!("{name}_loaded"), of_spread(&flush.loaded)),
            ]
        });
        let shapes = self.shapes.iter();
        let shapes = shapes.map(|shape| row(shape.name, of_spread(&shape.flush)));
        let sizes = self.bypass.iter().map(|size| {
            let times = vec![
                us("journal_us", size.journal),
                us("straight_us", size.straight),
            ];
            row(format!("kib_{}", size.kib), times)
        });
        let stream = [
            ("write_1mib_durable", self.stream.write_mb_per_s),
            ("read_1mib", self.stream.read_mb_per_s),
        ];
        let stream = stream.map(|(name, speed)| row(name, vec![("mb_per_s", json!(speed))]));
        let reads = self.reads.iter().map(|reads| {
            let mut figures = vec![("per_s", json!(reads.per_s))];
            figures.extend(of_spread(&reads.read));
            row(format!("read_4kib_depth_{}", reads.depth), figures)
        });
        let speeds = [
            ("crc32c", self.processor.crc32c_gb_per_s),
            ("copy", self.processor.copy_gb_per_s),
        ];
        let speeds =
            speeds.map(|(name, speed)| row(name, vec![("gb_per_s", json!(tenths(speed)))]));
        let absent = NOT_LINKED.iter();
        let absent = absent.map(|name| row(*name, vec![("says", json!("not linked"))]));
        vec![
            section("flush", "4 KiB and fdatasync, one after the other", ways),
            section(
                "file",
                "the same by threads, buffered, by the kind of file",
                shapes,
            ),
            section(
                "group",
                "records of 512 B that share a flush",
                self.groups.iter().map(group),
            ),
            section(
                "depth",
                "16 records a flush, more flushes in flight",
                self.depths.iter().map(group),
            ),
            section(
                "bypass",
                "a batch through the journal, or straight to its segment",
                sizes,
            ),
            section(
                "transfer",
                "much at once, and many at once",
                stream.into_iter().chain(reads),
            ),
            section(
                "processor",
                "bytes on one core",
                speeds.into_iter().chain(absent),
            ),
        ]
        .into_iter()
        .filter(|section| !section.rows.is_empty())
        .collect()
    }
}

fn section(
    name: &'static str,
    title: &'static str,
    rows: impl IntoIterator<Item = Row>,
) -> Section {
    Section {
        name,
        title,
        rows: rows.into_iter().collect(),
    }
}

fn row(name: impl Into<String>, figures: Vec<(&'static str, Value)>) -> Row {
    Row {
        name: name.into(),
        figures,
    }
}

fn group(group: &Group) -> Row {
    let mut figures = vec![("records_per_s", json!(group.records_per_s))];
    figures.extend(of_spread(&group.flush));
    row(
        format!(
            "{}_records_{}_depth_{}",
            group.engine.name(),
            group.records,
            group.depth
        ),
        figures,
    )
}

fn of_spread(spread: &Spread) -> Vec<(&'static str, Value)> {
    vec![
        us("p50_us", spread.p50),
        us("p99_us", spread.p99),
        us("max_us", spread.max),
        ("samples", json!(spread.samples)),
    ]
}

fn us(name: &'static str, time: std::time::Duration) -> (&'static str, Value) {
    (name, json!(tenths(time.as_secs_f64() * 1e6)))
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn object(pairs: Vec<(&'static str, Value)>) -> Value {
    let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value));
    Value::Object(pairs.collect())
}

/// Lines that start with `#`, broken at blanks.
fn comment(text: &str) -> String {
    const COLUMNS: usize = 88;
    let mut lines = String::from("#");
    let mut column = 1;
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        if column + length > COLUMNS && column > 1 {
            lines += "\n#";
            column = 1;
        }
        lines += " ";
        lines += word;
        column += length;
    }
    lines + "\n"
}

/// Day and time of UTC as RFC 3339 writes them, by the calendar of era, year
/// and day of Howard Hinnant's `civil_from_days`.
fn date(at: Millis) -> String {
    let seconds = at.0 / 1000;
    let days = seconds / 86_400 + 719_468; // from 1 March of year 0
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // from March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(date(Millis(seconds * 1000)), text);
        }
    }

    #[test]
    fn a_long_reason_is_broken_at_its_blanks() {
        let text = comment(&"word ".repeat(30));
        assert!(
            text.lines()
                .all(|line| line.starts_with("# word") && line.len() <= 88)
        );
        assert_eq!(text.matches("word").count(), 30);
    }
}
