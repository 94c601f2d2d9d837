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

/// So much of it is given to the disk at a time.
pub const EASE_PIECE_BYTES: u64 = 256 << 10;

/// Bytes of all logs of a device that are on their way to their segments. Readers
/// get them from memory meanwhile, so this is also the most that is kept for
/// those who read close behind the appends.
pub const PENDING_BYTES_MAX: usize = 16 << 20;
/// Small appends that one read takes from memory: 64 KiB are copied in some 5 us.
pub const FRESH_GATHERED_BYTES: usize = 64 << 10;

/// The first step of a segment file; steps double up to `segment_mib`. With
/// it an idle log costs 64 KiB of disk.
pub const SEGMENT_FIRST_BYTES: u64 = 64 << 10;

/// Sealed segments are checked in pieces of this size, one CRC each.
pub const FOOTER_PIECE_BYTES: u64 = 1 << 20;

/// A segment that is written anew leaves in pieces of this size: large enough that
/// a disk writes them at its full rate, and little beside the map of keys.
pub const REWRITE_BUFFER_BYTES: usize = 1 << 20;

/// Sealed segments of one device that stay mapped for who reads on. Each has up to
/// 128 KiB of page tables for its 64 MiB (2 MiB where a topic has segments of 1 GiB).
pub const MAPS_KEPT: usize = 32;

/// Logs on one device. Each costs a line of 72 bytes in every journal file's
/// opening table: 65,536 x 72 B = 4.5 MiB, a seventh of a journal file.
pub const LOGS_PER_DEVICE: usize = 65_536;

/// What one entry of the consensus log carries: a record of the log less its
/// head, which has 22 bytes; 4 KiB leave room for others to frame it.
pub const CONSENSUS_ENTRY_BYTES_MAX: usize = RECORD_BYTES_MAX - (4 << 10);
/// Nodes in one list of members: seven voters, their learners, and those that
/// stand in for a replaced one.
pub const CONSENSUS_MEMBERS_MAX: usize = 32;
/// Indices and terms that somebody says. A million entries a second come to it
/// in 146,000 years, and what is counted on from it does not overflow.
pub const CONSENSUS_NUMBER_MAX: u64 = 1 << 62;
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

/// What a support bundle may take: each of its files, so that a bundle of some
/// twenty can be sent over a thin line once it is compressed.
pub const SUPPORT_FILE_BYTES_MAX: usize = 4 << 20;
/// Lines of the machine's journal in it: some days of a node that is unwell.
pub const SUPPORT_JOURNAL_LINES: usize = 5000;
/// Records of the chronicle in it.
pub const SUPPORT_CHRONICLE_RECORDS: usize = 200;
/// Names in its list of a data folder: segments of a terabyte, twice over.
pub const SUPPORT_LISTED_MAX: usize = 32_768;
/// A journal file that is walked for it, in memory; of a larger one the head is
/// told alone.
pub const SUPPORT_JOURNAL_FILE_BYTES_MAX: u64 = 64 << 20;
/// An answer of the operator door to it.
pub const SUPPORT_ANSWER_BYTES_MAX: usize = 4 << 20;

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

/// What `dolmen tune` keeps of how a machine was: some 200 bytes for each disk
/// and each core's frequency, of which there may be 4096.
pub const TUNED_BYTES_MAX: u64 = 1 << 20;

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
/// A piece of a snapshot's file on its way to a peer. Larger ones would hold
/// up what shares the bulk connection, smaller ones cost a round trip each.
pub const SNAPSHOT_PIECE_BYTES: usize = 512 << 10;

/// Sessions of the cluster's clients. Each costs some 150 bytes and a sign of
/// life every few seconds: 65,536 are 10 MiB, and more than seven small boxes
/// have sockets for.
pub const SESSIONS_MAX: usize = 65_536;
/// Attachments that a session remembers, so that one which was sent again is
/// told from a new one: a client comes back once in a few seconds at the most.
pub const ATTACHMENTS_KEPT: usize = 4;
/// Nodes of the tree. One with 100 bytes of data takes some 350 bytes: 8 Mi
/// are 2.8 GiB, the most that a box of 4 GiB could hold.
pub const TREE_NODES_MAX: u64 = 8 << 20;
/// One node's data. As much as a record of the log can carry to the others;
/// doors allow less.
pub const NODE_DATA_BYTES_MAX: usize = RECORD_BYTES_MAX;
/// Watches of one node's clients. Each costs some 100 bytes: 128 MiB in all.
pub const WATCHES_MAX: usize = 1 << 20;
/// Join tokens that are neither expired nor revoked. A cluster has at most
/// seven members, so this is room for mistakes.
pub const TOKENS_MAX: usize = 64;
/// Observers that ZooKeeper's reconfig has announced and that never joined.
pub const ANNOUNCED_MAX: usize = 64;
/// Feature levels: one byte before each entry of the log.
pub const FEATURES_MAX: u32 = u8::MAX as u32;
/// Members, learners included.
pub const MEMBERS_MAX: usize = 32;
/// Ids of nodes and serials of certificates that somebody says. They are given
/// one at a time, and what is counted on from them does not overflow.
pub const MEMBER_NUMBER_MAX: u64 = 1 << 48;
/// A frame of a snapshot: large enough that its head is nothing, small enough
/// to be written between two transactions.
pub const SNAPSHOT_FRAME_BYTES: usize = 1 << 20;
/// A frame that holds one item alone because it is larger than that: a node's
/// data, and 1 MiB for its name and figures.
pub const SNAPSHOT_FRAME_BYTES_MAX: usize = NODE_DATA_BYTES_MAX + (1 << 20);

