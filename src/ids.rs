//! Numbers that mean something, each with a type of its own, so that one does
//! not fit where another goes.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// One log among the many that share a device.
    LogId
);
number!(
    /// A record's place in its log. The first record of a log has index 0; a
    /// format whose records hold several entries counts entries.
    Index
);
number!(
    /// One life of a segment file. Drawn from a counter of the device that
    /// never goes back, so no two files of a device ever share an epoch.
    Epoch
);
number!(
    /// The consensus term that a record was written in; 0 where there is none.
    Term
);
number!(
    /// The number of a journal file; grows by one with each roll.
    JournalNumber
);

number!(
    /// A member of a cluster, from 1. Never given twice, so that what a removed
    /// node still says is not taken for its successor's.
    NodeId
);
number!(
    /// A client's session with the coordination service; 0 is none. Its bits
    /// are what clients see as a signed number.
    SessionId
);
number!(
    /// A transaction's place in the history of the replicated state. A counter
    /// of its own, not the index of a log entry; its high half is raised with
    /// each new leader's term, so that tools that print it as epoch and counter
    /// look right.
    Zxid
);

number!(
    /// A record's place in its partition, counted from 0. It is the index of
    /// the partition's log, and one with gaps once the log was compacted.
    Offset
);
number!(
    /// A producer of records that numbers what it sends, so that nothing is
    /// taken twice.
    ProducerId
);

impl LogId {
    /// A partition's log on a node that holds it since that epoch of the partition, 0
    /// for the first. Topic ids are random; the top bit keeps it from the numbers that
    /// are given out by hand.
    pub fn of_partition(topic: TopicId, partition: PartitionId, since: i32) -> Self {
        /// Odd, so that partitions of a topic have different logs, and those that a
        /// node has had of one.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        const SPREAD_SINCE: u64 = 0xD1B5_4A32_D192_ED03;
        let (high, low) = topic.0.split_at(8);
        let number = |half: &[u8]| {
            let bytes = half.iter();
            bytes.fold(0, |sum, &byte| sum << 8 | u64::from(byte))
        };
        let topic = number(high).wrapping_mul(SPREAD) ^ number(low);
        let partition = u64::from(partition.0).wrapping_mul(SPREAD);
        let since = u64::from(since.cast_unsigned()).wrapping_mul(SPREAD_SINCE);
        Self(topic.wrapping_add(partition).wrapping_add(since) | 1 << 63)
    }
}

impl Zxid {
    /// The first number of the next leader's term.
    pub fn next_epoch(self) -> Self {
        Self(((self.0 >> 32) + 1) << 32)
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Identifies a cluster, a node's data directory or a device: 16 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// From 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

/// Identifies a topic for good: a name may come back, an id never does. Drawn
/// by whoever proposes the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

/// The alphabet of RFC 4648, section 5, in which Kafka writes ids: 22 digits,
/// the last of which carries two bits.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TOPIC_ID_DIGITS: usize = 22;

impl TopicId {
    /// From its 22 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| DIGITS.iter().position(|&digit| digit == byte);
        let (head, last) = text.as_bytes().split_at_checked(TOPIC_ID_DIGITS - 1)?;
        let &[last] = last else {
            return None;
        };
        let number = head.iter().try_fold(0u128, |number, &byte| {
            Some(number << 6 | digit(byte)? as u128)
        })?;
        let last = digit(last)?;
        let is_whole = last % 16 == 0;
        is_whole.then(|| Self((number << 2 | (last / 16) as u128).to_be_bytes()))
    }

    /// Kafka keeps these two for itself: none, and its metadata.
    pub fn is_reserved(self) -> bool {
        u128::from_be_bytes(self.0) <= 1
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        let number = u128::from_be_bytes(self.0);
        let digit = |bits: u128| char::from(DIGITS[(bits % 64) as usize]);
        for place in (0..TOPIC_ID_DIGITS - 1).rev() {
            f.write_char(digit(number >> (2 + 6 * place)))?;
        }
        f.write_char(digit(number << 4))
    }
}

/// A partition's place in its topic, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Kafka's Uuid writes them.
    #[test]
    fn a_topics_id_reads_as_kafka_writes_it() {
        let check = |bytes: [u8; 16], text: &str| {
            assert_eq!(TopicId(bytes).to_string(), text);
            assert_eq!(TopicId::parse(text), Some(TopicId(bytes)));
        };
        check([0; 16], "AAAAAAAAAAAAAAAAAAAAAA");
        check([0xff; 16], "_____________________w");
        check(std::array::from_fn(|n| n as u8), "AAECAwQFBgcICQoLDA0ODw");
        let mut one = [0; 16];
        one[15] = 1;
        check(one, "AAAAAAAAAAAAAAAAAAAAAQ");
        assert!(TopicId(one).is_reserved());
        for bad in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "AAAAAAAAAAAAAAAAAAAAA+",
        ] {
            assert_eq!(TopicId::parse(bad), None, "{bad}");
        }
        let long = "A".repeat(23);
        assert_eq!(TopicId::parse(&long), None);
    }

    #[test]
    fn a_uid_reads_as_it_is_written() {
        let uid = Uid([0, 0xa5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xff]);
        assert_eq!(Uid::parse(&uid.to_string()), Some(uid));
        let plus = format!("+{}", "0".repeat(31));
        for bad in ["", "a5", &"é".repeat(16), &plus, &"0".repeat(33)] {
            assert_eq!(Uid::parse(bad), None, "{bad}");
        }
    }
}
