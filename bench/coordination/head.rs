//! What was measured on, and how.

use dolmen::profile::Machine;
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Serialize)]
pub struct Head {
    pub kernel: String,
    pub cpu: String,
    /// Hardware threads that this process may use.
    pub cores: usize,
    pub virt: &'static str,
    pub memory_mib: u64,
    pub disk: String,
    pub file_system: String,
    pub folder: String,
    /// Others at work when the bench began: figures are good as ratios only.
    pub load_average: String,
    pub settings: Vec<String>,
}

impl Head {
    pub fn of(folder: &Path, settings: Vec<String>) -> Self {
        let machine = Machine::here(folder);
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = text("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let unknown = || "unknown".to_owned();
        let bus = machine.disk.bus.unwrap_or("unknown");
        let cache = machine.disk.write_cache.unwrap_or("cache unknown");
        Self {
            kernel: machine.kernel.clone().unwrap_or_else(unknown),
            cpu: cpu.unwrap_or_else(|| machine.arch.clone()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            virt: machine.virt,
            memory_mib: machine.memory_bytes.unwrap_or(0) >> 20,
            disk: format!("{}, bus {bus}, {cache}", machine.disk.disks.join(" + ")),
            file_system: machine.disk.file_system.clone().unwrap_or_else(unknown),
            folder: folder.display().to_string(),
            load_average: text("/proc/loadavg").trim().to_owned(),
            settings,
        }
    }

    pub fn print(&self) {
        let Self {
            kernel,
            cpu,
            cores,
            virt,
            memory_mib,
            ..
        } = self;
        println!("machine   {cpu}, {cores} cores, {memory_mib} MiB, {virt}, Linux {kernel}");
        println!("disk      {}, {}", self.disk, self.file_system);
        println!("folder    {}", self.folder);
        if ["tmpfs", "ramfs"].contains(&self.file_system.as_str()) {
            println!("          THIS IS MEMORY AND NOT A DISK: no write below says anything");
        }
        println!("load      {} when it began", self.load_average);
        for line in &self.settings {
            println!("          {line}");
        }
    }
}