/// What changes ahead of a backup while it is written down, at the pace of
/// whoever writes: 64 MiB are some 200,000 small nodes that change meanwhile.
pub const BACKUP_IMAGE_BYTES_MAX: usize = 64 << 20;
/// Nodes looked at in one slice of a backup: some 0.1 ms of the replica's
/// thread, for clients that wait behind it.
pub const BACKUP_NODES_PER_SLICE: usize = 500;
/// The head of a backup's file: a dozen names and numbers.
pub const BACKUP_HEAD_BYTES_MAX: usize = 4 << 10;
/// A piece of a backup on the admin socket, and what is read of a file at once.
pub const BACKUP_PIECE_BYTES: usize = 256 << 10;
/// Nodes that one step of a restore removes: some 5 ms of the replica's thread.
pub const RESTORE_EMPTIED_AT_ONCE: usize = 1000;
/// Terms that a restored state is ahead of its backup: clients of the lost
/// cluster have seen writes, and leaders, that came after the backup.
pub const RESTORE_TERMS_AHEAD: u64 = 1024;

/// A digest of the state is compared between replicas once in so many entries.
pub const DIGEST_EVERY: u64 = 1024;
/// Digests that a leader keeps for followers that are behind.
pub const DIGESTS_KEPT: usize = 64;
/// Submissions that wait on the leader for an entry. What comes beyond is not
/// taken and sent again by its origin.
pub const GATHERED_BYTES_MAX: usize = 64 << 20;
/// Ticks after which what is not applied is sent to the leader once more: ten
/// times what a round takes on a slow disk.
pub const RESEND_AFTER_TICKS: u32 = 40;
/// A snapshot is written at this pace, so that the log's syncs beside it wait
/// little: at 50 ms a tick 80 MiB a second.
pub const SNAPSHOT_BYTES_PER_TICK: usize = 4 << 20;
/// Bytes of entries after which a snapshot is taken, however few they are: at
/// a start they are applied again, 100 MB a second.
pub const SNAPSHOT_LOG_BYTES: u64 = 64 << 20;
/// Nodes looked at in one slice: some 0.5 ms of the replica's thread.
pub const SNAPSHOT_NODES_PER_SLICE: usize = 2000;
/// With less than this left on its disk a node says so, and where a majority
/// says so nothing is added to the replicated state: room for a segment and two
/// journal files of the replica's, which deletions are written to.
pub const ROOM_LOW_BYTES: u64 = 64 << 20;
/// Ticks before a snapshot that failed is tried again, and the most after more
/// than one: a disk that is full is not filled again all the time, and a
/// follower that waits for the snapshot has it soon after there is room.
pub const SNAPSHOT_REST_TICKS: u64 = 20;
pub const SNAPSHOT_REST_TICKS_MAX: u64 = 100;
/// Ticks without a piece after which it is asked for again.
pub const SNAPSHOT_FETCH_PATIENCE_TICKS: u64 = 20;
/// Ticks between two looks for containers and outlived nodes, and how many are
/// taken at once: ten seconds, in which ZooKeeper takes a minute.
pub const REAP_EVERY_TICKS: u64 = 200;
pub const REAPED_AT_ONCE: usize = 1000;
/// Messages of entries on their way to one follower, and the bytes of one.
/// 64 of 256 KiB keep a net of 1 Gbit/s and 100 ms busy.
pub const CONSENSUS_INFLIGHT_MAX: usize = 64;
pub const CONSENSUS_MESSAGE_BYTES: u64 = 256 << 10;
/// Entries that are proposed and not committed. Two full disks' worth of
/// batches; beyond it the leader gathers and does not propose.
pub const CONSENSUS_UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Applied entries kept in memory for followers that are a little behind.
pub const CONSENSUS_WINDOW_BYTES: usize = 8 << 20;

/// `host:port` of a node: a name in the DNS has at most 253 characters.
pub const PLACE_BYTES_MAX: usize = 253 + 1 + 5;
/// Durations of durable appends that the 99th of a hundred is taken from; at
/// least as many as tell it from the slowest.
pub const FLUSHES_MEASURED: usize = 256;

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
/// What a node calls its release: `0.1.0`, and room for a suffix.
pub const RELEASE_BYTES_MAX: usize = 64;
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
/// What a connection without a session may have the door hold, length included,
/// and the bytes of a TLS handshake. A client's first words are 45 bytes; what it
/// sends behind them waits. With a part of a TLS record, 16 KiB, or the 10 KiB of
/// a handshake's own state, it is 64 KiB in all.
pub const ZOOKEEPER_UNOPENED_BYTES_MAX: usize = 48 << 10;
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

/// Refused callers that the journal tells of within ten seconds; what they
/// have in common shows in twenty.
pub const COMPLAINTS_PER_SPELL: u32 = 20;

// Streams.

