//! Standing in line: the recipe behind locks and elections. Each has an
//! ephemeral znode with a number and watches the one right before its own, so
//! that whoever goes wakes one and not all. The demo stands in one itself, for
//! its root.

use super::super::client::Trouble;
use super::stage::{Actor, Kind, Unmet};
use crate::ids::Zxid;
use crate::ports::zookeeper::errors;

pub struct Place {
    pub path: Box<str>,
    /// The zxid of its creation: who stands further back has a greater one,
    /// which makes it a fencing token.
    pub token: Zxid,
}

impl Place {
    /// A new place at the end of the line, told by `name`.
    pub fn take(
        session: &mut Actor,
        folder: &str,
        prefix: &str,
        name: &str,
    ) -> Result<Self, Unmet> {
        let path = format!("{folder}/{prefix}");
        let path = session.create(&path, name, Kind::EphemeralNumbered)?;
        let token = session.stat(&path)?.created_zxid;
        Ok(Self { path, token })
    }

    pub fn name(&self) -> &str {
        name(&self.path)
    }

    /// The path of the place before this one, watched; None at the head.
    pub fn watch_before(&self, session: &mut Actor) -> Result<Option<String>, Unmet> {
        let folder = &self.path[..self.path.len() - self.name().len() - 1];
        loop {
            let names = session.children(folder)?;
            if !names.iter().any(|one| **one == *self.name()) {
                let gone = Trouble::Refused(errors::NO_NODE);
                return Err(Unmet::question(&self.path, gone));
            }
            let Some(before) = nearest_before(&names, self.name()) else {
                return Ok(None);
            };
            let before = format!("{folder}/{before}");
            // One that has gone in between leaves the question open.
            if session.exists_and_watch(&before)? {
                return Ok(Some(before));
            }
        }
    }
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Of those with the same prefix: numbers have a fixed width, so they are in
/// the order of their text.
fn nearest_before<'a>(names: &'a [Box<str>], own: &str) -> Option<&'a str> {
    let prefix = own.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let in_line = names.iter().filter(|name| name.starts_with(prefix));
    let before = in_line.filter(|name| ***name < *own);
    before.max().map(|name| &**name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_looks_at_the_one_right_before_it() {
        let names = ["n-0000000009", "n-0000000002", "n-0000000010", "mine", "a"];
        let names = names.map(Box::from);
        let before = |own| nearest_before(&names, own);
        assert_eq!(before("n-0000000010"), Some("n-0000000009"));
        assert_eq!(before("n-0000000009"), Some("n-0000000002"));
        assert_eq!(before("n-0000000002"), None);
        assert_eq!(name("/a/b"), "b");
    }
}
