//! Build steps: link settings, and the JavaScript that workers run, which is embedded in the addon.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Bundles the modules that run in workers, a file per chunk.
const BUNDLER: &str = "scripts/bundle-worker.js";
/// What the bundler itself requires.
const CHUNKER: &str = "scripts/chunks.js";
/// Has V8 compile the chunks that a worker needs first.
const COMPILER: &str = "scripts/code-cache.js";
/// What that has them do.
const FIRST_CALLS: &str = "scripts/first-calls.js";
/// Names the programs for whose V8 that is done, separated as in `PATH`: Nodes of several versions, where an addon is
/// built to be published. By default it is done for the Node at hand.
const NODES_VARIABLE: &str = "PARALLELIZER_CODE_CACHE_NODES";

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
    let caches = out.join("code-caches");
    let _ = fs::remove_dir_all(&caches);
    fs::write(out.join("code_caches.rs"), table_of_caches(&compile(&chunks, &caches)))
        .expect("OUT_DIR is writable");
}

/// Runs the bundler. Where its packages are not installed (`npm ci` does that), everything compiles and all Rust tests
/// run, but the addon has no code for workers and says so.
fn bundle(chunks: &Path) {
    for input in [BUNDLER, CHUNKER, COMPILER, FIRST_CALLS, "lib", "node_modules/esbuild/package.json"] {
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

/// Has each Node write its code caches of the chunks; the directories of those that could.
fn compile(chunks: &Path, caches: &Path) -> Vec<PathBuf> {
    println!("cargo:rerun-if-env-changed={NODES_VARIABLE}");
    let cpu = env::var("CARGO_CFG_TARGET_ARCH").expect("set by cargo");
    // What V8 compiles is for its own processor. And without chunks there is nothing to compile.
    let is_own = env::var("HOST").is_ok_and(|host| host.starts_with(&cpu));
    if !is_own || fs::read_dir(chunks).is_ok_and(|mut entries| entries.next().is_none()) {
        return Vec::new();
    }
    let nodes = env::var_os(NODES_VARIABLE).unwrap_or_else(|| "node".into());
    let programs = env::split_paths(&nodes).enumerate();
    programs.filter_map(|(index, node)| compile_with(&node, chunks, caches.join(index.to_string()))).collect()
}

fn compile_with(node: &Path, chunks: &Path, into: PathBuf) -> Option<PathBuf> {
    // Flags of the one who builds would make the caches good for those with the same flags only.
    let status = Command::new(node).env_remove("NODE_OPTIONS").arg(COMPILER).arg(chunks).arg(&into).status();
    if status.is_ok_and(|status| status.success()) {
        return Some(into);
    }
    println!("cargo:warning=`{} {COMPILER}` has failed: workers of this Node start later", node.display());
    None
}

/// The Rust source of a table of all code caches, by chunk and the version of V8.
fn table_of_caches(folders: &[PathBuf]) -> String {
    let mut table = String::from("const CODE_CACHES: &[(&str, &str, &[u8])] = &[\n");
    for folder in folders {
        let version = fs::read_to_string(folder.join("v8-version")).expect("written by the compiler");
        let entries =
            fs::read_dir(folder).expect("made by the compiler").map(|entry| entry.expect("readable").path());
        let mut files: Vec<PathBuf> =
            entries.filter(|file| file.extension().is_some_and(|it| it == "cache")).collect();
        files.sort();
        for file in files {
            let name = file.file_stem().and_then(|stem| stem.to_str()).expect("a file name");
            writeln!(table, "    ({name:?}, {version:?}, include_bytes!({file:?})),").expect("a string");
        }
    }
    table + "];\n"
}
