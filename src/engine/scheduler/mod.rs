//! The state machine itself. Its events and queries are in `events` and `queries`; what follows from them is in the
//! other modules here, by subject.
//!
//! Must not depend on anything outside of the engine.

mod boot;
mod counters;
mod dispatch;
mod events;
mod in_flight;
mod invariants;
mod jobs;
mod lanes;
mod lease;
mod queries;
mod recall;
mod settle;
mod time;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::chunk_size::TaskCosts;
use super::job::Job;
use super::prefetch::Lag;
use super::roster::{Group, Roster};
use super::stats::Durations;
use super::worker::Worker;
use super::{Action, Config, JobId, WorkerId};
use counters::Counters;
#[cfg(test)]
pub(super) use recall::RECALL_AFTER;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    /// Accepted work is finished, new work is refused.
    Closing,
    /// Everything has settled; only workers are left to go.
    Terminated,
}

/// The scheduler of one pool. See the [module](super).
pub struct Engine {
    config: Config,
    mode: Mode,
    /// Jobs with unsettled calls. Invariant: none while terminated.
    jobs: BTreeMap<JobId, Job>,
    /// Invariant: exactly the jobs with waiting calls, by the order of each. Among those of one priority older ones
    /// come first, so calls that return are at the head again.
    queue: BTreeSet<(i64, JobId)>,
    /// Workers that are not known to be gone. Invariant: without a lease, no more than the configuration allows are
    /// live.
    workers: Roster,
    costs: TaskCosts,
    /// How late the caller looks after its workers.
    lag: Lag,
    /// What is to be done, in this order.
    actions: VecDeque<Action>,
    /// The number of the next job. Invariant: above every other.
    next_job: u64,
    /// The number of the next worker. Invariant: above every other.
    next_worker: u32,
    next_chunk: u32,
    /// How often calls were handed out so far.
    uses: u64,
    counters: Counters,
    /// Whether somebody waits for all workers to be ready. Invariant: false unless open.
    ready_awaited: bool,
    /// Rounds in a row in which no worker could be brought up.
    failed_rounds: u32,
    /// Workers that could not be brought up in this round.
    failed_boots_of_round: u32,
    /// Workers in a row that could not be brought up, whatever others do.
    failed_boots: u32,
    /// Running time until a worker may be started again. Invariant: zero while `failed_boots` is 0.
    backoff: Duration,
    /// `None` while nothing is watched.
    clock: Option<Clock>,
    /// Running time so far.
    running: Duration,
    /// Until when that has been counted.
    counted_until: Duration,
    /// Whether there has been a job with a priority.
    has_priorities: bool,
    /// Whether there has been a job with a call for each worker.
    has_pinned: bool,
    /// Whether a job may come before calls that were sent ahead.
    is_overtaking_due: bool,
    /// Calls whose time does not pass. Invariant: each is in flight and wanted.
    paused: BTreeSet<(JobId, u32)>,
    /// Whether a tick has passed since it was last looked at whether to recall calls.
    is_recall_due: bool,
    /// Whether a turn has passed since it was last looked at whether a worker has too much while another is idle.
    is_leveling_due: bool,
    /// Whether [`Action::Closed`] was given. Invariant: then the engine is not open and has no jobs.
    closed_told: bool,
    /// Whether no more workers are to be had for now.
    is_denied: bool,
    /// Indices below `next_index` that no worker has. Empty where workers are leased.
    free_indices: BTreeSet<u32>,
    /// The lowest index that no worker has had. Invariant: at most the number of workers that there may be.
    next_index: u32,
    /// Whether some worker may have been started without an index. Invariant: true if any waits for one.
    lacks_index: bool,
    /// How many of its workers other engines wait for.
    demand: usize,
    /// Whether some workers may get no more calls because of that. Invariant: true if any is preempted.
    has_preempted: bool,
    /// Workers that were replaced.
    restarts: u64,
    wait_time: Durations,
    run_time: Durations,
}

/// When it ticks.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The interval last asked for.
    interval: Duration,
    /// When the last tick was, or when ticks were first asked for.
    last_tick: Duration,
}

impl Engine {
    /// An engine without workers. Those that are not started lazily start with [`Engine::start`].
    pub fn new(config: Config) -> Engine {
        let lag = Lag::new(config.target);
        let workers = Roster::new(&config);
        Engine {
            config: Config {
                workers: config.workers.max(1),
                concurrency: config.concurrency.max(1),
                ..config
            },
            mode: Mode::Open,
            jobs: BTreeMap::new(),
            queue: BTreeSet::new(),
            workers,
            costs: TaskCosts::default(),
            lag,
            actions: VecDeque::new(),
            next_job: 0,
            next_worker: 0,
            next_chunk: 0,
            uses: 0,
            counters: Counters::default(),
            ready_awaited: false,
            failed_rounds: 0,
            failed_boots_of_round: 0,
            failed_boots: 0,
            backoff: Duration::ZERO,
            clock: None,
            running: Duration::ZERO,
            counted_until: Duration::ZERO,
            has_priorities: false,
            has_pinned: false,
            is_overtaking_due: false,
            paused: BTreeSet::new(),
            is_recall_due: false,
            is_leveling_due: false,
            closed_told: false,
            is_denied: false,
            free_indices: BTreeSet::new(),
            next_index: 0,
            lacks_index: false,
            demand: 0,
            has_preempted: false,
            restarts: 0,
            wait_time: Durations::new(),
            run_time: Durations::new(),
        }
    }

    /// From now on the calls of this worker, which has had none, are numbered from here.
    #[cfg(test)]
    pub(super) fn count_from(&mut self, worker_id: WorkerId, seq: u32) {
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.next_seq = seq;
        }
        self.workers.refresh();
    }

    /// The members of a group, in the middle of an event.
    fn members_now(&mut self, group: Group) -> Vec<WorkerId> {
        self.workers.refresh();
        self.workers.members(group).map(|(worker_id, _)| worker_id).collect()
    }

    /// The workers that fulfil a condition. Takes time for all workers.
    fn workers_that(&self, condition: impl Fn(&Worker) -> bool) -> Vec<WorkerId> {
        self.workers.iter().filter(|(_, worker)| condition(worker)).map(|(&worker_id, _)| worker_id).collect()
    }
}
