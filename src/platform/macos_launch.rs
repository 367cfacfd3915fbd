//! macOS: starts a program by `posix_spawn`. Untested.
//!
//! There is no way to have a process end with its parent: until the worker watches its channel, it may outlive it. Nor
//! can a signal be ignored from the start.
//!
//! Must not depend on what the program is.

use std::ffi::c_int;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use super::launch::{Launch, LaunchError, LaunchStep};

/// Starts the program. All descriptors that are not placed are closed in the child, however many there are.
pub fn launch(launch: &Launch<'_>, _close_range: bool) -> Result<Pid, LaunchError> {
    let prepare = || -> Result<_, Errno> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (source, place) in launch.placements() {
            actions.add_dup2(source, place)?;
        }
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_flags(
            PosixSpawnFlags::from_bits_retain(c_int::from(libc::POSIX_SPAWN_CLOEXEC_DEFAULT))
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        Ok((actions, attributes))
    };
    let (actions, attributes) = prepare().map_err(LaunchError::at(LaunchStep::Prepare))?;
    posix_spawn(launch.program, &actions, &attributes, launch.argv, launch.env)
        .map_err(LaunchError::at(LaunchStep::Execute))
}

/// Processes outlive their parents anyway.
pub fn outlive_parent() {}
