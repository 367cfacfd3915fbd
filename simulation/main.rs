//! What the scheduler does with more workers than one machine has: `cargo run --release --example simulate`.
//!
//! The scheduler knows neither processes nor clocks, so hosts, a broker and time can be made up around it: 100,000 cores
//! fit into one thread. What is simulated and what is measured:
//!
//! - Simulated: hosts, cores, calls, the network, the broker and what a job costs the producer outside of the
//!   scheduler. Their figures are assumptions ([`Scenario`]) that are given by options.
//! - Measured, while this runs: the CPU time and the memory that the scheduler itself takes. Its CPU time passes in the
//!   simulation as well, so a scheduler that cannot keep up shows as idle cores.
//!
//! Without options it prints the tables of docs/scale.md; with options one line for what they describe.
//!
//! Must not depend on anything of the crate but the scheduler, and the scheduler must not know of this.

mod broker;
#[expect(dead_code, unused_imports, reason = "what only the binding uses")]
#[path = "../src/engine/mod.rs"]
mod engine;
mod hosts;
mod measured;
mod options;
mod report;
mod scenario;
mod world;

fn main() {
    if cfg!(debug_assertions) {
        eprintln!("the scheduler checks its invariants in this build: use --release for figures");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options::parse(&arguments) {
        Ok(None) => report::tables(),
        Ok(Some(scenario)) => report::single(scenario),
        Err(problem) => {
            eprintln!("{problem}\n\n{}", options::usage());
            std::process::exit(2);
        }
    }
}
