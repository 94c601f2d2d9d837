//! Field by field and byte by byte as the referee, at every version.

use super::debug_tree::{Tree, parse};
use super::pairs::{self, Side};
use super::twin::Twin;
use crate::entropy::Seeded;
use crate::ports::kafka::messages::shape::{Field, Kind, Record};
use crate::ports::kafka::messages::{APIS, ErrorCode, NEVER, Unsaid, Uuid};
use bytes::Bytes;

const SEED: u64 = 4;
const MESSAGES_PER_VERSION: usize = 30;

/// Fields of a version that is not stable: the referee has them in no version.
const THEIRS_ALONE: [(&str, &str); 4] = [
    ("OffsetCommitRequestTopic", "topic_id"),
    ("OffsetFetchRequestTopics", "topic_id"),
    ("InitProducerIdRequest", "enable_2_pc"),
    ("InitProducerIdRequest", "keep_prepared_txn"),
];
/// And those that its responses have in that version.
const THEIRS_LATER: [(&str, &str); 4] = [
    ("OffsetCommitResponseTopic", "topic_id"),
    ("OffsetFetchResponseTopics", "topic_id"),
    ("InitProducerIdResponse", "ongoing_txn_producer_id"),
    ("InitProducerIdResponse", "ongoing_txn_producer_epoch"),
];

fn sides() -> Vec<(Side, i16)> {
    let mut sides = Vec::new();
    for (pair, api) in pairs::all().into_iter().zip(APIS) {
        assert_eq!(pair.key, api.key, "{}", api.name);
        sides.push((pair.request, api.flexible_from));
        sides.push((pair.response, api.flexible_from));
    }
    sides.extend(pairs::blobs().map(|side| (side, NEVER)));
    sides
}

#[test]
fn keys_versions_and_headers_are_the_referees() {
    let pairs = pairs::all();
    assert_eq!(pairs.len(), APIS.len());
    assert!(APIS.is_sorted_by(|one, next| one.key < next.key));
    for (pair, api) in pairs.iter().zip(APIS) {
        assert_eq!(pair.request.their_versions, api.versions, "{}", api.name);
        // A version that is not stable is in the referee's responses alone.
        let response_last = *pair.response.their_versions.end();
        let is_beyond = [8, 9, 22].contains(&api.key);
        assert_eq!(
            response_last,
            api.versions.end() + i16::from(is_beyond),
            "{}",
            api.name
        );
        for version in api.versions.clone() {
            let is_flexible = version >= api.flexible_from;
            let request = if is_flexible { 2 } else { 1 };
            assert_eq!(
                (pair.request.their_header)(version),
                request,
                "{}",
                api.name
            );
            let response = i16::from(is_flexible && api.name != "ApiVersions");
            assert_eq!(
                (pair.response.their_header)(version),
                response,
                "{}",
                api.name
            );
        }
    }
    for side in pairs::blobs() {
        assert_eq!(side.versions, side.their_versions, "{}", side.record.name);
    }
}

#[test]
fn defaults_are_the_referees() {
    for (side, _) in sides() {
        let (ours, theirs) = &side.defaults;
        compare_record(side.record, &|_| false, &parse(ours), &parse(theirs));
    }
}

#[test]
fn what_one_writes_the_other_reads() {
    let chance = &mut Seeded::new(SEED);
    for (side, flexible_from) in sides() {
        for version in side.versions.clone() {
            for _ in 0..MESSAGES_PER_VERSION {
                let made = Twin::new(chance, version, flexible_from).message(side.record);
                check_both(&side, version, made);
            }
        }
    }
}

