//! The native half of `@parallelizer/node`: schedules calls over workers and, as an addon, moves their bytes.
//!
//! | module | contains | must not depend on |
//! |---|---|---|
//! | [`engine`] | the scheduler, a pure state machine | napi, descriptors, clocks, threads |
//! | [`wire`] | the frame codec | who sends |
//! | [`channel`] | a non-blocking channel of frames over a socket and shared memory | what the frames mean |
//! | [`joined_answers`] | answers to single calls, joined to one | where frames come from |
//! | [`process`] | spawning, reaping, output | V8 |
//! | [`registry`] | who may have a worker, if environments share them | what a worker is |
//! | [`pace`] | when a poll before sleep pays | what is polled |
//! | [`woken`] | workers that were woken and wait for a CPU | how they were woken |
//! | [`pool`] | engine, carrier and hooks, translated into each other | Node, descriptors, clocks |
//! | [`platform`] | what differs between operating systems | all other modules |
//! | [`protocol`] | numbers that JavaScript has too | all other modules |
//! | `binding` | the napi layer: the addon | policy |
//! | `wasm` | the layer of the WebAssembly build, in place of the addon | policy |

// The binding needs a Node process around it and is tested from there. Without it, some of what the other modules offer
// has no caller. The WebAssembly build has neither descriptors nor processes.
#[cfg(not(any(test, target_family = "wasm")))]
mod binding;
#[cfg(not(target_family = "wasm"))]
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod channel;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
#[cfg_attr(
    target_family = "wasm",
    expect(dead_code, reason = "nothing is shared, and no turn is measured there")
)]
mod engine;
#[cfg(not(target_family = "wasm"))]
mod joined_answers;
#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "JavaScript does the polling there"))]
mod pace;
#[cfg(not(target_family = "wasm"))]
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod platform;
#[cfg_attr(test, expect(dead_code, unused_imports, reason = "its hosts are in the bindings"))]
#[cfg_attr(
    target_family = "wasm",
    expect(dead_code, unused_imports, reason = "processes are JavaScript's there")
)]
mod pool;
#[cfg(not(target_family = "wasm"))]
mod process;
#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "what concerns processes is not needed there"))]
mod protocol;
#[cfg(not(target_family = "wasm"))]
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod registry;
#[cfg(not(target_family = "wasm"))]
mod stay_awake;
#[cfg(all(target_family = "wasm", not(test)))]
mod wasm;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
#[cfg_attr(
    target_family = "wasm",
    expect(dead_code, unused_imports, reason = "JavaScript has a frame codec of its own there")
)]
mod wire;
#[cfg(not(target_family = "wasm"))]
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod woken;
