//! Where this library was loaded from.
//!
//! Must not depend on what the path is used for.

use std::ffi::{CStr, OsStr, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The path of the shared object (or the executable) that contains this function.
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
    // SAFETY: not null, and the linker keeps the string while this library is loaded, as it is while one of its
    // functions runs.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Ok(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}
