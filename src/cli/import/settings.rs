//! From the settings of a ZooKeeper to those of a node here. Every line of the
//! original ends up as a setting, as something to type, or in the list of what
//! was left out with the reason.

use super::properties::Entry;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translation {
    pub settings: Vec<Setting>,
    /// What a person has still to do, in order.
    pub to_do: Vec<String>,
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: &'static str,
    /// As it is written in TOML.
    pub value: String,
    pub why: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub line: usize,
    pub text: String,
    pub reason: String,
}

/// What ZooKeeper takes where the file says nothing.
const TICK_MS: u64 = 3000;
const CLIENT_PORT: u16 = 2181;
const NODES_MAX: usize = 7;

const CERTIFICATE: &str = "/etc/dolmen/zookeeper.crt";
const KEY: &str = "/etc/dolmen/zookeeper.key";
const CLIENT_CA: &str = "/etc/dolmen/zookeeper-clients.crt";
const SASL_USERS: &str = "/etc/dolmen/zookeeper-users";

const WORDS: &[&str] = &[
    "conf", "cons", "crst", "dirs", "dump", "envi", "hash", "isro", "mntr", "ruok", "srst", "srvr",
    "stat", "wchc", "wchp", "wchs",
];

/// Why a line is left out: by its key, or by how its key begins where that
/// ends with a dot.
const REASONS: &[(&str, &str)] = &[
    ("initLimit", "followers catch up without a limit in ticks"),
    (
        "syncLimit",
        "the leader is lost by its election timeout, not by ticks",
    ),
    (
        "connectToLearnerMasterLimit",
        "there are no learner masters",
    ),
    ("observerMasterPort", "there are no learner masters"),
    ("electionAlg", "there is one way to elect a leader"),
    (
        "electionPortBindRetry",
        "the peers' ports are opened once, at start",
    ),
    ("cnxTimeout", "nodes keep their connections open"),
    ("quorumListenOnAllIPs", "peers.control.listen says where"),
    ("multiAddress.", "one address a node: peers.control.listen"),
    ("leaderServes", "every node serves clients, the leader too"),
    (
        "peerType",
        "a node that follows without a vote joins as such: dolmen token create --help",
    ),
    ("group.", "the majority is that of the nodes, one vote each"),
    (
        "weight.",
        "the majority is that of the nodes, one vote each",
    ),
    (
        "dynamicConfigFile",
        "the members are part of the replicated state",
    ),
    (
        "standaloneEnabled",
        "a node that is alone serves, and takes others in later",
    ),
    (
        "reconfigEnabled",
        "reconfig is on, for who may: super, or who may write /zookeeper/config",
    ),
    ("skipReconfigACLCheck", "access is always checked"),
    ("skipACL", "access is always checked"),
    ("syncEnabled", "every node logs what it follows"),
    (
        "forceSync",
        "what is acknowledged is on stable storage, always",
    ),
    (
        "fsync.",
        "a slow disk is told by dolmen status and the metrics",
    ),
    (
        "preAllocSize",
        "the log sizes its files by log.journal_file_mib",
    ),
    (
        "snapCount",
        "snapshots are taken by what the log holds: /dolmen/config",
    ),
    (
        "snapSizeLimitInKb",
        "snapshots are taken by what the log holds: /dolmen/config",
    ),
    (
        "commitLogCount",
        "the log itself brings followers up to date",
    ),
    (
        "autopurge.",
        "old snapshots and logs are removed by themselves, always",
    ),
    ("snapshot.", "snapshots have a format of their own"),
    ("admin.", "the operator door answers: doors.operator.listen"),
    (
        "metricsProvider.",
        "the operator door answers Prometheus: doors.operator.listen",
    ),
    ("jvm.", "there is no JVM"),
    ("extendedTypesEnabled", "container and TTL nodes are on"),
    ("enforceQuota", "hard quotas are enforced"),
    ("digest.", "the tree's digest is always kept"),
    ("audit.", "there is no audit log"),
    ("localSessions", "all sessions are replicated"),
    (
        "readonlymode.",
        "a node without a majority serves reads to clients that ask for it",
    ),
    (
        "globalOutstandingLimit",
        "a live setting: /dolmen/config/zookeeper.outstanding_requests_max",
    ),
    (
        "throttledOpWaitTime",
        "requests beyond the bound wait in their connections",
    ),
    ("connectionMaxTokens", "connections are bounded in number"),
    (
        "clientPortListenBacklog",
        "the kernel's own bound holds: net.core.somaxconn",
    ),
    ("nio.", "one thread serves all connections"),
    ("serverCnxnFactory", "one thread serves all connections"),
    (
        "client.portUnification",
        "one port takes TLS and plain connections",
    ),
    (
        "sslQuorum",
        "nodes speak to each other under TLS of their own, always",
    ),
    (
        "portUnification",
        "nodes speak to each other under TLS of their own, always",
    ),
    (
        "ssl.quorum.",
        "nodes speak to each other under TLS of their own, always",
    ),
    (
        "quorum.",
        "nodes know each other by certificates of their own, made at init",
    ),
    (
        "ssl.keyStore.passwordPath",
        "the converted key has no password",
    ),
    ("ssl.keyStore.password", "the converted key has no password"),
    (
        "ssl.trustStore.password",
        "converted certificates have no password",
    ),
    (
        "ssl.",
        "TLS 1.2 and 1.3 are spoken with the suites that are safe today",
    ),
    ("tcpKeepAlive", "nodes speak over UDP"),
    (
        "initialConfig",
        "the members are part of the replicated state",
    ),
];

