//! The JavaScript that workers run, embedded in chunks: a user's bundler would drop files that are found by their path.
//!
//! `build.rs` has them made of `lib/worker` and what that requires. Must not depend on what they contain.

use napi::{Error, Result};
use napi_derive::napi;

// `CHUNKS`: names and texts.
include!(concat!(env!("OUT_DIR"), "/worker_chunks.rs"));

/// The names of all chunks.
#[napi(catch_unwind)]
pub fn worker_chunk_names() -> Vec<&'static str> {
    CHUNKS.iter().map(|(name, _)| *name).collect()
}

/// The text of a chunk.
#[napi(catch_unwind)]
pub fn worker_chunk(name: String) -> Result<&'static str> {
    let found = CHUNKS.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).ok_or_else(|| {
        let reason = match CHUNKS {
            [] => "this addon was built without the JavaScript of workers: run `npm ci` and `npm run build`"
                .to_owned(),
            _ => format!("workers have no chunk '{name}'"),
        };
        Error::from_reason(reason)
    })
}
