//! Linux: descriptors for everything, and memory with seals.
//!
//! Must not depend on what its callers do with the descriptors and the memory.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::str;
use std::sync::LazyLock;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::MapFlags;
use nix::unistd::{Pid, getpid, gettid};
use rustix::net::RecvFlags;

use super::shared_page::fill;

/// Wakes the event loop that polls its descriptor, from any thread.
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    pub fn new() -> io::Result<Waker> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Waker(EventFd::from_flags(flags)?))
    }

    /// Readable from the first `wake` until `clear`.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn wake(&self) {
        // Fails only if the counter is full, and then it is readable already.
        let _ = self.0.write(1);
    }

    pub fn clear(&self) {
        // Fails only if there is nothing to clear.
        let _ = self.0.read();
    }
}

/// Whether this is the thread that the process began with.
pub fn is_main_thread() -> bool {
    gettid() == getpid()
}

/// Does what wakes a thread, and has the kernel put it on another CPU than this one, if one is idle on which it may
/// run.
///
/// Left to itself, Linux puts it beside its waker on a virtual machine: a halted virtual CPU does not count as idle
/// there, since it looks like one that the host has taken away. The two then take turns on one CPU, for thousands of
/// round trips.
///
/// The thread's affinity is as before afterwards; one that it sets for itself at this very moment is lost.
pub fn wake_elsewhere<R>(thread: Option<i32>, wake: impl FnOnce() -> R) -> R {
    let Some(thread) = thread.map(Pid::from_raw) else { return wake() };
    match sched_getaffinity(thread) {
        Ok(allowed) if has_idle(&allowed) => keep_away(thread, &allowed, wake),
        _ => wake(),
    }
}

/// Keeps a thread that may run on these CPUs from running on this one, in the meantime.
pub fn keep_away<R>(thread: Pid, allowed: &CpuSet, meantime: impl FnOnce() -> R) -> R {
    let mut others = *allowed;
    let is_known = sched_getcpu().and_then(|here| others.unset(here)).is_ok();
    narrowed(thread, allowed, is_known.then_some(others), meantime)
}

/// Has a thread run on these CPUs only, in the meantime. Where that is not permitted, or it would have none, it may run
/// where it is allowed to.
fn narrowed<R>(thread: Pid, allowed: &CpuSet, cpus: Option<CpuSet>, meantime: impl FnOnce() -> R) -> R {
    let is_narrowed = cpus.is_some_and(|cpus| sched_setaffinity(thread, &cpus).is_ok());
    let result = meantime();
    if is_narrowed {
        // Fails only if the thread is gone.
        let _ = sched_setaffinity(thread, allowed);
    }
    result
}

/// Moves a thread that waits for a CPU to the one that this thread is about to leave, if it may run there.
///
/// Its affinity is as before afterwards; one that it sets for itself at this very moment is lost.
pub fn fetch_thread(thread: i32) {
    let thread = Pid::from_raw(thread);
    let Ok(allowed) = sched_getaffinity(thread) else { return };
    let mut here = CpuSet::new();
    let is_allowed = sched_getcpu().is_ok_and(|cpu| allowed.is_set(cpu) == Ok(true) && here.set(cpu).is_ok());
    narrowed(thread, &allowed, is_allowed.then_some(here), || {});
}

/// Where a thread runs, or waits for its turn; `None` if it sleeps, or is gone.
pub fn runs_on(thread: i32) -> Option<usize> {
    let mut text = [0; 512];
    let len = File::open(format!("/proc/{thread}/stat")).and_then(|mut file| file.read(&mut text)).ok()?;
    parse_runs_on(&text[..len])
}

/// The same of the text of `/proc/ID/stat`, whose second field is a name in brackets that may contain anything.
pub fn parse_runs_on(stat: &[u8]) -> Option<usize> {
    let mut fields = str::from_utf8(stat).ok()?.rsplit_once(") ")?.1.split(' ');
    let is_running = fields.next() == Some("R");
    // The 39th field, after the third.
    is_running.then(|| fields.nth(35)?.parse().ok()).flatten()
}

/// On which CPU this thread runs.
pub fn current_cpu() -> Option<usize> {
    sched_getcpu().ok()
}

/// Whether more threads run, or could run, than there are CPUs for this one, so that some must wait.
pub fn is_crowded() -> bool {
    let cpus = sched_getaffinity(Pid::from_raw(0));
    cpus.is_ok_and(|cpus| load().is_some_and(|running| running > count(&cpus)))
}

/// Whether so few threads run now that one of these CPUs must be idle. Those of others are counted, too: where they
/// leave it open, the kernel does what it does.
fn has_idle(cpus: &CpuSet) -> bool {
    load().is_some_and(|running| running < count(cpus))
}

fn count(cpus: &CpuSet) -> usize {
    (0..CpuSet::count()).filter(|&cpu| cpus.is_set(cpu) == Ok(true)).count()
}

/// How many threads run now, or could run.
fn load() -> Option<usize> {
    static LOAD: LazyLock<Option<File>> = LazyLock::new(|| File::open("/proc/loadavg").ok());
    let mut text = [0; 64];
    let len = LOAD.as_ref().map_or(0, |file| file.read_at(&mut text, 0).unwrap_or(0));
    running_threads(&text[..len])
}

/// How many threads run or could run, in the text of `/proc/loadavg`: `0.20 0.18 0.12 1/80 11206`.
pub fn running_threads(load: &[u8]) -> Option<usize> {
    let threads = str::from_utf8(load).ok()?.split(' ').nth(3)?;
    threads.split('/').next()?.parse().ok()
}

/// A descriptor that is readable once the process has ended. Fails with ENOSYS before Linux 5.3, and with EPERM in some
/// sandboxes.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers, touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let number = Errno::result(result)? as RawFd;
    // SAFETY: the kernel has just made this descriptor for us (close-on-exec, as pidfds are).
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What the kernel is asked for with every read of a socket: to mark the descriptors that it hands out.
pub const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;

/// How memory is mapped to be read once, from its start to its end: with its pages, which are there already.
pub const VIEW_FLAGS: MapFlags = MapFlags::MAP_PRIVATE.union(MapFlags::MAP_POPULATE);

/// Memory of its own that contains these bytes, for another process to map. Nobody can change it any more.
pub fn sealed_copy(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = sealable_memory()?;
    // By writing: if memory is short, this is an error and not a signal at the first access.
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file.into())
}

/// Memory without bytes, to be filled and sealed.
pub fn sealable_memory() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    Ok(File::from(memfd_create(c"parallelizer", flags)?))
}

/// From now on nobody can change it.
pub fn seal(file: &File) -> io::Result<()> {
    let seals =
        SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Whether nobody can change or shrink this file any more.
pub fn is_sealed(file: impl AsFd) -> io::Result<bool> {
    let seals = SealFlag::from_bits_retain(fcntl(file, FcntlArg::F_GET_SEALS)?);
    Ok(seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE))
}

/// Zeroed memory that keeps its length.
pub fn sealed_memory(len: usize) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Its pages are allocated as they are touched; there is no disk that could be full by then.
    let file = File::from(memfd_create(c"parallelizer-page", flags)?);
    file.set_len(len as u64)?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// A zeroed file in the temporary directory.
pub fn unnamed_file(len: usize) -> io::Result<OwnedFd> {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    fill(options.open(env::temp_dir())?.into(), len)
}
