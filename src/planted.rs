//! Faults that tests plant on purpose, so that the suite can be shown to catch
//! them. `planted!(Name)` reads a thread-local under debug assertions and is
//! `false` in release, so a fault costs nothing where it must not exist.

/// Every fault that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An append is answered before its sync has come back.
    AnswerBeforeSync,
    /// Recovery takes a frame without looking at its checksum.
    ChecksumNotChecked,
    /// A failed fsync is taken for a good one.
    FsyncErrorIgnored,
    /// A torn journal batch is replayed as far as it parses.
    TornTailKept,
    /// Rot below what was synced is cut like a torn tail.
    HoleCut,
    /// A new file's name is not synced.
    FolderNotSynced,
    /// A reader keeps using the map of a segment that has grown.
    StaleMapLength,
    /// The sync is started before the write it is to cover.
    SyncBeforeWrite,
    /// A journal file is recycled before its bytes are synced in the segments.
    TrimBeforeSync,
    /// A recycled journal file's old batches are taken for new ones.
    RecycledFileTrusted,
    /// A second journal write starts inside the first.
    OverlappingWrites,
    /// The base offset of a foreign batch is stored with one bit flipped.
    BaseOffsetFlipped,
    /// The mark of a bypassing batch is written before the batch is synced.
    MarkBeforeData,
    /// Truncation forgets where the kept segment ends.
    TruncateForgotten,
    /// Full disk at growth is not noticed before the append is answered.
    FullDiskNotNoticed,
    /// Recovery takes what the page cache shows for durable.
    CacheTrusted,
    /// The vote is left out of the state that a node writes.
    VoteNotStored,
    /// What rests on a write leaves before the write is durable.
    SentBeforePersisted,
    /// A restarted node forgets the entries that it did not know as committed.
    TailLost,
    /// A removed member goes on counting for majorities.
    RemovedStillVotes,
    /// A read is answered from what this node knows, without asking a majority.
    LocalRead,
    /// A join token admits a second node.
    TokenReused,
    /// A new leader's transactions go on in the old one's epoch.
    ZxidNotRaised,
    /// A session is handed to whoever knows its number.
    PasswordNotChecked,
    /// A write is applied although one before it was lost.
    GapApplied,
    /// A snapshot leaves the sessions out.
    SessionsNotInSnapshot,
    /// Consensus is told that entries are durable before they are.
    AckBeforeFsync,
    /// The leader does not end sessions that fall silent.
    ExpiryNotProposed,
    /// A new leader goes on with timers it does not have.
    TimersNotRestarted,
    /// A client that has seen more than this node is served.
    ReadBeforeSeen,
    /// An answer that shows a change comes before the event that tells of it.
    AnswerBeforeEvent,
    /// A watch is set after what it guards was read.
    WatchAfterRead,
    /// A snapshot is named for another place in history than it holds.
    SnapshotOfAnotherIndex,
    /// The feature level is raised over a member that was not asked.
    RaisedUnasked,
    /// It is raised over one that came behind the asking.
    RaisedOverNewcomer,
    /// A box whose release is too old for the cluster's level is admitted.
    AdmittedBelowLevel,
    /// A node goes on though the level was raised above its own.
    LevelNotMinded,
    /// The file that tells the level is left as it was.
    LevelNotKept,
    /// A batch that a partition has already is appended again.
    KnownBatchTaken,
    /// A producer's batch is appended although one before it is missing.
    SequenceGapTaken,
    /// A producer's numbers do not begin again at their end.
    SequenceNotWrapped,
    /// A producer's new epoch begins with any number.
    EpochBegunAnywhere,
    /// A producer that was replaced goes on writing.
    FencedProducerTaken,
    /// A coordinator that was replaced goes on ending transactions.
    OldCoordinatorTaken,
    /// What is known of a partition's producers already is replayed.
    BatchTakenTwice,
    /// Records of a transaction that is open are shown as stable.
    OpenNotMinded,
    /// They are while its end can still be lost.
    EndedTooSoon,
    /// An aborted transaction is not told to readers.
    AbortNotNoted,
    /// The search for aborted transactions stops too soon.
    AbortedCutShort,
    /// A snapshot of producers leaves their open transactions out.
    OpenNotInSnapshot,
    /// A group's answer leaves before its records are durable.
    GroupAnswerEarly,
    /// A partition is given on before its reader has let go of it.
    PartitionGivenEarly,
    /// A classic generation is given out without a record of it.
    GenerationNotWritten,
    /// A commit is taken from a member of an older generation or epoch.
    StaleCommitTaken,
    /// A transaction's offsets go over those that were committed behind them.
    PendingOverNewer,
    /// A new coordinator does not know which offsets are pending.
    PendingNotWritten,
    /// A group keeps members that fell silent.
    SilenceNotMinded,
    /// Who waits in a group is not answered when another request of its comes,
    /// or the generation ends.
    WaiterForgotten,
    /// The last in-sync member of a partition leaves the set when it is lost.
    InSyncEmptied,
    /// A replica that is not in sync is elected like one that is.
    LaggardElected,
    /// A leader comes without a new leader epoch.
    LeaderEpochKept,
    /// A partition changes without a new partition epoch.
    PartitionEpochKept,
    /// What was on a broker's old disk is believed to be on its new one.
    StaleDiskTrusted,
    /// A broker is taken for the one that it was before it was up anew.
    StaleLifeTrusted,
    /// A leader that another has followed still says who is in sync.
    FencedLeaderHeard,
    /// What a lost broker led goes on being led by it.
    LostLeaderKept,
    /// Settings of a topic that are written to its node are not heeded.
    SettingsNotHeeded,
}

