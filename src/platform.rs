//! What differs between operating systems, and the few calls that neither `std` nor `nix` offers.
//!
//! This is the only module with `cfg(target_os)` in it. Both systems provide the same functions from
//! [`os`]; everything above that module is shared. Linux is tested; macOS is written for and untested.
//!
//! Every descriptor opened here is close-on-exec. The module knows nothing of workers, or of what is
//! written to the descriptors and pages that it makes.

use std::{
    ffi::{CStr, OsStr, c_int, c_void},
    fs::File,
    io::{self, Write},
    num::NonZeroUsize,
    os::{
        fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::{ffi::OsStrExt, net::UnixStream},
    },
    path::PathBuf,
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        mman::{MapFlags, ProtFlags, mmap, munmap},
        socket::{setsockopt, sockopt},
        stat::fstat,
    },
};

pub use os::{Waker, close_rest, pidfd_open};

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
use macos as os;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("parallelizer runs on Linux and macOS; other systems are refused by the JavaScript side");

/// Bytes that a socket takes before its reader has read any. With Linux's default of 208 KiB, 450 KB each
/// way took 1.2 times as long as with this; more gained nothing.
const SEND_BUFFER: usize = 1 << 20;

/// A connected pair of stream sockets, non-blocking at both ends.
pub fn socketpair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = UnixStream::pair()?;
    one.set_nonblocking(true)?;
    other.set_nonblocking(true)?;
    for end in [&one, &other] {
        // A wish: the system cuts it to what it allows, and any size works.
        let _ = setsockopt(end, sockopt::SndBuf, &SEND_BUFFER);
    }
    Ok((one.into(), other.into()))
}

/// A pipe whose reading end alone is non-blocking: the flag belongs to an end, and programs that
/// inherit the other one expect it to block.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    set_nonblocking(&reader)?;
    Ok((reader.into(), writer.into()))
}

/// A duplicate of `fd` whose number is `lowest` or above.
pub fn duplicate_above(fd: impl AsFd, lowest: RawFd) -> io::Result<OwnedFd> {
    let number = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(lowest))?;
    // SAFETY: the kernel has just made this descriptor for us, and nothing else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A zeroed file of `len` bytes that has no name and whose memory is there already.
///
/// In memory where the system allows it, sealed so that no holder can shrink it under the others'
/// mappings; else on the disk of the temporary directory.
pub fn shared_page(len: usize) -> io::Result<OwnedFd> {
    os::sealed_memory(len).or_else(|_| os::unnamed_file(len))
}

/// Memory of its own with these bytes in it, which nobody can change any more, for another process to map.
pub fn memory_with(bytes: &[u8]) -> io::Result<OwnedFd> {
    os::sealed_copy(bytes)
}

/// Bytes that another process has written, mapped privately: what is written here nobody else sees.
#[derive(Debug)]
pub struct MappedBytes {
    /// Start of a live private mapping of `len` bytes, readable and writable; unmapped by `drop` only.
    base: NonNull<u8>,
    len: NonZeroUsize,
}

impl MappedBytes {
    /// Maps `len` bytes of memory made by [`memory_with`]; refuses what could still change or shrink.
    pub fn map(file: impl AsFd, len: usize) -> io::Result<MappedBytes> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        let len = NonZeroUsize::new(len).ok_or_else(|| invalid("shared memory without bytes"))?;
        if !os::is_sealed(&file)? {
            return Err(invalid("shared memory that is not sealed"));
        }
        let size = fstat(&file)?.st_size;
        if usize::try_from(size).map_or(true, |size| size < len.get()) {
            return Err(invalid("shared memory that is too short"));
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // Its pages are not asked for: a writable mapping would get copies of them.
        // SAFETY: a new mapping, placed by the kernel, aliases no Rust object of this process. The file reaches
        // to its end (checked above) and is sealed against shrinking and writing.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_PRIVATE, file, 0)? };
        Ok(MappedBytes { base: base.cast(), len })
    }

    /// The first byte, valid while `self` lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.len.get()
    }
}

