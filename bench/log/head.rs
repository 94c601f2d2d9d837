//! What was measured on: the machine, its disk, the engine and its reason.

use dolmen::disk::choose::Chosen;
use dolmen::disk::class::Granted;
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
    pub engine: String,
    pub lone_blocking: bool,
    pub class: String,
    pub settings: String,
    /// Others at work when the bench began: figures are good as ratios only.
    pub load_average: String,
    pub rounds: usize,
    pub round_ms: u128,
}

impl Head {
    pub fn of(folder: &Path, chosen: &Chosen, granted: &Granted, direct_refused: bool) -> Self {
        let machine = Machine::here(folder);
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = text("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let unknown = || "unknown".to_owned();
        Self {
            kernel: machine.kernel.clone().unwrap_or_else(unknown),
            cpu: cpu.unwrap_or_else(|| machine.arch.clone()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            virt: machine.virt,
            memory_mib: machine.memory_bytes.unwrap_or(0) >> 20,
            disk: disk_line(&machine),
            file_system: machine.disk.file_system.clone().unwrap_or_else(unknown),
            folder: match direct_refused {
                true => format!("{} (O_DIRECT refused)", folder.display()),
                false => folder.display().to_string(),
            },
            engine: chosen.reason.clone(),
            lone_blocking: chosen.lone_blocking,
            class: format!("{granted:?}"),
            settings: String::new(),
            load_average: text("/proc/loadavg").trim().to_owned(),
            rounds: 0,
            round_ms: 0,
        }
    }

    pub fn is_tmpfs(&self) -> bool {
        ["tmpfs", "ramfs"].contains(&self.file_system.as_str())
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
        if self.is_tmpfs() {
            println!("          THIS IS MEMORY AND NOT A DISK: no figure below says anything");
        }
        println!(
            "engine    {} (lone blocks by the blocking path: {})",
            self.engine, self.lone_blocking
        );
        println!("class Log {}", self.class);
        println!("settings  {}", self.settings);
        println!("load      {} when it began", self.load_average);
        println!(
            "rounds    {} of {} ms a row, medians over them",
            self.rounds, self.round_ms
        );
    }
}

fn disk_line(machine: &Machine) -> String {
    let disk = &machine.disk;
    let model = |name: &String| {
        let model = fs::read_to_string(format!("/sys/block/{name}/device/model"));
        let model = model.map_or("no model".into(), |model| model.trim().to_owned());
        format!("{name} ({model})")
    };
    let names: Vec<String> = disk.disks.iter().map(model).collect();
    let told = |known: Option<bool>| known.map_or("unknown".into(), |fua| fua.to_string());
    format!(
        "{}, bus {}, {}, fua {}",
        names.join(" + "),
        disk.bus.unwrap_or("unknown"),
        disk.write_cache.unwrap_or("cache unknown"),
        told(disk.fua),
    )
}
