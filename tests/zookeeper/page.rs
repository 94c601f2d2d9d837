//! The page of what is spoken says what is spoken, and nothing else.

use dolmen::ports::zookeeper::handlers::TABLE;
use dolmen::ports::zookeeper::words::Word;

#[test]
fn the_page_lists_every_operation_and_word() {
    let page = include_str!("../../docs/protocols.md");
    let section = page.split("\n## ").find(|s| s.starts_with("ZooKeeper\n"));
    let rows: Vec<&str> = section
        .expect("the page has a section for the door")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let operations = TABLE
        .iter()
        .map(|handler| format!("| `{}` | {} |", handler.name, handler.code));
    let words = Word::ALL
        .iter()
        .map(|word| format!("| `{}` | {} |", word.text(), word.says()));
    assert_eq!(rows, operations.chain(words).collect::<Vec<_>>());
}
