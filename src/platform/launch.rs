//! What is needed to start a program, and how that can fail. Each operating system starts it in its own way.
//!
//! Must not depend on what the program is.

use std::error::Error;
use std::ffi::{CStr, CString};
use std::fmt::{self, Display, Formatter};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// A program to be started.
pub struct Launch<'a> {
    /// A path; `PATH` is not searched.
    pub program: &'a CStr,
    /// Begins with the name of the program.
    pub argv: &'a [&'a CStr],
    /// The whole environment, each as `NAME=value`.
    pub env: &'a [CString],
    /// Each descriptor and the number that it gets in the child. Invariant: the descriptors are close-on-exec, and
    /// their numbers are above all places, so that no placement overwrites the source of a later one.
    pub descriptors: &'a [(OwnedFd, RawFd)],
    /// Signals that the child ignores from its first instruction on, where the system can arrange that. All others
    /// have their default, and none is blocked.
    pub ignored: &'a [Signal],
}

impl Launch<'_> {
    /// The lowest number that the child has no descriptor for. It gets none from here up.
    pub(super) fn first_unused(&self) -> RawFd {
        self.descriptors.iter().map(|(_, place)| place + 1).max().unwrap_or(0)
    }

    /// Each source and its place, as numbers.
    pub(super) fn placements(&self) -> impl Iterator<Item = (RawFd, RawFd)> {
        self.descriptors.iter().map(|(source, place)| (source.as_raw_fd(), *place))
    }
}

/// The steps that can fail, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaunchStep {
    /// Everything before there is a process.
    Prepare,
    /// The new process itself.
    Start,
    /// In the child: its descriptors.
    Descriptors,
    /// In the child: the program.
    Execute,
}

/// The step that failed, and the system's reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchError {
    pub step: LaunchStep,
    pub errno: Errno,
}

impl LaunchError {
    /// For `map_err`: a failure of this step.
    pub(super) fn at(step: LaunchStep) -> impl Fn(Errno) -> LaunchError {
        move |errno| LaunchError { step, errno }
    }
}

impl Display for LaunchError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            LaunchStep::Prepare => "prepare a process",
            LaunchStep::Start => "start a process",
            LaunchStep::Descriptors => "place descriptors in a process",
            LaunchStep::Execute => "execute a program",
        };
        write!(f, "{step}: {}", self.errno)
    }
}

impl Error for LaunchError {}
