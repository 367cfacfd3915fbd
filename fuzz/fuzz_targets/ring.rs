//! A peer that writes anything into the memory that is shared with it: `cargo +nightly fuzz run ring`.

#![no_main]

#[expect(dead_code, unused_imports, reason = "not all of it is tried here")]
#[path = "../../src/channel/mod.rs"]
mod channel;
#[expect(dead_code, unused_imports, reason = "not all of it is tried here")]
#[path = "../../src/platform/mod.rs"]
mod platform;
#[expect(dead_code, reason = "not all of it is tried here")]
#[path = "../../src/wire/mod.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| channel::fuzz_harness::scribble(data));
