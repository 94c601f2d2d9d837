//! Every bound of the program, with its name and its reason.

/// The unit of torn writes and of O_DIRECT on nearly all drives.
pub const BLOCK_BYTES: usize = 4096;

/// One record of a log. A ZooKeeper node and a Kafka message are 1 MiB by
/// default and rarely raised above 8; 16 leaves room without letting one
/// record fill the pending bytes of a device.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// One journal batch: what one sync may carry. 1 MiB takes about as long to
/// write as the sync itself, so a larger batch would only add waiting.
pub const JOURNAL_BATCH_BYTES_MAX: usize = 1 << 20;

/// Appends that are not answered yet, all logs of the device together.
pub const APPEND_QUEUE_LENGTH: usize = 4096;
/// The bytes of those appends.
pub const APPEND_QUEUE_BYTES: usize = 64 << 20;

/// One straight write: what waits for the same log goes with it, one sync for
/// all. 4 MiB take a good drive some milliseconds, ten times the sync; 8 MiB
/// were no faster.
pub const STRAIGHT_BYTES_MAX: usize = 4 << 20;

/// Threads that sync many files after a recovery. They wait for the disk, not
/// for a processor; beyond 16 nothing is gained.
pub const SYNCS_AT_ONCE: usize = 16;

/// Bytes of one segment that may wait for their background sync. More would
/// hold up the journal's own sync when a sweep comes (10 to 18 ms for 32 MiB,
/// measured).
pub const EASE_BYTES: u64 = 2 << 20;

/// Bytes that are durable in the journal and not yet in their segments.
pub const PENDING_BYTES_MAX: usize = 16 << 20;

/// The first step of a segment file; steps double up to `segment_mib`. With
/// it an idle log costs 64 KiB of disk.
pub const SEGMENT_FIRST_BYTES: u64 = 64 << 10;

/// Sealed segments are checked in pieces of this size, one CRC each.
pub const FOOTER_PIECE_BYTES: u64 = 1 << 20;

/// Logs on one device. Each costs a line of 72 bytes in every journal file's
/// opening table: 65,536 x 72 B = 4.5 MiB, a seventh of a journal file.
pub const LOGS_PER_DEVICE: usize = 65_536;

/// What one entry of the consensus log carries: a record of the log less its
/// head, which has 22 bytes; 4 KiB leave room for others to frame it.
pub const CONSENSUS_ENTRY_BYTES_MAX: usize = RECORD_BYTES_MAX - (4 << 10);
/// Nodes in one list of members: seven voters, their learners, and those that
/// stand in for a replaced one.
pub const CONSENSUS_MEMBERS_MAX: usize = 32;
/// The context of a consensus message: the id of a read has 24 bytes, a
/// campaign's word at most 19.
pub const CONSENSUS_CONTEXT_BYTES_MAX: usize = 64;
/// What a snapshot message says of the chunks that travel apart: one line of
/// some 50 bytes for each MiB of state makes 16,000 chunks.
pub const CONSENSUS_MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Committed entries that one turn hands out, so that a node that catches up
/// still hears heartbeats in between: some 10 ms of applying.
pub const CONSENSUS_COMMITTED_BYTES_MAX: u64 = 4 << 20;
/// Entries read back for one follower that is behind the window, counted in
/// full messages: enough for a round trip, and 7 followers x 4 x 1 MiB fit any
/// profile.
pub const CONSENSUS_FETCHED_MESSAGES: u64 = 4;

/// One request or answer on the admin socket.
pub const ADMIN_FRAME_BYTES_MAX: usize = 1 << 20;
/// People and scripts on one host; each asks one thing and leaves.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// Records that the chronicle keeps: about a tenth fewer after each cut. A node
/// that is started, reloaded and stopped once a day fills it in nine years.
pub const CHRONICLE_RECORDS_MAX: u64 = 10_000;
/// Records of the chronicle in one answer. One is at most some 500 bytes of
/// JSON, so that they fit a frame of the admin socket.
pub const CHRONICLE_ASKED_MAX: usize = 1000;
/// A text in a record of the chronicle.
pub const CHRONICLE_TEXT_BYTES_MAX: usize = 256;
/// A request's head on the operator door. Browsers send 1 to 2 KiB; 8 KiB is
/// the least that hyper takes.
pub const OPERATOR_HEAD_BYTES_MAX: usize = 8 << 10;
pub const OPERATOR_HEADERS_MAX: usize = 64;
/// A body, or what follows a head that is too large, is of no use to the
/// operator door. This much is read and thrown away, so that the refusal
/// arrives.
pub const OPERATOR_UNREAD_BYTES_MAX: usize = 256 << 10;
/// Connections on the operator door at once: a browser opens six, a scraper
/// one.
pub const OPERATOR_CONNECTIONS_MAX: usize = 64;

/// A file of settings: dolmen.toml, probe.toml or a hardware profile. Ours
/// with all their comments are under 8 KiB; a larger file is a mistaken path.
pub const SETTINGS_BYTES_MAX: usize = 64 << 10;
/// The entries of such a file, and the bytes of one dotted key. Together they
/// bound what a header line times many short keys can be blown up to: 256 KiB.
pub const SETTINGS_PER_FILE_MAX: usize = 1024;
pub const SETTING_KEY_BYTES_MAX: usize = 256;
/// Hardware profiles in one folder. Six are shipped.
pub const PROFILES_PER_FOLDER_MAX: usize = 256;

/// One file of sysfs or procfs. mountinfo on a host with a thousand containers
/// stays under 1 MiB.
pub const MACHINE_FILE_BYTES_MAX: u64 = 1 << 20;
/// Block devices on block devices: a partition on LVM on dm-crypt on md on
/// partitions is 5.
pub const BLOCK_DEVICE_LAYERS_MAX: usize = 8;

/// Submissions in one frame to the leader, and the bytes after which a frame
/// is sent and another begun. Many small writes share a frame; a large one has
/// its own.
pub const FORWARDED_PER_FRAME_MAX: usize = 4096;
pub const FORWARDED_BYTES: usize = 256 << 10;
/// Sessions in one frame of signs of life: 64 KiB.
pub const TOUCHED_PER_FRAME_MAX: usize = 8192;
/// The submissions of one entry, in bytes, after which no other joins them.
/// Below the least size that the log writes straight, so that an entry costs
/// one sync; a single larger submission makes an entry of its own.
pub const ENTRY_BYTES: usize = 96 << 10;
/// Submissions of this node that are not applied yet. A client's own bound at
/// its door is far below; this one stands for all doors together.
pub const SUBMISSIONS_MAX: usize = 65_536;

/// Records of term and vote: elections are rare, so a thousand last for months;
/// when there are more, all but the last few are forgotten.
pub const HARD_RECORDS_MAX: u64 = 1000;
pub const HARD_RECORDS_KEPT: u64 = 8;
/// The head of a snapshot's file: its place and its members.
pub const SNAPSHOT_HEAD_BYTES_MAX: usize = 64 << 10;
/// One frame of a snapshot: 1 MiB, or a single node whose data are larger.
pub const SNAPSHOT_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + (1 << 20);
/// A piece of a snapshot's file on its way to a peer. Larger ones would hold
/// up what shares the bulk connection, smaller ones cost a round trip each.
pub const SNAPSHOT_PIECE_BYTES: usize = 512 << 10;
