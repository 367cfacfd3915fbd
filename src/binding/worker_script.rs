//! The JavaScript that workers run, embedded in chunks: a user's bundler would drop files that are found by their path.
//!
//! `build.rs` has them made of `lib/worker` and what that requires, and compiled by V8 where it can. Where the addon is
//! the main module of a worker process, it has the first of them begin. Must not depend on what they contain.

use std::env;
use std::sync::LazyLock;

use napi::bindgen_prelude::{Function, Object, Uint8Array};
use napi::{Env, Error, Result};
use napi_derive::napi;

// `CHUNKS`: names and texts.
include!(concat!(env!("OUT_DIR"), "/worker_chunks.rs"));
// `CODE_CACHES`: names of chunks, versions of V8, and what that made of the text.
include!(concat!(env!("OUT_DIR"), "/code_caches.rs"));

/// What marks a process that was started with the addon as its main module; `lib/worker/boot-script.js` has it too.
const MARK: (&str, &str) = ("PARALLELIZER_WORKER", "main");
/// What such a process evaluates, see `lib/worker/main-script.js`.
const MAIN: &str = "main";

/// Whether this process was marked when it loaded the addon first. Later other threads may be changing the environment.
static IS_MARKED: LazyLock<bool> = LazyLock::new(|| env::var_os(MARK.0).is_some_and(|value| value == MARK.1));

/// Begins a worker, where Node was started with the addon as its main module.
#[napi(module_exports)]
pub fn begin(exports: Object, env: Env) -> Result<()> {
    if !*IS_MARKED {
        return Ok(());
    }
    let main: Function<Object, ()> = env.run_script(worker_chunk(MAIN.to_owned())?)?;
    main.call(exports)
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

fn code_cache_of(name: &str, v8_version: &str) -> Option<&'static [u8]> {
    let found = CODE_CACHES.iter().find(|(known, version, _)| *known == name && *version == v8_version);
    found.map(|(_, _, bytes)| *bytes)
}

/// What V8 of this version (`process.versions.v8`) has compiled of a chunk; `null` if that was not done.
#[napi(catch_unwind)]
pub fn worker_code_cache(name: String, v8_version: String) -> Option<Uint8Array> {
    code_cache_of(&name, &v8_version).map(Uint8Array::with_data_copied)
}

/// All chunks with their code caches.
#[napi(object, object_from_js = false)]
pub struct AllWorkerChunks {
    pub names: Vec<&'static str>,
    /// The bytes of each chunk's text, and those of its code cache; 0 where there is none.
    pub sizes: Vec<u32>,
    /// Each text, in ASCII, and the code cache behind it.
    pub bytes: Uint8Array,
}

/// All chunks, with what V8 of this version has compiled of them.
#[napi(catch_unwind)]
pub fn all_worker_chunks(v8_version: String) -> AllWorkerChunks {
    let parts_of =
        |name, text: &'static str| [text.as_bytes(), code_cache_of(name, &v8_version).unwrap_or_default()];
    let parts: Vec<&[u8]> = CHUNKS.iter().flat_map(|(name, text)| parts_of(name, text)).collect();
    AllWorkerChunks {
        names: CHUNKS.iter().map(|(name, _)| *name).collect(),
        sizes: parts.iter().map(|part| u32::try_from(part.len()).expect("some hundred kilobytes")).collect(),
        bytes: parts.concat().into(),
    }
}

/// The versions of V8 that have compiled chunks.
#[napi(catch_unwind)]
pub fn worker_code_cache_versions() -> Vec<&'static str> {
    let mut versions: Vec<_> = CODE_CACHES.iter().map(|(_, version, _)| *version).collect();
    versions.dedup();
    versions
}
