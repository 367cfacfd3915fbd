//! The JavaScript that workers run, embedded in chunks: a user's bundler would drop files that are found by their path.
//!
//! `build.rs` has them made of `lib/worker` and what that requires, and compiled by V8 where it can. Must not depend on
//! what they contain.

use napi::bindgen_prelude::Uint8Array;
use napi::{Error, Result};
use napi_derive::napi;

// `CHUNKS`: names and texts.
include!(concat!(env!("OUT_DIR"), "/worker_chunks.rs"));
// `CODE_CACHES`: names of chunks, versions of V8, and what that made of the text.
include!(concat!(env!("OUT_DIR"), "/code_caches.rs"));

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

/// What V8 of this version (`process.versions.v8`) has compiled of a chunk; `null` if that was not done.
#[napi(catch_unwind)]
pub fn worker_code_cache(name: String, v8_version: String) -> Option<Uint8Array> {
    let found = CODE_CACHES.iter().find(|(known, version, _)| *known == name && *version == v8_version);
    found.map(|(_, _, bytes)| Uint8Array::with_data_copied(bytes))
}

/// The versions of V8 that have compiled chunks.
#[napi(catch_unwind)]
pub fn worker_code_cache_versions() -> Vec<&'static str> {
    let mut versions: Vec<_> = CODE_CACHES.iter().map(|(_, version, _)| *version).collect();
    versions.dedup();
    versions
}
