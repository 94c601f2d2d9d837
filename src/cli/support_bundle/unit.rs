//! What systemd knows: the unit with its drop-ins, how it stands, and its lines
//! in the journal.

use super::bounded::output;
use super::bundle::{Body, Piece};
use super::redact::{Counts, Kind};
use crate::clock::Millis;
use crate::limits::{SUPPORT_FILE_BYTES_MAX, SUPPORT_JOURNAL_LINES};
use serde_json::Value;

/// sd-daemon(3): what the daemon says at the level info, and all above it.
const INFO: u64 = 5;
/// The lines as JSON, of some 1.5 KiB each.
const JOURNAL_BYTES_MAX: usize = 4 * SUPPORT_FILE_BYTES_MAX;

/// `systemctl show`, as it is: it may hold secrets.
pub(super) fn shown(unit: &str) -> Result<String, String> {
    let text = output(
        "systemctl",
        &["show", "--no-pager", unit],
        SUPPORT_FILE_BYTES_MAX,
    )?;
    match text.lines().any(|line| line == "LoadState=not-found") {
        true => Err(format!("systemd knows no unit {unit}")),
        false => Ok(text),
    }
}

/// The unit's files, the drop-ins behind it.
pub(super) fn files(unit: &str) -> Result<Piece, String> {
    output(
        "systemctl",
        &["cat", "--no-pager", unit],
        SUPPORT_FILE_BYTES_MAX,
    )
    .map(|text| cleaned(&text))
}

/// Directives as they are, but for those whose value may be a secret; no
/// comments, but for the names of the files.
pub(super) fn cleaned(text: &str) -> Piece {
    let mut left_out = Counts::default();
    let mut clean = String::new();
    // A line that ends with a backslash goes on in the next.
    for line in text.replace("\\\n", " ").lines() {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) && !is_file_name(trimmed) {
            left_out.count(Kind::Comment);
            continue;
        }
        let line = match trimmed.split_once('=') {
            Some((key, value)) => directive(key.trim_end(), value.trim_start(), &mut left_out),
            None => line.to_owned(),
        };
        clean += &line;
        clean += "\n";
    }
    Piece {
        body: Body::Text(clean),
        left_out,
    }
}

/// `# /usr/lib/systemd/system/dolmen.service`, as `systemctl cat` writes it.
fn is_file_name(line: &str) -> bool {
    let path = line.strip_prefix("# ").unwrap_or_default();
    let is_one = path.starts_with('/') && !path.contains(char::is_whitespace);
    is_one && (path.ends_with(".service") || path.ends_with(".conf"))
}

fn directive(key: &str, value: &str, left_out: &mut Counts) -> String {
    const GONE: &str = "(redacted)";
    let mut gone = || left_out.count(Kind::Environment);
    match key {
        "Environment" => {
            let names = words(value).into_iter().map(|word| {
                gone();
                let name = word.split('=').next().unwrap_or_default();
                format!("{name}={GONE}")
            });
            format!("{key}={}", names.collect::<Vec<_>>().join(" "))
        }
        "SetCredential" | "SetCredentialEncrypted" if !value.is_empty() => {
            gone();
            let name = value.split(':').next().unwrap_or_default();
            format!("{key}={name}:{GONE}")
        }
        _ if key.starts_with("X-") => {
            gone();
            format!("{key}={GONE}")
        }
        _ if key.starts_with("Exec") => format!("{key}={}", without_sets(value, gone)),
        _ => format!("{key}={value}"),
    }
}

/// `--set KEY=VALUE` without its value.
fn without_sets(command: &str, mut gone: impl FnMut()) -> String {
    let mut pieces = command.split("--set");
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches([' ', '=', '"', '\'']);
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        clean += "--set";
        match rest[..end].split_once('=') {
            Some((key, _)) => {
                gone();
                clean += &format!(" {key}=(redacted){}", &rest[end..]);
            }
            None => clean += piece,
        }
    }
    clean
}

/// Apart at blanks that stand in no quotes.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in text.chars() {
        let word = words.last_mut().expect("there is always a word");
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            (None, blank) if blank.is_whitespace() => words.push(String::new()),
            (_, letter) => word.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The unit's last lines, one a line, with their fields.
pub(super) fn journal(unit: &str) -> Result<Piece, String> {
    let lines = SUPPORT_JOURNAL_LINES.to_string();
    let arguments = ["--no-pager", "-o", "json", "-n", &lines, "-u", unit];
    let text = output("journalctl", &arguments, JOURNAL_BYTES_MAX)?;
    let mut left_out = Counts::default();
    let told: String = text
        .lines()
        .filter_map(|line| told(line, &mut left_out))
        .collect();
    match told.is_empty() {
        true => Err(format!(
            "the journal has no line of {unit} that this user may see (root and the group \
             systemd-journal may see all)"
        )),
        false => Ok(Piece {
            body: Body::Text(told),
            left_out,
        }),
    }
}

