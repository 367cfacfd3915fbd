//! One `posix_spawn`: nothing forks the parent's address space, whatever its size.
//!
//! The child gets 0, 1, 2, [`CHANNEL_FD`], and [`PAGE_FD`] if it has a page, and nothing else:
//!
//! 1. Every source is brought to a number of [`SOURCES`] or above, so that no placement overwrites the
//!    source of a later one. Sources are close-on-exec; their copies are not.
//! 2. Each is duplicated to its place by a file action.
//! 3. Everything above the last place is closed by file actions: the host's own descriptors are often
//!    not close-on-exec (AWS Lambda's connection to its runtime API is not).
//!
//! The child stays in the parent's process group and session, which is how hosts end both at once.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
};

use libc::{STDERR_FILENO, STDIN_FILENO, STDOUT_FILENO};
use nix::{
    errno::Errno,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::signal::SigSet,
    unistd::Pid,
};

use super::{CHANNEL_FD, Descriptors, PAGE_FD, SpawnSpec};
use crate::platform;

/// The lowest number for a source: above every place.
const SOURCES: RawFd = 16;

/// Why there is no process.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) errno: i32,
    pub(super) message: String,
}

impl Failure {
    /// For `map_err`: a failure of this step.
    pub(super) fn at<E: Into<io::Error>>(step: &str) -> impl FnOnce(E) -> Failure {
        move |error| {
            let errno = error.into().raw_os_error().unwrap_or(Errno::EIO as i32);
            Failure { errno, message: format!("{step}: {}", Errno::from_raw(errno)) }
        }
    }
}

/// For a child that shall have nothing to read, or whose output nobody wants.
pub(super) fn null() -> Result<OwnedFd, Failure> {
    let opened = File::options().read(true).write(true).open("/dev/null");
    opened.map(OwnedFd::from).map_err(Failure::at("open /dev/null"))
}

/// The parent's own stdout; [`null`] if that is closed. To be called before anything else is opened,
/// which would get the number of a closed one.
pub(super) fn own_stdout() -> Result<OwnedFd, Failure> {
    match platform::duplicate_above(io::stdout(), SOURCES) {
        Err(error) if error.raw_os_error() == Some(Errno::EBADF as i32) => null(),
        result => result.map_err(Failure::at("duplicate stdout")),
    }
}

/// Starts the program. What it places is closed on this side, whether or not it succeeds.
pub(super) fn spawn(
    spec: &SpawnSpec,
    stdout: OwnedFd,
    stderr: OwnedFd,
    descriptors: Descriptors,
    close_from: bool,
) -> Result<Pid, Failure> {
    let mut sources = vec![
        (null()?, STDIN_FILENO),
        (stdout, STDOUT_FILENO),
        (stderr, STDERR_FILENO),
        (descriptors.channel, CHANNEL_FD),
    ];
    sources.extend(descriptors.page.map(|page| (page, PAGE_FD)));
    let mut first_unused = 0;
    for (source, place) in &mut sources {
        if source.as_raw_fd() < SOURCES {
            *source = platform::duplicate_above(&*source, SOURCES)
                .map_err(Failure::at("duplicate a descriptor"))?;
        }
        first_unused = *place + 1;
    }

    let prepare = || -> io::Result<_> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (source, place) in &sources {
            actions.add_dup2(source.as_raw_fd(), *place)?;
        }
        let flags = platform::close_rest(&mut actions, first_unused, close_from)?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_flags(
            flags | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        Ok((actions, attributes))
    };
    let (actions, attributes) = prepare().map_err(Failure::at("prepare a spawn"))?;

    let program = spec.program.as_c_str();
    let argv: Vec<_> = std::iter::once(program).chain(spec.args.iter().map(|arg| arg.as_c_str())).collect();
    posix_spawn(program, &actions, &attributes, &argv, &spec.env)
        .map_err(Failure::at(&format!("spawn {}", program.to_string_lossy())))
}