impl Drop for MappedBytes {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, and no reference to it outlives `self`.
        let unmapped = unsafe { munmap(self.base.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// Where the shared object (or the executable) that holds this function was loaded from.
pub fn own_path() -> io::Result<PathBuf> {
    let address = own_path as *const c_void;
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    // SAFETY: `info` is writable, and `dladdr` only compares the address with those of loaded objects.
    if unsafe { libc::dladdr(address, &mut info) } == 0 || info.dli_fname.is_null() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the dynamic linker does not know this library"));
    }
    // SAFETY: not null, and the linker keeps the string for as long as this library is loaded, which it
    // is while one of its functions runs.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Ok(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// 32-bit words in memory that other processes have mapped too.
///
/// Whoever holds the file may store at any time, so every access is atomic, and a word means no more
/// than the value that it had when it was loaded. A `load` sees everything that its storer did before.
#[derive(Debug)]
pub struct SharedPage {
    /// Start of a live mapping of `len` bytes, readable and writable; unmapped by `drop` only.
    base: NonNull<AtomicU32>,
    len: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through atomics only.
unsafe impl Send for SharedPage {}
// SAFETY: as above.
unsafe impl Sync for SharedPage {}

impl SharedPage {
    /// Maps the first `len` bytes of a file made by [`shared_page`].
    pub fn map(file: impl AsFd, len: usize) -> io::Result<SharedPage> {
        let len = NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        let size = fstat(&file)?.st_size;
        if usize::try_from(size).map_or(true, |size| size < len.get()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the shared file is too short"));
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel, aliases no Rust object of this process. The file
        // reaches to its end (checked above), and `shared_page` seals it where the system can do so.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, file, 0)? };
        Ok(SharedPage { base: base.cast(), len })
    }

    /// The word at `index`, in one order with all loads and stores of the page. Panics if it lies beyond the mapped length.
    pub fn load(&self, index: usize) -> u32 {
        self.words()[index].load(Ordering::SeqCst)
    }

    /// Stores a word at `index`, in the same order. Panics if it lies beyond the mapped length.
    pub fn store(&self, index: usize, value: u32) {
        self.words()[index].store(value, Ordering::SeqCst);
    }

    /// Loads a word that another one, loaded before, has announced. Panics if it lies beyond the mapped length.
    pub fn load_relaxed(&self, index: usize) -> u32 {
        self.words()[index].load(Ordering::Relaxed)
    }

    /// Stores a word that another one, stored later, announces. Panics if it lies beyond the mapped length.
    pub fn store_relaxed(&self, index: usize, value: u32) {
        self.words()[index].store(value, Ordering::Relaxed);
    }

    /// Stores a word if it is `current`, in the order of `load` and `store`. Whether it was. Panics if it lies beyond the
    /// mapped length.
    pub fn replace(&self, index: usize, current: u32, value: u32) -> bool {
        let word = &self.words()[index];
        word.compare_exchange(current, value, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// The first word, valid while `self` lives.
    pub fn as_ptr(&self) -> *mut u32 {
        self.base.as_ptr().cast()
    }

    fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, holds this many whole words of
        // which any bit pattern is valid, and is shared as atomics only.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len.get() / size_of::<AtomicU32>()) }
    }
}

impl Drop for SharedPage {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, and no reference to it outlives `self`.
        let unmapped = unsafe { munmap(self.base.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Gives a new file its length by writing: a hole would raise SIGBUS at the first store if the memory
/// or the disk turned out to be full, and AWS Lambda refuses `posix_fallocate`.
fn fill(file: OwnedFd, len: usize) -> io::Result<OwnedFd> {
    let mut file = File::from(file);
    file.write_all(&vec![0; len])?;
    Ok(file.into())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use std::{env, fs, mem, os::unix::fs::OpenOptionsExt};

    use nix::{
        fcntl::SealFlag,
        spawn::{PosixSpawnFileActions, PosixSpawnFlags},
        sys::{
            eventfd::{EfdFlags, EventFd},
            memfd::{MFdFlags, memfd_create},
        },
    };

    /// Wakes the loop that polls its descriptor, from any thread.
    #[derive(Debug)]
    pub struct Waker(EventFd);

    impl Waker {
        pub fn new() -> io::Result<Waker> {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            Ok(Waker(EventFd::from_flags(flags)?))
        }

        /// Readable from the first `wake` on, until `clear`.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }

        pub fn wake(&self) {
            // Fails only when the counter is full, and then it is readable already.
            let _ = self.0.write(1);
        }

        pub fn clear(&self) {
            // Fails only when there is nothing to clear.
            let _ = self.0.read();
        }
    }

    /// A descriptor that is readable once the process has ended. Fails with ENOSYS before Linux 5.3,
    /// and with EPERM in some sandboxes.
    pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
        // SAFETY: takes two numbers, touches no memory.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let number = Errno::result(result)? as RawFd;
        // SAFETY: the kernel has just made this descriptor for us (close-on-exec, as pidfds are).
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// Has the child close every descriptor from `first` up; returns flags that the spawn needs for it.
    ///
    /// With `close_from`, by one action of the C library where it has that (glibc 2.34). Otherwise by an
    /// action for each inheritable descriptor that is open now; one that another thread opens between
    /// this and the spawn is missed, unless it is close-on-exec.
    pub fn close_rest(
        actions: &mut PosixSpawnFileActions,
        first: RawFd,
        close_from: bool,
    ) -> io::Result<PosixSpawnFlags> {
        if !(close_from && add_close_from(actions, first)?) {
            for number in inheritable_descriptors(first)? {
                actions.add_close(number)?;
            }
        }
        Ok(PosixSpawnFlags::empty())
    }

    /// `posix_spawn_file_actions_addclosefrom_np`; false where the C library does not have it.
    fn add_close_from(actions: &mut PosixSpawnFileActions, first: RawFd) -> io::Result<bool> {
        type AddCloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, c_int) -> c_int;
        let name = c"posix_spawn_file_actions_addclosefrom_np";
        // SAFETY: looks a C string up in the objects that are loaded.
        let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if symbol.is_null() {
            return Ok(false);
        }
        // SAFETY: the C library's function of this name has this type.
        let add = unsafe { mem::transmute::<*mut c_void, AddCloseFrom>(symbol) };
        // SAFETY: nix's type is `repr(transparent)` over the C one, which its constructor initialised.
        let error = unsafe { add((&raw mut *actions).cast(), first) };
        if error == 0 { Ok(true) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    /// The open descriptors from `first` up that a child would inherit.
    pub(super) fn inheritable_descriptors(first: RawFd) -> io::Result<Vec<RawFd>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir("/proc/self/fd")? {
            let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // SAFETY: reads a flag of whatever bears this number, if anything still does.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            if number >= first && flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    pub(super) fn sealed_copy(bytes: &[u8]) -> io::Result<OwnedFd> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"parallelizer", flags)?);
        // By writing: where memory is short this is an error, not a signal at the first access.
        file.write_all(bytes)?;
        let seals =
            SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(file.into())
    }

    /// Whether nobody can change or shrink it any more.
    pub(super) fn is_sealed(file: impl AsFd) -> io::Result<bool> {
        let seals = SealFlag::from_bits_retain(fcntl(file, FcntlArg::F_GET_SEALS)?);
        Ok(seals.contains(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE))
    }

    pub(super) fn sealed_memory(len: usize) -> io::Result<OwnedFd> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let file = fill(memfd_create(c"parallelizer", flags)?, len)?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        Ok(file)
    }

    pub(super) fn unnamed_file(len: usize) -> io::Result<OwnedFd> {
        let mut options = File::options();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
        fill(options.open(env::temp_dir())?.into(), len)
    }
}

#[cfg(target_os = "macos")]
mod macos {
    //! Untested.

    use super::*;
    use std::env;

    use nix::{
        spawn::{PosixSpawnFileActions, PosixSpawnFlags},
        unistd::{mkstemp, read, unlink, write},
    };

    /// Wakes the loop that polls its descriptor, from any thread.
    #[derive(Debug)]
    pub struct Waker {
        reader: OwnedFd,
        writer: OwnedFd,
    }

    impl Waker {
        pub fn new() -> io::Result<Waker> {
            let (reader, writer) = output_pipe()?;
            set_nonblocking(&writer)?;
            Ok(Waker { reader, writer })
        }

        /// Readable from the first `wake` on, until `clear`.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.reader.as_fd()
        }

        pub fn wake(&self) {
            // Fails only when the pipe is full, and then it is readable already.
            let _ = write(&self.writer, &[1]);
        }

        pub fn clear(&self) {
            let mut scratch = [0; 64];
            while read(&self.reader, &mut scratch).is_ok_and(|count| count == scratch.len()) {}
        }
    }

    /// There are no pidfds here: the caller reaps without.
    pub fn pidfd_open(_pid: i32) -> io::Result<OwnedFd> {
        Err(Errno::ENOSYS.into())
    }

    /// Has the child close every descriptor that no file action placed; returns the flag that does so.
    pub fn close_rest(
        _actions: &mut PosixSpawnFileActions,
        _first: RawFd,
        _close_from: bool,
    ) -> io::Result<PosixSpawnFlags> {
        Ok(PosixSpawnFlags::from_bits_retain(c_int::from(libc::POSIX_SPAWN_CLOEXEC_DEFAULT)))
    }

    /// No memory without a name here.
    pub(super) fn sealed_copy(_bytes: &[u8]) -> io::Result<OwnedFd> {
        Err(Errno::ENOSYS.into())
    }

    /// There are no seals.
    pub(super) fn is_sealed(_file: impl AsFd) -> io::Result<bool> {
        Ok(false)
    }

    /// No memory without a name here.
    pub(super) fn sealed_memory(_len: usize) -> io::Result<OwnedFd> {
        Err(Errno::ENOSYS.into())
    }

    /// There is no O_TMPFILE: the file has a name until the next statement.
    pub(super) fn unnamed_file(len: usize) -> io::Result<OwnedFd> {
        let (file, path) = mkstemp(&env::temp_dir().join("parallelizer.XXXXXX"))?;
        unlink(&path)?;
        fcntl(&file, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
        fill(file, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::fd::AsRawFd};

    use nix::fcntl::FdFlag;

    fn is_close_on_exec(fd: impl AsFd) -> bool {
        fcntl(fd, FcntlArg::F_GETFD).is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() != 0)
    }

    #[test]
    fn every_descriptor_is_close_on_exec() {
        let (one, other) = socketpair().unwrap();
        let (reader, writer) = output_pipe().unwrap();
        let above = duplicate_above(&one, 40).unwrap();
        assert!(above.as_raw_fd() >= 40);
        let page = shared_page(64).unwrap();
        for fd in [&one, &other, &reader, &writer, &above, &page] {
            assert!(is_close_on_exec(fd));
        }
        assert!(is_close_on_exec(Waker::new().unwrap().fd()));
    }

    #[test]
    fn a_page_carries_words_from_one_mapping_to_another() {
        assert!(shared_page(64).is_ok());
        for file in [os::sealed_memory(64), os::unnamed_file(64)].into_iter().flatten() {
            let one = SharedPage::map(&file, 64).unwrap();
            let other = SharedPage::map(&file, 64).unwrap();
            drop(file);
            assert_eq!(other.load(15), 0);
            one.store(15, 0xfeed_beef);
            assert_eq!(other.load(15), 0xfeed_beef);
        }
    }

    #[test]
    fn a_page_is_never_mapped_beyond_its_file() {
        let file = shared_page(64).unwrap();
        assert!(SharedPage::map(&file, 65).is_err());
        assert!(SharedPage::map(&file, 0).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn bytes_that_were_sent_cannot_be_changed_by_anybody() {
        // Some sandboxes deny it.
        let Ok(file) = memory_with(b"some bytes") else { return };
        assert!(is_close_on_exec(&file));
        assert_eq!(nix::unistd::write(&file, b"x"), Err(Errno::EPERM));
        assert_eq!(nix::unistd::ftruncate(&file, 0), Err(Errno::EPERM));
        let one = MappedBytes::map(&file, 10).unwrap();
        let other = MappedBytes::map(&file, 10).unwrap();
        // SAFETY: a live mapping of 10 bytes.
        let bytes = unsafe { slice::from_raw_parts_mut(one.as_ptr(), one.len()) };
        assert_eq!(bytes, b"some bytes");
        bytes[0] = b'S';
        // SAFETY: as above.
        assert_eq!(unsafe { slice::from_raw_parts(other.as_ptr(), other.len()) }, b"some bytes");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_could_change_or_is_too_short_is_not_mapped() {
        let Ok(file) = memory_with(b"some bytes") else { return };
        assert!(MappedBytes::map(&file, 11).is_err());
        assert!(MappedBytes::map(&file, 0).is_err());
        let open = os::sealed_memory(64).unwrap();
        assert!(MappedBytes::map(&open, 64).is_err(), "its maker may still write to it");
        let (one, _other) = socketpair().unwrap();
        assert!(MappedBytes::map(&one, 1).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn sealed_memory_keeps_its_size() {
        // Some sandboxes deny it.
        let Ok(file) = os::sealed_memory(64) else { return };
        assert_eq!(nix::unistd::ftruncate(&file, 0), Err(Errno::EPERM));
        assert_eq!(nix::unistd::ftruncate(&file, 8192), Err(Errno::EPERM));
    }

    #[test]
    fn a_cleared_waker_can_wake_again() {
        use nix::poll::{PollFd, PollFlags, poll};
        let waker = Waker::new().unwrap();
        let readable = || poll(&mut [PollFd::new(waker.fd(), PollFlags::POLLIN)], 0u8).unwrap() == 1;
        assert!(!readable());
        for _ in 0..2 {
            waker.wake();
            waker.wake();
            assert!(readable());
            waker.clear();
            assert!(!readable());
        }
    }

    #[test]
    fn own_path_names_the_running_image() {
        let own = fs::canonicalize(own_path().unwrap()).unwrap();
        assert_eq!(own, fs::canonicalize(std::env::current_exe().unwrap()).unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn inheritable_descriptors_are_those_that_a_child_gets() {
        let (one, other) = socketpair().unwrap();
        fcntl(&one, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let listed = os::inheritable_descriptors(0).unwrap();
        assert!(listed.contains(&one.as_raw_fd()));
        assert!(!listed.contains(&other.as_raw_fd()));
        let above = os::inheritable_descriptors(one.as_raw_fd() + 1).unwrap();
        assert!(!above.contains(&one.as_raw_fd()));
        let there = format!("test -e /proc/self/fd/{}", one.as_raw_fd());
        assert!(std::process::Command::new("/bin/sh").args(["-c", &there]).status().unwrap().success());
    }
}
