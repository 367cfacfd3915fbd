//! Drives the engine with workers that exist only here.

mod lease;

use std::collections::{BTreeMap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::scheduler::RECALL_AFTER;
use super::worker::is_reached;
use super::*;

const MS: Duration = Duration::from_millis(1);

fn config(workers: usize) -> Config {
    Config {
        workers,
        max_queue: None,
        max_calls_per_worker: None,
        max_worker_memory: None,
        idle_timeout: None,
        grace: 500 * MS,
        target: MS,
        concurrency: 1,
        lazy: false,
        boot_limit: None,
        lease: None,
    }
}

/// A call as a worker knows it: frame, offset, seq, job, index.
type Sent = (FrameId, u32, u32, JobId, u32);

/// A worker as the engine's counterpart sees it: it begins what it was sent in that order.
#[derive(Default)]
struct FakeWorker {
    booted: bool,
    killed: bool,
    stopping: bool,
    /// What it has not begun.
    calls: VecDeque<Sent>,
    running: Vec<Sent>,
    mark: u32,
    revoked: Vec<u32>,
    /// Calls that it is not to begin: from, until.
    recalled: (u32, u32),
    /// Calls that it ran.
    ran: u64,
    /// What is put off.
    unsent: Option<(FrameId, JobId, u32)>,
}

impl FakeWorker {
    fn is_free(&self) -> bool {
        self.calls.is_empty() && self.running.is_empty() && self.unsent.is_none()
    }

    fn is_recalled(&self, seq: u32) -> bool {
        let (from, until) = self.recalled;
        from != 0 && seq.wrapping_sub(from) < until.wrapping_sub(from)
    }
}

/// The world around an engine, and the ledger of what it settled.
struct World {
    engine: Engine,
    now: Duration,
    workers: BTreeMap<WorkerId, FakeWorker>,
    settled: BTreeMap<(JobId, u32), Settled>,
    specs: BTreeMap<JobId, JobSpec>,
    executions: BTreeMap<(JobId, u32), u32>,
    begun_order: Vec<(JobId, u32)>,
    ready: Vec<Result<(), Outcome>>,
    closed: u32,
    cost: Duration,
    /// Bytes of an answer.
    answer: u64,
    concurrency: usize,
    /// How many calls fit into a frame.
    fitting: u32,
    /// Whether frames take long to make.
    deferring: bool,
    recalls: u32,
    /// Calls that were skipped while their worker was held to have begun them.
    missed: u32,
    /// Where its workers come from, if they are on lease.
    share: Option<lease::Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Replied { failed: bool },
    Ended(Outcome),
}

fn reply(frame: FrameId, offset: u32, calls: u32, failed: bool, elapsed: Duration) -> Reply {
    Reply { frame, offset, calls, failed, skipped: false, elapsed, bytes: 0 }
}

impl World {
    fn new(config: Config) -> World {
        World::with(config, None)
    }

    fn with(config: Config, share: Option<lease::Share>) -> World {
        let concurrency = config.concurrency as usize;
        let mut world = World {
            engine: Engine::new(config),
            now: Duration::ZERO,
            workers: BTreeMap::new(),
            settled: BTreeMap::new(),
            specs: BTreeMap::new(),
            executions: BTreeMap::new(),
            begun_order: Vec::new(),
            ready: Vec::new(),
            closed: 0,
            cost: 10 * MS,
            answer: 0,
            concurrency,
            fitting: u32::MAX,
            deferring: false,
            recalls: 0,
            missed: 0,
            share,
        };
        world.engine.start();
        world.pump();
        world
    }

    fn submit(&mut self, spec: JobSpec) -> Result<JobId, Refused> {
        let id = self.engine.submit(spec.clone(), self.now)?;
        self.specs.insert(id, spec.clone());
        self.pump();
        Ok(id)
    }

    fn calls(&mut self, calls: u32) -> JobId {
        self.submit(JobSpec { calls, ..JobSpec::default() }).unwrap()
    }

    fn settle(&mut self, job: JobId, call: u32, how: Settled) {
        let twice = self.settled.insert((job, call), how);
        assert_eq!(twice, None, "call {call} of {job:?} settled twice");
    }

    /// Does what the engine wants done.
    fn pump(&mut self) {
        loop {
            self.perform();
            if !self.hand_back(false) && !self.is_offered() {
                break;
            }
        }
    }

    fn perform(&mut self) {
        while let Some(action) = self.engine.next_action(self.now) {
            match action {
                Action::Spawn { worker } if self.share.is_some() => self.lease(worker),
                Action::Spawn { worker } => {
                    assert!(self.workers.insert(worker, FakeWorker::default()).is_none());
                }
                Action::Send { worker, frame, seq, runs } => {
                    let spread = runs.iter().all(|run| self.specs[&run.job].spread);
                    let fake = self.workers.get_mut(&worker).expect("sent to a worker that exists");
                    assert!(fake.booted || spread, "ahead of its start go calls of spread jobs only");
                    assert!(!fake.killed && !fake.stopping, "sent to one that can work");
                    let calls = runs.into_iter().flat_map(|run| run.calls.map(move |call| (run.job, call)));
                    let calls: Vec<(JobId, u32)> = calls.collect();
                    assert_eq!(fake.unsent, None, "sent something before what is put off");
                    if self.deferring {
                        fake.unsent = Some((frame, calls[0].0, calls[0].1));
                        self.engine.defer(worker, frame);
                        continue;
                    }
                    let kept = self.fitting.min(calls.len() as u32);
                    for (offset, &(job, call)) in (0..kept).zip(&calls) {
                        let seq = seq.wrapping_add(offset);
                        assert!(!fake.is_recalled(seq), "sent under a number that is recalled");
                        fake.calls.push_back((frame, offset, seq, job, call));
                    }
                    let mut frames: Vec<FrameId> =
                        fake.running.iter().chain(&fake.calls).map(|call| call.0).collect();
                    frames.sort_unstable_by_key(|frame| frame.0);
                    frames.dedup();
                    assert!(frames.len() <= self.concurrency.max(2), "more frames under way than allowed");
                    if (kept as usize) < calls.len() {
                        self.engine.filled(calls[0].0, kept, true);
                        self.engine.cut(worker, frame, kept);
                    }
                }
                Action::Cancel { worker, seqs } => {
                    self.workers.get_mut(&worker).unwrap().revoked.extend(seqs);
                }
                Action::Recall { worker, from, until } => {
                    self.recalls += 1;
                    let fake = self.workers.get_mut(&worker).unwrap();
                    let (old_from, old_until) = fake.recalled;
                    let waits =
                        |seq: u32| !is_reached(fake.mark, seq) && fake.calls.iter().any(|call| call.2 == seq);
                    let mut old = std::iter::successors(Some(old_from), |seq| Some(seq.wrapping_add(1)));
                    let live = old_from != 0 && old.by_ref().take_while(|&seq| seq != old_until).any(waits);
                    assert!(from != 0 && (!live || from == old_from), "a range of use is only made longer");
                    fake.recalled = (from, until);
                    assert!(!live || fake.is_recalled(old_until.wrapping_sub(1)));
                    for call in fake.calls.iter().filter(|call| fake.is_recalled(call.2)) {
                        let spec = &self.specs[&call.3];
                        let may_go = spec.keys.is_none() && !spec.sent_once;
                        let is_over = self.settled.contains_key(&(call.3, call.4));
                        assert!(may_go || is_over, "one that must stay was recalled");
                    }
                    self.engine.recalled(worker, Some(fake.mark), from, until);
                }
                Action::Stop { worker } => {
                    let fake = self.workers.get_mut(&worker).unwrap();
                    assert!(fake.calls.is_empty() && fake.running.is_empty(), "stopped while it has work");
                    fake.stopping = true;
                }
                Action::Kill { worker } => self.workers.get_mut(&worker).unwrap().killed = true,
                Action::KillSilent { worker } => {
                    let fake = self.workers.get_mut(&worker).unwrap();
                    assert!(!fake.booted, "it had shown that it runs");
                    fake.killed = true;
                }
                Action::Settle { job, calls, outcome } => {
                    for call in calls {
                        self.settle(job, call, Settled::Ended(outcome));
                    }
                }
                Action::Ready { outcome } => self.ready.push(outcome),
                Action::Closed => self.closed += 1,
            }
        }
    }

    /// The frame that was put off is made.
    fn send_deferred(&mut self, id: WorkerId) {
        let fake = self.workers.get_mut(&id).unwrap();
        let Some((frame, job, call)) = fake.unsent.take() else { return };
        let is_settled = self.settled.contains_key(&(job, call));
        let sent = self.engine.undefer(id, frame);
        assert_eq!(sent.is_none(), is_settled || fake.killed, "sent if somebody waits for it");
        assert!(!self.engine.is_deferred(id, frame));
        if let Some((seq, run)) = sent {
            assert_eq!(run, Run { job, calls: call..call + 1 });
            assert!(!fake.is_recalled(seq), "sent under a number that is recalled");
            fake.calls.push_back((frame, 0, seq, job, call));
        }
        self.pump();
    }

    fn worker(&self, nth: usize) -> Option<WorkerId> {
        let count = self.workers.len();
        (count > 0).then(|| *self.workers.keys().nth(nth % count).unwrap())
    }

    fn boot(&mut self, id: WorkerId) {
        let fake = self.workers.get_mut(&id).unwrap();
        if !fake.booted {
            fake.booted = true;
            self.engine.ready(id);
            self.pump();
        }
    }

    fn boot_all(&mut self) {
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in ids {
            self.boot(id);
        }
    }

    /// The worker says that it begins its next call, and does not yet look whether it is recalled.
    fn publish(&mut self, id: WorkerId) {
        let concurrency = self.concurrency;
        let fake = self.workers.get_mut(&id).unwrap();
        if !fake.killed && fake.running.len() < concurrency && fake.booted {
            fake.mark = fake.calls.front().map_or(fake.mark, |call| call.2);
        }
    }

    /// The worker begins its next call, or skips those that are not wanted or recalled.
    fn begin(&mut self, id: WorkerId) {
        let concurrency = self.concurrency;
        let fake = self.workers.get_mut(&id).unwrap();
        if fake.killed || fake.running.len() >= concurrency || !fake.booted {
            return;
        }
        let Some(&(frame, offset, seq, job, call)) = fake.calls.front() else { return };
        if fake.revoked.contains(&seq) {
            fake.calls.pop_front();
            let skipped = Reply { skipped: true, ..reply(frame, offset, 1, false, Duration::ZERO) };
            assert!(self.engine.replied(id, skipped).unwrap().is_empty(), "a revoked call had been settled");
            self.pump();
            return;
        }
        fake.mark = seq;
        let count = fake.calls.iter().take_while(|call| call.0 == frame && fake.is_recalled(call.2)).count();
        if count > 0 {
            fake.calls.drain(..count);
            let waiting = self.engine.stats().waiting;
            let skipped =
                Reply { skipped: true, ..reply(frame, offset, count as u32, false, Duration::ZERO) };
            assert!(self.engine.replied(id, skipped).unwrap().is_empty(), "a skipped call settles");
            self.missed += (self.engine.stats().waiting - waiting) as u32;
            self.pump();
            return;
        }
        fake.running.extend(fake.calls.pop_front());
        fake.ran += 1;
        *self.executions.entry((job, call)).or_default() += 1;
        self.begun_order.push((job, call));
    }

    /// The worker finishes the oldest call that it runs.
    fn finish(&mut self, id: WorkerId, failed: bool) {
        self.finish_nth(id, 0, failed);
    }

    /// The worker finishes one of the calls that it runs.
    fn finish_nth(&mut self, id: WorkerId, nth: usize, failed: bool) {
        let fake = self.workers.get_mut(&id).unwrap();
        if fake.running.is_empty() {
            return;
        }
        let (frame, offset, _, job, call) = fake.running.remove(nth % fake.running.len());
        let cost = self.cost;
        for run in self
            .engine
            .replied(id, Reply { bytes: self.answer, ..reply(frame, offset, 1, failed, cost) })
            .unwrap()
        {
            assert_eq!((run.job, run.calls.clone(), run.offset), (job, call..call + 1, 0));
            self.settle(job, call, Settled::Replied { failed });
        }
        self.pump();
    }

    fn die(&mut self, id: WorkerId) {
        let fake = self.workers.remove(&id).unwrap();
        self.engine.exited(id, fake.mark);
        self.pump();
    }

    fn tick(&mut self, passed: Duration) {
        self.engine.next_tick(self.now);
        self.now += passed;
        let marks: Vec<(WorkerId, u32)> = self.workers.iter().map(|(&id, fake)| (id, fake.mark)).collect();
        self.engine.tick(self.now);
        for (id, mark) in marks {
            self.engine.begun(id, mark);
        }
        self.pump();
    }

    /// Time passes, in the steps that the engine asks for.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            let step = self.engine.next_tick(self.now).unwrap_or(end - self.now);
            self.tick(step.min(end - self.now));
        }
    }

    /// Everybody works until nothing moves any more.
    fn run_to_end(&mut self) {
        for _ in 0..100_000 {
            let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
            for id in ids {
                // It may have gone elsewhere.
                let Some(fake) = self.workers.get(&id) else { continue };
                if fake.killed || fake.stopping {
                    self.die(id);
                    continue;
                }
                if !fake.booted {
                    self.boot(id);
                    continue;
                }
                for act in
                    [World::send_deferred, World::begin, |world: &mut World, id| world.finish(id, false)]
                {
                    if self.workers.contains_key(&id) {
                        act(self, id);
                    }
                }
            }
            let settled = self.specs.values().map(|spec| spec.calls as usize).sum::<usize>();
            if self.settled.len() == settled && self.workers.values().all(FakeWorker::is_free) {
                return;
            }
            if self.engine.next_tick(self.now).is_some() {
                self.tick(100 * MS);
            }
        }
        panic!("work is left for ever");
    }

    fn outcome(&self, job: JobId, call: u32) -> Option<Settled> {
        self.settled.get(&(job, call)).copied()
    }
}

