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

/// A value of an imported node, or its path. What moves in travels in one
/// record of the log, of which it leaves 1 MiB to the rest.
pub const IMPORTED_BYTES_MAX: usize = RECORD_BYTES_MAX - (1 << 20);
/// The imported nodes that travel together; a node that is larger travels
/// alone. Large enough that a sync is shared by thousands of small nodes.
pub const IMPORT_BATCH_BYTES: usize = 1 << 20;
/// A frame with such a batch on the admin socket: the largest value, its path,
/// its access list and its figures are one node's.
pub const IMPORT_FRAME_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// One file of transactions. ZooKeeper begins a new one with each snapshot:
/// 100,000 transactions of 1 KiB are 100 MiB. It is held in memory while it
/// is read.
pub const IMPORTED_LOG_BYTES_MAX: u64 = 1 << 30;
/// Files of a ZooKeeper's data folder. Where nothing was ever purged, years of
/// them.
pub const IMPORTED_FILES_MAX: usize = 100_000;
/// A block of a snappy stream. Java's stream writes 32 KiB; 16 times that
/// leaves room for another setting.
pub const SNAPPY_BLOCK_BYTES_MAX: usize = 512 << 10;
/// Looks for a whole transaction behind a broken one, each a checksum over as
/// many bytes as were declared. Chance passes the cheap marks before it once
/// in 2^40 places, so only a file made to cost time ever meets the bound.
pub const IMPORTED_LOOKS_MAX: usize = 64;
/// A zoo.cfg. Theirs with all comments is 2 KiB.
pub const ZOO_CFG_BYTES_MAX: u64 = 1 << 20;

/// A frame on the ZooKeeper door: jute.maxbuffer's default, one below 1 MiB.
pub const ZOOKEEPER_FRAME_BYTES_MAX: usize = (1 << 20) - 1;
/// What a connection without a session may have the door hold. A client's
/// first words are 45 bytes; what it sends behind them waits.
pub const ZOOKEEPER_UNOPENED_BYTES_MAX: usize = 64 << 10;
/// Connections in all: each costs about 1 KiB while it is silent.
pub const ZOOKEEPER_CONNECTIONS_MAX: usize = 10_000;
/// Connections from one address. A host runs tens of clients; one that leaks
/// them must not lock the others out.
pub const ZOOKEEPER_CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// Requests of one connection that are not answered yet. Beyond it the door
/// stops reading from the connection, so a client that pipelines is slowed
/// and not refused.
pub const ZOOKEEPER_OUTSTANDING_PER_CONNECTION: usize = 256;
/// The same for the door. At 100,000 requests a second, 0.1 s of work.
pub const ZOOKEEPER_OUTSTANDING_MAX: usize = 10_000;
/// What the answers that a connection is owed may come to, by the size of its
/// last answers: while they may come to more, nothing more is read from it.
pub const ZOOKEEPER_OWED_BYTES_MAX: usize = 32 << 20;
/// Bytes that a client has not taken yet. It is twice what it may be owed, the
/// rest for events that it did not ask for; a client that lets more pile up is
/// closed.
pub const ZOOKEEPER_UNSENT_BYTES_MAX: usize = 64 << 20;
/// Who a connection may be at once: its address, its certificate, and what it
/// has shown since.
pub const ZOOKEEPER_IDENTITIES_MAX: usize = 32;
/// One token of a DIGEST-MD5 conversation (RFC 2831, section 2.1.2).
pub const ZOOKEEPER_SASL_TOKEN_BYTES_MAX: usize = 4096;
/// Bytes read from one connection before the others have their turn.
pub const ZOOKEEPER_READ_BYTES_PER_TURN: usize = 256 << 10;
