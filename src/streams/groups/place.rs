//! Which partition of the internal topic a group belongs to, as Kafka's own
//! brokers and tools compute it.

/// `partitions` is the topic's count; 0 where there is none yet gives None.
pub fn partition_of(group: &str, partitions: u32) -> Option<u32> {
    // Java's String.hashCode runs over UTF-16 units; its abs gives 0 for the
    // least number, which has no opposite.
    let hash = group.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let positive = hash.checked_abs().unwrap_or(0) as u32;
    positive.checked_rem(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_go_where_kafka_puts_them() {
        // As jshell prints Math.abs(s.hashCode()) % 50.
        for (group, partition) in [
            ("", 0),
            ("a", 47),
            ("test", 48),
            ("console-consumer-1", 24),
            // A unit above ASCII, and a pair of surrogates.
            ("é", 33),
            ("\u{1F600}", 49),
            // hashCode is Integer.MIN_VALUE.
            ("polygenelubricants", 0),
        ] {
            assert_eq!(partition_of(group, 50), Some(partition), "{group}");
        }
        assert_eq!(partition_of("a", 0), None);
    }
}