fn check_both(side: &Side, version: i16, made: Vec<u8>) {
    let said = format!("{} at {version}", side.record.name);
    let made = Bytes::from(made);
    let ours = (side.ours)(version, version, made.clone()).expect(&said);
    let theirs = (side.theirs)(version, version, made).expect(&said);
    compare_at(side, version, &ours.debug, &theirs.debug);

    let our_bytes = ours.written.expect(&said);
    let their_bytes = theirs.written.expect(&said);
    assert_eq!(our_bytes, their_bytes, "{said}");
    let again = (side.ours)(version, version, their_bytes.into()).expect(&said);
    assert_eq!(again.debug, ours.debug, "{said}");
    let again = (side.theirs)(version, version, our_bytes.into()).expect(&said);
    assert_eq!(again.debug, theirs.debug, "{said}");
}

/// What the referee keeps of unknown fields is skipped here.
#[test]
fn unknown_tagged_fields_change_nothing() {
    let chance = &mut Seeded::new(SEED);
    for (side, flexible_from) in sides() {
        for version in side
            .versions
            .clone()
            .filter(|version| *version >= flexible_from)
        {
            let mut twin = Twin::new(chance, version, flexible_from);
            twin.with_unknown_tags = true;
            let made = Bytes::from(twin.message(side.record));
            let said = format!("{} at {version}", side.record.name);
            let ours = (side.ours)(version, version, made.clone()).expect(&said);
            let theirs = (side.theirs)(version, version, made).expect(&said);
            compare_at(&side, version, &ours.debug, &theirs.debug);
        }
    }
}