/// Lines by key, each taken once.
struct Lines {
    by_key: BTreeMap<String, Entry>,
    to: Translation,
}

/// `id` is the number in ZooKeeper's myid, where that could be read.
pub fn translate(entries: Vec<Entry>, id: Option<u32>) -> Translation {
    let mut lines = Lines {
        by_key: BTreeMap::new(),
        to: Translation::default(),
    };
    for entry in entries {
        // Given as a Java property it has a prefix.
        let key = entry.key.strip_prefix("zookeeper.").unwrap_or(&entry.key);
        if let Some(before) = lines.by_key.insert(key.into(), entry.clone()) {
            lines.leave(before, format!("line {} says it again", entry.line));
        }
    }
    lines.door();
    lines.limits();
    lines.words();
    lines.identities();
    lines.servers(id);
    lines.data();
    lines.rest();
    lines.to.left_out.sort_by_key(|left| left.line);
    lines.to
}

impl Lines {
    fn take(&mut self, key: &str) -> Option<Entry> {
        self.by_key.remove(key)
    }

    fn set(&mut self, key: &'static str, value: String, why: impl Into<String>) {
        let why = why.into();
        self.to.settings.push(Setting { key, value, why });
    }

    fn leave(&mut self, entry: Entry, reason: impl Into<String>) {
        self.to.left_out.push(LeftOut {
            line: entry.line,
            // A password or a digest's hash is not for a list that is shown.
            text: match entry.key.contains("assword") {
                true => format!("{}=...", entry.key),
                false => format!("{}={}", entry.key, entry.value),
            },
            reason: reason.into(),
        });
    }

    /// A number, or the line goes to what was left out.
    fn number(&mut self, key: &str) -> Option<(u64, usize)> {
        let entry = self.take(key)?;
        let digits = entry.value.strip_prefix("0x");
        let number = digits.map_or(entry.value.parse(), |digits| {
            u64::from_str_radix(digits, 16)
        });
        match number {
            // What TOML can hold.
            Ok(number) if i64::try_from(number).is_ok() => Some((number, entry.line)),
            _ => {
                self.leave(entry, "it is no whole number");
                None
            }
        }
    }

    fn port(&mut self, key: &str) -> Option<(u16, usize)> {
        let (number, line) = self.number(key)?;
        match u16::try_from(number) {
            Ok(port) if port > 0 => Some((port, line)),
            _ => {
                let entry = Entry {
                    line,
                    key: key.into(),
                    value: number.to_string(),
                };
                self.leave(entry, "it is no port");
                None
            }
        }
    }

