//! What is known of the machine. Anything may be unknown, and what is unknown
//! satisfies no rule.

use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The kernel's name of the processor: "x86_64", "aarch64".
    pub arch: String,
    /// `uname -r`.
    pub kernel: Option<String>,
    /// Physical ones: two hardware threads of a core count once.
    pub cores: Option<u64>,
    /// What the kernel found, less what the firmware kept for itself.
    pub memory_bytes: Option<u64>,
    /// What the control group allows, where that is less.
    pub memory_limit_bytes: Option<u64>,
    /// What holds the data directory.
    pub disk: Device,
    /// Of the fastest interface that knows its speed.
    pub nic_speed_mbps: Option<u64>,
    /// One of `VIRTS`.
    pub virt: &'static str,
    pub dmi_product: Option<String>,
    pub devicetree_model: Option<String>,
}

/// The device of the data directory. Where it is made of several disks, the
/// careful answer of them all: `write back` if any is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The disks' kernel names: "nvme0n1".
    pub disks: Vec<String>,
    pub file_system: Option<String>,
    /// Of the mount and of the file system, as mountinfo gives them, separated by commas.
    pub mount_options: Option<String>,
    /// One of `BUSES`.
    pub bus: Option<&'static str>,
    /// One of `WRITE_CACHES`: whether a flush has anything to do.
    pub write_cache: Option<&'static str>,
    /// Whether one write can be made durable without a flush of all.
    pub fua: Option<bool>,
    /// Lies on virtio.
    pub rotational: Option<bool>,
    pub free_bytes: Option<u64>,
    /// Tells this device from another of the same make: a checksum of its
    /// serial, so that the serial itself need not be written down.
    pub mark: Option<String>,
}

pub(super) const BUSES: &[&str] = &["nvme", "sata", "virtio", "mmc", "usb"];
pub(super) const WRITE_CACHES: &[&str] = &["write back", "write through"];
/// "vm" is a virtual machine of a kind not told. A container in a virtual
/// machine is a container: it sees the least.
pub(super) const VIRTS: &[&str] = &[
    "none",
    "kvm",
    "vmware",
    "xen",
    "hyperv",
    "virtualbox",
    "vm",
    "container",
];

const GIB: u64 = 1 << 30;

impl Machine {
    /// As it is sold: firmware and kernel keep some hundred MiB for
    /// themselves, so a box of 8 GiB reports 7.8. The limit of a control group
    /// plays no part: it says how much a service may use, not what box this is.
    pub fn memory_gib(&self) -> Option<u64> {
        self.memory_bytes.map(|bytes| bytes.div_ceil(GIB))
    }
}

impl Device {
    pub fn free_gib(&self) -> Option<u64> {
        self.free_bytes.map(|bytes| bytes / GIB)
    }
}