/// What the records of one batch may come to once they are unpacked. A batch
/// has 1 MiB by default and logs shrink to a tenth or a thirtieth: 64 MiB are
/// twice that, and four times the largest batch. To unpack it takes gzip, the
/// slowest, a quarter of a second.
pub const BATCH_PLAIN_BYTES_MAX: usize = 64 << 20;
/// Records of one batch that a producer is told are at fault: with a sentence
/// each, some 80 KiB. It learns of more when it has sent the rest again.
pub const BATCH_FAULTS_MAX: usize = 1000;
/// The window that a zstd frame may ask for, as a power of two: 8 MiB is what
/// RFC 8878 wants every decoder to have and no encoder to pass. All levels but
/// the three that zstd itself calls ultra stay within it.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Offsets that somebody says. A million records a second come to it in 146,000
/// years, and what is counted on from it does not overflow.
pub const OFFSET_MAX: u64 = 1 << 62;
/// Producers that a partition remembers, some 200 bytes each: 3 MiB. Beyond it
/// the idlest are forgotten. A partition of a site has tens that write at once;
/// the bound is for jobs that are a new producer at each run.
pub const PRODUCERS_PER_PARTITION_MAX: usize = 16_384;
/// Of those that are idle and have no transaction open, how many are forgotten
/// at once when the bound is met, so that looking for them costs little each.
pub const PRODUCERS_FORGOTTEN_AT_ONCE: usize = PRODUCERS_PER_PARTITION_MAX / 16;
/// A producer that wrote nothing for so long is forgotten: a day, as Kafka's
/// `producer.id.expiration.ms`. A client that tries a batch again gives up
/// within minutes.
pub const PRODUCER_IDLE_MS: u64 = 24 * 60 * 60 * 1000;
/// Batches of producers that number theirs which were turned away lately, of all
/// partitions of a node, some 150 bytes each: 2.4 MiB. After a failover each
/// producer has one for each partition that it writes to. Beyond it the oldest is
/// forgotten.
pub const TURNED_AWAY_NOTED_MAX: usize = 16_384;
/// For how long after it was turned away a batch is waited for: what follows it was
/// on its way with it, and can be held up by a mute (KAFKA_THROTTLE_MS_MAX) or for
/// memory (60 s as well), so for both; a client that goes on trying comes more
/// often. One that has given up counts anew in another epoch, and is not held up;
/// one that only leaves the batch out is for so long.
pub const TURNED_AWAY_MS: u64 = 2 * 60_000;
/// Ends of transactions that a partition, or the groups of one, remember to be
/// the last, 8 bytes each: for who asks a coordinator meanwhile whether another
/// may begin, some milliseconds. Who asks for longer than they reach back asks
/// once more.
pub const ENDS_REMEMBERED_MAX: usize = 1024;
/// How often a batch that begins a transaction is verified, or offsets that are
/// committed in one. Each time but the first means that another of the
/// producer's transactions has ended there meanwhile, and a client has no more
/// than one that is ending.
pub const BEGIN_VERIFIED_MAX: usize = 4;
/// Batches of a producer that are known again when they are sent twice.
/// Kafka's clients have five on their way at the most.
pub const PRODUCER_BATCHES_KEPT: usize = 5;
/// Aborted transactions among the records that a partition still has. Readers
/// need every one, so where there are so many no other is begun. At 32 bytes
/// each 8 MiB; one abort a minute for six months.
pub const ABORTED_PER_PARTITION_MAX: usize = 1 << 18;

// Streams: groups of consumers.

