//! What `Debug` prints of a struct, as a tree that can be compared field by
//! field, whoever's struct it is.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

#[derive(Debug, PartialEq)]
pub enum Tree {
    Struct(BTreeMap<String, Tree>),
    /// A name and what is in its parentheses.
    Tuple(String, Box<Tree>),
    List(Vec<Tree>),
    /// A number, a name, or a text with its quotes.
    Leaf(String),
}

pub fn parse(text: &str) -> Tree {
    let mut rest = text.chars().peekable();
    let tree = value(&mut rest);
    assert_eq!(rest.next(), None, "behind {text}");
    tree
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Tree {
    match rest.peek() {
        Some('[') => {
            rest.next();
            let mut items = Vec::new();
            while !ends(rest, ']') {
                items.push(value(rest));
                skip(rest, ", ");
            }
            Tree::List(items)
        }
        Some('{') => Tree::Struct(fields(rest)),
        Some('"') => Tree::Leaf(quoted(rest)),
        _ => named(rest),
    }
}

fn named(rest: &mut Peekable<Chars<'_>>) -> Tree {
    let mut name = String::new();
    while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || "_-+.".contains(*next)) {
        name.push(next);
    }
    match rest.peek().copied() {
        Some('"') => Tree::Leaf(name + &quoted(rest)),
        Some('(') => {
            rest.next();
            let inner = value(rest);
            assert!(ends(rest, ')'));
            Tree::Tuple(name, Box::new(inner))
        }
        // A struct's name and its brace.
        Some(' ') if rest.clone().nth(1) == Some('{') => {
            rest.next();
            Tree::Struct(fields(rest))
        }
        _ => Tree::Leaf(name),
    }
}

fn fields(rest: &mut Peekable<Chars<'_>>) -> BTreeMap<String, Tree> {
    assert_eq!(rest.next(), Some('{'));
    let mut fields = BTreeMap::new();
    skip(rest, " ");
    while !ends(rest, '}') {
        let Tree::Leaf(name) = named(rest) else {
            panic!("a field has a name");
        };
        skip(rest, ": ");
        fields.insert(name, value(rest));
        skip(rest, ", ");
    }
    fields
}

fn quoted(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::from(rest.next().unwrap());
    loop {
        let next = rest.next().expect("a text ends");
        text.push(next);
        match next {
            '\\' => text.extend(rest.next()),
            '"' => return text,
            _ => {}
        }
    }
}

fn ends(rest: &mut Peekable<Chars<'_>>, with: char) -> bool {
    rest.next_if_eq(&with).is_some()
}

fn skip(rest: &mut Peekable<Chars<'_>>, what: &str) {
    what.chars().for_each(|skipped| {
        rest.next_if_eq(&skipped);
    });
}

#[test]
fn what_debug_prints_is_read_back() {
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Outer {
        name: Option<&'static str>,
        parts: Vec<Part>,
        none: BTreeMap<i32, i32>,
    }
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Part {
        at: i32,
    }
    let outer = Outer {
        name: Some("a \"b\", {c}"),
        parts: vec![Part { at: -1 }, Part { at: 2 }],
        none: BTreeMap::new(),
    };
    let Tree::Struct(fields) = parse(&format!("{outer:?}")) else {
        panic!("a struct");
    };
    let part = |at: &str| Tree::Struct([("at".to_owned(), Tree::Leaf(at.to_owned()))].into());
    let name = Tree::Leaf(r#""a \"b\", {c}""#.to_owned());
    assert_eq!(fields["name"], Tree::Tuple("Some".into(), Box::new(name)));
    assert_eq!(fields["parts"], Tree::List(vec![part("-1"), part("2")]));
    assert_eq!(fields["none"], Tree::Struct(BTreeMap::new()));
}