// ---- Single behaviours -----------------------------------------------------------------------------------

#[test]
fn calls_spread_over_workers_as_they_become_ready() {
    let mut world = World::new(config(2));
    let job = world.calls(2);
    assert!(world.workers.values().all(|fake| fake.calls.is_empty()));
    world.boot_all();
    assert!(world.workers.values().all(|fake| fake.calls.len() == 1));
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
    assert!(!world.engine.is_held());
}

#[test]
fn a_spread_job_waits_for_workers_that_start_but_not_for_replacements() {
    let mut world = World::new(config(2));
    let spread = |calls| JobSpec { calls, spread: true, ..JobSpec::default() };
    world.submit(spread(2)).unwrap();
    let (one, two) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    assert!(world.workers.values().all(|fake| fake.calls.len() == 1), "one each, ahead of their start");
    world.boot(one);
    world.begin(one);
    world.finish(one, false);
    assert!(world.workers[&one].calls.is_empty(), "the second call is for the other worker");
    world.boot(two);
    world.begin(two);
    world.finish(two, false);
    world.submit(spread(2)).unwrap();
    world.begin(two);
    world.die(two);
    world.begin(one);
    world.finish(one, false);
    world.run_to_end();

    let job = world.submit(JobSpec { retries: 1, ..spread(2) }).unwrap();
    let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    world.begin(ids[0]);
    world.die(ids[0]);
    world.begin(ids[1]);
    world.finish(ids[1], false);
    world.begin(ids[1]);
    world.finish(ids[1], false);
    assert!((0..2).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

#[test]
fn a_death_costs_the_begun_call_only() {
    let mut world = World::new(config(1));
    world.cost = Duration::from_micros(1);
    world.boot_all();
    let learn = world.calls(40);
    let first = world.worker(0).unwrap();
    for _ in 0..10 {
        world.begin(first);
        world.finish(first, false);
    }
    assert!(world.workers[&first].calls.len() > 2, "cheap calls travel together");
    world.begin(first);
    world.die(first);
    assert_eq!(world.outcome(learn, 9), Some(Settled::Replied { failed: false }));
    assert_eq!(world.outcome(learn, 10), Some(Settled::Ended(Outcome::Exited(first))));
    world.run_to_end();
    for call in 11..40 {
        assert_eq!(world.outcome(learn, call), Some(Settled::Replied { failed: false }));
        assert_eq!(world.executions[&(learn, call)], 1);
    }
}

#[test]
fn a_worker_that_is_killed_has_one_successor() {
    let mut world = World::new(config(1));
    world.boot_all();
    let id = world.worker(0).unwrap();
    let slow = world.calls(1);
    world.begin(id);
    world.engine.begun(id, world.workers[&id].mark);
    world.engine.cancel(slow);
    world.pass(600 * MS);
    assert!(world.workers[&id].killed);
    // What waits has one started before the old one is gone.
    world.calls(1);
    world.die(id);
    assert_eq!(world.workers.len(), 1);
    world.run_to_end();
}

#[test]
fn retries_run_the_begun_call_again_as_often_as_allowed() {
    let mut world = World::new(config(1));
    let job = world.submit(JobSpec { calls: 1, retries: 2, ..JobSpec::default() }).unwrap();
    for death in 0..3 {
        assert_eq!(world.outcome(job, 0), None, "death {death}");
        world.boot_all();
        let id = world.worker(0).unwrap();
        world.begin(id);
        world.die(id);
    }
    assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Exited(_)))));
}

