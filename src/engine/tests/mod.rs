//! Drives the engine with workers that exist only here: single behaviours by subject, and any order of events.

mod any_order;
mod boot;
mod chunks;
mod close;
mod deadlines;
mod deaths;
mod departures;
mod dispatch;
mod events;
mod keys;
mod lanes;
mod lease;
mod outliving;
mod pinned;
mod prefetch;
mod priority;
mod recall;
mod recycling;
mod replies;
mod withdrawal;
mod workers;
mod world;

use super::chunk::is_reached;
use super::prefetch::{MAX_CHUNKS, MIN_CHUNKS};
use super::scheduler::RECALL_AFTER;
use super::*;
use workers::FakeWorker;
use world::{MS, Settled, World, config, reply};
