//! The names of runs: UUIDs of version 7, which sort by the time of their submission.
//!
//! Made when somebody asks for them, which may be long after the submission: JavaScript keeps its time. Must not depend
//! on what a run is.

use napi::{Error, Result};
use napi_derive::napi;
use uuid::{Timestamp, Uuid};

/// How many bits tell runs of one millisecond apart; the first is 0, as the standard advises, so that it can carry.
const COUNTER_BITS: u8 = 12;

/// The name of a run that was submitted at this time, as the `counter`th of its millisecond.
#[napi(catch_unwind)]
pub fn run_id(millis: f64, counter: u32) -> String {
    // A double holds every millisecond of the next 285,000 years; `as` saturates.
    let millis = millis as u64;
    let (seconds, nanos) = (millis / 1000, (millis % 1000) as u32 * 1_000_000);
    let timestamp = Timestamp::from_unix_time(seconds, nanos, u128::from(counter), COUNTER_BITS);
    Uuid::new_v7(timestamp).to_string()
}

/// The name of the run that is the `calls`th after this one, of those that were submitted together with it: their
/// random parts count up, so that they sort as they were made.
#[napi(catch_unwind)]
pub fn later_run_id(first: String, calls: u32) -> Result<String> {
    let first = Uuid::parse_str(&first)
        .map_err(|error| Error::from_reason(format!("'{first}' is no UUID: {error}")))?;
    Ok(after(first, calls).to_string())
}

/// Counts in the 62 random bits alone, which wrap around: the time and the version stay.
fn after(first: Uuid, calls: u32) -> Uuid {
    const RANDOM: u64 = u64::MAX >> 2;
    let (time, random) = first.as_u64_pair();
    let counted = random.wrapping_add(u64::from(calls)) & RANDOM;
    Uuid::from_u64_pair(time, (random & !RANDOM) | counted)
}