#[test]
fn a_timeout_counts_from_the_begin_and_settles_before_the_worker_is_killed() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 2, timeout: Some(100 * MS), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let id = world.worker(0).unwrap();
    world.pass(1000 * MS);
    assert_eq!(world.outcome(job, 0), None, "not begun, so its clock stands");
    world.begin(id);
    world.pass(130 * MS);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::TimedOut)));
    assert_eq!(world.workers[&id].revoked, [1], "the worker is told first");
    assert!(!world.workers[&id].killed);
    world.pass(600 * MS);
    assert!(world.workers[&id].killed);
    world.die(id);
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_freeze_is_no_timeout() {
    let mut world = World::new(config(1));
    world.boot_all();
    let spec = JobSpec { calls: 1, timeout: Some(1000 * MS), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    let id = world.worker(0).unwrap();
    world.begin(id);
    world.pass(100 * MS);
    world.tick(Duration::from_secs(3600));
    assert_eq!(world.outcome(job, 0), None);
    world.pass(1000 * MS);
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::TimedOut)));
}

#[test]
fn a_cancelled_call_that_returns_in_time_keeps_its_worker_and_its_result_is_dropped() {
    let mut world = World::new(config(1));
    world.boot_all();
    let job = world.calls(3);
    let id = world.worker(0).unwrap();
    world.begin(id);
    world.engine.cancel(job);
    world.pump();
    for call in 0..3 {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::Aborted)));
    }
    world.pass(100 * MS);
    world.finish(id, false);
    world.pass(2000 * MS);
    assert!(!world.workers[&id].killed);
    assert!(!world.engine.is_held());
}

#[test]
fn a_module_that_does_not_load_fails_what_waits_and_is_tried_again_later() {
    let mut world = World::new(config(2));
    let job = world.calls(3);
    world.engine.await_ready();
    let (one, two) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    world.engine.load_failed(one);
    world.pump();
    assert_eq!(world.ready, [Err(Outcome::BootFailed(one))]);
    assert_eq!(world.outcome(job, 0), None, "another worker may still load it");
    world.engine.load_failed(two);
    world.pump();
    for call in 0..3 {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::BootFailed(two))));
    }
    world.die(one);
    world.die(two);
    assert!(world.workers.is_empty(), "nothing spins");
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn deaths_at_boot_are_retried_with_a_back_off_and_then_told() {
    let mut world = World::new(config(2));
    let job = world.calls(1);
    let mut rounds = 0;
    while world.outcome(job, 0).is_none() {
        rounds += 1;
        assert!(rounds < 10);
        while let Some(id) = world.worker(0) {
            world.die(id);
        }
        world.pass(500 * MS);
    }
    assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::BootFailed(_)))));
    assert_eq!(rounds, 3);
}

#[test]
fn whoever_was_told_of_deaths_at_boot_is_told_as_soon_the_next_time() {
    let mut world = World::new(config(2));
    let mut took = Vec::new();
    for _ in 0..4 {
        let began = world.now;
        let job = world.calls(1);
        while world.outcome(job, 0).is_none() {
            while let Some(id) = world.worker(0) {
                world.die(id);
            }
            world.pass(10 * MS);
        }
        took.push(world.now - began);
    }
    assert!(took.iter().all(|took| *took < 1000 * MS), "{took:?}");
}

