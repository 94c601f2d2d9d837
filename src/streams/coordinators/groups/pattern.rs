//! Patterns by which members of KIP-848 subscribe to topics: Kafka's are those
//! of RE2, and these are near to them. Names of topics are ASCII, so classes of
//! Unicode are refused. Time and memory are bounded by the pattern's length,
//! whatever it says.

use crate::limits::{GROUP_NAME_BYTES_MAX, GROUP_PATTERN_BYTES_MAX};
use regex::bytes::{Regex, RegexBuilder};
use std::fmt;

#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is no pattern: for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAPattern(Box<str>);

impl fmt::Display for NotAPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, NotAPattern> {
        if text.len() > GROUP_NAME_BYTES_MAX {
            let why = format!("a pattern has at most {GROUP_NAME_BYTES_MAX} bytes");
            return Err(NotAPattern(why.into()));
        }
        let text = unquoted(text);
        // By itself first: "a)(b" is none, whatever stands around it.
        compiled(&text)?;
        compiled(&format!("\\A(?:{text})\\z")).map(Self)
    }

    /// Whether it matches the name from its beginning to its end.
    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic.as_bytes())
    }
}

fn compiled(text: &str) -> Result<Regex, NotAPattern> {
    let built = RegexBuilder::new(text)
        .unicode(false)
        .size_limit(GROUP_PATTERN_BYTES_MAX)
        .build();
    built.map_err(|why| NotAPattern(why.to_string().into()))
}

/// RE2 takes what stands between \Q and \E, or the end, as it is.
fn unquoted(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        if let Some(quoted) = from.strip_prefix("\\Q") {
            let (inside, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex::escape(inside));
            rest = behind;
        } else {
            let escape = from.chars().take(2).map(char::len_utf8).sum();
            plain.push_str(&from[..escape]);
            rest = &from[escape..];
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, matched, not) in [
            ("orders", &["orders"][..], &["orders-eu", "my-orders"][..]),
            ("a|ab", &["a", "ab"], &["abc", "b"]),
            ("(?i)ORD.*", &["orders", "Ord"], &["xord"]),
            (r"^[a-z]+\.\d{2}$", &["eu.12"], &["eu.1", "eu.123", "EU.12"]),
            (r"\w+", &["a_1"], &["a-1", ""]),
            (r"(?P<site>[^-]+)-(?:in|out)", &["k-in"], &["k-on", "-in"]),
            ("(?m)^a$", &["a"], &["a\nb"]),
            ("", &[""], &["a"]),
            (r"\Qa.b\E.", &["a.bc"], &["axbc", "a.b"]),
            (r"\Qa.b", &["a.b"], &["axb"]),
            (r"\\Qx", &[r"\Qx"], &["x"]),
            (r"\pL", &[], &["x"]),
        ] {
            let Ok(parsed) = Pattern::parse(pattern) else {
                assert!(matched.is_empty(), "{pattern}");
                continue;
            };
            assert!(matched.iter().all(|it| parsed.matches(it)), "{pattern}");
            assert!(!not.iter().any(|it| parsed.matches(it)), "{pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_says_why() {
        let long = "a".repeat(GROUP_NAME_BYTES_MAX + 1);
        let wide = "(a{1000}){1000}";
        for bad in [
            "(", "a)(b", "[z-a]", r"(a)\1", "(?=a)", "*", "\\", &long, wide,
        ] {
            let why = Pattern::parse(bad).expect_err(bad);
            assert!(!why.to_string().is_empty(), "{bad}");
        }
    }
}
