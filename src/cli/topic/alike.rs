//! Names that somebody may have meant.

use crate::limits::CLI_ALIKE_MAX;

/// Those of the names that are much like the one that was typed, the nearest
/// first.
pub fn alike<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| Some((distance(typed, name)?, name)))
        .collect();
    near.sort();
    near.truncate(CLI_ALIKE_MAX);
    near.into_iter().map(|(_, name)| name).collect()
}

/// How far two names are apart, whatever the case of their letters. None where
/// nobody would mistake one for the other.
fn distance(typed: &str, name: &str) -> Option<usize> {
    let [a, b] = [typed, name].map(|text| text.to_lowercase().into_bytes());
    let longest = a.len().max(b.len());
    let apart = edits(&a, &b);
    let is_part = a.len() >= 3 && name.to_lowercase().contains(&typed.to_lowercase());
    // A third of the letters, and one at the least.
    let is_near = apart <= (longest / 3).clamp(1, 4);
    (is_near || is_part).then_some(apart)
}

/// Letters to put in, take out or exchange, also with their neighbour.
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (row[j] + usize::from(x != y)).min(row[j + 1] + 1);
            least = least.min(next[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(above[j - 1] + 1);
            }
            next.push(least);
        }
        above = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["orders", "order", "orders.dead", "invoices", "a"];
        let check = |typed: &str, expected: &[&str]| {
            assert_eq!(alike(typed, names.into_iter()), expected, "{typed}");
        };
        check("ordres", &["orders", "order"]);
        check("Orders", &["orders", "order", "orders.dead"]);
        check("dead", &["orders.dead"]);
        check("invoice", &["invoices"]);
        check("b", &["a"]);
        check("temperatures", &[]);
    }

    #[test]
    fn neighbours_exchanged_are_one_edit() {
        for (a, b, apart) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("abc", "abcd", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(a.as_bytes(), b.as_bytes()), apart, "{a} {b}");
            assert_eq!(edits(b.as_bytes(), a.as_bytes()), apart, "{b} {a}");
        }
    }
}