/// What is read at one version and written at another is refused by both, or
/// written alike.
#[test]
fn a_version_says_what_it_can() {
    let chance = &mut Seeded::new(SEED);
    let (mut written, mut refused) = (0, 0);
    for (side, flexible_from) in sides() {
        for version in side.versions.clone() {
            for other in side.versions.clone() {
                let made =
                    Bytes::from(Twin::new(chance, version, flexible_from).message(side.record));
                let said = format!("{} from {version} to {other}", side.record.name);
                let ours = (side.ours)(version, other, made.clone()).expect(&said);
                let theirs = (side.theirs)(version, other, made).expect(&said);
                match (ours.written, theirs.written) {
                    (Ok(ours), Some(theirs)) => {
                        let ours = (side.ours)(other, other, ours.into()).expect(&said);
                        let theirs = (side.theirs)(other, other, theirs.into()).expect(&said);
                        let (ours, theirs) = (parse(&ours.debug), parse(&theirs.debug));
                        let is_said = |field: &Field| field.is_in(version) && field.is_in(other);
                        compare_record(side.record, &is_said, &ours, &theirs);
                        written += 1;
                    }
                    (Ok(_), None) => panic!("{said}: the referee refuses it"),
                    (Err(_), None) => refused += 1,
                    // The referee drops tagged fields and one list in silence, and
                    // writes null where the version has none.
                    (Err(unwritten), Some(_)) => {
                        let is_stricter = unwritten.field.tag.is_some()
                            || unwritten.field.to_string() == "OffsetFetchRequest.topics"
                            || matches!(unwritten.why, Unsaid::Null(_));
                        assert!(is_stricter, "{said}: {unwritten}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(written > 1000 && refused > 200, "{written} {refused}");
}

fn compare_at(side: &Side, version: i16, ours: &str, theirs: &str) {
    let is_said = |field: &Field| field.is_in(version);
    compare_record(side.record, &is_said, &parse(ours), &parse(theirs));
}

/// Which fields have been read, and not left at their defaults.
type IsSaid<'a> = &'a dyn Fn(&Field) -> bool;

fn compare_record(record: &Record, is_said: IsSaid<'_>, ours: &Tree, theirs: &Tree) {
    let (Tree::Struct(ours), Tree::Struct(theirs)) = (ours, theirs) else {
        panic!("{}: {ours:?} is not {theirs:?}", record.name);
    };
    assert_eq!(ours.len(), record.fields.len(), "{}", record.name);
    for field in record.fields {
        // A word of Rust's own, which the referee writes with an underscore.
        let their_name = if field.name == "matched" {
            "_match"
        } else {
            field.name
        };
        let theirs = theirs
            .get(their_name)
            .unwrap_or_else(|| panic!("they have no {field}"));
        let ours = &ours[field.name];
        // By default a text is null with us where the schema has an empty one.
        if is_said(field) || !(is_null(ours) && is_empty_text(theirs)) {
            compare(field.kind, field, is_said, ours, theirs);
        }
    }
    for name in theirs.keys() {
        let pair = (record.name, name.as_str());
        let is_ours = record
            .fields
            .iter()
            .any(|field| field.name == name || name == "_match");
        let is_known = THEIRS_ALONE.contains(&pair) || THEIRS_LATER.contains(&pair);
        assert!(
            is_ours || is_known || name == "unknown_tagged_fields",
            "{pair:?}"
        );
    }
}

fn is_null(tree: &Tree) -> bool {
    *tree == Tree::Leaf("None".into())
}

fn is_empty_text(tree: &Tree) -> bool {
    match tree {
        Tree::Tuple(_, inner) => is_empty_text(inner),
        Tree::Leaf(text) => text == "\"\"" || text == "b\"\"",
        _ => false,
    }
}

fn compare(kind: Kind, field: &Field, is_said: IsSaid<'_>, ours: &Tree, theirs: &Tree) {
    // The referee wraps ids and names in types of its own.
    if let Tree::Tuple(name, theirs) = theirs
        && name != "Some"
    {
        return compare(kind, field, is_said, ours, theirs);
    }
    match (kind, ours, theirs) {
        (Kind::Record(record), ..) => compare_record(record, is_said, ours, theirs),
        (Kind::Optional(_), Tree::Leaf(ours), Tree::Leaf(theirs)) => {
            assert_eq!((&**ours, &**theirs), ("None", "None"), "{field}");
        }
        (Kind::Optional(of), Tree::Tuple(_, ours), Tree::Tuple(_, theirs)) => {
            compare(*of, field, is_said, ours, theirs);
        }
        // We do not show it: the bytes are compared where they are written again.
        (Kind::Hidden, Tree::Leaf(ours), _) => assert_eq!(ours, "hidden", "{field}"),
        // There is no null of ours in the records of an answer.
        (Kind::Records, _, Tree::Tuple(_, theirs)) => assert_eq!(ours, &**theirs, "{field}"),
        (Kind::List(of), Tree::List(ours), Tree::List(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{field}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                compare(*of, field, is_said, ours, theirs);
            }
        }
        (Kind::ErrorCode, Tree::Tuple(_, ours), _) => assert_eq!(&**ours, theirs, "{field}"),
        (Kind::ErrorCode, Tree::Leaf(ours), Tree::Leaf(theirs)) => {
            let code = ErrorCode::from(theirs.parse::<i16>().unwrap());
            assert_eq!(*ours, format!("{code:?}"), "{field}");
        }
        (Kind::Uuid, Tree::Tuple(_, ours), Tree::Leaf(theirs)) => {
            let number = u128::from_str_radix(&theirs.replace('-', ""), 16).unwrap();
            let theirs = Uuid(number.to_be_bytes()).to_string();
            assert_eq!(**ours, Tree::Leaf(theirs), "{field}");
        }
        (_, Tree::Leaf(ours), Tree::Leaf(theirs)) => assert_eq!(ours, theirs, "{field}"),
        _ => panic!("{field}: {ours:?} is not {theirs:?}"),
    }
}

#[test]
fn error_codes_are_the_referees() {
    use kafka_protocol::ResponseError;
    for number in -1..=200 {
        let ours = ErrorCode::from(number);
        match ResponseError::try_from_code(number) {
            None => assert_eq!(ours, ErrorCode::None),
            // The referee leaves one out.
            Some(ResponseError::Unknown(_)) => {
                assert!(
                    matches!(ours, ErrorCode::Unnamed(_)) || number == 99,
                    "{number}"
                );
            }
            Some(theirs) => {
                assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{number}");
                let words = ours.name().split('_').map(str::to_lowercase);
                let joined: String = words.collect();
                assert_eq!(joined, format!("{theirs:?}").to_lowercase(), "{number}");
            }
        }
    }
}
