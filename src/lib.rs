//! The native half of `@parallelizer/node`: schedules calls over worker processes and moves their bytes.
//!
//! | room | holds | must not know |
//! |---|---|---|
//! | [`engine`] | the scheduler, a pure state machine | napi, descriptors, clocks, threads |
//! | [`wire`] | the frame codec | who sends |
//! | [`channel`] | a non-blocking channel of frames over a socket | what the frames mean |
//! | [`process`] | spawning, reaping, output | V8 |
//! | [`registry`] | who may have a worker, where environments share them | what a worker is |
//! | [`pace`] | when a poll before sleep pays | what is polled |
//! | [`platform`] | what differs between operating systems | everything else |
//! | `binding` | the napi layer | policy |

// The binding needs a Node process around it and is tested from there; without it, some of what the other
// rooms offer has no caller.
#[cfg(not(test))]
mod binding;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod channel;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod engine;
mod pace;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod platform;
mod process;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod registry;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod wire;
