//! Why there is no process, one variant for each step that can fail.
//!
//! Must not depend on how callers are told.

use std::error::Error;
use std::ffi::CString;
use std::fmt::{self, Display, Formatter};
use std::io;

use nix::errno::Errno;

/// A step on the way to a process that failed, and the system's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnError {
    pub step: SpawnStep,
    pub errno: Errno,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnStep {
    OpenNull,
    DuplicateStdout,
    OpenPipe,
    WatchPipe,
    DuplicateDescriptor,
    Prepare,
    Start,
    PlaceDescriptors,
    /// Of this program.
    Spawn(CString),
    /// The supervisor's thread is gone, which happens only if it panicked.
    AskSupervisor,
}

impl SpawnError {
    /// For `map_err`: a failure of this step.
    pub(super) fn at<E: Into<io::Error>>(step: SpawnStep) -> impl FnOnce(E) -> SpawnError {
        move |error| {
            let errno = error.into().raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            SpawnError { step, errno }
        }
    }
}

impl Display for SpawnError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.step {
            SpawnStep::OpenNull => f.write_str("open /dev/null")?,
            SpawnStep::DuplicateStdout => f.write_str("duplicate stdout")?,
            SpawnStep::OpenPipe => f.write_str("open a pipe for output")?,
            SpawnStep::WatchPipe => f.write_str("watch a pipe for output")?,
            SpawnStep::DuplicateDescriptor => f.write_str("duplicate a descriptor")?,
            SpawnStep::Prepare => f.write_str("prepare a spawn")?,
            SpawnStep::Start => f.write_str("start a process")?,
            SpawnStep::PlaceDescriptors => f.write_str("place descriptors in a process")?,
            SpawnStep::Spawn(program) => write!(f, "spawn {}", program.to_string_lossy())?,
            SpawnStep::AskSupervisor => return f.write_str("the supervisor's thread has ended"),
        }
        write!(f, ": {}", self.errno)
    }
}

impl Error for SpawnError {}
