//! Any bytes, in pieces of any size, through the frame decoder: `cargo +nightly fuzz run frames`.
//!
//! The module is compiled in from its source, because the crate itself can only be loaded by Node.

#![no_main]

#[expect(dead_code, unused_imports, reason = "not all of it is fuzzed here")]
#[path = "../../src/wire/mod.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzz_harness::decode(data));
