//! Records as lines, out of a topic and into one.

use crate::cli::Failure;
use crate::streams::batch::build::HeaderList;
use crate::streams::batch::records::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The value alone
    Value,
    /// The key, a separator and the value
    KeyValue,
    /// An object of JSON
    Json,
}

/// How bytes that are no UTF-8 stand in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Binary {
    Base64,
    Hex,
}

/// How a record and a line become each other.
#[derive(Clone, Debug)]
pub struct Layout {
    pub format: Format,
    pub separator: Vec<u8>,
    /// What stands for a key or a value that is null, where the line itself
    /// does not say it.
    pub null: Option<Vec<u8>>,
    pub binary: Binary,
}

/// What people type about it; what is not typed is None.
pub struct Typed<'a> {
    pub format: Option<Format>,
    pub separator: Option<&'a str>,
    pub null: Option<&'a str>,
    pub binary: Option<Binary>,
    pub is_json: bool,
}

impl Layout {
    /// Refuses what would be typed in vain.
    pub fn of(typed: &Typed<'_>) -> Result<Self, Failure> {
        let format = match (typed.format, typed.is_json, typed.separator) {
            (None | Some(Format::Json), true, _) => Format::Json,
            (Some(_), true, _) => {
                let says = "--json is a format itself: give --json or --format";
                return Err(Failure::wrong_usage(says));
            }
            (Some(format), false, _) => format,
            (None, false, Some(_)) => Format::KeyValue,
            (None, false, None) => Format::Value,
        };
        let vain = match format {
            Format::Json if typed.null.is_some() => Some("JSON has a null of its own: no --null"),
            Format::Value | Format::Json if typed.separator.is_some() => {
                Some("--key-separator is for --format key-value")
            }
            Format::Value | Format::KeyValue if typed.binary.is_some() => {
                Some("--binary is for --format json: the others have bytes as they are")
            }
            _ => None,
        };
        if let Some(says) = vain {
            return Err(Failure::wrong_usage(says));
        }
        let separator =
            unescaped(typed.separator.unwrap_or("\\t")).map_err(Failure::wrong_usage)?;
        if separator.is_empty() {
            return Err(Failure::wrong_usage("--key-separator is empty"));
        }
        Ok(Self {
            format,
            separator,
            null: typed.null.map(|null| null.as_bytes().to_vec()),
            binary: typed.binary.unwrap_or(Binary::Base64),
        })
    }

    /// A record as a line, with its end.
    pub fn write(&self, topic: &str, partition: i32, record: &Record<'_>, out: &mut Vec<u8>) {
        let null = self.null.as_deref().unwrap_or_default();
        match self.format {
            Format::Value => out.extend_from_slice(record.value.unwrap_or(null)),
            Format::KeyValue => {
                out.extend_from_slice(record.key.unwrap_or(null));
                out.extend_from_slice(&self.separator);
                out.extend_from_slice(record.value.unwrap_or(null));
            }
            Format::Json => self.write_json(topic, partition, record, out),
        }
        out.push(b'\n');
    }

    fn write_json(&self, topic: &str, partition: i32, record: &Record<'_>, out: &mut Vec<u8>) {
        let said = |bytes| Said::of(bytes, self.binary);
        let line = Shown {
            topic,
            partition,
            offset: record.offset.0,
            timestamp: record.timestamp,
            key: record.key.map(said),
            value: record.value.map(said),
            headers: record
                .headers
                .map(|(name, value)| (said(name), value.map(said)))
                .collect(),
        };
        serde_json::to_writer(out, &line).expect("texts and numbers are JSON");
    }

    /// A line without its end as a record.
    pub fn read(&self, line: &[u8]) -> Result<Read, String> {
        match self.format {
            Format::Value => Ok(Read {
                value: self.not_null(line),
                ..Read::default()
            }),
            Format::KeyValue => {
                let found = find(line, &self.separator);
                let at = found.ok_or_else(|| {
                    let separator = String::from_utf8_lossy(&self.separator).into_owned();
                    format!("it has no key: there is no {separator:?} in it")
                })?;
                Ok(Read {
                    key: self.not_null(&line[..at]),
                    value: self.not_null(&line[at + self.separator.len()..]),
                    ..Read::default()
                })
            }
            Format::Json => read_json(line),
        }
    }

    fn not_null(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let is_null = self.null.as_deref() == Some(bytes);
        (!is_null).then(|| bytes.to_vec())
    }
}