    /// Where clients come in. One port takes TLS and plain connections here,
    /// so of two ports the plain one stays.
    fn door(&mut self) {
        let plain = self.port("clientPort");
        let secure = self.port("secureClientPort");
        let address = self.take("clientPortAddress");
        let secure_address = self.take("secureClientPortAddress");
        let (port, why) = match (plain, secure) {
            (Some((port, line)), _) => (port, format!("clientPort, line {line}")),
            (None, Some((port, line))) => (port, format!("secureClientPort, line {line}")),
            (None, None) => (
                CLIENT_PORT,
                "no port is named; this is the usual one".into(),
            ),
        };
        let (address, unused) = match plain.is_none() && secure.is_some() {
            true => (secure_address, address),
            false => (address, secure_address),
        };
        if let Some(unused) = unused {
            self.leave(unused, "one port serves all clients, at the other address");
        }
        let ip = self.listening_at(address);
        let listen = match ip {
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => format!("[{ip}]:{port}"),
        };
        self.set("doors.zookeeper.listen", text(&listen), why);
        if let (Some(_), Some((secure, line))) = (plain, secure) {
            self.to.to_do.push(format!(
                "Clients that came over TLS to port {secure} (line {line}) come to port {port}: \
                 one port takes both"
            ));
        }
        if !self.tls(secure.is_some()) && !ip.to_canonical().is_loopback() {
            self.set(
                "doors.zookeeper.open",
                "true".into(),
                "as it was: other machines reach it, and it asks nobody who they are",
            );
        }
    }

    fn listening_at(&mut self, entry: Option<Entry>) -> IpAddr {
        let everywhere = IpAddr::from([0, 0, 0, 0]);
        let Some(entry) = entry else {
            return everywhere;
        };
        let bare = entry.value.trim_start_matches('[').trim_end_matches(']');
        match bare.parse() {
            Ok(ip) => ip,
            Err(_) => {
                let reason = "the door listens on an IP address and not on a name; as written it \
                              listens on all";
                self.leave(entry, reason);
                everywhere
            }
        }
    }

    /// Key stores cannot be read here: what they are to become is set, so that
    /// a start without them is refused and not silently open.
    fn tls(&mut self, is_asked: bool) -> bool {
        let store = self.take("ssl.keyStore.location");
        let store_kind = self.take("ssl.keyStore.type");
        let trusted = self.take("ssl.trustStore.location");
        let trusted_kind = self.take("ssl.trustStore.type");
        let client_auth = self.take("ssl.clientAuth");
        let Some(store) = store else {
            for unused in [store_kind, trusted, trusted_kind, client_auth]
                .into_iter()
                .flatten()
            {
                self.leave(unused, "there is no key store, and so no TLS");
            }
            if is_asked {
                self.to.to_do.push(format!(
                    "The TLS port's key store is not named in this file: put the certificate into \
                     {CERTIFICATE} and its key into {KEY}"
                ));
                self.set(
                    "doors.zookeeper.tls_certificate",
                    text(CERTIFICATE),
                    "to be made",
                );
                self.set("doors.zookeeper.tls_key", text(KEY), "to be made");
            }
            return is_asked;
        };
        let why = format!("ssl.keyStore.location, line {}", store.line);
        match is_pem(&store, store_kind.as_ref()) {
            true => {
                self.set(
                    "doors.zookeeper.tls_certificate",
                    text(&store.value),
                    why.clone(),
                );
                self.set("doors.zookeeper.tls_key", text(&store.value), why);
            }
            false => {
                let pkcs12 = self.as_pkcs12(&store, store_kind.as_ref());
                self.to.to_do.push(format!(
                    "openssl pkcs12 -in {pkcs12} -nokeys -out {CERTIFICATE}"
                ));
                self.to.to_do.push(format!(
                    "openssl pkcs12 -in {pkcs12} -nocerts -noenc -out {KEY}"
                ));
                let why = format!("{why}; to be converted");
                self.set(
                    "doors.zookeeper.tls_certificate",
                    text(CERTIFICATE),
                    why.clone(),
                );
                self.set("doors.zookeeper.tls_key", text(KEY), why);
            }
        }
        self.client_ca(trusted, trusted_kind, client_auth);
        true
    }

    /// ZooKeeper asks clients for a certificate unless told not to.
    fn client_ca(
        &mut self,
        trusted: Option<Entry>,
        kind: Option<Entry>,
        client_auth: Option<Entry>,
    ) {
        let is_off = client_auth.is_some_and(|entry| entry.value.eq_ignore_ascii_case("none"));
        let Some(store) = trusted else { return };
        if is_off {
            return self.leave(store, "ssl.clientAuth asks clients for no certificate");
        }
        let why = format!("ssl.trustStore.location, line {}", store.line);
        if is_pem(&store, kind.as_ref()) {
            return self.set("doors.zookeeper.tls_client_ca", text(&store.value), why);
        }
        let pkcs12 = self.as_pkcs12(&store, kind.as_ref());
        self.to.to_do.push(format!(
            "openssl pkcs12 -in {pkcs12} -nokeys -out {CLIENT_CA}"
        ));
        let why = format!("{why}; to be converted");
        self.set("doors.zookeeper.tls_client_ca", text(CLIENT_CA), why);
    }

