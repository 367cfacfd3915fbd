//! The scheduler as WebAssembly, for platforms without an addon: the layer to `lib/fallback/`, which loads it.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `memory` | texts and numbers that cross through memory | – |
//! | `host` | what is around a pool here: functions of JavaScript | `memory` |
//! | `carrier` | the carrier to workers, all of which JavaScript looks after | `host` |
//! | `exports` | what JavaScript calls | all above |
//!
//! An instance of the module is one pool: its memory goes when the pool does. The interface is written by hand, since
//! it has no values of JavaScript: numbers cross as they are, and texts and lists of numbers through memory. (A
//! generator of bindings would bring a tool that has to be of the library's very version, and tables for values that
//! are not there.)
//!
//! Must not decide anything: policy is the engine's, and what is done about what happens is told in [`crate::pool`].

mod carrier;
mod exports;
mod host;
mod memory;
