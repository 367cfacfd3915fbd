//! Build steps: link settings, and the script that workers start with.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

/// What every worker needs to start. (Others are embedded one by one, see `src/binding/worker_modules.rs`.)
const BUNDLED: [&str; 10] = [
    "lib/transport/frames.js",
    "lib/codec/transfer.js",
    "lib/codec/json-safe.js",
    "lib/codec/codec.js",
    "lib/transport/registers.js",
    "lib/worker/output.js",
    "lib/worker/runner.js",
    "lib/worker/module-loader.js",
    "lib/worker/serve.js",
    "lib/worker/bootstrap.js",
];

fn main() {
    napi_build::setup();
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // A thread of ours may be running when Node unloads the addon of an environment that ended.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    let out = env::var("OUT_DIR").expect("set by cargo");
    fs::write(Path::new(&out).join("worker.js"), worker_script()).expect("OUT_DIR is writable");
}

/// One script whose value is the loader, with the bundled modules as its first argument.
fn worker_script() -> String {
    let loader = read("lib/worker/loader.js");
    let mut script = format!("((module) => {{\n{loader}\nreturn module.exports;\n}})({{}}).bind(null, {{\n");
    for path in BUNDLED {
        let name = Path::new(path).file_stem().and_then(|stem| stem.to_str()).expect("a file name");
        writeln!(script, "'{name}'(module, exports, require) {{\n{}\n}},", read(path)).expect("a string");
    }
    script + "})"
}

/// The text of a file without its comment lines: they are half of it, and every worker has to read it all. Only
/// lines that are nothing but comment are taken; the modules have no such line within a string.
fn read(path: &str) -> String {
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut in_block = false;
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let trimmed = line.trim();
        in_block |= trimmed.starts_with("/*");
        let is_comment = in_block || trimmed.is_empty() || trimmed.starts_with("//");
        if in_block && trimmed.contains("*/") {
            in_block = false;
            // Code may follow a type cast at the head of a line.
            if !trimmed.ends_with("*/") {
                code.push_str(line);
                code.push('\n');
            }
            continue;
        }
        if !is_comment {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}
