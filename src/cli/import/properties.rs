//! Java's properties, the form of a zoo.cfg: `key=value`, `key: value` or
//! `key value`, comments behind `#` or `!`, and lines that a backslash joins.

/// An entry, and the line that it begins on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub line: usize,
    pub key: String,
    pub value: String,
}

pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut whole = first.trim_start().to_owned();
        if whole.is_empty() || whole.starts_with(['#', '!']) {
            continue;
        }
        while is_continued(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole += next.trim_start();
        }
        let (key, value) = split(&whole);
        entries.push(Entry {
            line: number + 1,
            key: unescaped(key),
            value: unescaped(value).trim_end().to_owned(),
        });
    }
    entries
}

/// Two backslashes are one that is meant.
fn is_continued(line: &str) -> bool {
    line.len() % 2 != line.trim_end_matches('\\').len() % 2
}

/// At the first separator that no backslash hides, the blanks around it gone.
fn split(line: &str) -> (&str, &str) {
    let mut is_hidden = false;
    let end = line.find(|letter: char| {
        let ends = !is_hidden && (letter.is_whitespace() || matches!(letter, '=' | ':'));
        is_hidden = letter == '\\' && !is_hidden;
        ends
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], value.trim_start())
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = letters.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                out.push(code.and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[(usize, &str, &str)]) {
        let parsed = parse(text);
        let parsed: Vec<_> = parsed
            .iter()
            .map(|entry| (entry.line, &*entry.key, &*entry.value))
            .collect();
        assert_eq!(parsed, wanted, "{text:?}");
    }

    #[test]
    fn entries_read_as_java_reads_them() {
        check(
            "a=1\n\n# b=2\n! c\n  d : 3 \n",
            &[(1, "a", "1"), (5, "d", "3")],
        );
        check("server.1=h:1:2;3\n", &[(1, "server.1", "h:1:2;3")]);
        check("a b=c", &[(1, "a", "b=c")]);
        check("a\\ b\\=c=d\\u0041\\t.", &[(1, "a b=c", "dA\t.")]);
        check("a=b, \\\n   c\nd=e", &[(1, "a", "b, c"), (3, "d", "e")]);
        check("a=b\\\\\nc=d", &[(1, "a", "b\\"), (2, "c", "d")]);
        check("a=b\\", &[(1, "a", "b")]);
        check("alone", &[(1, "alone", "")]);
        check("# c\\\na=1", &[(2, "a", "1")]);
    }
}
