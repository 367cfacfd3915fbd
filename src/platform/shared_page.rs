//! Memory that several processes or threads read and write, as words.
//!
//! Must not depend on what the words mean.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use super::os;

/// A file of `len` zeroed bytes without a name.
///
/// It is in memory if the system allows that, sealed so that no holder can shrink it under the mappings of the others;
/// otherwise in the temporary directory.
pub fn shared_page(len: usize) -> io::Result<OwnedFd> {
    os::sealed_memory(len).or_else(|_| os::unnamed_file(len))
}

/// Gives a new file its length by writing. A hole would raise SIGBUS at the first store if the memory or the disk
/// turned out to be full, and AWS Lambda refuses `posix_fallocate`.
pub(super) fn fill(file: OwnedFd, len: usize) -> io::Result<OwnedFd> {
    let mut file = File::from(file);
    file.write_all(&vec![0; len])?;
    Ok(file.into())
}

/// 32-bit words that others read and write too.
///
/// Whoever else has the memory may store at any time, so every access is atomic, and a word only tells the value that
/// it had when it was loaded. A `load` sees everything that the storing thread did before. All accesses panic if
/// `index` lies beyond the last word.
pub trait SharedWords {
    fn words(&self) -> &[AtomicU32];

    /// The word at `index`, in one order with all loads and stores of the memory.
    fn load(&self, index: usize) -> u32 {
        self.words()[index].load(Ordering::SeqCst)
    }

    /// Stores a word at `index`, in the same order.
    fn store(&self, index: usize, value: u32) {
        self.words()[index].store(value, Ordering::SeqCst);
    }

    /// Loads a word that another one, loaded before, has announced.
    fn load_relaxed(&self, index: usize) -> u32 {
        self.words()[index].load(Ordering::Relaxed)
    }

    /// Stores a word that another one, stored later, announces.
    fn store_relaxed(&self, index: usize, value: u32) {
        self.words()[index].store(value, Ordering::Relaxed);
    }

    /// Stores a word if the present one is `current`, in the order of `load` and `store`. Whether it was.
    fn replace(&self, index: usize, current: u32, value: u32) -> bool {
        let word = &self.words()[index];
        word.compare_exchange(current, value, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Such words in memory that other processes have mapped: whoever holds the file may store.
#[derive(Debug)]
pub struct SharedPage {
    /// Invariant: the start of a live mapping of `len` bytes, readable and writable; only `drop` unmaps it.
    base: NonNull<AtomicU32>,
    /// In bytes.
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
        // SAFETY: a new mapping, placed by the kernel, aliases no Rust object of this process. The file extends to its
        // end (checked above), and `shared_page` seals it if the system can.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, file, 0)? };
        Ok(SharedPage { base: base.cast(), len })
    }

    /// The first word, valid while `self` lives.
    pub fn as_ptr(&self) -> *mut u32 {
        self.base.as_ptr().cast()
    }
}

impl SharedWords for SharedPage {
    fn words(&self) -> &[AtomicU32] {
        // SAFETY: the mapping lives as long as `self`, is page-aligned, holds this many whole words for which any bit
        // pattern is valid, and is only shared as atomics.
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