/// What is told of one entry: who said it when, and the daemon's own fields.
/// Others, such as the command line, are of no use here and may hold anything.
fn told(line: &str, left_out: &mut Counts) -> Option<String> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| text(&entry[key]);
    let priority = text("PRIORITY").and_then(|word| word.parse::<u64>().ok());
    // A panic is said on standard error without a priority, and gets 6.
    let is_ours = entry.get("TARGET").is_some();
    if is_ours && priority.is_some_and(|priority| priority > INFO) {
        left_out.count(Kind::DebugLine);
        return None;
    }
    let micros = text("__REALTIME_TIMESTAMP")?.parse::<u64>().ok()?;
    let mut told = format!(
        "{} <{}> {}[{}] {}",
        Millis(micros / 1000),
        text("PRIORITY").unwrap_or_default(),
        text("SYSLOG_IDENTIFIER").unwrap_or_default(),
        text("_PID").unwrap_or_default(),
        text("MESSAGE").unwrap_or_default(),
    );
    let fields = entry.as_object()?.keys();
    for key in fields.filter(|key| key.starts_with("F_")) {
        told += &format!(" {key}={}", text(key).unwrap_or_default());
    }
    if let (Some(file), Some(line)) = (text("CODE_FILE"), text("CODE_LINE")) {
        told += &format!(" ({file}:{line})");
    }
    Some(told + "\n")
}

/// What is no text arrives as a list of bytes.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let bytes: Option<Vec<u8>> = bytes
                .iter()
                .map(|byte| byte.as_u64()?.try_into().ok())
                .collect();
            Some(String::from_utf8_lossy(&bytes?).into_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, clean: &str, taken: usize) {
        let piece = cleaned(text);
        let Body::Text(found) = piece.body else {
            panic!("a unit is a text");
        };
        assert_eq!(found, clean);
        assert_eq!(piece.left_out.all(), taken);
    }

    #[test]
    fn a_unit_keeps_its_directives_and_not_its_secrets() {
        check(
            "# /etc/systemd/system/dolmen.service\n# the password is passw0rd\n[Service]\nUser=dolmen\n",
            "# /etc/systemd/system/dolmen.service\n[Service]\nUser=dolmen\n",
            1,
        );
        check(
            "Environment = A=1 \"B=2 3\" \\\n  'C=4'\nEnvironment=\n",
            "Environment=A=(redacted) B=(redacted) C=(redacted)\nEnvironment=\n",
            3,
        );
        check(
            "SetCredential=users:a:b\nLoadCredential=u:/root/u\n",
            "SetCredential=users:(redacted)\nLoadCredential=u:/root/u\n",
            1,
        );
        check("X-Note=passw0rd\n", "X-Note=(redacted)\n", 1);
        check(
            "ExecStart=/usr/bin/dolmen serve --set a.b=passw0rd --set=c=d --config /x\n",
            "ExecStart=/usr/bin/dolmen serve --set a.b=(redacted) --set c=(redacted) --config /x\n",
            2,
        );
    }

    #[test]
    fn a_line_of_the_journal_is_told_without_what_it_need_not() {
        let mut left_out = Counts::default();
        let mut check = |line: &str, says: Option<&str>| {
            assert_eq!(told(line, &mut left_out).as_deref(), says, "{line}");
        };
        check(
            r#"{"__REALTIME_TIMESTAMP":"951782399000000","PRIORITY":"4","SYSLOG_IDENTIFIER":"dolmen","_PID":"7","MESSAGE":"accept failed","F_DOOR":"operator","TARGET":"dolmen","CODE_FILE":"src/a.rs","CODE_LINE":"9","_CMDLINE":"dolmen serve --set a=b"}"#,
            Some("2000-02-28T23:59:59Z <4> dolmen[7] accept failed F_DOOR=operator (src/a.rs:9)\n"),
        );
        check(
            r#"{"__REALTIME_TIMESTAMP":"0","PRIORITY":"6","TARGET":"dolmen","MESSAGE":"/a/znode"}"#,
            None,
        );
        check(
            r#"{"__REALTIME_TIMESTAMP":"0","PRIORITY":"6","SYSLOG_IDENTIFIER":"dolmen","_PID":"7","MESSAGE":[112,97,255]}"#,
            Some("1970-01-01T00:00:00Z <6> dolmen[7] pa\u{fffd}\n"),
        );
        check("no json", None);
        assert_eq!(left_out.of(Kind::DebugLine), 1);
    }
}
