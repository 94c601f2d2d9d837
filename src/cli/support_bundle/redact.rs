//! Takes out of a text what must not leave the machine, and counts it. Pure.
//!
//! What is known to be secret is looked for as it is, and as JSON and Rust would
//! write it. Beside that there are forms: a join token, a private key, a
//! credential of the digest scheme, and what a refused setting held, which the
//! daemon's own message repeats.

use crate::daemon::config::SETTINGS;
use serde_json::Value;

const GONE: &str = "(redacted)";
/// A secret that is shorter stands in many a word by chance: it is looked for as
/// a word of its own.
const SHORT: usize = 6;

/// What was taken out, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Token,
    PrivateKey,
    Credential,
    RefusedSetting,
    Environment,
    Comment,
    DebugLine,
    Unknown,
}

pub(super) const KINDS: [(Kind, &str); 9] = [
    (Kind::Secret, "secrets of the settings"),
    (Kind::Token, "join tokens"),
    (Kind::PrivateKey, "lines of private keys"),
    (Kind::Credential, "credentials of clients"),
    (Kind::RefusedSetting, "contents of refused settings"),
    (
        Kind::Environment,
        "values of the unit's environment and credentials",
    ),
    (Kind::Comment, "comments of the unit's files"),
    (Kind::DebugLine, "lines of the journal below the level info"),
    (Kind::Unknown, "entries that no table knows"),
];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; KINDS.len()]);

impl Counts {
    pub(super) fn count(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub(super) fn of(&self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    pub(super) fn all(&self) -> usize {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Counts) {
        for (here, there) in self.0.iter_mut().zip(other.0) {
            *here += there;
        }
    }
}

pub(super) struct Redactor {
    /// The longest first, so that none is cut by a part of it.
    secrets: Vec<String>,
    /// `log.engine is one of "auto", ..., not `: what follows was in a file.
    refusals: Vec<String>,
}

impl Redactor {
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut all: Vec<String> = secrets.into_iter().flat_map(forms).collect();
        all.retain(|secret| !secret.trim().is_empty());
        all.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        all.dedup();
        let knobs = SETTINGS.iter().flat_map(|table| table.iter());
        let refusals = knobs.map(|knob| format!("{} is {}, not ", knob.key, knob.kind.allowed()));
        Self {
            secrets: all,
            refusals: refusals.collect(),
        }
    }

    pub(super) fn text(&self, text: &str, counts: &mut Counts) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut is_in_key = false;
        for line in text.split_inclusive('\n') {
            let (line, end) = match line.strip_suffix('\n') {
                Some(line) => (line, "\n"),
                None => (line, ""),
            };
            clean += &match is_key_line(line, &mut is_in_key) {
                true => {
                    counts.count(Kind::PrivateKey);
                    GONE.to_owned()
                }
                false => self.line(line, counts),
            };
            clean += end;
        }
        clean
    }

