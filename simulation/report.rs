//! What is printed: a table for each question of docs/scale.md.
//!
//! Must not depend on how a scenario is played.

use std::time::Duration;

use super::scenario::Scenario;
use super::world::{Results, play};

const HEADING: &str = "| cores | lanes | calls | call ms | shards | jobs/s | calls/s | used | makespan s | ideal s \
| producer busy | broker busy | scheduler: µs a job | its memory | run again | failed |";

pub fn single(scenario: Scenario) {
    heading("");
    line(scenario);
}

pub fn tables() {
    let [ten, hundred, second] = [10, 100, 1000].map(Duration::from_millis);
    let fleet = |cores, call, ideal: Duration| Scenario { cores, call, ..Scenario::default() }.lasting(ideal);
    heading("Calls of 10 ms, a list of half a minute");
    for cores in [10, 160, 1000] {
        line(fleet(cores, ten, 30 * second));
    }
    heading("Longer calls and longer lists, where there are more cores");
    line(fleet(1000, hundred, 60 * second));
    line(fleet(10_000, second, 600 * second));
    line(fleet(100_000, 10 * second, 1200 * second));
    heading("Lists that are too short for that many cores");
    line(fleet(1000, ten, 5 * second));
    line(fleet(10_000, hundred, 30 * second));
    line(fleet(100_000, hundred, 20 * second));
    heading("A tenth of the hosts dies");
    for scenario in [fleet(1000, hundred, 60 * second), fleet(10_000, second, 600 * second)] {
        line(Scenario { deaths: scenario.hosts() / 10, ..scenario });
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