/// A name that a client chooses: of a group, a member, an instance, a client,
/// an assignor, or the pattern of a subscription. Kafka would take 32 KiB; what
/// people and libraries give is under 100 bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 1024;
/// How long a member of KIP-848 lives without a heartbeat and how often it sends
/// one, where its group is given nothing else: Kafka's. What a group may be given
/// is wider than in Kafka, where brokers say 45 to 60 s and 5 to 15 s: on a local
/// network a consumer that is lost can be missed after a few seconds.
pub const GROUP_SESSION_MS: u32 = 45_000;
pub const GROUP_SESSION_MS_MIN: u32 = 6_000;
pub const GROUP_SESSION_MS_MAX: u32 = 1_800_000;
pub const GROUP_HEARTBEAT_MS: u32 = 5_000;
pub const GROUP_HEARTBEAT_MS_MIN: u32 = 1_000;
pub const GROUP_HEARTBEAT_MS_MAX: u32 = 60_000;
/// Groups with settings of their own. They stand in one node: 1.1 MiB with the
/// longest names, some 100 KiB with such as people give.
pub const GROUPS_OVERRIDDEN_MAX: usize = 1000;
/// Groups of one coordinator, which has a part of the cluster's groups: more
/// than programs at a site, and room for consoles that make one at each start.
pub const GROUPS_PER_COORDINATOR_MAX: usize = 4096;
/// Members of one group. A partition has one reader, so more would be idle.
pub const GROUP_MEMBERS_MAX: usize = 1024;
/// Protocols that a classic member offers: three assignors ship with clients.
pub const GROUP_PROTOCOLS_MAX: usize = 16;
/// Topics that one member names. Their names are held per member.
pub const GROUP_TOPICS_MAX: usize = 1024;
/// What a member brings: its protocols' metadata, or its topics' names; and
/// what a leader assigns to one member.
pub const GROUP_MEMBER_BYTES_MAX: usize = 256 << 10;
/// The members of a group together: a classic group is one record of the log,
/// which with the members' names stays below RECORD_BYTES_MAX.
pub const GROUP_BYTES_MAX: usize = 4 << 20;
/// Committed and pending offsets of one group: a group that reads every
/// partition of a site has some thousands.
pub const GROUP_OFFSETS_MAX: usize = 16_384;
/// The words a client leaves with an offset: as in Kafka.
pub const GROUP_OFFSET_METADATA_BYTES_MAX: usize = 4096;
/// What one coordinator holds of groups, members and offsets. Beyond it, what
/// would add more is refused; what is there goes on.
pub const COORDINATOR_BYTES_MAX: usize = 64 << 20;
/// Answers that wait for their records to be durable: at 100,000 requests a
/// second, what a sync of 100 ms holds up.
pub const COORDINATOR_ANSWERS_MAX: usize = 10_000;
/// A batch of groups' records, once it has so many bytes, is not added to: some
/// 2,000 offsets. What must survive together may be more.
pub const GROUP_BATCH_BYTES: usize = 256 << 10;
/// Groups that one tick looks through for offsets that nobody wants any more.
pub const GROUPS_SWEPT_AT_ONCE: usize = 64;
/// Steps to even out an assignment where members read different topics: some
/// 50 ms. What is not even by then is a valid assignment all the same.
pub const GROUP_BALANCING_STEPS_MAX: usize = 4 << 20;
/// How long a classic member that is new may wait for its first generation.
/// Whoever joined and went away without a word is forgotten then; as in Kafka.
pub const GROUP_NEW_MEMBER_MS: u64 = 5 * 60 * 1000;
/// Requests on their way to the coordinators of a node. They take
/// microseconds each, so this many are some 50 ms.
pub const COORDINATOR_REQUESTS_MAX: usize = 4096;
/// Ends of transactions that wait for a coordinator while it reads its
/// partition, 32 bytes each. Every one is a call that is not answered yet;
/// beyond it they try again.
pub const COORDINATOR_ENDS_MAX: usize = 4096;
/// Requests that are taken before deadlines are looked at once more.
pub const COORDINATOR_REQUESTS_AT_ONCE: usize = 256;
/// Batches of one coordinator on their way into its partition. Those behind
/// wait here; the log's thread takes more than one at a sync, and a few syncs
/// are under way at once.
pub const COORDINATOR_APPENDS_MAX: usize = 64;
/// Bytes of batches that wait behind those: two of the largest groups.
pub const COORDINATOR_QUEUED_BYTES_MAX: usize = 8 << 20;
/// How long a batch of a coordinator may wait for its replicas. Giving up does
/// not help: what is in the log must be acknowledged before it is read again.
pub const COORDINATOR_APPEND_MS: u64 = 30_000;
/// What a coordinator reads of its partition at once.
pub const COORDINATOR_READ_BYTES: usize = 1 << 20;
/// The pause before a coordinator that failed reads its partition again: it
/// doubles from the first to the second with each failure.
pub const COORDINATOR_PAUSE_MS: u64 = 50;
pub const COORDINATOR_PAUSE_MS_MAX: u64 = 5_000;
/// The pause before a batch is offered once more where too much waits to be
/// written.
pub const COORDINATOR_BUSY_PAUSE_MS: u64 = 5;
/// How often the coordinators look whether the process stood still, and by how
/// much they must be late for it: a busy machine lets a task wait for less.
pub const COORDINATOR_LOOK_MS: u64 = 1000;
pub const COORDINATOR_LATE_MS: u64 = 1000;
/// What a subscription's pattern may take when it is compiled. A hundred words
/// in a choice take some 100 KiB.
pub const GROUP_PATTERN_BYTES_MAX: usize = 1 << 20;
/// A wall clock before 2020 is one that nobody has set yet: boxes without a
/// battery start in 1970. Ages are not taken from it.
pub const CLOCK_UNSET_BEFORE_MS: u64 = 1_577_836_800_000;
/// By how much the wall clock has to go ahead of the one that never goes back, for
/// it to have been set: an hour is more than a clock that runs freely loses in a
/// year, and little beside what is kept for days.
pub const CLOCK_STEP_MS: u64 = 60 * 60 * 1000;
/// Steps of it that are known apart, 16 bytes each: a laptop that is shut each
/// evening makes one a day, for a month. Beyond it the two oldest become one.
pub const CLOCK_STEPS_MAX: usize = 32;

// Streams: transactions.

/// A transactional id, as long as any name that a client chooses.
pub const TRANSACTIONAL_ID_BYTES_MAX: usize = GROUP_NAME_BYTES_MAX;
/// Transactional ids of one coordinator, which has a part of the cluster's, at
/// some 300 bytes: 5 MiB. A program that takes a new one at each start, and is
/// started every five minutes for the week that they are kept, takes 2,000.
pub const TRANSACTIONAL_IDS_MAX: usize = 16_384;
/// Partitions of one transaction: all that a cluster may have.
pub const TRANSACTION_PLACES_MAX: usize = PARTITIONS_MAX;
/// Partitions of all transactions of one coordinator, some 60 bytes each: 8 MiB.
/// It reads them of one that is open, but takes no more.
pub const TRANSACTION_PLACES_HELD_MAX: usize = 1 << 17;
/// How often a coordinator can leave behind what it has said and had no answer
/// to, a connection's loss at a time, until another leads.
pub const TRANSACTION_RESENDS_MAX: i32 = 1 << 10;
/// Requests that wait for producer ids: one each of many producers that are
/// started together.
pub const TRANSACTIONS_PARKED_MAX: usize = 1024;
/// Transactional ids that one tick looks through for those that nobody uses.
pub const TRANSACTIONAL_IDS_SWEPT_AT_ONCE: usize = 256;
/// What goes into the log of transactions at once: some 2,000 records. A record
/// of more partitions goes alone.
pub const TRANSACTION_BATCH_BYTES: usize = 256 << 10;
/// Records that wait for those before them. A producer has one request at a
/// time, so this is tens of thousands of producers; beyond it, they hear "busy".
pub const TRANSACTION_QUEUED_BYTES_MAX: usize = 8 << 20;

