//! Paths: which are well formed, how they part, and which are the system's.

use super::error::Error;

pub const ROOT: &str = "/";
pub const ZOOKEEPER: &str = "/zookeeper";
pub const ZOOKEEPER_CONFIG: &str = "/zookeeper/config";
pub const ZOOKEEPER_QUOTA: &str = "/zookeeper/quota";
pub const DOLMEN: &str = "/dolmen";
pub const DOLMEN_CONFIG: &str = "/dolmen/config";
pub const DOLMEN_RESTORE: &str = "/dolmen/restore";
pub const DOLMEN_NODES: &str = "/dolmen/nodes";
pub const STREAMS: &str = "/dolmen/streams";

/// ZooKeeper's rules: absolute, no empty, `.` or `..` component, none of the
/// characters that Java's clients refuse. Those beyond the basic plane are
/// among them, since Java sees them as surrogates.
pub fn check(path: &str) -> Result<(), Error> {
    if path == ROOT {
        return Ok(());
    }
    let components = path.strip_prefix('/').ok_or(Error::BadArguments)?;
    let is_named = |name: &str| !matches!(name, "" | "." | "..");
    if !components.split('/').all(is_named) || components.chars().any(is_forbidden) {
        return Err(Error::BadArguments);
    }
    Ok(())
}

fn is_forbidden(character: char) -> bool {
    matches!(
        character,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..
    )
}

/// The path of the parent, empty for the root's children, and the name.
pub fn split(path: &str) -> Result<(&str, &str), Error> {
    if path.contains('\0') {
        return Err(Error::BadArguments);
    }
    path.rsplit_once('/').ok_or(Error::BadArguments)
}

/// The path itself or one below it.
pub fn is_within(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A node that holds a setting of the cluster.
pub fn is_setting(path: &str) -> bool {
    let name = path.strip_prefix(DOLMEN_CONFIG);
    let name = name.and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| !name.contains('/'))
}

/// Nodes that ZooKeeper refuses to delete.
pub fn is_special(path: &str) -> bool {
    matches!(path, ROOT | ZOOKEEPER | ZOOKEEPER_CONFIG | ZOOKEEPER_QUOTA)
}

/// Nodes of the system that nobody deletes.
pub fn is_fixed(path: &str) -> bool {
    matches!(path, DOLMEN | DOLMEN_NODES | DOLMEN_RESTORE)
        || is_within(path, DOLMEN_CONFIG)
        || is_within(path, STREAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_as_zookeeper_does() {
        for good in [
            "/",
            "/a",
            "/a/b",
            "/a.b/..c/...",
            "/ä/日本",
            "/a b",
            "/\u{ffef}",
        ] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        let bad = [
            "",
            "a",
            "a/b",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/a\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/\u{1f600}",
        ];
        for bad in bad {
            assert_eq!(check(bad), Err(Error::BadArguments), "{bad:?}");
        }
    }

    #[test]
    fn within_ends_at_a_component() {
        assert!(is_within("/dolmen", DOLMEN));
        assert!(is_within("/dolmen/config", DOLMEN));
        assert!(!is_within("/dolmens", DOLMEN));
        assert!(is_fixed("/dolmen/config/a"));
        assert!(!is_fixed("/dolmen/nodes/1"));
        assert!(is_setting("/dolmen/config/a"));
        for other in ["/dolmen/config", "/dolmen/config/a/b", "/dolmen/configs"] {
            assert!(!is_setting(other), "{other}");
        }
    }
}
