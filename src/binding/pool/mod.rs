//! A pool of workers: an engine, a carrier to its workers, and JavaScript's hooks, translated into each other.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `config` | what a pool is told when it is made | – |
//! | `hooks` | JavaScript's functions, as methods | – |
//! | `core` | engine, carrier and hooks together | `hooks` |
//! | `turns` | how long the turns of the loop are busy | – |
//! | `lease` | the pool's part in a set of shared workers | `core` |
//! | `state` | the pool itself: does what the engine says, keeps time, polls before sleep | all above |
//! | `upcalls` | what its carrier and the environment report | `state` |
//! | `requests` | what JavaScript asks for | `state` |
//!
//! Called by the napi class. Must not decide anything: policy is the engine's.
//!
//! JavaScript may call back into the pool at any time (a getter in a value that is encoded may submit), so no borrow is
//! held while JavaScript runs, and `pump` does not nest.

mod config;
mod core;
mod hooks;
mod lease;
mod requests;
mod state;
mod turns;
mod upcalls;

pub use config::PoolConfig;
pub use requests::{PartCount, SettledPart};
pub use state::PoolState;