// Streams: what the replicated state holds of the event log.

/// A topic's name. Kafka's bound: with a partition's number behind it a name
/// still fits the 255 bytes of a folder's.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Topics of the cluster. One of one partition takes some 2 KiB with its nodes.
pub const TOPICS_MAX: usize = 10_000;
/// Resources of which one request is told the settings, 3.5 KiB each: all topics, and
/// with them 35 MiB. A name costs its sender four bytes.
pub const CONFIGS_TOLD_MAX: usize = TOPICS_MAX;
/// Partitions of one topic, and so of one command. A thousand are made in some
/// 5 ms of the replica's thread, and the node that says where all of them stand
/// is 30 KB.
pub const PARTITIONS_PER_TOPIC_MAX: usize = 1000;
/// Partitions of all topics. Each takes some 1.5 KiB of the state, and when a
/// broker is lost those that it led are written anew in one step: some 30 ms
/// for 10,000.
pub const PARTITIONS_MAX: usize = 10_000;
/// Partitions that one command names, for changes of in-sync sets, elections and
/// moves: some 5 ms of the replica's thread.
pub const PARTITIONS_NAMED_MAX: usize = 1000;
/// Partitions of the brokers' own topics that are given more replicas at once. Each
/// may have a segment of 100 MiB and what is behind it to send; four keep a gigabit
/// link busy and leave who joins time for what clients wait for.
pub const INTERNAL_WIDENED_MAX: usize = 4;
/// A value of a topic's setting. All but lists of replicas are under 64 bytes,
/// and those name at most the partitions of a topic.
pub const TOPIC_SETTING_BYTES_MAX: usize = 16 << 10;
/// Alterations in one command: each setting there is, set and set again.
pub const TOPIC_ALTERATIONS_MAX: usize = 128;
/// Changes that this node's doors and partitions have proposed and that are not
/// agreed on yet. With a majority each takes milliseconds; without one, more
/// than this would wait for nothing.
pub const PROPOSALS_MAX: usize = 1024;
/// Logs that a broker names when it says where it has lost records: 32 KiB of a
/// command. Where there are more, it says that it may be any.
pub const LOSSES_ANNOUNCED_MAX: usize = 4096;
/// Addresses that a broker is reached by, one for each listener.
pub const BROKER_LISTENERS_MAX: usize = 8;
pub const LISTENER_NAME_BYTES_MAX: usize = 64;
/// A name of DNS has at most 253 characters.
pub const HOST_BYTES_MAX: usize = 253;
/// Where a broker stands, as its owner calls it.
pub const RACK_BYTES_MAX: usize = 256;
/// Producer ids that a broker is handed at once, as by Kafka: a box that is
/// started a thousand times a day uses up 2^63 of them in 25 billion years.
pub const PRODUCER_IDS_PER_BLOCK: u64 = 1000;
/// Users that log in by a password. A site has people and programs in tens; each
/// takes some 700 bytes.
pub const SCRAM_USERS_MAX: usize = 1000;
/// A user's or client's name where it is kept. Names of certificates are the
/// longest, at some 200 bytes.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// Clients make salts of 16 to 32 bytes.
pub const SCRAM_SALT_BYTES_MAX: usize = 128;
/// A password that `dolmen user` reads.
pub const USER_PASSWORD_BYTES_MAX: usize = 1024;
/// Rules of access, some 200 bytes each: ten for each user there may be. All are
/// copied and written anew with each change, which takes 10 ms of the replica's
/// thread.
pub const ACL_BINDINGS_MAX: usize = 10_000;
/// What a rule is about: a topic, a group, or the beginning of their names.
pub const ACL_NAME_BYTES_MAX: usize = 256;
/// Users and clients with a quota of their own.
pub const CLIENT_QUOTAS_MAX: usize = 1000;
/// Users, rules or quotas that one command names.
pub const ACCESS_NAMED_MAX: usize = 1000;
/// Filters of one command, each of which looks at every rule: 10 ms.
pub const ACL_FILTERS_MAX: usize = 100;
/// A node of all users, rules or quotas: twice what the most of them take where
/// their names are not long. It leaves room in a record of the log.
pub const ACCESS_SHELF_BYTES_MAX: usize = 4 << 20;

// The event log.

