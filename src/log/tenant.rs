//! Somebody who lives on the log's thread beside the device: what it owns needs
//! no lock, and between it and the disk there is no other thread to wake.

use super::device::Device;

pub trait Tenant: Send {
    /// Called once, on the thread, before all else.
    fn move_in(&mut self, device: &mut Device);
    /// Takes what has come for it and asks the device for what follows. Must be
    /// brief, and never wait.
    fn turn(&mut self, device: &mut Device);
    /// Whether nothing waits for its turn. Asked before the thread sleeps; the
    /// device's waker tells of what comes later.
    fn is_idle(&self) -> bool;
    /// The device is quiet, and sealed next.
    fn move_out(&mut self, device: &mut Device);
}
