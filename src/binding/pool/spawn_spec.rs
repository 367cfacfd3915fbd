//! How a pool's processes are started, as the supervisor is told.
//!
//! Called when a pool is made. Must not depend on anything that lives.

use std::ffi::CString;

use napi::{Error, Result};

use crate::pool::{ProcessConfig, Stdio};
use crate::process::{SpawnSpec, Stderr, Stdout};

pub fn spawn_spec(config: &ProcessConfig) -> Result<SpawnSpec> {
    let (stdout, stderr) = match config.stdio {
        Stdio::Inherit => (Stdout::Inherit, Stderr::Inherit),
        Stdio::Forward => (Stdout::Forward, Stderr::Forward),
        Stdio::Ignore => (Stdout::Ignore, Stderr::Ignore),
    };
    Ok(SpawnSpec {
        program: c_string(&config.program)?,
        args: config.args.iter().map(|text| c_string(text)).collect::<Result<_>>()?,
        env: config.env.iter().map(|text| c_string(text)).collect::<Result<_>>()?,
        stdout,
        stderr,
    })
}

fn c_string(value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::from_reason("a NUL byte in the environment or the arguments"))
}
