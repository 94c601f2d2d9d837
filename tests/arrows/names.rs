//! What a source file names: every path in its code, made absolute. A small
//! tokenizer, not a parser: comments and literals are gone, `use` trees are
//! flattened, `self`, `super` and names brought in by `use` are resolved.

use std::collections::HashMap;

/// A path in a file's code, `crate` or a package first.
#[derive(Debug, PartialEq, Eq)]
pub struct Name {
    pub path: Vec<String>,
    pub line: usize,
    /// Everything below the path, by `*`, or by giving a folder another name.
    pub is_all: bool,
}

/// The paths of one file and the lines that say `unsafe`.
#[derive(Debug, Default)]
pub struct Names {
    pub paths: Vec<Name>,
    pub unsafe_lines: Vec<usize>,
    /// `mod x;` and `mod x {`, outermost only.
    pub modules: Vec<(String, usize)>,
}

/// Reads a file of `src/`. `file` says which module it is.
pub fn read(file: &str, source: &str) -> Names {
    let tokens = tokens(source);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        module: module_of(file),
        aliases: HashMap::new(),
        names: Names::default(),
    };
    // Twice: a `use` may stand below the code that needs it.
    reader.walk();
    reader.names = Names::default();
    reader.at = 0;
    reader.module = module_of(file);
    reader.walk();
    reader.names
}

/// `src/log/format.rs` is the module `log::format`.
fn module_of(file: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut parts: Vec<String> = inside.split('/').map(String::from).collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    /// The module that `at` is in.
    module: Vec<String>,
    /// Local names and the absolute paths that `use` gave them.
    aliases: HashMap<String, Vec<String>>,
    names: Names,
}

impl Reader<'_> {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |t| t.text)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |t| t.line)
    }

    fn walk(&mut self) {
        let outermost = self.module.len();
        // For each inline module, the depth of braces that it ends at.
        let mut ends = Vec::new();
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match (self.text(0), self.text(1), self.text(2)) {
                ("{", ..) => depth += 1,
                ("}", ..) => {
                    depth -= 1;
                    if ends.last() == Some(&depth) {
                        ends.pop();
                        self.module.pop();
                    }
                }
                ("mod", name, "{" | ";") if is_word(name) => {
                    if self.module.len() == outermost {
                        let module = (name.to_owned(), self.line());
                        self.names.modules.push(module);
                    }
                    if self.text(2) == "{" {
                        self.module.push(self.text(1).to_owned());
                        ends.push(depth);
                        depth += 1;
                        self.at += 2;
                    }
                }
                // `use<'a>` captures lifetimes and names nobody.
                ("use", "<", _) => {}
                ("use", ..) => {
                    self.at += 1;
                    self.use_tree(&[]);
                    continue;
                }
                ("extern", "crate", package) => {
                    let path = vec![package.to_owned()];
                    self.push(path, self.line(), false);
                }
                ("unsafe", ..) => self.names.unsafe_lines.push(self.line()),
                ("planted", "!", _) => {
                    let path = vec!["crate".to_owned(), "planted".to_owned()];
                    self.push(path, self.line(), false);
                }
                (word, "::", _) if is_word(word) && !self.continues_a_path() => {
                    self.code_path();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Whether what stands before `at` is `a::` or `<T>::`. A leading `::`, as
    /// in `::tokio::spawn`, begins a path.
    fn continues_a_path(&self) -> bool {
        let before = |count| match self.at.checked_sub(count) {
            Some(at) => self.tokens[at].text,
            None => "",
        };
        before(1) == "::" && (is_word(before(2)) || before(2) == ">")
    }

    fn code_path(&mut self) {
        let line = self.line();
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && is_word(self.text(1)) {
            path.push(self.text(1).to_owned());
            self.at += 2;
        }
        // One word before `::<T>` is a function or a type, no path.
        if path.len() > 1 {
            let path = self.absolute(path);
            self.push(path, line, false);
        }
    }

    /// Reads one tree of a `use`, which ends before `,`, `}` or `;`.
    fn use_tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.line();
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.use_tree(&path);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    let path = self.absolute(path);
                    return self.push(path, line, true);
                }
                word if is_word(word) && word != "as" => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let path = self.absolute(path);
        let mut alias = path.last().cloned();
        if self.text(0) == "as" {
            alias = Some(self.text(1).to_owned());
            self.at += 2;
        }
        if let Some(alias) = alias {
            self.aliases.insert(alias, path.clone());
        }
        // The root under another name could be used to name anyone.
        let is_all = path == ["crate"];
        self.push(path, line, is_all);
        if !matches!(self.text(0), "," | "}" | ";") {
            self.at += 1; // Not a `use` we know; never stand still.
        }
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let here = || [vec!["crate".to_owned()], self.module.clone()].concat();
        let mut whole = match path.first().map(String::as_str) {
            Some("crate" | "dolmen") => vec!["crate".to_owned()],
            Some("self") => here(),
            Some("super") => {
                let mut above = here();
                above.truncate((above.len() - 1).max(1));
                above
            }
            Some(first) => match self.aliases.get(first) {
                Some(known) => known.clone(),
                None => vec![first.to_owned()],
            },
            None => Vec::new(),
        };
        for part in path.into_iter().skip(1) {
            if part == "super" {
                whole.truncate((whole.len() - 1).max(1));
            } else {
                whole.push(part);
            }
        }
        whole
    }

    fn push(&mut self, path: Vec<String>, line: usize, is_all: bool) {
        self.names.paths.push(Name { path, line, is_all });
    }
}

