//! Bytes that one process hands to another in memory, without a copy on the way.
//!
//! Must not depend on what the bytes mean.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;

use super::os;

/// Why memory that was received is not mapped. Comes as an [`io::Error`] of the kind `InvalidData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnusableMemory {
    /// It was announced to have no bytes.
    Empty,
    /// Its sender could still change or shrink it.
    NotSealed,
    /// It has fewer bytes than were announced.
    TooShort,
}

impl Display for UnusableMemory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnusableMemory::Empty => "shared memory without bytes",
            UnusableMemory::NotSealed => "shared memory that is not sealed",
            UnusableMemory::TooShort => "shared memory that is too short",
        })
    }
}

impl Error for UnusableMemory {}

impl From<UnusableMemory> for io::Error {
    fn from(reason: UnusableMemory) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

/// Bytes that another process has written, mapped privately: nobody else sees what is written here.
#[derive(Debug)]
pub struct MappedBytes {
    /// Invariant: the start of a live private mapping of `len` bytes, readable and writable; only `drop` unmaps it.
    base: NonNull<u8>,
    len: NonZeroUsize,
}

impl MappedBytes {
    /// Maps the first `len` bytes of memory made by [`sealed_copy`](super::sealed_copy); refuses any that could still
    /// change or shrink, see [`UnusableMemory`].
    pub fn map(file: impl AsFd, len: usize) -> io::Result<MappedBytes> {
        let len = NonZeroUsize::new(len).ok_or(UnusableMemory::Empty)?;
        if !os::is_sealed(&file)? {
            return Err(UnusableMemory::NotSealed.into());
        }
        let size = fstat(&file)?.st_size;
        if usize::try_from(size).map_or(true, |size| size < len.get()) {
            return Err(UnusableMemory::TooShort.into());
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // Its pages are not populated, because a writable mapping would get copies of them.
        // SAFETY: a new mapping, placed by the kernel, aliases no Rust object of this process. The file extends to its
        // end (checked above) and is sealed against shrinking and writing.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_PRIVATE, file, 0)? };
        Ok(MappedBytes { base: base.cast(), len })
    }

    /// The first byte, valid while `self` lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// How many bytes there are; at least 1.
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
