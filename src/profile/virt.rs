//! What the machine runs in: nothing, a hypervisor, a container.

use super::detect::{Roots, names, text};
use super::mount::Mount;

/// What the machine runs in, the innermost first.
pub(super) fn virt(roots: &Roots, mounts: &[Mount]) -> &'static str {
    if is_container(roots, mounts) {
        return "container";
    }
    let dmi = |name: &str| text(&roots.sys.join("class/dmi/id").join(name)).unwrap_or_default();
    let (vendor, product) = (dmi("sys_vendor"), dmi("product_name"));
    let says = |word: &str| vendor.contains(word) || product.contains(word);
    let xen = text(&roots.sys.join("hypervisor/type")).is_some_and(|kind| kind == "xen");
    match () {
        () if says("VMware") => "vmware",
        () if says("VirtualBox") => "virtualbox",
        () if vendor == "Microsoft Corporation" && product == "Virtual Machine" => "hyperv",
        () if says("KVM") || says("QEMU") || says("Google Compute Engine") => "kvm",
        // Instances without a hypervisor carry the vendor as well.
        () if vendor == "Amazon EC2" && !product.contains("metal") => "kvm",
        () if xen || says("Xen") => "xen",
        () if has_virtio(roots) => "kvm",
        () if has_hypervisor_flag(roots) => "vm",
        () => "none",
    }
}

/// Only x86 tells.
fn has_hypervisor_flag(roots: &Roots) -> bool {
    let cpuinfo = text(&roots.proc.join("cpuinfo")).unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// A small monitor has neither DMI nor a flag on ARM, but always virtio.
fn has_virtio(roots: &Roots) -> bool {
    !names(&roots.sys.join("bus/virtio/devices")).is_empty()
}

/// By what the runtimes leave behind: the environment of the first process
/// (root alone may read it), the control group's path, and the files that are
/// mounted into the box from the runtime's own folders.
fn is_container(roots: &Roots, mounts: &[Mount]) -> bool {
    const RUNTIMES: &[&str] = &[
        "/docker",
        "/kubepods",
        "/kubelet/",
        "/lxc",
        "/libpod",
        "/overlay-containers/",
    ];
    let is_of_runtime = |path: &str| RUNTIMES.iter().any(|runtime| path.contains(runtime));
    let environment = text(&roots.proc.join("1/environ")).unwrap_or_default();
    let groups = text(&roots.proc.join("self/cgroup")).unwrap_or_default();
    environment.split('\0').any(|variable| variable.starts_with("container="))
        || groups.lines().any(is_of_runtime)
        // A host with Docker mounts its overlays too, but not onto /etc.
        || mounts.iter().any(|mount| mount.point.starts_with("/etc") && is_of_runtime(&mount.root))
        // systemd-nspawn shows the host's word here, LXC its own figures of /proc.
        || mounts.iter().any(|mount| {
            mount.point.starts_with("/run/host")
                || (mount.file_system == "fuse.lxcfs" && mount.point.starts_with("/proc"))
        })
}
