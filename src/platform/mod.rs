//! What differs between operating systems, and the few system calls that neither `std` nor `nix` offers.
//!
//! This is the only module that depends on `target_os`, and only this file does: modules named after a system provide
//! the same functions, and the others are shared. Linux is tested; macOS is written for and untested.
//!
//! Every descriptor opened here is close-on-exec.
//!
//! Must not depend on workers, or on what is written to the descriptors and pages.

mod descriptors;
#[cfg_attr(target_os = "macos", expect(dead_code, reason = "posix_spawn tells less, and can less"))]
mod launch;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_launch;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
mod macos_launch;
mod own_path;
mod sealed_bytes;
mod shared_page;
#[cfg(test)]
mod tests;

#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "linux")]
use linux_launch as os_launch;
#[cfg(target_os = "macos")]
use macos as os;
#[cfg(target_os = "macos")]
use macos_launch as os_launch;

pub use descriptors::{duplicate_above, output_pipe, socketpair};
pub use launch::{Launch, LaunchError, LaunchStep};
pub use os::{
    RECEIVE_FLAGS, Waker, current_cpu, fetch_thread, is_crowded, is_main_thread, pidfd_open, runs_on,
    sealed_copy, wake_elsewhere,
};
pub use os_launch::{launch, outlive_parent};
pub use own_path::own_path;
pub use sealed_bytes::{MappedBytes, SealedView, SealedWriter};
pub use shared_page::{SharedPage, SharedWords, shared_page};

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
compile_error!("parallelizer runs on Linux and macOS; other systems are refused by the JavaScript side");
