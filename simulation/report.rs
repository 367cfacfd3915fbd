//! What is printed: a table for each question of docs/scale.md.
//!
//! Must not depend on how a scenario is played.

use std::time::Duration;

use super::scenario::Scenario;
use super::world::{Results, play};

const HEADING: &str = "| cores | hosts | lanes | calls | call ms | shards | jobs/s | calls/s | used | makespan s \
| ideal s | producer busy | broker busy | scheduler: µs a job | its memory | bytes a lane | run again | failed |";

pub fn single(scenario: Scenario) {
    heading("");
    line(scenario);
}

pub fn tables() {
    let five = Duration::from_secs(5);
    let base = Scenario::default();
    heading("Fleets of hosts with 16 cores, calls of 10 ms");
    for cores in [10, 100, 1000, 10_000, 100_000] {
        line(Scenario { cores, ..base }.lasting(five));
    }
    heading("Calls of 100 ms");
    for cores in [10, 1000, 100_000] {
        line(Scenario { cores, call: Duration::from_millis(100), ..base }.lasting(five));
    }
    heading("Hosts of 64 cores, chunks of 200 ms per core, calls of 100 ms");
    for cores in [1000, 10_000, 100_000] {
        let (chunk, call) = (Duration::from_millis(200), Duration::from_millis(100));
        line(Scenario { cores, cores_per_host: 64, chunk, call, ..base }.lasting(five));
    }
    heading("A job for each core instead of each host");
    for cores in [10, 1000, 10_000] {
        line(Scenario { cores, slots_per_host: 16, ..base }.lasting(five));
    }
    heading("A tenth of the hosts dies");
    for cores in [1000, 10_000] {
        let scenario = Scenario { cores, ..base };
        line(Scenario { deaths: scenario.hosts() / 10, ..scenario }.lasting(five));
    }
}

fn heading(title: &str) {
    println!("\n{title}\n\n{HEADING}");
    println!("{}|", "|---".repeat(HEADING.matches('|').count() - 1));
}

fn line(scenario: Scenario) {
    let results = play(scenario);
    let Results { makespan, ideal, jobs, engine_cpu, engine_memory, .. } = results;
    let seconds = makespan.as_secs_f64();
    let percent = |part: Duration| format!("{:.0} %", part.as_secs_f64() / seconds * 100.0);
    let columns = [
        scenario.cores.to_string(),
        scenario.hosts().to_string(),
        scenario.lanes().to_string(),
        scenario.calls.to_string(),
        format!("{}", scenario.call.as_secs_f64() * 1000.0),
        scenario.shards.to_string(),
        format!("{:.0}", jobs as f64 / seconds),
        format!("{:.0}", results.succeeded as f64 / seconds),
        percent(ideal),
        format!("{seconds:.2}"),
        format!("{:.2}", ideal.as_secs_f64()),
        percent(results.producer_busy),
        percent(results.broker_busy),
        format!("{:.1}", engine_cpu.as_secs_f64() * 1e6 / jobs as f64),
        size(engine_memory),
        (engine_memory / u64::from(scenario.lanes())).to_string(),
        results.repeated.to_string(),
        results.failed.to_string(),
    ];
    println!("| {} |", columns.join(" | "));
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} KB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
