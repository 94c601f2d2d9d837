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

/// One frame between nodes: a record of the log with what consensus and the
/// frame itself add to it.
pub const PEER_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX + (64 << 10);
/// Frames that wait for one peer on one plane, and their bytes: some ten
/// milliseconds at the rate of a good link. What does not fit is dropped, for
/// consensus sends again.
pub const PEER_QUEUE_FRAMES_MAX: usize = 8192;
pub const PEER_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Small frames that leave together: ten datagrams of a jumbo network, and as
/// much as one call to the kernel takes.
pub const PEER_BATCH_BYTES: usize = 64 << 10;
/// Members of a cluster: seven that vote, the workers, and room for those that
/// are being replaced.
pub const PEERS_MAX: usize = 32;
/// Streams that a peer may have open on the bulk plane at once: one for each
/// fetch, block or part of a query under way.
pub const PEER_STREAMS_MAX: u32 = 256;
/// `host:port`; a name of DNS has 253 bytes at the most.
pub const PEER_ADDRESS_BYTES_MAX: usize = 260;
/// A reason that a peer or a joiner is given.
pub const REFUSAL_BYTES_MAX: usize = 1024;
/// A certificate, key or signature of ours; those on P-256 are under 1 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 4096;
/// What a joiner may say, and what it hears: 32 members of 600 bytes and four
/// certificates are half of it.
pub const JOIN_BYTES_MAX: usize = 64 << 10;
/// What a connection may send before it has shown who it is: one request to
/// join, and its frame.
pub const STRANGER_WINDOW_BYTES: u32 = (JOIN_BYTES_MAX + 4096) as u32;
/// Handshakes and joins under way from addresses of no member. A site adds a
/// box at a time.
pub const STRANGERS_AT_ONCE: usize = 32;
/// Handshakes under way from the members' addresses, which strangers cannot
/// use up: both planes of all members twice.
pub const MEMBER_HANDSHAKES_AT_ONCE: usize = 128;
/// Connections that have said their first word and are not looked at yet.
pub const INCOMING_WAITING_MAX: usize = 256;
/// A file of the folder with keys and certificates.
pub const KEY_FILE_BYTES_MAX: u64 = 64 << 10;
/// Refused callers that the journal tells of within ten seconds; what they
/// have in common shows in twenty.
pub const COMPLAINTS_PER_SPELL: u32 = 20;