#[test]
fn where_others_work_boots_that_fail_come_ever_more_seldom() {
    let mut world = World::new(config(2));
    let one = world.worker(0).unwrap();
    world.boot(one);
    let other = world.worker(1).unwrap();
    world.die(other);
    let job = world.calls(2);
    world.begin(one);
    let mut starts = 0;
    for _ in 0..6000 {
        for id in world.workers.keys().copied().filter(|&id| id != one).collect::<Vec<_>>() {
            starts += 1;
            world.die(id);
        }
        world.pass(10 * MS);
    }
    assert_eq!(world.outcome(job, 0), None, "it still runs");
    assert!((10..30).contains(&starts), "{starts} starts in a minute");
    // Once one is up again, all is well.
    let waits = |world: &World| world.workers.keys().copied().find(|&id| id != one);
    while waits(&world).is_none() {
        world.pass(10 * MS);
    }
    world.boot_all();
    world.run_to_end();
    assert_eq!(world.outcome(job, 1), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_worker_without_a_sign_of_life_is_killed_as_one_that_does_not_boot() {
    let mut world = World::new(Config { boot_limit: Some(1000 * MS), ..config(1) });
    let job = world.calls(1);
    let first = world.worker(0).unwrap();
    world.pass(950 * MS);
    assert!(!world.workers[&first].killed);
    world.pass(100 * MS);
    assert!(world.workers[&first].killed);
    world.die(first);
    world.pass(500 * MS);
    // The next one runs, and takes long to load.
    let second = world.worker(0).unwrap();
    world.engine.alive(second);
    world.pass(5000 * MS);
    assert!(!world.workers[&second].killed);
    world.boot(second);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_full_queue_refuses_all_or_nothing() {
    let mut world = World::new(Config { max_queue: Some(1), ..config(2) });
    world.boot_all();
    world.calls(2);
    assert_eq!(
        world.submit(JobSpec { calls: 2, ..JobSpec::default() }),
        Err(Refused::QueueFull { waiting: 0 })
    );
    world.calls(1);
    assert_eq!(
        world.submit(JobSpec { calls: 1, ..JobSpec::default() }),
        Err(Refused::QueueFull { waiting: 1 })
    );
    world.run_to_end();
    assert_eq!(world.settled.len(), 3);
}

#[test]
fn a_spent_worker_gets_no_more_than_it_may_and_its_successor_starts_early() {
    let mut world = World::new(Config { max_calls_per_worker: Some(2), ..config(1) });
    world.boot_all();
    world.calls(5);
    let id = world.worker(0).unwrap();
    world.begin(id);
    world.finish(id, false);
    assert_eq!(world.workers.len(), 2, "the successor boots during the last call");
    world.run_to_end();
    assert_eq!(world.settled.len(), 5);
}

#[test]
fn the_successor_of_a_worker_that_is_nearly_spent_stands_by() {
    let mut world = World::new(Config { max_calls_per_worker: Some(20), ..config(1) });
    world.boot_all();
    let job = world.calls(21);
    let old = world.worker(0).unwrap();
    world.cost = 40 * MS;
    for call in 0..20 {
        assert_eq!(
            world.workers.len() > 1,
            call > 7,
            "12 calls of 40 ms are the first that take less than 500"
        );
        world.boot_all();
        world.begin(old);
        world.finish(old, false);
    }
    let new = world.worker(1).unwrap();
    assert!(world.workers[&old].stopping);
    assert_eq!(world.workers[&new].calls.len(), 1, "the next call finds it ready");
    world.run_to_end();
    assert_eq!(world.workers.len(), 1, "and there is no other");
    assert_eq!(world.outcome(job, 20), Some(Settled::Replied { failed: false }));
    assert_eq!(world.engine.stats().restarts, 1);
}

#[test]
fn who_stands_by_goes_with_a_worker_that_is_stopped_and_takes_the_place_of_one_that_dies() {
    for dies in [false, true] {
        let limits = Config { max_calls_per_worker: Some(20), idle_timeout: Some(100 * MS), ..config(1) };
        let mut world = World::new(limits);
        world.boot_all();
        world.calls(1);
        let old = world.worker(0).unwrap();
        world.begin(old);
        world.finish(old, false);
        world.boot_all();
        let new = world.worker(1).unwrap();
        if dies {
            world.die(old);
            world.calls(1);
            assert_eq!(world.workers.len(), 1);
            assert_eq!(world.workers[&new].calls.len(), 1);
        } else {
            world.pass(150 * MS);
            assert!(world.workers.values().all(|fake| fake.stopping));
        }
        world.run_to_end();
    }
}

#[test]
fn who_stands_by_and_cannot_be_brought_up_is_tried_again_ever_more_rarely() {
    let mut world = World::new(Config { max_calls_per_worker: Some(200), ..config(1) });
    world.boot_all();
    let old = world.worker(0).unwrap();
    world.cost = MS;
    let mut failed = 0;
    for _ in 0..150 {
        world.calls(2);
        let standby = world.workers.keys().find(|&&id| id != old).copied();
        if let Some(standby) = standby {
            world.die(standby);
            failed += 1;
        }
        for _ in 0..2 {
            world.tick(5 * MS);
            world.begin(old);
            world.finish(old, false);
        }
        if world.workers[&old].stopping {
            break;
        }
    }
    assert!((2..8).contains(&failed), "{failed} times in a second and a half");
    assert!(world.workers[&old].stopping);
    world.run_to_end();
}

#[test]
fn a_worker_over_its_memory_serves_until_its_successor_is_ready() {
    let mut world = World::new(Config { max_worker_memory: Some(1000), ..config(1) });
    world.boot_all();
    let old = world.worker(0).unwrap();
    world.engine.memory(old, 2000);
    world.pump();
    world.calls(2);
    assert_eq!(world.workers[&old].calls.len(), 1);
    let new = world.worker(1).unwrap();
    world.boot(new);
    world.begin(old);
    world.finish(old, false);
    assert!(world.workers[&old].stopping);
    world.run_to_end();
}

#[test]
fn idle_workers_stop_and_come_back() {
    let mut world = World::new(Config { idle_timeout: Some(1000 * MS), ..config(2) });
    world.boot_all();
    world.tick(Duration::from_secs(7200));
    assert!(world.workers.values().all(|fake| !fake.stopping), "a freeze is no idleness");
    world.pass(1200 * MS);
    assert!(world.workers.values().all(|fake| fake.stopping));
    let job = world.calls(1);
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn close_finishes_what_was_accepted() {
    let mut world = World::new(config(2));
    world.calls(7);
    world.engine.close();
    world.pump();
    assert_eq!(world.submit(JobSpec { calls: 1, ..JobSpec::default() }), Err(Refused::Closed));
    world.run_to_end();
    assert_eq!(world.closed, 0);
    while let Some(id) = world.worker(0) {
        world.die(id);
    }
    assert_eq!(world.closed, 1);
    assert!(!world.engine.is_held());
}

#[test]
fn a_worker_that_does_not_stop_is_killed() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.engine.close();
    world.pump();
    let id = world.worker(0).unwrap();
    world.pass(7000 * MS);
    assert!(world.workers[&id].killed);
}

#[test]
fn removed_workers_are_replaced_by_the_next_job_only() {
    let mut world = World::new(config(2));
    world.boot_all();
    let job = world.calls(1);
    world.engine.remove_workers();
    world.pump();
    assert_eq!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Closed)));
    while let Some(id) = world.worker(0) {
        world.die(id);
    }
    world.pass(1000 * MS);
    assert!(world.workers.is_empty());
    let job = world.calls(1);
    assert_eq!(world.workers.len(), 1, "as many as there is work for");
    world.run_to_end();
    assert_eq!(world.outcome(job, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn a_failed_key_skips_its_later_calls_where_asked() {
    let mut world = World::new(config(2));
    world.boot_all();
    let job = world
        .submit(JobSpec {
            calls: 5,
            keys: Some(vec![0, 1, 0, 0, 1]),
            stop_key_on_error: true,
            ..JobSpec::default()
        })
        .unwrap();
    let first = world.workers.iter().find(|(_, fake)| fake.calls.front().unwrap().4 == 0);
    let id = *first.unwrap().0;
    world.begin(id);
    world.finish(id, true);
    for call in [2, 3] {
        assert_eq!(world.outcome(job, call), Some(Settled::Ended(Outcome::Skipped)));
    }
    world.run_to_end();
    assert_eq!(world.outcome(job, 4), Some(Settled::Replied { failed: false }));
}

#[test]
fn replies_that_cannot_be_are_violations() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let id = world.worker(0).unwrap();
    let frame = world.workers[&id].calls[0].0;
    assert!(world.engine.replied(id, reply(FrameId(99), 0, 1, false, MS)).is_err());
    assert!(world.engine.replied(id, reply(frame, 0, 2, false, MS)).is_err());
    assert!(world.engine.replied(id, reply(frame, 1, u32::MAX, false, MS)).is_err());
    world.engine.give_up(id);
    world.pump();
    assert!(world.workers[&id].killed);
}

#[test]
fn a_worker_runs_as_many_calls_at_the_same_time_as_it_may() {
    let mut world = World::new(Config { concurrency: 3, ..config(2) });
    let job = world.calls(8);
    world.boot_all();
    let ids: Vec<WorkerId> = world.workers.keys().copied().collect();
    assert!(world.workers.values().all(|fake| fake.calls.len() == 3), "three for each, two wait");
    for _ in 0..3 {
        world.begin(ids[0]);
    }
    assert_eq!(world.workers[&ids[0]].running.len(), 3);
    world.finish_nth(ids[0], 1, false);
    assert_eq!(world.workers[&ids[0]].calls.len(), 1, "one that is done makes room for one");
    world.run_to_end();
    assert!((0..8).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

/// A worker that runs two calls, the first of which was given up, and these two jobs.
fn world_with_a_call_given_up(grace: Duration) -> (World, WorkerId, JobId, JobId) {
    let mut world = World::new(Config { concurrency: 2, grace, ..config(1) });
    world.boot_all();
    let id = world.worker(0).unwrap();
    let slow = world.calls(1);
    let neighbour = world.calls(1);
    world.begin(id);
    world.begin(id);
    world.engine.begun(id, world.workers[&id].mark);
    world.engine.cancel(slow);
    world.pump();
    (world, id, slow, neighbour)
}

#[test]
fn a_call_that_was_given_up_keeps_others_from_its_worker_where_several_run() {
    let (mut world, id, slow, neighbour) = world_with_a_call_given_up(500 * MS);
    let later = world.calls(1);
    assert!(world.workers[&id].calls.is_empty(), "nothing new for it");
    world.pass(600 * MS);
    assert!(world.workers[&id].killed, "the grace period is over");
    world.die(id);
    assert_eq!(world.outcome(slow, 0), Some(Settled::Ended(Outcome::Aborted)));
    assert_eq!(world.outcome(neighbour, 0), Some(Settled::Ended(Outcome::Exited(id))));
    world.run_to_end();
    assert_eq!(world.outcome(later, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn once_a_call_that_was_given_up_is_alone_another_worker_takes_over() {
    let (mut world, id, _, neighbour) = world_with_a_call_given_up(60_000 * MS);
    let later = world.calls(1);
    world.pass(1000 * MS);
    assert_eq!(world.workers.len(), 1, "its neighbour is not left behind");
    world.finish_nth(id, 1, false);
    world.pass(100 * MS);
    assert_eq!(world.outcome(neighbour, 0), Some(Settled::Replied { failed: false }));
    let new = world.worker(1).unwrap();
    world.boot(new);
    assert_eq!(world.workers[&new].calls.len(), 1);
    world.begin(new);
    world.finish(new, false);
    assert_eq!(world.outcome(later, 0), Some(Settled::Replied { failed: false }));
    assert!(!world.workers[&id].killed, "it has its grace period");
    world.finish(id, false);
    assert!(world.workers[&id].stopping, "and goes when it is through");
}

#[test]
fn what_remains_of_a_cancelled_job_can_be_asked_and_ended() {
    let mut world = World::new(config(2));
    world.boot_all();
    let (running, spared) = (world.worker(0).unwrap(), world.worker(1).unwrap());
    let job = world.calls(1);
    let busy = if world.workers[&running].calls.is_empty() { spared } else { running };
    let other = world.calls(1);
    world.begin(busy);
    world.engine.cancel(job);
    world.pump();
    assert_eq!(world.engine.remains(job, true), 0, "it is not known to have begun");
    assert_eq!(world.engine.remains(job, false), 1);
    world.engine.begun(busy, world.workers[&busy].mark);
    assert_eq!((world.engine.remains(job, true), world.engine.remains(other, true)), (1, 0));
    world.engine.kill_remains(job);
    world.pump();
    assert!(world.workers[&busy].killed, "without waiting for the grace period");
    assert_eq!(world.workers.values().filter(|fake| fake.killed).count(), 1);
    assert_eq!(world.engine.remains(job, true), 1, "it is not gone");
    world.die(busy);
    assert_eq!(world.engine.remains(job, false), 0);
    world.run_to_end();
    assert_eq!(world.outcome(other, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn dropped_calls_settle_at_once_and_nobody_is_killed_for_them() {
    let mut world = World::new(Config { idle_timeout: None, ..config(1) });
    let job = world.calls(5);
    world.boot_all();
    let id = world.worker(0).unwrap();
    world.begin(id);
    world.engine.begun(id, world.workers[&id].mark);
    world.engine.drop_calls(job, 0);
    world.pump();
    assert!((0..5).all(|call| world.outcome(job, call) == Some(Settled::Ended(Outcome::Aborted))));
    assert_eq!(world.workers[&id].revoked.len(), 1, "what runs is told");
    world.pass(60_000 * MS);
    assert!(!world.workers[&id].killed);
    world.finish(id, false);
    assert!(!world.engine.is_held());
}

#[test]
fn calls_before_the_place_from_which_a_job_is_dropped_go_on() {
    let mut world = World::new(config(1));
    let job = world.calls(5);
    world.boot_all();
    world.engine.drop_calls(job, 3);
    world.run_to_end();
    let outcomes: Vec<_> = (0..5).map(|call| world.outcome(job, call).unwrap()).collect();
    assert_eq!(outcomes[..3], [Settled::Replied { failed: false }; 3]);
    assert_eq!(outcomes[3..], [Settled::Ended(Outcome::Aborted); 2]);
}

#[test]
fn a_call_whose_workers_die_before_it_begins_is_held_to_be_the_cause_in_the_end() {
    for retries in [0, 3] {
        let mut world = World::new(config(1));
        let job = world.submit(JobSpec { calls: 1, retries, ..JobSpec::default() }).unwrap();
        let mut deaths = 0;
        while world.outcome(job, 0).is_none() {
            world.boot_all();
            world.die(world.worker(0).unwrap());
            deaths += 1;
            assert!(deaths < 100, "for ever");
        }
        assert!(matches!(world.outcome(job, 0), Some(Settled::Ended(Outcome::Exited(_)))));
        assert_eq!(deaths, 5 + retries, "a retry is used for each death that counts");
    }
}

#[test]
fn workers_that_fail_one_after_another_are_failures_too() {
    let mut world = World::new(config(3));
    let job = world.calls(5);
    let mut failures = 0;
    while world.outcome(job, 0).is_none() {
        let id = *world.workers.keys().next().expect("one that starts");
        world.engine.load_failed(id);
        world.pump();
        world.die(id);
        failures += 1;
        world.pass(100 * MS);
        assert!(failures < 100, "for ever");
    }
    assert!(matches!(world.outcome(job, 4), Some(Settled::Ended(Outcome::BootFailed(_)))));
}

#[test]
fn a_frame_that_takes_long_to_make_is_put_off_alone() {
    let mut world = World::new(config(1));
    world.deferring = true;
    let spec = JobSpec { calls: 3, chunk: Some(3), ..JobSpec::default() };
    let job = world.submit(spec).unwrap();
    world.boot_all();
    let (&id, fake) = world.workers.iter().next().unwrap();
    assert_eq!(fake.unsent.map(|(_, _, call)| call), Some(0));
    assert_eq!((world.engine.stats().running, world.engine.stats().waiting), (1, 2));
    world.deferring = false;
    world.send_deferred(id);
    assert_eq!(world.workers[&id].calls.len(), 1, "the others come after it");
    world.run_to_end();
    assert!((0..3).all(|call| world.outcome(job, call) == Some(Settled::Replied { failed: false })));
}

#[test]
fn what_is_put_off_may_be_cancelled_or_lose_its_worker() {
    let mut world = World::new(config(1));
    world.deferring = true;
    let (first, second) = (world.calls(1), world.calls(1));
    world.boot_all();
    world.engine.cancel(first);
    world.pump();
    let id = world.worker(0).unwrap();
    world.send_deferred(id);
    assert_eq!(world.workers[&id].unsent.map(|(_, job, _)| job), Some(second));
    world.die(id);
    assert_eq!(world.outcome(second, 0), None, "it had not begun");
    world.run_to_end();
    assert_eq!(world.outcome(first, 0), Some(Settled::Ended(Outcome::Aborted)));
    assert_eq!(world.outcome(second, 0), Some(Settled::Replied { failed: false }));
}

#[test]
fn what_does_not_fit_into_a_frame_waits_in_its_place() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    world.fitting = 3;
    let job = world.calls(100);
    world.boot_all();
    world.run_to_end();
    let begun: Vec<u32> = world.begun_order.iter().map(|&(_, call)| call).collect();
    assert_eq!(begun, (0..100).collect::<Vec<u32>>());
    assert!((0..100).all(|call| world.outcome(job, call).is_some()));
}

#[test]
fn what_one_job_has_cost_is_known_of_the_next_of_its_task() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    let spec = JobSpec { calls: 2000, task: Some(7), ..JobSpec::default() };
    assert_eq!(world.engine.calls_per_chunk(7), 1);
    world.submit(spec).unwrap();
    world.boot_all();
    world.run_to_end();
    let known = world.engine.calls_per_chunk(7);
    assert!((100..=1000).contains(&known), "{known} calls of 1.5 microseconds are about a millisecond");
    assert_eq!(world.engine.calls_per_chunk(8), 1, "another task is another matter");
}

#[test]
fn large_answers_make_small_chunks() {
    let mut world = World::new(config(1));
    world.cost = MS / 1000;
    world.answer = 500_000;
    world.submit(JobSpec { calls: 100, task: Some(7), ..JobSpec::default() }).unwrap();
    world.boot_all();
    world.run_to_end();
    assert_eq!(world.engine.calls_per_chunk(7), 1, "two of half a megabyte take more than a millisecond");
}

#[test]
fn a_chunk_size_that_is_asked_for_is_kept_to() {
    let mut world = World::new(config(2));
    let spec = JobSpec { calls: 10, chunk: Some(4), ..JobSpec::default() };
    world.submit(spec).unwrap();
    world.boot_all();
    let mut sizes: Vec<usize> = world.workers.values().map(|fake| fake.calls.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [4, 4]);
    world.run_to_end();
}

#[test]
fn a_job_that_holds_back_by_itself_is_never_refused() {
    let mut world = World::new(Config { max_queue: Some(1), ..config(1) });
    let spec = |unbounded| JobSpec { calls: 50, unbounded, ..JobSpec::default() };
    assert!(world.submit(spec(false)).is_err());
    assert!(world.submit(spec(true)).is_ok());
    world.run_to_end();
}

/// Two workers: the first has these calls, and runs none of them yet; the other is idle.
fn world_with_calls_ahead(spec: JobSpec) -> (World, JobId, WorkerId, WorkerId) {
    let mut world = World::new(Config { max_calls_per_worker: Some(100), ..config(2) });
    world.cost = MS / 10;
    let first = world.worker(0).unwrap();
    let other = world.worker(1).unwrap();
    world.boot(first);
    // What is known to be cheap is sent together.
    for calls in [1, 8] {
        world.submit(JobSpec { calls, task: Some(7), ..JobSpec::default() }).unwrap();
        while !world.workers[&first].is_free() {
            world.begin(first);
            world.finish(first, false);
        }
    }
    let job = world.submit(JobSpec { task: Some(7), ..spec }).unwrap();
    world.boot(other);
    world.begin(other);
    world.finish(other, false);
    (world, job, first, other)
}

#[test]
fn calls_behind_one_that_takes_long_go_to_an_idle_worker() {
    let (mut world, job, first, other) = world_with_calls_ahead(JobSpec { calls: 6, ..JobSpec::default() });
    world.begin(first);
    while !world.workers[&other].is_free() {
        world.begin(other);
        world.finish(other, false);
    }
    let behind = world.workers[&first].calls.len();
    assert!(behind > 0 && world.workers[&first].running.len() == 1);
    world.pass(RECALL_AFTER / 2);
    assert!(world.workers[&other].is_free(), "not at once");
    world.pass(RECALL_AFTER * 3);
    while !world.workers[&other].is_free() {
        world.begin(other);
        world.finish(other, false);
    }
    let settled = (0..6).filter(|&call| world.outcome(job, call).is_some()).count();
    assert_eq!(settled, 5, "all but the one that runs");
    assert_eq!(world.engine.next_tick(world.now), None, "nothing is left to take back");
    assert_eq!(world.engine.stats().running, 1);
    world.finish(first, false);
    while !world.workers[&first].is_free() {
        world.begin(first);
        assert!(world.workers[&first].running.is_empty(), "skipped");
    }
    world.run_to_end();
    assert!((0..6).all(|call| world.executions[&(job, call)] == 1));
    let done: u64 = world.engine.stats().workers.iter().map(|worker| worker.done).sum();
    assert_eq!(done, 15, "who skips a call has not done it");
}

#[test]
fn what_has_nothing_behind_it_is_not_watched() {
    let mut world = World::new(config(2));
    world.boot_all();
    world.calls(1);
    let id = *world.workers.iter().find(|(_, fake)| !fake.is_free()).unwrap().0;
    assert_eq!(world.engine.next_tick(world.now), None);
    world.begin(id);
    assert_eq!(world.engine.next_tick(world.now), None);
}

#[test]
fn what_must_stay_is_not_taken_back() {
    let chunk = JobSpec { calls: 3, chunk: Some(3), ..JobSpec::default() };
    let keys = JobSpec { calls: 3, keys: Some(vec![0, 1, 2]), ..JobSpec::default() };
    for (spec, begun) in [(chunk.clone(), true), (keys, false), (JobSpec { sent_once: true, ..chunk }, false)]
    {
        let (mut world, job, first, _) = world_with_calls_ahead(spec);
        assert!(world.workers[&first].calls.len() > 1 || begun);
        if begun {
            world.begin(first);
            world.engine.begun(first, world.workers[&first].mark);
        }
        assert_eq!(world.engine.next_tick(world.now), None);
        assert!(!world.engine.recall(first));
        world.run_to_end();
        assert!((0..3).all(|call| world.outcome(job, call).is_some()));
    }
}

#[test]
fn a_chunk_that_has_not_begun_goes_as_a_whole() {
    let (mut world, job, first, other) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk: Some(3), ..JobSpec::default() });
    world.pass(RECALL_AFTER * 3);
    assert_eq!((world.recalls, world.workers[&other].calls.len()), (1, 3));
    world.begin(first);
    assert!(world.workers[&first].is_free(), "all skipped in one answer");
    world.run_to_end();
    assert!((0..3).all(|call| world.executions[&(job, call)] == 1));
}

#[test]
fn a_call_that_was_skipped_after_all_waits_again() {
    let (mut world, job, first, other) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk: Some(3), retries: 0, ..JobSpec::default() });
    // It says so just before the page is written.
    world.publish(first);
    assert!(world.engine.recall(first));
    world.pump();
    assert_eq!(world.engine.stats().running, 3, "one that has begun, two that the other has");
    assert_eq!(world.workers[&other].calls.len(), 2);
    world.begin(first);
    assert_eq!((world.missed, world.workers[&first].calls.len()), (1, 1), "and who is free gets it");
    world.run_to_end();
    assert!((0..3).all(|call| world.executions[&(job, call)] == 1));
}

#[test]
fn a_worker_that_cannot_be_told_keeps_its_calls() {
    let (mut world, job, first, _) =
        world_with_calls_ahead(JobSpec { calls: 3, chunk: Some(3), ..JobSpec::default() });
    assert!(world.engine.next_tick(world.now).is_some());
    assert!(world.engine.recall(first));
    let Some(Action::Recall { from, until, .. }) = world.engine.next_action(world.now) else { panic!() };
    world.engine.recalled(first, None, from, until);
    world.pump();
    assert_eq!(world.engine.next_tick(world.now), None);
    assert_eq!(world.workers[&first].calls.len(), 3);
    world.run_to_end();
    assert!((0..3).all(|call| world.outcome(job, call).is_some()));
}

#[test]
fn who_was_told_nothing_must_not_skip() {
    let mut world = World::new(config(1));
    world.boot_all();
    world.calls(1);
    let id = world.worker(0).unwrap();
    let frame = world.workers[&id].calls[0].0;
    let skipped = Reply { skipped: true, ..reply(frame, 0, 1, false, MS) };
    assert!(world.engine.replied(id, skipped).is_err());
}

// ---- Any order of events ---------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Event {
    Submit {
        calls: u32,
        keys: Option<u32>,
        timeout: bool,
        retries: u32,
        flags: (bool, bool),
        chunk: Option<u32>,
    },
    Cancel(usize),
    DropCalls(usize, u32),
    Deferring(bool),
    SendDeferred(usize),
    Fitting(u32),
    Boot(usize),
    LoadFailed(usize),
    Publish(usize),
    Recall(usize),
    Begin(usize),
    Finish(usize, usize, bool),
    Die(usize),
    Tick(u64),
    Memory(usize),
    EncodeFailed(usize),
    AwaitReady,
    Lease(lease::Event),
    Remove,
    Close,
    Terminate,
}

fn events() -> impl Strategy<Value = Event> {
    let submit = (
        0u32..12,
        prop::option::of(1u32..4),
        any::<bool>(),
        0u32..3,
        (any::<bool>(), prop::bool::weighted(0.2)),
        prop::option::of(1u32..5),
    );
    prop_oneof![
        4 => submit.prop_map(|(calls, keys, timeout, retries, flags, chunk)| {
            Event::Submit { calls, keys, timeout, retries, flags, chunk }
        }),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
        1 => (1u32..5).prop_map(Event::Fitting),
        1 => any::<bool>().prop_map(Event::Deferring),
        6 => any::<usize>().prop_map(Event::SendDeferred),
        6 => any::<usize>().prop_map(Event::Boot),
        1 => any::<usize>().prop_map(Event::LoadFailed),
        5 => any::<usize>().prop_map(Event::Publish),
        5 => any::<usize>().prop_map(Event::Recall),
        20 => any::<usize>().prop_map(Event::Begin),
        20 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::Finish(worker, nth, failed)),
        4 => any::<usize>().prop_map(Event::Die),
        4 => (0u64..400).prop_map(Event::Tick),
        1 => any::<usize>().prop_map(Event::Memory),
        1 => any::<usize>().prop_map(Event::EncodeFailed),
        1 => Just(Event::AwaitReady),
        1 => Just(Event::Remove),
    ]
}

fn configs() -> impl Strategy<Value = Config> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (1usize..4, prop::option::of(1u64..5), flags, 0u64..300, 1u32..4).prop_map(
        |(workers, max_calls, (memory, idle, lazy, boot), grace, concurrency)| Config {
            max_calls_per_worker: max_calls,
            max_worker_memory: memory.then_some(1000),
            idle_timeout: idle.then_some(200 * MS),
            grace: grace as u32 * MS,
            lazy,
            boot_limit: boot.then_some(500 * MS),
            concurrency,
            ..config(workers)
        },
    )
}

fn apply(world: &mut World, event: Event) {
    match event {
        Event::Submit { calls, keys, timeout, retries, flags: (stop_key_on_error, sent_once), chunk } => {
            // Any order of keys, numbered by their first call.
            let keys = keys.map(|count| {
                let mut names = Vec::new();
                (0..calls)
                    .map(|call| (call * 7 + call / 3) % count)
                    .map(|name| {
                        let known = names.iter().position(|&other| other == name);
                        known.unwrap_or_else(|| {
                            names.push(name);
                            names.len() - 1
                        }) as u32
                    })
                    .collect()
            });
            let timeout = timeout.then_some(50 * MS);
            let spread = retries == 1;
            let (task, unbounded) = (chunk.is_none().then_some(calls % 3), false);
            let _ = world.submit(JobSpec {
                calls,
                keys,
                timeout,
                retries,
                stop_key_on_error,
                spread,
                task,
                chunk,
                unbounded,
                sent_once,
            });
        }
        Event::Cancel(nth) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.cancel(job);
            }
        }
        Event::DropCalls(nth, from) => {
            if let Some(&job) = world.specs.keys().nth(nth % world.specs.len().max(1)) {
                world.engine.drop_calls(job, from);
            }
        }
        Event::Fitting(calls) => world.fitting = calls,
        Event::Deferring(deferring) => world.deferring = deferring,
        Event::SendDeferred(nth) => with_worker(world, nth, World::send_deferred),
        Event::AwaitReady => world.engine.await_ready(),
        Event::Lease(event) => world.apply(event),
        Event::Remove => world.engine.remove_workers(),
        Event::Close => world.engine.close(),
        Event::Terminate => world.engine.terminate(),
        Event::Tick(passed) => world.tick(passed as u32 * MS),
        Event::Boot(nth) => with_worker(world, nth, World::boot),
        Event::Publish(nth) => with_worker(world, nth, World::publish),
        // At any time, also while nobody is idle.
        Event::Recall(nth) => with_worker(world, nth, |world, id| {
            world.engine.recall(id);
        }),
        Event::Begin(nth) => with_worker(world, nth, World::begin),
        Event::Finish(worker, nth, failed) => {
            with_worker(world, worker, |world, id| world.finish_nth(id, nth, failed));
        }
        Event::Die(nth) => with_worker(world, nth, World::die),
        Event::Memory(nth) => with_worker(world, nth, |world, id| world.engine.memory(id, 5000)),
        Event::LoadFailed(nth) => with_worker(world, nth, |world, id| {
            let fake = world.workers.get_mut(&id).unwrap();
            if !fake.booted {
                fake.calls.clear();
                fake.unsent = None;
                world.engine.load_failed(id);
            }
        }),
        Event::EncodeFailed(nth) => with_worker(world, nth, |world, id| {
            // The last call of what was sent turns out not to be encodable. No worker has heard of such a one.
            let fake = world.workers.get_mut(&id).unwrap();
            let mark = fake.mark;
            let is_unheard = fake.calls.back().is_some_and(|call| !super::worker::is_reached(mark, call.2));
            let unheard = if is_unheard { fake.calls.pop_back() } else { None };
            if let Some((frame, offset, seq, job, call)) = unheard {
                let unwanted = fake.revoked.contains(&seq) || fake.is_recalled(seq);
                world.engine.encode_failed(id, frame, offset);
                if !unwanted && !world.settled.contains_key(&(job, call)) {
                    world.settle(job, call, Settled::Replied { failed: true });
                }
            }
        }),
    }
    world.pump();
}

