//! A zoo.cfg as a dolmen.toml, line for line.

use dolmen::cli::import::properties::parse;
use dolmen::cli::import::settings::{Translation, translate};

fn read(text: &str, id: Option<u32>) -> Translation {
    translate(parse(text), id)
}

fn settings(translation: &Translation) -> Vec<String> {
    let settings = translation.settings.iter();
    settings
        .map(|setting| format!("{} = {}", setting.key, setting.value))
        .collect()
}

#[test]
fn the_file_of_a_single_server_carries_over() {
    let text = "tickTime=2000\ndataDir=/var/lib/zookeeper\nclientPort=2181\n\
                clientPortAddress=127.0.0.1\nmaxClientCnxns=60\nautopurge.purgeInterval=1\n\
                4lw.commands.whitelist=stat, ruok, gtmk\njute.maxbuffer=0x400000\n\
                maxSessionTimeout=60000\ninitLimit=10\nmy.own=1\n";
    let translation = read(text, None);
    assert_eq!(
        settings(&translation),
        [
            "doors.zookeeper.listen = \"127.0.0.1:2181\"",
            "doors.zookeeper.session_timeout_min_ms = 4000",
            "doors.zookeeper.session_timeout_max_ms = 60000",
            "doors.zookeeper.connections_per_ip_max = 60",
            "doors.zookeeper.frame_bytes_max = 4194304",
            "doors.zookeeper.words = [\"stat\", \"ruok\"]",
        ]
    );
    let left: Vec<_> = translation
        .left_out
        .iter()
        .map(|left| (left.line, left.text.as_str(), left.reason.as_str()))
        .collect();
    assert_eq!(
        left,
        [
            (
                6,
                "autopurge.purgeInterval=1",
                "old snapshots and logs are removed by themselves, always"
            ),
            (
                7,
                "4lw.commands.whitelist=stat, ruok, gtmk",
                "in part: not answered here: gtmk"
            ),
            (
                10,
                "initLimit=10",
                "followers catch up without a limit in ticks"
            ),
            (11, "my.own=1", "nothing here answers to it"),
        ]
    );
    assert_eq!(translation.to_do.len(), 1);
    assert!(translation.to_do[0].starts_with("dolmen import zookeeper --data /var/lib/zookeeper"));
}

#[test]
fn a_door_that_was_open_stays_open_and_says_so() {
    let open = settings(&read("clientPort=2181\n", None));
    assert_eq!(open[0], "doors.zookeeper.listen = \"0.0.0.0:2181\"");
    assert_eq!(open[1], "doors.zookeeper.open = true");
    let six = settings(&read("clientPort=2182\nclientPortAddress=[::1]\n", None));
    assert_eq!(six[0], "doors.zookeeper.listen = \"[::1]:2182\"");
    assert!(!six.iter().any(|line| line.contains("open")));
    // Java's ticks are 3 s where none are given.
    assert!(six.contains(&"doors.zookeeper.session_timeout_min_ms = 6000".into()));
}

#[test]
fn servers_become_what_is_to_be_typed_where() {
    let text = "server.1=a:2888:3888\nserver.2=[fd00::2]:2888:3888:participant;2181\n\
                server.3=c:2888:3888\nserver.4=broken\ndataDir=/d\ndataLogDir=/l\n";
    let translation = read(text, Some(3));
    let to_do: Vec<_> = translation.to_do.iter().map(String::as_str).collect();
    assert_eq!(
        to_do,
        [
            "on c: dolmen init",
            "dolmen import zookeeper --data /d --log-dir /l (once ZooKeeper is stopped and the \
             node serves; it moves the znodes)",
            "on the first node: dolmen token create; then on a: dolmen join TOKEN",
            "on the first node: dolmen token create; then on fd00::2: dolmen join TOKEN",
        ]
    );
    assert_eq!(translation.left_out.len(), 1);
    assert_eq!(translation.left_out[0].line, 4);
    let first = read(text, None);
    assert_eq!(first.to_do[0], "on a: dolmen init");
}

#[test]
fn tls_is_set_to_what_the_key_stores_are_to_become() {
    let text = "clientPort=2181\nsecureClientPort=2281\nssl.keyStore.location=/k.jks\n\
                ssl.keyStore.password=hush\nssl.trustStore.location=/t.pem\n";
    let translation = read(text, None);
    let set = settings(&translation);
    assert!(
        set.contains(&"doors.zookeeper.tls_certificate = \"/etc/dolmen/zookeeper.crt\"".into())
    );
    assert!(set.contains(&"doors.zookeeper.tls_client_ca = \"/t.pem\"".into()));
    // TLS is there to keep strangers out.
    assert!(!set.iter().any(|line| line.contains("open =")));
    assert!(
        translation
            .to_do
            .iter()
            .any(|line| line.starts_with("keytool -importkeystore"))
    );
    assert_eq!(translation.left_out[0].text, "ssl.keyStore.password=...");

    let without = settings(&read("secureClientPort=2281\n", None));
    assert_eq!(without[0], "doors.zookeeper.listen = \"0.0.0.0:2281\"");
    assert!(without.iter().any(|line| line.contains("tls_key")));
}

#[test]
fn identities_carry_over_or_say_what_they_need() {
    let text = "DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n\
                authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
                authProvider.2=com.example.Own\n";
    let translation = read(text, None);
    let set = settings(&translation);
    let digest = "doors.zookeeper.super_digest = \"super:D/InIHSb7yEEbrWz8b9l71RjZJU=\"";
    assert!(set.contains(&digest.into()));
    assert!(set.iter().any(|line| line.contains("sasl_users_file")));
    assert_eq!(translation.left_out.len(), 1);
    assert!(
        translation.left_out[0]
            .reason
            .starts_with("code of your own")
    );
}

#[test]
fn every_line_is_accounted_for() {
    let text = "a=1\nb=2\na=3\nclientPort=x\nsecureClientPort=99999\nmaxClientCnxns=0\n\
                clientPortAddress=zk.example\nssl.clientAuth=need\nzookeeper.snapCount=5\n";
    let translation = read(text, None);
    let lines: Vec<_> = translation.left_out.iter().map(|left| left.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/// What is written must read back as what was meant, whatever the values hold.
#[test]
fn the_command_writes_toml_and_never_over_a_file() {
    use std::process::Command;
    let folder = super::Copy::of("3.8-plain");
    let (from, to) = (folder.0.join("zoo.cfg"), folder.0.join("dolmen.toml"));
    let text = "clientPort=2181\nDigestAuthenticationProvider.superDigest=s:\\\"x\\\\y\\u0007\\n[z]\n\
                server.1=a:1:2\nserver.2=b:1:2\nleft=a\\nb\n";
    std::fs::write(&from, text).unwrap();
    let import = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dolmen"));
        command.arg("import").arg(&from).arg("--out").arg(&to);
        command.output().unwrap()
    };
    let first = import();
    assert!(first.status.success(), "{first:?}");
    let said = String::from_utf8(first.stdout).unwrap();
    assert!(
        said.contains("line 5: left=a b: nothing here answers to it"),
        "{said}"
    );
    let written = std::fs::read_to_string(&to).unwrap();
    let parsed: toml::Table = written.parse().unwrap();
    let door = &parsed["doors"]["zookeeper"];
    assert_eq!(door["super_digest"].as_str(), Some("s:\"x\\y\u{7}\n[z]"));
    assert_eq!(door["open"].as_bool(), Some(true));
    assert_eq!(
        parsed["peers"]["control"]["listen"].as_str(),
        Some("0.0.0.0:7300")
    );
    assert!(written.contains("# Left out:"));
    let again = import();
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), written);
}