    /// The path of the store in the form that openssl reads.
    fn as_pkcs12(&mut self, store: &Entry, kind: Option<&Entry>) -> String {
        let path = &store.value;
        let is_pkcs12 = kind.is_some_and(|kind| kind.value.eq_ignore_ascii_case("pkcs12"))
            || path.ends_with(".p12")
            || path.ends_with(".pfx");
        if is_pkcs12 {
            return path.clone();
        }
        self.to.to_do.push(format!(
            "keytool -importkeystore -srckeystore {path} -destkeystore {path}.p12 -deststoretype \
             PKCS12"
        ));
        format!("{path}.p12")
    }

    fn limits(&mut self) {
        let (tick, said) = match self.number("tickTime") {
            Some((tick, line)) => (tick, format!("ticks of {tick} ms, line {line}")),
            None => (TICK_MS, format!("ticks of {TICK_MS} ms, ZooKeeper's own")),
        };
        for (theirs, ours, ticks) in [
            (
                "minSessionTimeout",
                "doors.zookeeper.session_timeout_min_ms",
                2,
            ),
            (
                "maxSessionTimeout",
                "doors.zookeeper.session_timeout_max_ms",
                20,
            ),
        ] {
            let given = self.number(theirs);
            let (value, why) = match given {
                Some((value, line)) => (value, format!("{theirs}, line {line}")),
                None => (tick.saturating_mul(ticks), format!("{ticks} {said}")),
            };
            self.set(ours, value.to_string(), why);
        }
        for (theirs, ours) in [
            ("maxClientCnxns", "doors.zookeeper.connections_per_ip_max"),
            ("maxCnxns", "doors.zookeeper.connections_max"),
        ] {
            match self.number(theirs) {
                Some((0, line)) => {
                    let entry = Entry {
                        line,
                        key: theirs.into(),
                        value: "0".into(),
                    };
                    let reason = format!("0 is no bound at all; here {ours} always holds one");
                    self.leave(entry, reason);
                }
                Some((value, line)) => {
                    self.set(ours, value.to_string(), format!("{theirs}, line {line}"));
                }
                None => {}
            }
        }
        if let Some((bytes, line)) = self.number("jute.maxbuffer") {
            let why = format!("jute.maxbuffer, line {line}");
            self.set("doors.zookeeper.frame_bytes_max", bytes.to_string(), why);
        }
    }

    fn words(&mut self) {
        let Some(entry) = self.take("4lw.commands.whitelist") else {
            return;
        };
        let why = format!("4lw.commands.whitelist, line {}", entry.line);
        let asked: Vec<&str> = match entry.value.trim() {
            "*" => WORDS.to_vec(),
            list => list
                .split(',')
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect(),
        };
        let (known, unknown): (Vec<_>, Vec<_>) =
            asked.into_iter().partition(|word| WORDS.contains(word));
        let list: Vec<String> = known.into_iter().map(text).collect();
        let value = format!("[{}]", list.join(", "));
        if !unknown.is_empty() {
            let reason = format!("in part: not answered here: {}", unknown.join(", "));
            self.leave(entry.clone(), reason);
        }
        self.set("doors.zookeeper.words", value, why);
    }