/// A record as a line says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
    pub timestamp: Option<i64>,
}

#[derive(Serialize)]
struct Shown<'a> {
    topic: &'a str,
    partition: i32,
    offset: u64,
    timestamp: i64,
    key: Option<Said<'a>>,
    value: Option<Said<'a>>,
    headers: Vec<(Said<'a>, Option<Said<'a>>)>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Text(&'a str),
    Base64 { base64: String },
    Hex { hex: String },
}

impl<'a> Said<'a> {
    fn of(bytes: &'a [u8], binary: Binary) -> Self {
        match (std::str::from_utf8(bytes), binary) {
            (Ok(text), _) => Self::Text(text),
            (Err(_), Binary::Base64) => Self::Base64 {
                base64: STANDARD.encode(bytes),
            },
            (Err(_), Binary::Hex) => Self::Hex {
                hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }
}

/// What `Shown` says, where only the record itself is needed. Where it came
/// from is not where it goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(rename = "topic")]
    _topic: Option<serde::de::IgnoredAny>,
    #[serde(rename = "partition")]
    _partition: Option<serde::de::IgnoredAny>,
    #[serde(rename = "offset")]
    _offset: Option<serde::de::IgnoredAny>,
    timestamp: Option<i64>,
    #[serde(default)]
    key: Option<GivenBytes>,
    #[serde(default)]
    value: Option<GivenBytes>,
    #[serde(default)]
    headers: Vec<(GivenBytes, Option<GivenBytes>)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GivenBytes {
    Text(String),
    Base64 { base64: String },
    Hex { hex: String },
}

impl GivenBytes {
    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Base64 { base64 } => {
                let decoded = STANDARD.decode(&base64);
                decoded.map_err(|error| format!("{base64:?} is no base64: {error}"))
            }
            Self::Hex { hex } => from_hex(&hex).ok_or_else(|| format!("{hex:?} is no hex")),
        }
    }
}

