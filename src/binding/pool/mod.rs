//! [`crate::pool`] in the addon: its host is libuv's loop and JavaScript through napi, and its workers may be shared.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `hooks` | JavaScript's functions, as methods | – |
//! | `turns` | how long the turns of the loop are busy | – |
//! | `spawn_spec` | how a pool's processes are started | – |
//! | `host` | what is around a pool here | `hooks`, `turns` |
//! | `lease` | the pool's part in a set of shared workers | `host` |
//! | `create` | how a pool is made | all above |
//! | `upcalls` | what its carrier, the loop and the environment report | `host`, `lease` |
//!
//! Called by the napi class. Must not decide anything: what is done about what happens is told in `crate::pool`.

mod create;
mod hooks;
mod host;
mod lease;
mod spawn_spec;
mod turns;
mod upcalls;

pub use create::create;
pub use host::NativeState;
