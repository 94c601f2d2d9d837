//! What reading is set beside: bytes from the memory of one process into that of
//! another over loopback, and nothing done with them.

use super::failure::{Failure, go_on};
use super::place::Placed;
use super::process::{Cpu, Process, eventually};
use super::rounds::Reading;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// The copy's name among the targets.
pub const COPY: &str = "TCP copy";
/// What is written and read at once: what stays in a processor's own cache, and
/// as much as a reader of a log asks of one partition. The quicker counts.
const BLOCKS_BYTES: [usize; 2] = [64 << 10, 1 << 20];
const START_WITHIN: Duration = Duration::from_secs(10);
/// Until the windows of the connection have grown.
const LEAD_IN: Duration = Duration::from_millis(200);

/// The process that writes.
pub struct Copy {
    process: Process,
    address: SocketAddr,
}

/// What the child does until it is killed. Prints its address first.
pub fn serve() -> io::Result<()> {
    let door = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", door.local_addr()?);
    let block = vec![7; BLOCKS_BYTES.into_iter().max().unwrap_or(1)];
    loop {
        let (mut stream, _) = door.accept()?;
        let mut wanted = [0; 4];
        stream.read_exact(&mut wanted)?;
        let bytes = (u32::from_be_bytes(wanted) as usize).min(block.len());
        // Until the reader has had enough.
        while stream.write_all(&block[..bytes]).is_ok() {}
    }
}

impl Copy {
    pub fn start(folder: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe()?.display().to_string();
        let log = folder.join("copy.log");
        let mut process = Process::start(&[program, "--copy".to_owned()], folder, &log)?;
        let address = eventually(START_WITHIN, || {
            process.check()?;
            let text = fs::read_to_string(&log)?;
            let line = text.strip_suffix('\n').unwrap_or_default();
            line.parse()
                .map_err(|_| Failure::Lost(format!("no address of the copy: {text:?}")))
        })?;
        Ok(Self { process, address })
    }

    pub fn measure(&self, time: Duration) -> Result<Reading, Failure> {
        let [small, large] = BLOCKS_BYTES;
        let small = self.copy(small, time / 2)?;
        let large = self.copy(large, time / 2)?;
        Ok(match small.mb_per_s > large.mb_per_s {
            true => small,
            false => large,
        })
    }

    fn copy(&self, bytes: usize, time: Duration) -> Result<Reading, Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(&(bytes as u32).to_be_bytes())?;
        let mut block = vec![0; bytes];
        let servers = [self.process.pid()];
        let _placed = Placed::on_the_first_core()?;
        read_for(&mut stream, &mut block, LEAD_IN)?;
        let (cpu, begun) = (Cpu::of(&servers)?, Instant::now());
        let mb = read_for(&mut stream, &mut block, time)? as f64 / 1e6;
        let spent = begun.elapsed().as_secs_f64();
        let used = Cpu::of(&servers)?.since(cpu);
        Ok(Reading {
            mb_per_s: mb / spent,
            records_per_s: f64::NAN,
            client_ms_per_mb: used.client * 1e3 / mb,
            server_ms_per_mb: used.servers * 1e3 / mb,
        })
    }
}

fn read_for(stream: &mut TcpStream, block: &mut [u8], time: Duration) -> Result<u64, Failure> {
    let begun = Instant::now();
    let mut bytes = 0;
    while begun.elapsed() < time {
        go_on()?;
        match stream.read(block)? {
            0 => return Err(Failure::Lost("the copy has ended".into())),
            count => bytes += count as u64,
        }
    }
    Ok(bytes)
}