#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    /// A word, `::` or one other character; a literal is "0", a lifetime "'".
    text: &'a str,
    line: usize,
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, text) = token(rest, first);
        if let Some(text) = text {
            tokens.push(Token { text, line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// How long the next token is, and what it says, where it says anything.
fn token(rest: &str, first: char) -> (usize, Option<&str>) {
    if first.is_whitespace() {
        (first.len_utf8(), None)
    } else if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), None)
    } else if rest.starts_with("/*") {
        (block_comment(rest), None)
    } else if let Some(length) = literal(rest) {
        (length, Some("0"))
    } else if first == '\'' {
        (1 + word_length(&rest[1..]), Some("'"))
    } else if let Some(raw) = rest.strip_prefix("r#").filter(|raw| is_word(raw)) {
        let length = word_length(raw);
        (2 + length, Some(&raw[..length]))
    } else if is_word(rest) {
        let length = word_length(rest);
        (length, Some(&rest[..length]))
    } else if first.is_ascii_digit() {
        (word_length(rest), Some("0"))
    } else if rest.starts_with("::") {
        (2, Some("::"))
    } else {
        let length = first.len_utf8();
        (length, Some(&rest[..length]))
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a string, byte string, C string, their raw forms, or a
/// character. None for anything else, a lifetime among it.
fn literal(text: &str) -> Option<usize> {
    let prefix = text.bytes().take_while(|b| b"bcr".contains(b)).count();
    let (kind, tail) = text.split_at(prefix);
    match kind {
        "r" | "br" | "cr" => raw_string(tail).map(|length| prefix + length),
        "" | "b" | "c" if tail.starts_with('"') => Some(prefix + quoted(tail, b'"')),
        "" | "b" if tail.starts_with('\'') => {
            let mut inside = tail[1..].chars();
            let is_character = match inside.next()? {
                '\\' => true,
                _ => inside.next() == Some('\''),
            };
            is_character.then(|| prefix + quoted(tail, b'\''))
        }
        _ => None,
    }
}

fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.bytes().take_while(|&b| b == b'#').count();
    let inside = text[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", &text[..hashes]);
    let length = inside.find(&close)? + close.len();
    Some(hashes + 1 + length)
}

fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of a source that stands in src/log/format.rs, one a line.
    fn check(source: &str, expected: &[&str]) {
        let names = read("src/log/format.rs", source);
        let paths: Vec<String> = names
            .paths
            .iter()
            .map(|name| {
                let all = if name.is_all { "::*" } else { "" };
                format!("{}{all}", name.path.join("::"))
            })
            .collect();
        assert_eq!(paths, expected, "in {source}");
    }

    #[test]
    fn comments_and_literals_say_nothing() {
        check("// a::b\n/* a::b /* a::b */ a::b */ /// a::b\n", &[]);
        check(
            r##"f("a::b", "\"a::b", b"a::b", c"a::b", r#"" a::b "#)"##,
            &[],
        );
        check(
            "f('\"', a::b, '\\'', b'\\\\', c::d, '\"')",
            &["a::b", "c::d"],
        );
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        check("fn f<'a>(x: &'a a::B, y: &'a c::D) {}", &["a::B", "c::D"]);
        check("'outer: loop { break 'outer } a::b", &["a::b"]);
    }

    #[test]
    fn a_use_tree_is_flattened() {
        check(
            "use crate::{a, b::{self, c as d}, e::*}; pub(crate) use ::x::y;",
            &["crate::a", "crate::b", "crate::b::c", "crate::e::*", "x::y"],
        );
        check("use crate as all; use crate::*;", &["crate::*", "crate::*"]);
        check("fn f() -> impl use<'_> + a::B {}", &["a::B"]);
    }

    #[test]
    fn a_relative_path_is_resolved() {
        check("super::index::find", &["crate::log::index::find"]);
        check("use super::super::disk;", &["crate::disk"]);
        check("use self::deep::x;", &["crate::log::format::deep::x"]);
        check(
            "mod tests { use super::*; fn f() { super::super::x::y() } } super::z::w",
            &[
                "crate::log::format::*",
                "crate::log::x::y",
                "crate::log::z::w",
            ],
        );
    }

    #[test]
    fn a_name_brought_in_by_use_is_followed() {
        check(
            "fn f() { time::Instant::now() } use std::time;",
            &["std::time::Instant::now", "std::time"],
        );
        check("use std as s; s::fs::read", &["std", "std::fs::read"]);
    }

    #[test]
    fn a_path_begins_where_it_begins() {
        check("<T as a::B>::c::d()", &["a::B"]);
        check("::tokio::spawn", &["tokio::spawn"]);
        check("x.y::<a::B>()", &["a::B"]);
        check(
            "extern crate q; if planted!(X) {}",
            &["q", "crate::planted"],
        );
        check("r#type::b", &["type::b"]);
        check("0..a::B; 1.5e3; 0xffu8", &["a::B"]);
    }

    #[test]
    fn a_line_is_counted_through_strings_and_comments() {
        let names = read("src/log/mod.rs", "/*\n*/ \"\n\n\"\n; unsafe {}\na::b");
        assert_eq!(names.unsafe_lines, [5]);
        assert_eq!(names.paths[0].line, 6);
    }
}