fn with_worker(world: &mut World, nth: usize, act: impl FnOnce(&mut World, WorkerId)) {
    if let Some(id) = world.worker(nth) {
        act(world, id);
    }
}

/// Within a key, a call begins only after the one before it has begun for the last time.
fn check_key_order(world: &World) {
    for (&job, spec) in &world.specs {
        let Some(keys) = &spec.keys else { continue };
        let mut latest: BTreeMap<u32, u32> = BTreeMap::new();
        for &(_, call) in world.begun_order.iter().filter(|(begun, _)| *begun == job) {
            let last = latest.entry(keys[call as usize]).or_insert(call);
            assert!(*last <= call, "call {call} of a key began after call {last}");
            *last = call;
        }
    }
}

/// Events among which recalls, and what they race with, are frequent.
fn events_with_recalls() -> impl Strategy<Value = Event> {
    let submit = (2u32..12, prop::option::weighted(0.2, 1u32..4), any::<bool>(), 0u32..3, 2u32..5);
    prop_oneof![
        6 => (submit, prop::bool::weighted(0.5)).prop_map(|((calls, keys, timeout, retries, chunk), chunked)| {
            let (flags, chunk) = ((false, calls == 7), chunked.then_some(chunk));
            Event::Submit { calls, keys, timeout, retries, flags, chunk }
        }),
        10 => any::<usize>().prop_map(Event::Boot),
        10 => any::<usize>().prop_map(Event::Publish),
        10 => any::<usize>().prop_map(Event::Recall),
        20 => any::<usize>().prop_map(Event::Begin),
        10 => (any::<usize>(), 0usize..3, any::<bool>())
            .prop_map(|(worker, nth, failed)| Event::Finish(worker, nth, failed)),
        1 => any::<usize>().prop_map(Event::Die),
        1 => any::<usize>().prop_map(Event::Cancel),
        1 => (any::<usize>(), 0u32..12).prop_map(|(nth, from)| Event::DropCalls(nth, from)),
        1 => (1u32..5).prop_map(Event::Fitting),
        1 => prop::bool::weighted(0.3).prop_map(Event::Deferring),
        5 => any::<usize>().prop_map(Event::SendDeferred),
        3 => (0u64..40).prop_map(Event::Tick),
    ]
}

