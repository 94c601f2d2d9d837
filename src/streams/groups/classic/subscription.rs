//! The head of what a classic consumer says about itself (ConsumerProtocol's
//! Subscription): a version, then the topics' names. The rest is for leaders.

use crate::streams::groups::Name;
use crate::wire::Cursor;
use std::collections::BTreeSet;

/// The topics that a group reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::streams::groups) enum Subscribed {
    To(BTreeSet<Name>),
    /// It reads what we cannot tell: perhaps everything.
    Unknown,
}

impl Subscribed {
    pub(in crate::streams::groups) fn may_be_to(&self, topic: &Name) -> bool {
        match self {
            Self::To(topics) => topics.contains(topic),
            Self::Unknown => true,
        }
    }
}

/// None where the bytes are not such a subscription.
pub(in crate::streams::groups) fn topics_of(metadata: &[u8]) -> Option<BTreeSet<Name>> {
    let mut from = Cursor::new(metadata);
    let version = i16::from_be_bytes(from.take(2).ok()?.try_into().ok()?);
    if version < 0 {
        return None;
    }
    let count = i32::from_be_bytes(from.take(4).ok()?.try_into().ok()?);
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let length = i16::from_be_bytes(from.take(2).ok()?.try_into().ok()?);
        let name = from.take(usize::try_from(length).ok()?).ok()?;
        topics.insert(Name::from(std::str::from_utf8(name).ok()?));
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_are_read_and_what_is_no_subscription_is_told() {
        let two = b"\0\x01\0\0\0\x02\0\x01b\0\x02aa\xff\xff\xff\xff\0\0\0\0";
        let names = ["aa", "b"].map(Name::from);
        assert_eq!(topics_of(two), Some(names.into()));
        assert_eq!(topics_of(b"\0\0\0\0\0\0"), Some(BTreeSet::new()));
        for bad in [
            &b""[..],
            b"\xff\xff\0\0\0\0",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05ab",
            b"\0\0\0\0\0\x01\xff\xffab",
            b"\0\0\0\0\0\x01\0\x01\xff",
        ] {
            assert_eq!(topics_of(bad), None, "{bad:?}");
        }
    }
}
