//! A key or a section that stands in a file twice: where it stands first.
//!
//! The parser says where the second one is. A settings file that has all its
//! sections is often appended to, so the first is what its owner looks for.

use toml::de::{DeTable, DeValue};

/// What is there twice, as its parser found it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Twice {
    /// From the top, in parts.
    pub path: Vec<String>,
    pub is_section: bool,
    /// Where the first begins, in bytes.
    pub first_at: usize,
}

/// Looks for what begins a second time at `at`. None where the text up to
/// there is not to be had by itself.
pub(super) fn first_of(text: &str, at: usize) -> Option<Twice> {
    let line_at = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text[line_at..].lines().next()?;
    let before = &text[..line_at];
    let is_section = is_header(line);
    let mut path = match before.lines().rev().find(|line| is_header(line)) {
        Some(header) if !is_section => keys(header, None)?,
        _ => Vec::new(),
    };
    path.extend(keys(line, Some(at - line_at))?);

    let table = DeTable::parse(before).ok()?;
    let (mut table, mut first_at) = (Some(table.get_ref()), None);
    for part in &path {
        let (name, value) = table?.get_key_value(part.as_str())?;
        first_at = Some(name.span().start);
        table = as_table(value.get_ref());
    }
    Some(Twice {
        path,
        is_section,
        first_at: first_at?,
    })
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The parts of a line's key, up to the one that begins at `at`; all of a
/// section's without it.
fn keys(line: &str, at: Option<usize>) -> Option<Vec<String>> {
    let parsed = DeTable::parse(line).ok()?;
    let mut table = Some(parsed.get_ref());
    let mut keys = Vec::new();
    while let Some((name, value)) = table.and_then(|table| table.iter().next()) {
        keys.push(name.get_ref().to_string());
        if at == Some(name.span().start) {
            return Some(keys);
        }
        table = as_table(value.get_ref());
    }
    at.is_none().then_some(keys)
}

fn as_table<'a, 'i>(value: &'a DeValue<'i>) -> Option<&'a DeTable<'i>> {
    match value {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, second: &str) -> Option<(String, bool, usize)> {
        let at = text.rfind(second).unwrap();
        let twice = first_of(text, at)?;
        let line = text[..twice.first_at].matches('\n').count() + 1;
        Some((twice.path.join("."), twice.is_section, line))
    }

    #[test]
    fn the_first_is_found_by_its_whole_key() {
        for (text, second, expected) in [
            ("a = 1\na = 2", "a", ("a", false, 1)),
            ("[l]\na = 1\n[m]\na = 1\na = 2", "a", ("m.a", false, 4)),
            ("[l]\na = 1\n[m]\n[l]\n", "l", ("l", true, 1)),
            ("\n[d.z]\na = 1\n[d.z] # again", "z]", ("d.z", true, 2)),
            ("[d]\nz.a = 1\nz.a = 2", "a = 2", ("d.z.a", false, 2)),
            ("[d]\n\"z\" = 1\nz = 2", "z = 2", ("d.z", false, 2)),
        ] {
            let (path, is_section, line) = expected;
            let expected = Some((path.to_string(), is_section, line));
            assert_eq!(found(text, second), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        // The second stands in the middle of a value.
        assert_eq!(found("a = { b = 1,\n b = 2 }", "b"), None);
        assert_eq!(first_of("a = 1", 9), None);
        // Half a letter.
        assert_eq!(first_of("ä", 1), None);
    }
}