/// Whatever happens, every call settles once, and runs no more often than it may.
fn check_run(config: Config, cheap: bool, events: Vec<Event>, end: Event) {
    let share = config.lease.map(|_| lease::Share::new(config.workers));
    let (workers, max_calls) = (config.workers, config.max_calls_per_worker);
    let has_no_limits = config.idle_timeout.is_none();
    let mut world = World::with(config, share);
    if cheap {
        world.cost = MS / 10;
    }
    for event in events {
        apply(&mut world, event);
        assert!(world.engine.live() <= workers, "more workers than there may be");
        if let Some(max) = max_calls {
            assert!(world.workers.values().all(|fake| fake.ran <= max));
        }
    }
    let finished = !matches!(end, Event::AwaitReady);
    apply(&mut world, end);
    apply(&mut world, Event::Lease(lease::Event::Places(usize::MAX)));
    world.run_to_end();
    let accepted: usize = world.specs.values().map(|spec| spec.calls as usize).sum();
    assert_eq!(world.settled.len(), accepted);
    for (&(job, call), &count) in &world.executions {
        let allowed = 1 + world.specs[&job].retries;
        assert!(count <= allowed, "call {call} of {job:?} ran {count} times");
    }
    check_key_order(&world);
    if finished {
        while let Some(id) = world.worker(0) {
            world.die(id);
        }
        assert_eq!(world.closed, 1);
    } else {
        // A back-off may have to pass before the last workers are up.
        for _ in 0..100 {
            world.tick(100 * MS);
            world.boot_all();
            // On lease, a successor starts once its predecessor is gone.
            let gone = |(_, fake): &(&WorkerId, &FakeWorker)| fake.killed || fake.stopping;
            let gone: Vec<WorkerId> = world.workers.iter().filter(gone).map(|(&id, _)| id).collect();
            gone.into_iter().for_each(|id| world.die(id));
            apply(&mut world, Event::Lease(lease::Event::TurnOver));
        }
    }
    assert!(!world.engine.is_held());
    let stats = world.engine.stats();
    assert_eq!((stats.waiting, stats.running), (0, 0));
    assert_eq!(stats.done, accepted as u64);
    let failed = |how: &&Settled| **how != Settled::Replied { failed: false };
    assert_eq!(stats.failed, world.settled.values().filter(failed).count() as u64);
    if finished || has_no_limits {
        assert_eq!(world.engine.next_tick(world.now), None, "ticks with nothing to watch");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_call_settles_exactly_once(
        config in configs(),
        cheap in any::<bool>(),
        events in vec(events(), 0..200),
        end in prop::sample::select(vec![Event::AwaitReady, Event::Close, Event::Terminate]),
    ) {
        check_run(config, cheap, events, end);
    }

    #[test]
    fn every_call_settles_exactly_once_with_many_recalls(
        config in configs(),
        cheap in prop::bool::weighted(0.8),
        events in vec(events_with_recalls(), 0..200),
        end in prop::sample::select(vec![Event::AwaitReady, Event::Close]),
    ) {
        check_run(config, cheap, events, end);
    }
}