    fn identities(&mut self) {
        if let Some(entry) = self.take("DigestAuthenticationProvider.superDigest") {
            let why = format!(
                "DigestAuthenticationProvider.superDigest, line {}",
                entry.line
            );
            self.set("doors.zookeeper.super_digest", text(&entry.value), why);
        }
        let providers: Vec<String> = self.keys("authProvider.");
        let mut has_sasl = false;
        for key in providers {
            let Some(entry) = self.take(&key) else {
                continue;
            };
            match &entry.value {
                value if value.ends_with("SASLAuthenticationProvider") => has_sasl = true,
                value if value.ends_with("X509AuthenticationProvider") => {
                    self.leave(entry, "clients with a certificate are known by it, always");
                }
                value
                    if value.ends_with("DigestAuthenticationProvider")
                        || value.ends_with("IPAuthenticationProvider") =>
                {
                    self.leave(entry, "the scheme is there, always");
                }
                _ => self.leave(entry, "code of your own for identities does not run here"),
            }
        }
        for key in [
            "requireClientAuthScheme",
            "sessionRequireClientSASLAuth",
            "enforce.auth.enabled",
            "enforce.auth.schemes",
        ] {
            if let Some(entry) = self.take(key) {
                has_sasl |= entry.value.contains("sasl") || key == "sessionRequireClientSASLAuth";
                let reason = "no client is turned away for want of an identity; access lists say \
                              who may do what";
                self.leave(entry, reason);
            }
        }
        for key in self
            .keys("jaasLogin")
            .into_iter()
            .chain(self.keys("kerberos."))
        {
            if let Some(entry) = self.take(&key) {
                self.leave(entry, "Kerberos is not spoken; SASL is DIGEST-MD5 here");
            }
        }
        if has_sasl {
            self.to.to_do.push(format!(
                "Write the users of the JAAS file's Server section into {SASL_USERS}, which only \
                 the daemon may read"
            ));
            self.set(
                "doors.zookeeper.sasl_users_file",
                text(SASL_USERS),
                "SASL; to be made",
            );
        }
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.by_key.keys();
        keys.filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Members are not in a file here: they are taken in one after the other.
    fn servers(&mut self, id: Option<u32>) {
        let mut hosts = BTreeMap::new();
        for key in self.keys("server.") {
            let Some(entry) = self.take(&key) else {
                continue;
            };
            match server(&entry) {
                Some((number, _)) if hosts.len() == NODES_MAX && !hosts.contains_key(&number) => {
                    let reason = format!("a cluster has {NODES_MAX} nodes at the most");
                    self.leave(entry, reason);
                }
                Some((number, host)) => drop(hosts.insert(number, host)),
                None => self.leave(entry, "it is not of the form server.N=HOST:PORT:PORT"),
            }
        }
        if hosts.len() < 2 {
            return;
        }
        let why = "there are other nodes";
        self.set("peers.control.listen", text("0.0.0.0:7300"), why);
        self.set("peers.bulk.listen", text("0.0.0.0:7301"), why);
        let first = id.filter(|id| hosts.contains_key(id));
        let first = first.or_else(|| hosts.keys().next().copied());
        for (number, host) in &hosts {
            if Some(*number) == first {
                self.to.to_do.insert(0, format!("on {host}: dolmen init"));
                continue;
            }
            self.to.to_do.push(format!(
                "on the first node: dolmen token create; then on {host}: dolmen join TOKEN"
            ));
        }
    }

    fn data(&mut self) {
        let Some(data) = self.take("dataDir") else {
            return;
        };
        let mut command = format!("dolmen import zookeeper --data {}", data.value);
        if let Some(logs) = self.take("dataLogDir") {
            command += &format!(" --log-dir {}", logs.value);
        }
        let place = self
            .to
            .to_do
            .iter()
            .position(|line| line.contains("dolmen token create"));
        let place = place.unwrap_or(self.to.to_do.len());
        self.to.to_do.insert(
            place,
            format!(
                "{command} (once ZooKeeper is stopped and the node serves; it moves the znodes)"
            ),
        );
    }

    fn rest(&mut self) {
        for (key, entry) in std::mem::take(&mut self.by_key) {
            let known = REASONS
                .iter()
                .find(|(known, _)| match known.ends_with('.') {
                    true => key.starts_with(known),
                    false => key == *known || key.strip_prefix(known).is_some_and(is_family),
                });
            let reason = known.map_or("nothing here answers to it", |(_, reason)| reason);
            self.leave(entry, reason);
        }
    }
}

/// `localSessions` stands for localSessionsEnabled too.
fn is_family(rest: &str) -> bool {
    rest.starts_with(|letter: char| letter.is_ascii_uppercase())
}

fn is_pem(store: &Entry, kind: Option<&Entry>) -> bool {
    store.value.ends_with(".pem") || kind.is_some_and(|kind| kind.value.eq_ignore_ascii_case("pem"))
}

/// `server.3=[::1]:2888:3888:participant;2181`: the number and the host.
fn server(entry: &Entry) -> Option<(u32, String)> {
    let number = entry.key.rsplit('.').next()?.parse().ok()?;
    let (host, ports) = match entry.value.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => entry.value.split_once(':')?,
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let first = ports.split([':', '|', ';']).next()?;
    (!host.is_empty() && is_port(first)).then(|| (number, host.into()))
}

/// A TOML string.
fn text(value: &str) -> String {
    let mut out = String::from('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => out += &format!("\\u{:04X}", letter as u32),
            letter => out.push(letter),
        }
    }
    out + "\""
}
