//! Starts one process, without a copy of the parent's address space, whatever its size.
//!
//! The child gets the descriptors 0, 1, 2, [`CHANNEL_FD`], and [`PAGE_FD`] if it has a page, and no others:
//!
//! 1. Every source gets a number of [`MIN_SOURCE`] or above, so that no placement overwrites the source of a later one.
//!    Sources are close-on-exec; their copies are not.
//! 2. The child duplicates each to its place.
//! 3. It closes everything above the last place, because the host's own descriptors are often not
//!    close-on-exec (AWS Lambda's connection to its runtime API is not).
//!
//! The child stays in the parent's process group and session, which is how hosts end both at once. It ignores what they
//! send to all of the group for the parent to decide ([`GROUP_SIGNALS`]). On Linux it is killed when the calling thread
//! ends, until it says that it takes care of its end itself.
//!
//! Must not depend on what the descriptors are used for.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libc::{STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO};
use nix::errno::Errno;
use nix::unistd::Pid;

use super::error::{SpawnError, SpawnStep};
use super::{CHANNEL_FD, Descriptors, GROUP_SIGNALS, PAGE_FD, SpawnSpec};
use crate::platform::{self, Launch, LaunchError, LaunchStep};

/// The lowest number for a source: above every place.
const MIN_SOURCE: RawFd = 16;

/// For a child that is to have nothing to read, or whose output nobody wants.
pub(super) fn null() -> Result<OwnedFd, SpawnError> {
    let opened = File::options().read(true).write(true).open("/dev/null");
    opened.map(OwnedFd::from).map_err(SpawnError::at(SpawnStep::OpenNull))
}

/// The parent's own stdout, or [`null`] if that is closed. To be called before anything else is opened, which would get
/// the number of a closed one.
pub(super) fn own_stdout() -> Result<OwnedFd, SpawnError> {
    match platform::duplicate_above(io::stdout(), MIN_SOURCE) {
        Err(error) if error.raw_os_error() == Some(Errno::EBADF as i32) => null(),
        result => result.map_err(SpawnError::at(SpawnStep::DuplicateStdout)),
    }
}

/// Starts the program. The descriptors that it gets are closed on this side, whether or not it starts.
pub(super) fn spawn(
    spec: &SpawnSpec,
    stdout: OwnedFd,
    stderr: OwnedFd,
    descriptors: Descriptors,
    close_range: bool,
) -> Result<Pid, SpawnError> {
    let mut sources = vec![
        (null()?, STDIN_FILENO),
        (stdout, STDOUT_FILENO),
        (stderr, STDERR_FILENO),
        (descriptors.channel, CHANNEL_FD),
    ];
    sources.extend(descriptors.page.map(|page| (page, PAGE_FD)));
    for (source, _) in &mut sources {
        if source.as_raw_fd() < MIN_SOURCE {
            *source = platform::duplicate_above(&*source, MIN_SOURCE)
                .map_err(SpawnError::at(SpawnStep::DuplicateDescriptor))?;
        }
    }

    let program = spec.program.as_c_str();
    let argv: Vec<_> = std::iter::once(program).chain(spec.args.iter().map(|arg| arg.as_c_str())).collect();
    let launch =
        Launch { program, argv: &argv, env: &spec.env, descriptors: &sources, ignored: &GROUP_SIGNALS };
    platform::launch(&launch, close_range).map_err(|LaunchError { step, errno }| SpawnError {
        step: match step {
            LaunchStep::Prepare => SpawnStep::Prepare,
            LaunchStep::Start => SpawnStep::Start,
            LaunchStep::Descriptors => SpawnStep::PlaceDescriptors,
            LaunchStep::Execute => SpawnStep::Spawn(spec.program.clone()),
        },
        errno,
    })
}
