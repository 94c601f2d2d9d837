//! Znodes for people and for programs.

use super::super::table::Table;
use crate::clock::Millis;
use crate::state::{Acl, AclEntry, Data, Identity, Permissions, Stat};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub fn stat_for_programs(stat: &Stat) -> Value {
    json!({
        "czxid": hex(stat.created_zxid.0),
        "mzxid": hex(stat.modified_zxid.0),
        "pzxid": hex(stat.children_zxid.0),
        "ctime_ms": stat.created.0,
        "mtime_ms": stat.modified.0,
        "version": stat.version,
        "cversion": stat.children_version,
        "aversion": stat.acl_version,
        "ephemeral_owner": hex(stat.owner),
        "data_length": stat.data_length,
        "children": stat.children,
    })
}

pub fn stat_for_people(stat: &Stat) -> Table {
    let mut table = Table::default();
    let moment = |zxid: u64, at: Millis| format!("{at}, zxid {}", hex(zxid));
    table.row(["created", &moment(stat.created_zxid.0, stat.created)]);
    table.row(["modified", &moment(stat.modified_zxid.0, stat.modified)]);
    table.row(["version", &stat.version.to_string()]);
    table.row(["data", &format!("{} bytes", stat.data_length)]);
    let children = format!(
        "{}, version {}, last change at zxid {}",
        stat.children,
        stat.children_version,
        hex(stat.children_zxid.0)
    );
    table.row(["children", &children]);
    table.row(["acl version", &stat.acl_version.to_string()]);
    if stat.owner != 0 {
        table.row(["ephemeral of", &hex(stat.owner)]);
    }
    table
}

pub fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// Text where it is one, and bytes in any case; null twice for a node that
/// holds nothing.
pub fn data_for_programs(data: &Data) -> Value {
    let bytes = data.bytes();
    json!({
        "data": bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()),
        "data_base64": bytes.map(|bytes| STANDARD.encode(bytes)),
    })
}

/// Text that a terminal can take; None for anything else.
pub fn printable(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    let is_shown = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t' | '\r');
    text.chars().all(is_shown).then_some(text)
}

/// Letters in the order that zkCli writes them.
const LETTERS: [(char, Permissions); 5] = [
    ('c', Permissions::CREATE),
    ('d', Permissions::DELETE),
    ('r', Permissions::READ),
    ('w', Permissions::WRITE),
    ('a', Permissions::ADMIN),
];

/// `scheme:id:cdrwa`, as `entry` reads it.
pub fn acl_entry(entry: &AclEntry) -> String {
    let letters = LETTERS
        .iter()
        .filter(|(_, permission)| entry.permissions.has(*permission));
    let letters: String = letters.map(|(letter, _)| letter).collect();
    format!("{}:{}:{letters}", entry.who.scheme, entry.who.id)
}

pub fn acl_for_programs(acl: &Acl) -> Value {
    let entries = acl.iter().map(|entry| {
        json!({
            "scheme": entry.who.scheme,
            "id": entry.who.id,
            "permissions": acl_entry(entry).rsplit(':').next(),
        })
    });
    entries.collect()
}

/// The id may hold colons, the permissions do not.
pub fn entry(text: &str) -> Result<AclEntry, String> {
    let form = "write it as scheme:id:permissions, for instance world:anyone:cdrwa or auth::cdrwa";
    let (scheme, rest) = text.split_once(':').ok_or(form)?;
    let (id, letters) = rest.rsplit_once(':').ok_or(form)?;
    let mut bits = 0;
    for letter in letters.chars() {
        let known = LETTERS.iter().find(|(known, _)| *known == letter);
        let (_, permission) =
            known.ok_or_else(|| format!("{letter:?} is none of the permissions c d r w a"))?;
        bits |= permission.0;
    }
    match bits {
        0 => Err(form.into()),
        _ => Ok(AclEntry {
            permissions: Permissions(bits),
            who: Identity::new(scheme, id),
        }),
    }
}

/// What a node is given where nobody says otherwise.
pub fn open_to_all() -> Acl {
    vec![AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Zxid;

    #[test]
    fn an_access_list_is_written_as_it_is_read() {
        for text in [
            "world:anyone:cdrwa",
            "digest:ann:h=:rw",
            "ip:10.0.0.0/8:r",
            "auth::a",
        ] {
            assert_eq!(acl_entry(&entry(text).unwrap()), text);
        }
        assert_eq!(
            entry("world:anyone:rc").map(|entry| entry.permissions.0),
            Ok(5)
        );
        for bad in ["world", "world:anyone", "world:anyone:", "world:anyone:x"] {
            assert!(entry(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_would_upset_a_terminal_is_not_printable() {
        assert_eq!(printable(b"a\tb\n"), Some("a\tb\n"));
        assert_eq!(printable("é".as_bytes()), Some("é"));
        assert_eq!(printable(b"\x1b[2J"), None);
        assert_eq!(printable(&[0xff]), None);
    }

    #[test]
    fn figures_read_as_sentences() {
        let stat = Stat {
            created_zxid: Zxid(0x1_0000_0002),
            modified_zxid: Zxid(0x1_0000_0003),
            created: Millis(0),
            modified: Millis(86_400_000),
            version: 1,
            children_version: 4,
            data_length: 5,
            children: 2,
            children_zxid: Zxid(0x1_0000_0009),
            ..Stat::default()
        };
        let shown = "created      1970-01-01T00:00:00Z, zxid 0x100000002\n\
                     modified     1970-01-02T00:00:00Z, zxid 0x100000003\n\
                     version      1\n\
                     data         5 bytes\n\
                     children     2, version 4, last change at zxid 0x100000009\n\
                     acl version  0\n";
        assert_eq!(stat_for_people(&stat).to_string(), shown);
        assert_eq!(stat_for_programs(&stat)["czxid"], "0x100000002");
    }
}
