//! A file that holds room on the disk, to be let go when the disk is full, so
//! that a node can still write what it needs to say no and to make room.
//!
//! It is as good as the file system's promise: one that cannot allocate ahead,
//! or compresses, gives back less than the file's length.

use std::io;
use std::sync::Arc;

use super::errors::named;
use super::{Disk, How};

const NAME: &str = "reserve";

pub struct Reserve {
    disk: Arc<dyn Disk>,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// Holds `bytes` where there is room for them. A reserve of another size
    /// is made anew.
    pub fn open(disk: Arc<dyn Disk>, bytes: u64) -> io::Result<Self> {
        let mut reserve = Self {
            disk,
            bytes,
            is_held: false,
        };
        match reserve
            .disk
            .open(NAME, How::Read)
            .and_then(|file| file.len())
        {
            Ok(length) if length == bytes => reserve.is_held = true,
            Ok(_) => reserve.let_go()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        reserve.restore()?;
        Ok(reserve)
    }

    pub fn is_held(&self) -> bool {
        self.is_held
    }

    /// Gives the room back to the disk.
    pub fn release(&mut self) -> io::Result<()> {
        if self.is_held {
            self.let_go()?;
        }
        Ok(())
    }

    /// Holds the room again and says whether it does. Asks for twice the room,
    /// so that a reserve just released is not taken back before the disk has
    /// gained anything.
    pub fn restore(&mut self) -> io::Result<bool> {
        if self.is_held || self.bytes == 0 || self.disk.free_bytes()? / 2 < self.bytes {
            return Ok(self.is_held);
        }
        // Others may have taken the room since it was asked for.
        match self.hold() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.let_go()?,
            answer => {
                answer.map_err(|error| named("hold the reserve", error))?;
                self.is_held = true;
            }
        }
        Ok(self.is_held)
    }

    fn hold(&self) -> io::Result<()> {
        let file = self.disk.open(NAME, How::Create)?;
        file.allocate(self.bytes)?;
        file.sync()?;
        self.disk.sync_folder("")
    }

    fn let_go(&mut self) -> io::Result<()> {
        self.is_held = false;
        match self.disk.remove(NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The room is free for good only when the name is gone for good.
        self.disk.sync_folder("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::trial::Folder;
    use crate::disk::{Engine, RealDisk, Settings};

    const BYTES: u64 = 1 << 20;

    fn disk(folder: &Folder) -> Arc<dyn Disk> {
        let settings = Settings {
            engine: Engine::Threads,
            entries: 8,
            lone_blocking: false,
        };
        Arc::new(RealDisk::open(folder.path(), settings).unwrap())
    }

    #[test]
    fn a_reserve_is_held_released_and_held_again() {
        let folder = Folder::new();
        let disk = disk(&folder);
        let mut reserve = Reserve::open(disk.clone(), BYTES).unwrap();
        assert!(reserve.is_held());
        reserve.release().unwrap();
        reserve.release().unwrap();
        assert!(!reserve.is_held() && disk.list("").unwrap().is_empty());
        assert!(reserve.restore().unwrap());

        drop(reserve);
        let again = Reserve::open(disk.clone(), BYTES).unwrap();
        assert!(again.is_held());
        let larger = Reserve::open(disk.clone(), 2 * BYTES).unwrap();
        assert!(larger.is_held());
        assert_eq!(
            disk.open(NAME, How::Read).unwrap().len().unwrap(),
            2 * BYTES
        );
    }

    #[test]
    fn without_twice_the_room_there_is_no_reserve_and_no_error() {
        let folder = Folder::new();
        let disk = disk(&folder);
        let more_than_there_is = disk.free_bytes().unwrap();
        let reserve = Reserve::open(disk.clone(), more_than_there_is).unwrap();
        assert!(!reserve.is_held() && disk.list("").unwrap().is_empty());
    }
}
