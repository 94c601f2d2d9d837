//! What consensus needs to know of its node.

use crate::ids::{NodeId, Term};
use crate::limits::CONSENSUS_COMMITTED_BYTES_MAX;
use raft::{Config, ReadOnlyOption};

#[derive(Clone, Debug)]
pub struct Settings {
    pub node: NodeId,
    /// Decides the election timeouts; should differ from node to node, and may
    /// from life to life.
    pub seed: u64,
    /// Ticks without a leader before an election: from this many to one less
    /// than twice as many.
    pub election_ticks: usize,
    pub heartbeat_ticks: usize,
    /// Messages of entries that may be on their way to one follower.
    pub inflight_max: usize,
    /// Entries of one message; a single larger entry goes alone.
    pub message_bytes_max: u64,
    /// Proposals that wait to be committed; beyond it the answer is "full".
    pub uncommitted_bytes_max: u64,
    /// Applied entries kept in memory for followers that are a little behind.
    pub window_bytes: usize,
}

impl Settings {
    /// The library's own defaults send one entry a message and set no bound on
    /// what is uncommitted or handed out at once. Priorities stay off: with
    /// pre-vote they can end the process.
    pub(super) fn config(&self, applied: u64) -> Config {
        Config {
            id: self.node.0,
            election_tick: self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            applied,
            max_size_per_msg: self.message_bytes_max,
            max_inflight_msgs: self.inflight_max,
            check_quorum: true,
            pre_vote: true,
            read_only_option: ReadOnlyOption::Safe,
            skip_bcast_commit: false,
            batch_append: false,
            priority: 0,
            max_uncommitted_size: self.uncommitted_bytes_max,
            max_committed_size_per_ready: CONSENSUS_COMMITTED_BYTES_MAX,
            min_election_tick: self.election_ticks,
            max_election_tick: 2 * self.election_ticks,
        }
    }

    /// How many ticks this node waits for a leader in a term. A pure function,
    /// where the library would ask for chance: a run can be repeated from its
    /// seed. A new term draws anew, so two nodes that split the votes of one
    /// rarely meet again in the next.
    pub(super) fn election_ticks_in(&self, term: Term) -> usize {
        let mixed = mix(mix(mix(self.seed) ^ self.node.0) ^ term.0);
        self.election_ticks + (mixed % self.election_ticks as u64) as usize
    }
}

/// The finalizer of SplitMix64: every bit of the input moves half of those of
/// the output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_cover_their_range_and_repeat() {
        let settings = |seed, node| Settings {
            node: NodeId(node),
            seed,
            election_ticks: 10,
            heartbeat_ticks: 2,
            inflight_max: 16,
            message_bytes_max: 1 << 20,
            uncommitted_bytes_max: 1 << 20,
            window_bytes: 1 << 20,
        };
        let mut seen = [0; 20];
        for (seed, node, term) in
            (0..8).flat_map(|s| (1..8).flat_map(move |n| (0..64).map(move |t| (s, n, t))))
        {
            let ticks = settings(seed, node).election_ticks_in(Term(term));
            assert_eq!(ticks, settings(seed, node).election_ticks_in(Term(term)));
            seen[ticks] += 1;
        }
        assert!(seen[..10].iter().all(|&count| count == 0));
        // 3,584 draws over ten values: each some 358 times, give or take 18.
        assert!(
            seen[10..].iter().all(|&count| (260..460).contains(&count)),
            "{seen:?}"
        );
    }
}