/// Bytes of batches on their way into the partitions of a node, from the door to
/// the answer. A disk that syncs 1 GB/s has this much behind it in 64 ms.
pub const STREAMS_QUEUED_BYTES_MAX: usize = 64 << 20;
/// Fetches that wait for more. One a connection is usual.
pub const STREAMS_WATCHES_MAX: usize = 65_536;
/// A checkpoint of a partition. Producers and aborted transactions at their
/// bounds take less than half of it, and the times of a terabyte 64 MiB.
pub const STREAMS_CHECKPOINT_BYTES_MAX: usize = 128 << 20;
/// Batches of a partition that came again while the first try was on its way.
pub const STREAMS_REPEATS_MAX: usize = 4096;
/// Deletions of a partition's old records that are not everywhere yet.
pub const STREAMS_DROPS_MAX: usize = 1024;
/// Bytes appended to a partition after which it is written down again: what a
/// start after a crash reads of it at the most.
pub const STREAMS_CHECKPOINT_EVERY_BYTES: u64 = 64 << 20;
/// What is read back of a partition's log at a time. What the log's thread has to
/// wait for may stand behind one such step: 80 ms of a disk that reads 100 MB/s. A
/// start that has read more than that of a partition writes it down.
pub const STREAMS_READ_STEP_BYTES: usize = 8 << 20;

/// Keys that one pass of compaction knows at once: what fits a table of 2^20 places
/// of 25 bytes without growing, 25 MiB while it runs. Of a partition with more,
/// several passes are made.
pub const COMPACTION_KEYS_MAX: usize = 7 << 17;
/// Segments that compaction has left little of become one, up to this size: each is
/// a file, and a pass needs as much room on the disk beside what is there.
pub const COMPACTED_SEGMENT_BYTES_MAX: u64 = 64 << 20;

// Partitions that nodes copy from each other.

/// Partitions that one message between a follower and its leader names: all
/// that there may be. Their heads take 650 KB.
pub const FOLLOW_NAMED_MAX: usize = PARTITIONS_MAX;
/// Bytes of one partition in one answer; one batch always fits, however large.
/// A link of 1 Gbit/s carries it in 8 ms, and then the next has its turn.
pub const FOLLOW_PARTITION_BYTES: usize = 1 << 20;
/// Bytes of all partitions in one answer, but for the last batch.
pub const FOLLOW_ANSWER_BYTES: usize = 4 << 20;
/// With one batch more than fits.
pub const FOLLOW_BATCHES_BYTES_MAX: usize = FOLLOW_ANSWER_BYTES + RECORD_BYTES_MAX;
/// What is said of all partitions that there may be, without their batches.
pub const FOLLOW_FRAME_BYTES_MAX: usize = 1 << 20;
/// A follower that is no further behind is sent what stands in the memory map: it
/// was written within the last second or so, and is in memory still. What is
/// older is read as cold.
pub const FOLLOW_MAPPED_BYTES: u64 = 64 << 20;
/// Bytes of batches that came from leaders and are not durable here: as much as
/// may come from producers. Then nothing more is read of what leaders send.
pub const FOLLOW_UNWRITTEN_BYTES_MAX: usize = STREAMS_QUEUED_BYTES_MAX;
/// Asks of one peer that are not answered: one for each partition that there may
/// be, and as many that take the place of another.
pub const FOLLOW_ASKS_MAX: usize = 2 * PARTITIONS_MAX;
/// Asks that wait until this node has heard of what they name. A new topic is
/// heard of everywhere within milliseconds.
pub const FOLLOW_EARLY_MAX: usize = FOLLOW_ASKS_MAX;
/// How long an ask stands where there is nothing to answer it with: a follower
/// shows four times in the time that it may lag (`replica.lag.time.max.ms`)
/// that it is well.
pub const FOLLOW_WAIT_MS: u64 = 2_500;
/// Before a follower asks again whom it could not reach, at first and at most.
pub const FOLLOW_PAUSE_MS: u64 = 20;
pub const FOLLOW_PAUSE_MS_MAX: u64 = 1_000;
/// One question of a node's event log to another's, or its answer: a transaction
/// of all partitions has 2.6 MB of names where none is long.
pub const CALL_BYTES_MAX: usize = 4 << 20;
/// How long a question may take. A marker waits for its acknowledgement, and is
/// asked for again where that takes longer.
pub const CALL_TIME_MS: u64 = 30_000;
/// Streams that peers may have open here at once for messages of the event log:
/// each of seven nodes has one that it follows by, and asks of transactions.
pub const FOLLOW_STREAMS_MAX: usize = 512;

// The Kafka door.

/// One answer that a command of ours takes from a door: what it asks of a Fetch,
/// and a first batch that is larger all the same.
pub const KAFKA_ANSWER_BYTES_MAX: usize = 128 << 20;
/// A Fetch of ours, and what it asks of each partition.
pub const CLI_FETCH_BYTES: usize = 16 << 20;
pub const CLI_FETCH_PARTITION_BYTES: usize = 4 << 20;
/// A line to produce: more fits no batch.
pub const CLI_LINE_BYTES_MAX: usize = 16 << 20;
/// Lines that are read and no records yet, in pieces of 64 KiB: 1 MiB, or as many
/// of the longest.
pub const CLI_LINE_PIECES: usize = 16;
/// Records that wait to be sent: a few of the largest batches for each of several
/// partitions.
pub const CLI_WAITING_BYTES: usize = 32 << 20;
/// Names of topics that are shown beside one that is not there.
pub const CLI_ALIKE_MAX: usize = 3;