fn read_json(line: &[u8]) -> Result<Read, String> {
    let given: Given =
        serde_json::from_slice(line).map_err(|error| format!("it is no record: {error}"))?;
    let mut headers = HeaderList::default();
    for (name, value) in given.headers {
        let value = value.map(GivenBytes::bytes).transpose()?;
        headers.add(&name.bytes()?, value.as_deref());
    }
    Ok(Read {
        key: given.key.map(GivenBytes::bytes).transpose()?,
        value: given.value.map(GivenBytes::bytes).transpose()?,
        headers,
        timestamp: given.timestamp,
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

fn find(line: &[u8], separator: &[u8]) -> Option<usize> {
    line.windows(separator.len())
        .position(|window| window == separator)
}

/// `\t`, `\0` and `\\` are what a shell makes hard to type.
fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        let letter = match letter {
            '\\' => match rest.next() {
                Some('t') => '\t',
                Some('0') => '\0',
                Some('\\') => '\\',
                _ => {
                    return Err(format!(
                        "{text}: a backslash is followed by t, 0 or another"
                    ));
                }
            },
            letter => letter,
        };
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Offset;

    const NOTHING: Typed<'_> = Typed {
        format: None,
        separator: None,
        null: None,
        binary: None,
        is_json: false,
    };

    fn layout(format: Format) -> Layout {
        let format = Some(format);
        Layout::of(&Typed { format, ..NOTHING }).unwrap()
    }

    /// The line of a record, without its end.
    fn line(layout: &Layout, key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let mut headers = HeaderList::default();
        headers.add(b"from", Some(b"mill"));
        headers.add(b"bare", None);
        let record = Record {
            offset: Offset(17),
            timestamp: 1_790_000_000_000,
            key,
            value,
            headers: headers.view(),
        };
        let mut out = Vec::new();
        layout.write("orders", 3, &record, &mut out);
        assert_eq!(out.pop(), Some(b'\n'));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_a_line_of_each_format() {
        let (key, value) = (Some(&b"k"[..]), Some(&b"v"[..]));
        assert_eq!(line(&layout(Format::Value), key, value), "v");
        assert_eq!(line(&layout(Format::KeyValue), key, value), "k\tv");
        assert_eq!(
            line(&layout(Format::Json), key, value),
            "{\"topic\":\"orders\",\"partition\":3,\"offset\":17,\"timestamp\":1790000000000,\
             \"key\":\"k\",\"value\":\"v\",\"headers\":[[\"from\",\"mill\"],[\"bare\",null]]}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_say_what_they_are() {
        let mut layout = layout(Format::Json);
        let bytes = Some(&b"\x00\xff\x10"[..]);
        assert!(
            line(&layout, None, bytes).contains("\"key\":null,\"value\":{\"base64\":\"AP8Q\"}")
        );
        layout.binary = Binary::Hex;
        assert!(line(&layout, None, bytes).contains("\"value\":{\"hex\":\"00ff10\"}"));
    }

    #[test]
    fn null_is_what_was_typed_for_it() {
        let typed = Typed {
            null: Some("NONE"),
            separator: Some(":"),
            ..NOTHING
        };
        let layout = Layout::of(&typed).unwrap();
        assert_eq!(line(&layout, None, Some(b"v")), "NONE:v");
        let read = layout.read(b"k:NONE").unwrap();
        assert_eq!((read.key, read.value), (Some(b"k".to_vec()), None));
        let read = layout.read(b"NONE:NONE ").unwrap();
        assert_eq!((read.key, read.value), (None, Some(b"NONE ".to_vec())));
        let plain = super::tests::layout(Format::Value);
        assert_eq!(plain.read(b"").unwrap().value, Some(vec![]));
    }

    #[test]
    fn a_key_ends_at_the_first_separator() {
        let layout = layout(Format::KeyValue);
        let read = layout.read(b"a\tb\tc").unwrap();
        assert_eq!(
            (&*read.key.unwrap(), &*read.value.unwrap()),
            (&b"a"[..], &b"b\tc"[..])
        );
        let why = layout.read(b"abc").unwrap_err();
        assert_eq!(why, "it has no key: there is no \"\\t\" in it");
    }

    #[test]
    fn what_is_written_as_json_reads_as_the_same_record() {
        let layout = layout(Format::Json);
        for bytes in [
            None,
            Some(&b""[..]),
            Some(b"null"),
            Some(b"\xff\xfe"),
            Some("ü\n\"".as_bytes()),
        ] {
            let read = layout.read(line(&layout, bytes, bytes).as_bytes()).unwrap();
            assert_eq!((read.key.as_deref(), read.value.as_deref()), (bytes, bytes));
            assert_eq!(read.timestamp, Some(1_790_000_000_000));
            let headers: Vec<_> = read.headers.view().collect();
            assert_eq!(
                headers,
                [(&b"from"[..], Some(&b"mill"[..])), (b"bare", None)]
            );
        }
    }

    #[test]
    fn json_that_is_no_record_is_refused() {
        let layout = layout(Format::Json);
        assert_eq!(layout.read(b"{}").unwrap(), Read::default());
        for (line, says) in [
            ("", "no record"),
            ("17", "no record"),
            ("{\"vlaue\":\"v\"}", "unknown field"),
            ("{\"value\":17}", "no record"),
            ("{\"value\":{\"base64\":\"?\"}}", "no base64"),
            ("{\"value\":{\"hex\":\"abc\"}}", "no hex"),
            ("{\"value\":{\"hex\":\"zz\"}}", "no hex"),
            ("{\"headers\":{\"a\":\"b\"}}", "no record"),
        ] {
            let why = layout.read(line.as_bytes()).unwrap_err();
            assert!(why.contains(says), "{line}: {why}");
        }
    }

    #[test]
    fn what_is_typed_in_vain_is_refused() {
        let refused = |typed: Typed<'_>| Layout::of(&typed).unwrap_err().message;
        let json = Some(Format::Json);
        let value = Some(Format::Value);
        assert!(
            refused(Typed {
                format: json,
                null: Some("n"),
                ..NOTHING
            })
            .contains("--null")
        );
        assert!(
            refused(Typed {
                format: value,
                separator: Some(":"),
                ..NOTHING
            })
            .contains("key-value")
        );
        assert!(
            refused(Typed {
                binary: Some(Binary::Hex),
                ..NOTHING
            })
            .contains("--binary")
        );
        assert!(
            refused(Typed {
                format: value,
                is_json: true,
                ..NOTHING
            })
            .contains("--json")
        );
        assert!(
            refused(Typed {
                separator: Some(""),
                ..NOTHING
            })
            .contains("empty")
        );
        assert!(
            refused(Typed {
                separator: Some("\\n"),
                ..NOTHING
            })
            .contains("backslash")
        );
        let typed = Typed {
            separator: Some("\\\\\\0:"),
            ..NOTHING
        };
        assert_eq!(Layout::of(&typed).unwrap().separator, b"\\\0:");
    }
}
