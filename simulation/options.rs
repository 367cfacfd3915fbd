//! The command's options: a scenario, but for what is left as it is.
//!
//! Must not depend on what a scenario leads to.

use std::time::Duration;

use super::scenario::Scenario;

/// Durations in milliseconds, costs in microseconds.
pub fn usage() -> String {
    let defaults = Scenario::default();
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    format!(
        "simulate: prints the tables of docs/scale.md, or with any of these options (default) one line:
  --cores N ({})              --cores-per-host N ({})
  --slots-per-host N ({})        --lanes-per-slot N ({})
  --chunk-ms N ({})             how long the calls of a chunk should take
  --call-ms N ({})              how long a call runs, on average
  --seconds N (5)              how long the list should take if no core is ever idle
  --trip-us N ({})             --shards N ({})
  --broker-us N ({})           what a job costs its broker
  --producer-us N ({})         what a job costs the producer; --per-call-ns N ({})
  --host-us N ({})             what a job costs its host
  --deaths N ({})               hosts that die; --detection-ms N ({}), --retries N ({})
  --seed N ({})",
        defaults.cores,
        defaults.cores_per_host,
        defaults.slots_per_host,
        defaults.lanes_per_slot,
        micros(defaults.chunk) / 1000.0,
        micros(defaults.call) / 1000.0,
        micros(defaults.trip),
        defaults.shards,
        micros(defaults.broker_per_job),
        micros(defaults.producer_per_job),
        defaults.producer_per_call.as_nanos(),
        micros(defaults.host_per_job),
        defaults.deaths,
        micros(defaults.detection) / 1000.0,
        defaults.retries,
        defaults.seed,
    )
}

/// The scenario that the options describe; `None` without any.
pub fn parse(arguments: &[String]) -> Result<Option<Scenario>, String> {
    let mut scenario = Scenario::default();
    let mut ideal = Duration::from_secs(5);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} has no value", pair[0])) };
        let number: f64 = value.parse().map_err(|_| format!("{name}: {value} is no number"))?;
        if !number.is_finite() || number < 0.0 {
            return Err(format!("{name}: {value} is not positive"));
        }
        let (count, seconds) = (number as u32, Duration::from_secs_f64(number));
        let at_least_1 = count.max(1);
        match name.as_str() {
            "--cores" => scenario.cores = at_least_1,
            "--cores-per-host" => scenario.cores_per_host = at_least_1,
            "--slots-per-host" => scenario.slots_per_host = at_least_1,
            "--lanes-per-slot" => scenario.lanes_per_slot = at_least_1,
            "--chunk-ms" => scenario.chunk = seconds / 1000,
            "--call-ms" => scenario.call = (seconds / 1000).max(Duration::from_nanos(1)),
            "--seconds" => ideal = seconds,
            "--trip-us" => scenario.trip = seconds / 1_000_000,
            "--shards" => scenario.shards = at_least_1,
            "--broker-us" => scenario.broker_per_job = seconds / 1_000_000,
            "--producer-us" => scenario.producer_per_job = seconds / 1_000_000,
            "--per-call-ns" => scenario.producer_per_call = Duration::from_nanos(number as u64),
            "--host-us" => scenario.host_per_job = seconds / 1_000_000,
            "--deaths" => scenario.deaths = count,
            "--detection-ms" => scenario.detection = seconds / 1000,
            "--retries" => scenario.retries = count,
            "--seed" => scenario.seed = number as u64,
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok((!arguments.is_empty()).then(|| scenario.lasting(ideal)))
}
