//! What was measured on: the machine, its disk, and who else was at work.

use dolmen::profile::Machine as Found;
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Serialize)]
pub struct Machine {
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
}

impl Machine {
    pub fn under(folder: &Path) -> Self {
        let found = Found::here(folder);
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = text("/proc/cpuinfo");
        let cpu = cpu.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == "model name").then(|| value.trim().to_owned())
        });
        let unknown = || "unknown".to_owned();
        Self {
            kernel: found.kernel.clone().unwrap_or_else(unknown),
            cpu: cpu.unwrap_or_else(|| found.arch.clone()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            virt: found.virt,
            memory_mib: found.memory_bytes.unwrap_or(0) >> 20,
            disk: disk_line(&found),
            file_system: found.disk.file_system.clone().unwrap_or_else(unknown),
            folder: folder.display().to_string(),
            load_average: text("/proc/loadavg").trim().to_owned(),
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
        println!("load      {} when it began", self.load_average);
    }
}

fn disk_line(found: &Found) -> String {
    let disk = &found.disk;
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