    /// Every text in it; its keys are ours.
    pub(super) fn json(&self, value: &mut Value, counts: &mut Counts) {
        match value {
            Value::String(text) => *text = self.text(text, counts),
            Value::Array(values) => {
                for value in values {
                    self.json(value, counts);
                }
            }
            Value::Object(entries) => {
                for value in entries.values_mut() {
                    self.json(value, counts);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn line(&self, line: &str, counts: &mut Counts) -> String {
        let mut line = self.refused_setting(line, counts);
        for secret in &self.secrets {
            if line.contains(secret.as_str()) {
                line = without(&line, secret, counts);
            }
        }
        let line = behind(&line, "dolmen1.", Kind::Token, counts);
        behind(&line, "digest:", Kind::Credential, counts)
    }

    /// The daemon tells whoever starts it what stands in the file; a stranger
    /// needs the place and the rule alone.
    fn refused_setting(&self, line: &str, counts: &mut Counts) -> String {
        const UNKNOWN: &str = "unknown key ";
        const BEHIND_KEY: [&str; 3] = [", did you mean ", "; here are ", ": this is counted in "];
        if let Some((before, key)) = line.split_once(UNKNOWN) {
            let ends = BEHIND_KEY.iter().filter_map(|end| key.rfind(end));
            let rest = ends.min().map_or("", |end| &key[end..]);
            counts.count(Kind::RefusedSetting);
            return format!("{before}{UNKNOWN}{GONE}{rest}");
        }
        let mut refusals = self.refusals.iter();
        let found = refusals.find_map(|words| Some(line.find(words.as_str())? + words.len()));
        match found {
            Some(end) => {
                counts.count(Kind::RefusedSetting);
                format!("{}{GONE}", &line[..end])
            }
            None => line.to_owned(),
        }
    }
}

/// As it is, and as it stands inside of quotes.
fn forms(secret: String) -> [String; 3] {
    let json = Value::from(secret.as_str()).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let debug = secret.escape_debug().to_string();
    [secret, json, debug]
}

fn without(line: &str, secret: &str, counts: &mut Counts) -> String {
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let (mut clean, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(secret) {
        let end = at + secret.len();
        let before = match at {
            0 => clean.as_bytes().last(),
            _ => rest.as_bytes().get(at - 1),
        };
        let is_inside = is_word(before) || is_word(rest.as_bytes().get(end));
        clean += &rest[..at];
        match secret.len() < SHORT && is_inside {
            true => clean += secret,
            false => {
                counts.count(Kind::Secret);
                clean += GONE;
            }
        }
        rest = &rest[end..];
    }
    clean + rest
}

/// What follows a word, up to a blank or a quote.
fn behind(line: &str, word: &str, kind: Kind, counts: &mut Counts) -> String {
    let is_end = |letter: char| letter.is_whitespace() || "\"'`<>()\\".contains(letter);
    let (mut clean, mut rest) = (String::new(), line);
    while let Some(at) = rest.find(word) {
        let end = at + word.len();
        clean += &rest[..end];
        let length = rest[end..].find(is_end).unwrap_or(rest.len() - end);
        if length > 0 {
            counts.count(kind);
            clean += GONE;
        }
        rest = &rest[end + length..];
    }
    clean + rest
}

/// From the line that begins a private key to the one that ends it.
fn is_key_line(line: &str, is_in_key: &mut bool) -> bool {
    let names_key = line.contains("PRIVATE KEY-----");
    if names_key && line.contains("-----BEGIN ") {
        *is_in_key = !line.contains("-----END ");
        return true;
    }
    let was_in_key = *is_in_key;
    if names_key {
        *is_in_key = false;
    }
    was_in_key || names_key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secrets: &[&str], text: &str, clean: &str, count: usize) {
        let redactor = Redactor::new(secrets.iter().map(|secret| secret.to_string()));
        let mut counts = Counts::default();
        assert_eq!(redactor.text(text, &mut counts), clean);
        assert_eq!(counts.all(), count, "{counts:?}");
        let mut again = Counts::default();
        assert_eq!(redactor.text(clean, &mut again), clean, "once is enough");
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        check(
            &["hunter22", "hunter22+"],
            "a hunter22+b hunter22hunter22\n",
            "a (redacted)b (redacted)(redacted)\n",
            3,
        );
        check(
            &["a\"b\\c\ndefg"],
            r#"x "a\"b\\c\ndefg""#,
            "x \"(redacted)\"",
            1,
        );
        check(&["", " "], "a b", "a b", 0);
    }

    #[test]
    fn a_short_secret_is_a_word_of_its_own() {
        check(
            &["abc"],
            "abc cabcd 'abc' abc",
            "(redacted) cabcd '(redacted)' (redacted)",
            3,
        );
    }

    #[test]
    fn tokens_and_credentials_go_by_their_form() {
        check(
            &[],
            "join dolmen1.0a.1b.2c@host:7300 now",
            "join dolmen1.(redacted) now",
            1,
        );
        check(
            &[],
            "--auth digest:super:pass \"digest:a:b\"",
            "--auth digest:(redacted) \"digest:(redacted)\"",
            2,
        );
    }

    #[test]
    fn a_private_key_goes_with_its_lines() {
        check(
            &[],
            "a\n-----BEGIN EC PRIVATE KEY-----\nMIIB\nxyz=\n-----END EC PRIVATE KEY-----\nb\n",
            "a\n(redacted)\n(redacted)\n(redacted)\n(redacted)\nb\n",
            4,
        );
        check(
            &[],
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            0,
        );
    }

    #[test]
    fn a_refused_setting_keeps_its_place_and_its_rule() {
        check(
            &[],
            "d.toml:3:1: unknown key \"my, did you mean pass\", did you mean log.core?",
            "d.toml:3:1: unknown key (redacted), did you mean log.core?",
            1,
        );
        check(
            &[],
            "d.toml:3:1: unknown key passw0rd; here are node, log",
            "d.toml:3:1: unknown key (redacted); here are node, log",
            1,
        );
        check(
            &[],
            "d.toml:4:9: log.segment_mib is a whole number of MiB from 1 to 1024, not \"passw0rd\"; leave out the quotes and the unit",
            "d.toml:4:9: log.segment_mib is a whole number of MiB from 1 to 1024, not (redacted)",
            1,
        );
    }

    #[test]
    fn every_text_of_an_object_is_looked_at() {
        let redactor = Redactor::new(["passw0rd".to_string()]);
        let mut value = serde_json::json!({"a": ["passw0rd", 1, {"b": "x passw0rd"}], "c": null});
        let mut counts = Counts::default();
        redactor.json(&mut value, &mut counts);
        assert_eq!(
            value,
            serde_json::json!({"a": [GONE, 1, {"b": "x (redacted)"}], "c": null})
        );
        assert_eq!(counts.of(Kind::Secret), 2);
    }
}