impl Fault {
    /// Those that the suite of the log catches.
    pub const ALL: &[Fault] = &[
        Fault::AnswerBeforeSync,
        Fault::ChecksumNotChecked,
        Fault::FsyncErrorIgnored,
        Fault::TornTailKept,
        Fault::HoleCut,
        Fault::FolderNotSynced,
        Fault::StaleMapLength,
        Fault::SyncBeforeWrite,
        Fault::TrimBeforeSync,
        Fault::RecycledFileTrusted,
        Fault::OverlappingWrites,
        Fault::BaseOffsetFlipped,
        Fault::MarkBeforeData,
        Fault::TruncateForgotten,
        Fault::FullDiskNotNoticed,
        Fault::CacheTrusted,
    ];

    /// Those that the suites of consensus, state and the simulated cluster
    /// catch.
    pub const COORDINATION: &[Fault] = &[
        Fault::VoteNotStored,
        Fault::SentBeforePersisted,
        Fault::TailLost,
        Fault::RemovedStillVotes,
        Fault::LocalRead,
        Fault::TokenReused,
        Fault::ZxidNotRaised,
        Fault::PasswordNotChecked,
        Fault::GapApplied,
        Fault::SessionsNotInSnapshot,
        Fault::AckBeforeFsync,
        Fault::ExpiryNotProposed,
        Fault::TimersNotRestarted,
        Fault::ReadBeforeSeen,
        Fault::AnswerBeforeEvent,
        Fault::WatchAfterRead,
        Fault::SnapshotOfAnotherIndex,
    ];

    /// Those that the simulation of mixed releases catches.
    pub const LEVELS: &[Fault] = &[
        Fault::RaisedUnasked,
        Fault::RaisedOverNewcomer,
        Fault::AdmittedBelowLevel,
        Fault::LevelNotMinded,
        Fault::LevelNotKept,
    ];

    /// Those that the twin of a partition's producers catches.
    pub const PRODUCERS: &[Fault] = &[
        Fault::KnownBatchTaken,
        Fault::SequenceGapTaken,
        Fault::SequenceNotWrapped,
        Fault::EpochBegunAnywhere,
        Fault::FencedProducerTaken,
        Fault::OldCoordinatorTaken,
        Fault::BatchTakenTwice,
        Fault::OpenNotMinded,
        Fault::EndedTooSoon,
        Fault::AbortNotNoted,
        Fault::AbortedCutShort,
        Fault::OpenNotInSnapshot,
    ];

    /// Those that the histories of consumer groups catch.
    pub const GROUPS: &[Fault] = &[
        Fault::GroupAnswerEarly,
        Fault::PartitionGivenEarly,
        Fault::GenerationNotWritten,
        Fault::StaleCommitTaken,
        Fault::PendingOverNewer,
        Fault::PendingNotWritten,
        Fault::SilenceNotMinded,
        Fault::WaiterForgotten,
    ];

    /// Those of COORDINATION that the suite of the state catches.
    pub const STATE: &[Fault] = &[
        Fault::TokenReused,
        Fault::ZxidNotRaised,
        Fault::PasswordNotChecked,
        Fault::GapApplied,
        Fault::SessionsNotInSnapshot,
    ];

    /// Those that the suite of the state catches by scripts and by random
    /// histories of brokers and topics.
    pub const STREAMS: &[Fault] = &[
        Fault::InSyncEmptied,
        Fault::LaggardElected,
        Fault::LeaderEpochKept,
        Fault::PartitionEpochKept,
        Fault::StaleDiskTrusted,
        Fault::StaleLifeTrusted,
        Fault::FencedLeaderHeard,
        Fault::LostLeaderKept,
        Fault::SettingsNotHeeded,
    ];

    /// Those of COORDINATION that the suite of consensus catches.
    pub const CONSENSUS: &[Fault] = &[
        Fault::VoteNotStored,
        Fault::SentBeforePersisted,
        Fault::TailLost,
        Fault::RemovedStillVotes,
        Fault::LocalRead,
    ];
}

#[cfg(debug_assertions)]
mod held {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    /// Plants a fault on this thread until the answer is dropped.
    pub fn plant(fault: Fault) -> Planted {
        PLANTED.with(|held| held.set(Some(fault)));
        Planted(())
    }

    pub fn is_planted(fault: Fault) -> bool {
        PLANTED.with(|held| held.get() == Some(fault))
    }

    pub struct Planted(());

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.with(|held| held.set(None));
        }
    }
}

#[cfg(debug_assertions)]
pub use held::{Planted, is_planted, plant};

#[macro_export]
macro_rules! planted {
    ($fault:ident) => {{
        #[cfg(debug_assertions)]
        let planted = $crate::planted::is_planted($crate::planted::Fault::$fault);
        #[cfg(not(debug_assertions))]
        let planted = false;
        planted
    }};
}
