//! Bytes that one process hands to another in memory, without a copy on the way.
//!
//! Must not depend on what the bytes mean.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::slice;

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

/// Memory that is filled piece by piece, and sealed before another process gets it.
#[derive(Debug)]
pub struct SealedWriter {
    file: File,
    /// Where the next piece begins, at the earliest.
    len: u64,
}

/// Where pieces begin: a multiple of this, so that text of two bytes per character can be read in place.
const PIECE_ALIGN: u64 = 8;

impl SealedWriter {
    /// An error where the system has no such memory.
    pub fn new() -> io::Result<SealedWriter> {
        Ok(SealedWriter { file: os::sealable_memory()?, len: 0 })
    }

    /// Appends a piece and returns where it begins. After an error there is no trace of it.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let place = self.len.next_multiple_of(PIECE_ALIGN);
        // By writing: if memory is short, this is an error and not a signal at the first access.
        if let Err(error) = self.file.write_all_at(bytes, place) {
            self.truncate(self.len);
            return Err(error);
        }
        self.len = place + bytes.len() as u64;
        Ok(place)
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// Removes what was appended beyond this length.
    pub fn truncate(&mut self, len: u64) {
        self.len = len;
        // If it cannot be freed now, it is overwritten, or goes with the rest.
        let _ = self.file.set_len(len);
    }

    /// From here on nobody can change it.
    pub fn seal(self) -> io::Result<OwnedFd> {
        os::seal(&self.file)?;
        Ok(self.file.into())
    }
}

/// All bytes of memory that another process has filled by a [`SealedWriter`], to be read.
#[derive(Debug)]
pub struct SealedView {
    /// Invariant: the start of a live private mapping of `len` bytes, readable; only `drop` unmaps it.
    base: NonNull<u8>,
    len: NonZeroUsize,
}

impl SealedView {
    /// Refuses memory that could still change or shrink, see [`UnusableMemory`].
    pub fn map(file: impl AsFd) -> io::Result<SealedView> {
        if !os::is_sealed(&file)? {
            return Err(UnusableMemory::NotSealed.into());
        }
        let len = usize::try_from(fstat(&file)?.st_size).ok().and_then(NonZeroUsize::new);
        let len = len.ok_or(UnusableMemory::Empty)?;
        // SAFETY: a new mapping, placed by the kernel, aliases no Rust object of this process. The file has these bytes
        // and is sealed against shrinking and writing.
        let base = unsafe { mmap(None, len, ProtFlags::PROT_READ, os::VIEW_FLAGS, file, 0)? };
        Ok(SealedView { base: base.cast(), len })
    }
}

impl Deref for SealedView {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: a live mapping of so many bytes, which nobody can write to.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len.get()) }
    }
}

impl Drop for SealedView {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, and no reference to it outlives `self`.
        let unmapped = unsafe { munmap(self.base.cast(), self.len.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
