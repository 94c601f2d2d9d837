//! Machines that refuse io_uring and disks that fail, for tests on good ones.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{sock_filter, sock_fprog};

/// From here on io_uring_setup answers EPERM in this process, as it does in
/// many containers. Cannot be undone.
pub fn forbid_io_uring() -> io::Result<()> {
    refuse(libc::SYS_io_uring_setup, libc::EPERM)
}

/// A system call that always answers an error.
fn refuse(call: libc::c_long, code: libc::c_int) -> io::Result<()> {
    // Where the number of the system call stands in a seccomp_data.
    const NUMBER_AT: u32 = 0;
    let refusal = libc::SECCOMP_RET_ERRNO | code as u32;
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NUMBER_AT, 0, 0),
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            call as u32,
            0,
            1,
        ),
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

/// Makes a command run where every write to a place in a file fails, as on a
/// dying disk. What is appended, such as messages, still goes out.
pub fn with_failing_writes(command: &mut Command) -> &mut Command {
    let fail = || refuse(libc::SYS_pwrite64, libc::EIO);
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
