//! Build steps: link settings, and the JavaScript that workers run, which is embedded in the addon.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Bundles the modules that run in workers, a file per chunk.
const BUNDLER: &str = "scripts/bundle-worker.js";
/// What the bundler itself requires.
const CHUNKER: &str = "scripts/chunks.js";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The WebAssembly build has no napi, and its workers' JavaScript beside it: see `scripts/build-wasm.js`.
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        return;
    }
    napi_build::setup();
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // A thread of ours may be running when Node unloads the addon of an environment that ended.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    let out = PathBuf::from(env::var("OUT_DIR").expect("set by cargo"));
    let chunks = out.join("worker");
    // A chunk that is no longer made must not be embedded.
    let _ = fs::remove_dir_all(&chunks);
    bundle(&chunks);
    fs::write(out.join("worker_chunks.rs"), table(&chunks)).expect("OUT_DIR is writable");
}

/// Runs the bundler. Where its packages are not installed (`npm ci` does that), everything compiles and all Rust tests
/// run, but the addon has no code for workers and says so.
fn bundle(chunks: &Path) {
    for input in [BUNDLER, CHUNKER, "lib", "node_modules/esbuild/package.json"] {
        println!("cargo:rerun-if-changed={input}");
    }
    fs::create_dir_all(chunks).expect("OUT_DIR is writable");
    if !Path::new("node_modules/esbuild").exists() {
        println!("cargo:warning=no JavaScript for workers is embedded: run `npm ci`, then build again");
        return;
    }
    let status = Command::new("node").arg(BUNDLER).arg(chunks).status();
    assert!(status.is_ok_and(|status| status.success()), "`node {BUNDLER}` has failed");
}

/// The Rust source of a table of all chunks, by name.
fn table(chunks: &Path) -> String {
    let entries = fs::read_dir(chunks).expect("made above");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let mut table = String::from("const CHUNKS: &[(&str, &str)] = &[\n");
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a file name");
        writeln!(table, "    ({name:?}, include_str!({file:?})),").expect("a string");
    }
    table + "];\n"
}
