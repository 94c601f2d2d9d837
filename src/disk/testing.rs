//! Machines that refuse io_uring and disks that fail, for tests on good ones.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{sock_filter, sock_fprog};

/// From here on io_uring_setup answers EPERM in this process, as it does in
/// many containers. Cannot be undone.
pub fn forbid_io_uring() -> io::Result<()> {
    refuse(libc::SYS_io_uring_setup, 0, libc::EPERM)
}

/// A system call that answers an error wherever its fourth argument, in its
/// lower half, is at least so much.
fn refuse(call: libc::c_long, fourth: u32, code: libc::c_int) -> io::Result<()> {
    // Where a seccomp_data has the number of the call, and the lower half of
    // the fourth argument.
    const NUMBER_AT: u32 = 0;
    const FOURTH_AT: u32 = 16 + 3 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let refusal = libc::SECCOMP_RET_ERRNO | code as u32;
    let (is, is_least) = (libc::BPF_JEQ, libc::BPF_JGE);
    let mut filter = [
        step(LOAD, NUMBER_AT, 0, 0),
        step(libc::BPF_JMP | is | libc::BPF_K, call as u32, 0, 3),
        step(LOAD, FOURTH_AT, 0, 0),
        step(libc::BPF_JMP | is_least | libc::BPF_K, fourth, 0, 1),
        step(libc::BPF_RET | libc::BPF_K, refusal, 0, 0),
        step(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its steps live through both calls; the kernel
    // checks and copies them. Nothing here allocates, so it may run between
    // fork and exec.
    unsafe {
        // Without it only root may install a filter.
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &program as *const sock_fprog,
            ) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Makes a command run where io_uring is refused.
pub fn without_io_uring(command: &mut Command) -> &mut Command {
    // SAFETY: `forbid_io_uring` makes two system calls and allocates nothing.
    unsafe { command.pre_exec(forbid_io_uring) }
}

/// Makes a command run where every write behind so many bytes of a file fails,
/// as on a dying disk. What is appended, such as messages, still goes out.
pub fn with_writes_failing_behind(bytes: u32, command: &mut Command) -> &mut Command {
    let fail = move || refuse(libc::SYS_pwrite64, bytes, libc::EIO);
    // SAFETY: `refuse` makes two system calls and allocates nothing.
    unsafe { command.pre_exec(fail) }
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