/// What the lists of one Kafka message may take in memory for each byte of its
/// frame. The shortest items that clients send are names of one letter: 2 bytes
/// that become a text of 32.
pub const KAFKA_DECODED_BYTES_PER_BYTE: usize = 16;
/// And this much besides: lists of short and mostly empty records, as answers
/// have them (a group without type or state is 4 bytes and becomes 128).
pub const KAFKA_DECODED_BYTES_BESIDES: usize = 512 << 10;
/// Bytes that are spliced into an answer and not copied. Half of it is sooner
/// copied than spliced, twice as much later (measured).
pub const KAFKA_SPLICED_BYTES_MIN: usize = 1 << 10;
/// And this much in all, however long the frame: half a million partitions in
/// one request. Records are not in it, they stay where the frame has them.
pub const KAFKA_DECODED_BYTES_MAX: usize = 64 << 20;

/// One request: `socket.request.max.bytes` of Kafka. Answers have no such bound:
/// a client says how much it wants.
pub const KAFKA_REQUEST_BYTES_MAX: usize = 104_857_600;
/// The same before a client has shown who it is, where it must: the longest token,
/// and as much for the client's name before it. Nothing of it is counted, for it has
/// one request at a time and none while an answer of 5 KiB at the most is not taken:
/// 4,096 connections of strangers hold 32 MiB, and take nothing of what the others
/// share.
pub const KAFKA_UNADMITTED_BYTES_MAX: usize = 2 * KAFKA_SASL_TOKEN_BYTES_MAX;
/// The bytes of a TLS handshake: a chain of certificates has 10 KiB.
pub const KAFKA_HANDSHAKE_BYTES_MAX: usize = 64 << 10;
/// Connections in all: a client has one or two to each broker. One costs some
/// 5 KiB while it is silent, with TLS 40: 160 MiB where all speak it.
pub const KAFKA_CONNECTIONS_MAX: usize = 4096;
/// Connections from one address: a host that runs hundreds of clients, or hides
/// them behind one address, is fine, and one that leaks them leaves room.
pub const KAFKA_CONNECTIONS_PER_ADDRESS_MAX: usize = 1024;
/// Requests of one connection that have arrived and are not answered. Java sends
/// five ahead, librdkafka as many as it has: 32 cover 160 ms of a producer that
/// sends every 5.
pub const KAFKA_REQUESTS_PER_CONNECTION: usize = 32;
/// And their bytes, once which nothing more is read: one request may be larger.
/// Where an acknowledgement takes 5 ms, 1.6 GB/s for one producer.
pub const KAFKA_REQUEST_BYTES_PER_CONNECTION: usize = 8 << 20;
/// Bytes of answers that a client has not taken: from there on none of its
/// requests begins and none is read, so it is owed one answer more at the most.
/// While answers are many in all, none begins before it has taken everything.
pub const KAFKA_UNSENT_BYTES_MAX: usize = 1 << 20;
/// What the requests of all connections may take together, from the first byte
/// of a frame to its answer. When it is used up, large frames are not read on.
pub const KAFKA_MEMORY_BYTES_MAX: usize = 64 << 20;
/// A frame that is not large: what keeps groups and metadata alive. A heartbeat
/// has 100 bytes, the offsets of a thousand partitions 30 KiB.
pub const KAFKA_SMALL_REQUEST_BYTES: usize = 64 << 10;
/// What such frames have beyond the rest: a hundred of the largest at once.
pub const KAFKA_SMALL_MEMORY_BYTES: usize = 8 << 20;
/// What a connection may hold without a share of those: nearly every request
/// fits, so nearly none asks.
pub const KAFKA_OWN_BYTES: usize = 4 << 10;
/// What muted clients may leave beyond the bound. A mute lasts a minute, which is as
/// long as anybody waits for memory, so one whose frame is beyond the bound leaves that
/// place to another: eight times with a frame of 8 MiB, and then it keeps it.
pub const KAFKA_MUTED_MEMORY_BYTES_MAX: usize = 64 << 20;
/// Answers of all connections that clients have not taken, but for a Fetch's: Metadata
/// and OffsetFetch, of which 40 may be 800 KB long. While there are more, none begins
/// that may be as long.
pub const KAFKA_LONG_ANSWER_BYTES_MAX: usize = 32 << 20;
/// Those of a Fetch, without its records: 60 bytes for each partition, so that 1,000
/// consumers of 250 partitions are behind at once before a Fetch waits. Nobody else
/// does for it.
pub const KAFKA_FETCH_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Those that are always short. Nobody waits for room among them: with half as many,
/// each connection has to take its own before it is answered again, which leaves 8 MiB
/// and an answer to each, which has mostly some 100 bytes.
pub const KAFKA_SHORT_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes read from one connection before the others have their turn.
pub const KAFKA_READ_BYTES_PER_TURN: usize = 1 << 20;
/// Packed records of one request that a thread of the door unpacks in passing: a
/// fifth of a second for what is made to take long. With more, others take over
/// what the thread has besides.
pub const KAFKA_PACKED_BYTES_AT_ONCE: usize = 16 << 10;
/// How many are at that at once; half of the threads below.
pub const KAFKA_ASIDE_MAX: usize = 8;
/// Threads that read cold records for it, made when they are needed.
pub const KAFKA_BLOCKING_THREADS_MAX: usize = 16;
/// Ids drawn for one topic. One in 64 is not liked: a source of chance that gives
/// no other in 16 draws is broken.
pub const TOPIC_IDS_DRAWN_MAX: usize = 16;
/// Commands of one request that are proposed before the first of them is
/// answered: they share a sync, and leave room in the replica's queue for others.
pub const KAFKA_PROPOSED_AT_ONCE: usize = 64;
/// How long a request waits for what it proposes where it says nothing of it.
/// Clients give up after 30 s.
pub const KAFKA_PATIENCE_MS: u64 = 30_000;
/// And the longest that it may ask for: no client waits for an answer longer.
pub const KAFKA_PATIENCE_MS_MAX: u64 = 5 * 60 * 1000;
/// How long Metadata waits for the topics that it makes, and who asks for a topic
/// that this node does not know until it has caught up. Clients ask again.
pub const KAFKA_LOOK_PATIENCE_MS: u64 = 5000;
/// What a client is told of a failure, in words: a sentence or two. What it sent
/// itself, and is told of, may be 32 KiB.
pub const KAFKA_WHY_BYTES_MAX: usize = 512;
/// Partitions on one page of DescribeTopicPartitions, as in Kafka: 200 KiB.
pub const KAFKA_PARTITIONS_PER_PAGE_MAX: usize = 2000;
/// What one Fetch is answered with, whatever its client allows: Kafka's
/// `fetch.max.bytes`, 55 MiB. As long as others leave little, it is less.
pub const FETCH_BYTES_MAX: usize = 55 << 20;
/// What is warm leaves from the memory map, or from appends that are on their way to
/// it. That is page cache, which the kernel takes back, but not quite free: a segment
/// that retention has deleted keeps all its room on the disk until the last reader has
/// taken what it has of it, and an append its memory. So there is a bound on such
/// records that clients have not taken. Each request has an eighth of what is left: the
/// first 16 MiB, which a link of 1 Gbit/s carries in 130 ms.
pub const FETCH_WARM_MEMORY_BYTES: usize = 128 << 20;
/// And this much at the least, at once, whatever others hold: after some forty slow
/// readers of all they may. While less is left, no Fetch begins on a connection that
/// has not taken what it was given, so the worst is 128 MiB and this for each
/// connection: 256 MiB more for 4,096 of them, or a batch each where that is larger,
/// for one always goes in. A reader of 10 Mbit/s takes it in 50 ms.
pub const FETCH_WARM_BYTES_MIN: usize = 64 << 10;
/// Where some of it is cold, all of what is answered together: that is read into
/// memory. A disk of 100 MB/s has it in 80 ms.
pub const FETCH_COLD_BYTES_MAX: usize = 8 << 20;
/// What such records may take in memory together, until clients have taken them.
/// Each request has an eighth of what is left, so that the first has all it may
/// and twenty slow readers leave something to the next.
pub const FETCH_COLD_MEMORY_BYTES: usize = 64 << 20;
/// And this much at the least: with less left, it waits.
pub const FETCH_COLD_BYTES_MIN: usize = 256 << 10;
/// How long it waits for that, where it would not wait for records as long. Then
/// there are none for it, and its client asks again.
pub const FETCH_COLD_WAIT_MS: u64 = 1000;
/// What was written last to a partition is taken to be in memory still, so that
/// no thread waits for it; whoever keeps up reads nothing else. For clients and
/// for followers.
pub const PARTITION_WARM_BYTES: u64 = 8 << 20;
/// How long a Fetch waits for records, whatever its client allows. Clients ask
/// for half a second; librdkafka lets nobody ask for more than this.
pub const FETCH_WAIT_MS_MAX: u64 = 5 * 60 * 1000;
/// A Fetch that is woken again and again while it waits for many bytes looks no
/// sooner than after so long.
pub const FETCH_AGAIN_MS: u64 = 5;
/// Fetch sessions of a node, as Kafka's `max.incremental.fetch.session.cache.slots`:
/// one for each consumer and leader that it reads from.
pub const FETCH_SESSIONS_MAX: usize = 1000;
/// What they remember together: some 100,000 partitions. Who finds no room names
/// all its partitions each time.
pub const FETCH_SESSIONS_BYTES_MAX: usize = 32 << 20;
/// A session that was not used for so long makes room for a new one, and one
/// that is older for a larger one; as in Kafka.
pub const FETCH_SESSION_IDLE_MS: u64 = 2 * 60 * 1000;
/// What is read at once while a record is looked for by its time.
pub const OFFSET_SCAN_BYTES: usize = 1 << 20;
/// A token of a SASL conversation: names and nonces, under 500 bytes.
pub const KAFKA_SASL_TOKEN_BYTES_MAX: usize = 4096;
/// Passwords that are tried at one time. Each takes a core for up to 15 ms, which
/// a stranger can ask for: the others wait.
pub const KAFKA_PASSWORDS_TRIED_AT_ONCE: usize = 2;
/// Users and clients whose bytes are counted against a quota at one time, some
/// 200 bytes each.
pub const KAFKA_QUOTA_BUCKETS_MAX: usize = 10_000;
/// What may be sent at once without waiting, as seconds of the rate: Kafka looks
/// at the rate over some ten seconds.
pub const KAFKA_QUOTA_BURST_SECONDS: u64 = 10;
/// The longest that a client is to wait because of its quota. The answer that says
/// so leaves at once, so that clients do not take it for a loss (KIP-219); beyond a
/// minute a rate is more likely a mistake.
pub const KAFKA_THROTTLE_MS_MAX: u64 = 60_000;
