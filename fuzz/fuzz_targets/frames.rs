//! Any bytes, in pieces of any size, through the frame decoder: `cargo +nightly fuzz run frames`.
//!
//! The rooms are compiled in from their sources, as the crate itself can only be loaded by Node.

#![no_main]

#[expect(dead_code, unused_imports, reason = "not all of it is tried here")]
#[path = "../../src/wire/mod.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::trial::decode(data));
