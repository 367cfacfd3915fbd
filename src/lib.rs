//! The native half of `@parallelizer/node`: schedules calls over worker processes and moves their bytes.
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
//! | [`platform`] | what differs between operating systems | all other modules |
//! | [`protocol`] | numbers that JavaScript has too | all other modules |
//! | `binding` | the napi layer | policy |

// The binding needs a Node process around it and is tested from there. Without it, some of what the other modules offer
// has no caller.
#[cfg(not(test))]
mod binding;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod channel;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod engine;
mod joined_answers;
mod pace;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod platform;
mod process;
mod protocol;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod registry;
#[cfg_attr(test, expect(dead_code, reason = "its callers are in the binding"))]
mod wire;
