//! A pool of workers: an engine, a carrier to its workers and JavaScript's hooks, translated into each other.
//!
//! What differs between the addon and the WebAssembly build is behind two traits, [`Host`] and [`Carrier`]: who keeps
//! time, who is JavaScript, how workers are reached. All that is done about what happens is here, once.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `host` | the contracts with the host and with carriers | – |
//! | `config` | what a pool is told when it is made | – |
//! | `reply` | a reply, apportioned to its parts | – |
//! | `state` | the pool itself: does what the engine says, keeps time, holds the loop | `host` |
//! | `workers` | the ends of workers, events and statistics | `state` |
//! | `reports` | what a carrier reports | `state` |
//! | `script` | what carriers in JavaScript report of a frame that they have sent | `host` |
//! | `requests` | what JavaScript asks for | `state` |
//!
//! Called by the bindings. Must not depend on Node, descriptors, processes or clocks, and must not decide anything:
//! policy is the engine's.
//!
//! JavaScript may call back into the pool whenever it runs (a getter in a value that is encoded may submit), so no
//! borrow is held while it does, and `pump` does not nest.

mod config;
mod host;
mod reply;
mod reports;
mod requests;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod workers;

pub use config::{PoolConfig, ProcessConfig, Stdio};
pub use host::{Carrier, Host, Reports};
pub use reply::Apportioned;
pub use requests::{PartCount, SettledPart};
pub use script::{Sent, report_sent, waiting_word};
pub use state::Pool;
