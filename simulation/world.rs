//! Plays a scenario: a producer that does one thing at a time, brokers, hosts, and the events between them.
//!
//! The producer's event loop turns as Node's does: what has come in is handed to the scheduler, then all that it wants
//! done is done, and what comes in meanwhile waits for the next turn.
//!
//! Must not depend on how the outcome is shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::broker::Brokers;
use super::engine::{Action, ChunkId, Config, JobSpec, Outcome, Reply, Run, WorkerId};
use super::hosts::{Hosts, Work};
use super::measured::Measured;
use super::scenario::Scenario;

/// What a turn of an event loop costs besides what it does.
const PER_TURN: Duration = Duration::from_micros(20);

/// What came of a scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Results {
    /// From the submission until the last call has settled.
    pub makespan: Duration,
    /// The same if all cores were busy all the time.
    pub ideal: Duration,
    pub jobs: u64,
    pub succeeded: u64,
    pub failed: u64,
    /// Calls that ran more than once.
    pub repeated: u64,
    /// How long the producer's thread was busy.
    pub producer_busy: Duration,
    /// How long the busiest broker was busy.
    pub broker_busy: Duration,
    /// CPU time of the scheduler, measured.
    pub engine_cpu: Duration,
    /// Memory of the scheduler's tables at most, measured.
    pub engine_memory: u64,
    pub turns: u64,
}

/// A chunk as a job of a broker.
#[derive(Debug)]
struct Job {
    lane: WorkerId,
    chunk: ChunkId,
    seq: u32,
    runs: Vec<Run>,
    shard: usize,
    work: Option<Work>,
    /// Its lane is gone: what it answers is dropped.
    is_late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A job is in its queue.
    Queued {
        job: usize,
    },
    /// A host has done all calls of a job.
    Done {
        job: usize,
    },
    /// A host dies.
    Death {
        host: u32,
    },
    /// The answer to a job has come.
    Answer {
        job: usize,
    },
    /// The producer is told that a job died with its host, at this time.
    Lost {
        job: usize,
        died: Duration,
    },
    /// The producer's thread has time, or a tick is due.
    Turn,
    Tick,
}

struct World {
    scenario: Scenario,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// Orders events of the same time.
    next_event: u64,
    producer: Measured,
    /// What has come in since the producer's last turn began.
    inbox: Vec<Event>,
    /// Until when the producer is busy.
    busy_until: Duration,
    is_turn_due: bool,
    tick_at: Option<Duration>,
    last_busy: Duration,
    brokers: Brokers,
    hosts: Hosts,
    jobs: Vec<Option<Job>>,
    /// The jobs of each lane that are in flight.
    lanes: BTreeMap<WorkerId, Vec<usize>>,
    /// Places in `jobs` that are free.
    vacant: Vec<usize>,
    ran: Vec<u8>,
    results: Results,
}

/// Plays a scenario to its end.
pub fn play(scenario: Scenario) -> Results {
    let mut world = World::new(scenario);
    world.submit();
    let total = u64::from(scenario.calls);
    while world.results.succeeded + world.results.failed < total {
        let Some(Reverse((at, _, event))) = world.events.pop() else { panic!("nothing is left to happen") };
        world.now = at;
        world.handle(event);
    }
    world.finish()
}

impl World {
    fn new(scenario: Scenario) -> World {
        let config = Config {
            workers: scenario.lanes() as usize,
            max_queue: None,
            max_calls_per_worker: None,
            max_worker_memory: None,
            idle_timeout: None,
            grace_period: Duration::from_millis(500),
            target: scenario.chunk,
            patient_target: scenario.chunk,
            lanes: true,
            concurrency: 1,
            lazy: false,
            boot_limit: None,
            kill_limit: None,
            lease: None,
        };
        World {
            scenario,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            next_event: 0,
            producer: Measured::new(config),
            inbox: Vec::new(),
            busy_until: Duration::ZERO,
            is_turn_due: false,
            tick_at: None,
            last_busy: Duration::ZERO,
            brokers: Brokers::new(scenario.shards),
            hosts: Hosts::new(&scenario, scenario.shards),
            jobs: Vec::new(),
            lanes: BTreeMap::new(),
            vacant: Vec::new(),
            ran: vec![0; scenario.calls as usize],
            results: Results::default(),
        }
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.next_event += 1;
        self.events.push(Reverse((at, self.next_event, event)));
    }

    /// Brings all lanes up, then submits the list. What that costs the scheduler counts.
    fn submit(&mut self) {
        let Scenario { calls, retries, deaths, .. } = self.scenario;
        let ideal =
            (0..calls).map(|call| self.scenario.call_time(call)).sum::<Duration>() / self.scenario.cores;
        self.results.ideal = ideal;
        self.producer.run(|engine| engine.start());
        self.turn();
        let spec = JobSpec { calls, retries, ..JobSpec::default() };
        let now = self.now;
        let (submitted, _) = self.producer.run(|engine| engine.submit(spec, now).map(drop));
        assert!(submitted.is_ok(), "an open engine without a limit takes everything");
        self.want_turn();
        for death in 0..deaths {
            let at = ideal.mul_f64((f64::from(death) + 0.5) / f64::from(deaths));
            let host = (u64::from(death) * 7919 % u64::from(self.scenario.hosts())) as u32;
            self.schedule(at, Event::Death { host });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Queued { job } => {
                let shard = self.job(job).shard;
                self.brokers.put(shard, job);
                self.hand_out(shard);
            }
            Event::Done { job } => self.end_job(job),
            Event::Death { host } => {
                for job in self.hosts.die(host, self.now) {
                    let at = self.now + self.scenario.detection;
                    self.schedule(at, Event::Lost { job, died: self.now });
                }
                let shard = self.brokers.shard_of(host);
                self.hand_out(shard);
            }
            Event::Answer { .. } | Event::Lost { .. } => {
                self.inbox.push(event);
                self.want_turn();
            }
            Event::Turn => {
                self.is_turn_due = false;
                self.turn();
            }
            Event::Tick => {
                if self.tick_at == Some(self.now) {
                    self.want_turn();
                }
            }
        }
    }

    fn job(&mut self, job: usize) -> &mut Job {
        self.jobs[job].as_mut().expect("known until it is answered or lost")
    }
}

/// Brokers and hosts.
impl World {
    /// Free hosts of a shard take the jobs that wait.
    fn hand_out(&mut self, shard: usize) {
        while let Some(host) = self.hosts.take_free(shard) {
            let Some(number) = self.brokers.take(shard) else {
                self.hosts.return_free(shard, host);
                return;
            };
            let at = self.now + self.scenario.trip + self.scenario.host_per_job;
            let scenario = self.scenario;
            let job = self.jobs[number].as_ref().expect("it waits");
            let times =
                job.runs.iter().flat_map(|run| run.calls.clone()).map(|call| scenario.call_time(call));
            let work = self.hosts.begin(host, number, at, times);
            let end = work.end();
            for call in job.runs.iter().flat_map(|run| run.calls.clone()) {
                let ran = &mut self.ran[call as usize];
                self.results.repeated += u64::from(*ran > 0);
                *ran = ran.saturating_add(1);
            }
            self.job(number).work = Some(work);
            self.schedule(end, Event::Done { job: number });
        }
    }

    fn end_job(&mut self, number: usize) {
        // One that was lost is void, and its place may have been given to another.
        let Some(Job { shard, work: Some(work), .. }) = &self.jobs[number] else { return };
        let (shard, work) = (*shard, work.clone());
        if work.end() != self.now || !self.hosts.end(number, &work) {
            return;
        }
        let at = self.brokers.serve(shard, self.now + self.scenario.trip, self.scenario.broker_per_job / 2);
        self.schedule(at + self.scenario.trip, Event::Answer { job: number });
        self.hand_out(shard);
    }
}

/// The producer.
impl World {
    fn want_turn(&mut self) {
        if !self.is_turn_due {
            self.is_turn_due = true;
            self.schedule(self.now.max(self.busy_until), Event::Turn);
        }
    }

    /// One turn of the producer's event loop.
    fn turn(&mut self) {
        let mut clock = self.now + PER_TURN;
        let busy = self.last_busy;
        let now = self.now;
        for event in std::mem::take(&mut self.inbox) {
            clock += match event {
                Event::Answer { job } => self.answered(job),
                Event::Lost { job, died } => self.lost(job, died),
                _ => Duration::ZERO,
            };
        }
        let is_tick = self.tick_at.is_some_and(|at| at <= now);
        let (_, took) = self.producer.run(|engine| {
            if is_tick {
                engine.tick(now);
            }
            engine.turned(busy, now);
        });
        clock += took;
        loop {
            let mut wanted = None;
            let (is_some, took) = self.producer.next_action(now, &mut |action| wanted = Some(action.clone()));
            clock += took;
            match wanted {
                Some(action) => clock += self.perform(action, clock),
                None if !is_some => break,
                None => {}
            }
        }
        let (next_tick, took) = self.producer.run(|engine| engine.next_tick(now));
        clock += took;
        self.tick_at = next_tick.map(|interval| clock.max(now + interval));
        if let Some(at) = self.tick_at {
            self.schedule(at, Event::Tick);
        }
        self.last_busy = clock - now;
        self.busy_until = clock;
        self.results.producer_busy += clock - now;
        self.results.turns += 1;
    }

    /// Does what the scheduler wants done; returns how long that takes besides the scheduler.
    fn perform(&mut self, action: Action, clock: Duration) -> Duration {
        match action {
            Action::Spawn { worker, .. } => self.producer.run(|engine| engine.ready(worker)).1,
            Action::Send { worker, chunk, seq, runs, .. } => {
                let calls = runs.iter().map(|run| run.calls.len() as u32).sum::<u32>();
                let cost = self.scenario.producer_per_job / 2 + self.scenario.producer_per_call / 2 * calls;
                let shard = self.brokers.shard_of(worker.0);
                let job = Job { lane: worker, chunk, seq, runs, shard, work: None, is_late: false };
                let number = self.vacant.pop().unwrap_or(self.jobs.len());
                if number == self.jobs.len() {
                    self.jobs.push(None);
                }
                self.jobs[number] = Some(job);
                self.lanes.entry(worker).or_default().push(number);
                let asked = clock + cost + self.scenario.trip;
                let at = self.brokers.serve(shard, asked, self.scenario.broker_per_job / 2);
                self.schedule(at, Event::Queued { job: number });
                self.results.jobs += 1;
                cost
            }
            Action::Recall { worker, from, until } => {
                // What is in a queue is not taken back.
                self.producer.run(|engine| engine.recalled(worker, None, from, until)).1
            }
            Action::Settle { calls, outcome, .. } => {
                assert!(matches!(outcome, Outcome::Exited(_)), "nothing else ends calls here");
                self.results.failed += calls.len() as u64;
                Duration::ZERO
            }
            Action::Stop { worker } | Action::Kill { worker } => {
                self.producer.run(|engine| engine.exited(worker, 0)).1
            }
            Action::Cancel { .. }
            | Action::KillSilent { .. }
            | Action::Abandon { .. }
            | Action::Ready { .. }
            | Action::Assign { .. }
            | Action::Closed => Duration::ZERO,
        }
    }

    /// All calls of a job were answered.
    fn answered(&mut self, number: usize) -> Duration {
        let Some(job) = self.take_job(number) else { return Duration::ZERO };
        let calls = job.work.as_ref().map_or(0, |work| work.calls.len() as u32);
        let cost = self.scenario.producer_per_job / 2 + self.scenario.producer_per_call / 2 * calls;
        if job.is_late { cost } else { cost + self.reply(&job, calls) }
    }

    /// A job is over: its number is free again.
    fn take_job(&mut self, number: usize) -> Option<Job> {
        let job = self.jobs[number].take()?;
        self.vacant.push(number);
        if let Some(jobs) = self.lanes.get_mut(&job.lane) {
            jobs.retain(|&other| other != number);
        }
        Some(job)
    }

    /// The first `calls` calls of a job were answered.
    fn reply(&mut self, job: &Job, calls: u32) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let times = job.work.iter().flat_map(|work| work.calls.iter().take(calls as usize));
        let elapsed = times.map(|&(begin, end)| end - begin).sum();
        let reply = Reply {
            chunk: job.chunk,
            offset: 0,
            calls,
            failed: false,
            skipped: false,
            died: false,
            elapsed,
            bytes: 8,
        };
        let (settled, took) = self.producer.run(|engine| {
            let runs = engine.replied(job.lane, reply).expect("a reply to what is in flight");
            runs.iter().map(|run| run.calls.len() as u64).sum::<u64>()
        });
        self.results.succeeded += settled;
        took
    }

    /// A job died with its host: what it had finished was answered, what it had begun is lost. Its lane goes with it,
    /// and with that whatever else the lane has in flight.
    fn lost(&mut self, number: usize, died: Duration) -> Duration {
        let Some(job) = self.take_job(number).filter(|job| !job.is_late) else { return Duration::ZERO };
        let calls = job.work.as_ref().map_or(&[][..], |work| &work.calls);
        let answered = calls.iter().take_while(|&&(_, end)| end <= died).count() as u32;
        let cost = self.reply(&job, answered);
        let begun = |job: &Job, until: Duration| {
            let calls = job.work.as_ref().map_or(&[][..], |work| &work.calls);
            let count = calls.iter().take_while(|&&(begin, _)| begin < until).count() as u32;
            (count > 0).then(|| job.seq + count - 1)
        };
        let mut last_begun = begun(&job, died);
        for other in self.lanes.remove(&job.lane).unwrap_or_default() {
            let now = self.now;
            let other = self.job(other);
            other.is_late = true;
            last_begun = last_begun.max(begun(other, now));
        }
        cost + self.producer.run(|engine| engine.exited(job.lane, last_begun.unwrap_or(0))).1
    }

    fn finish(self) -> Results {
        Results {
            makespan: self.busy_until,
            broker_busy: self.brokers.max_busy(),
            engine_cpu: self.producer.cpu(),
            engine_memory: self.producer.max_memory(),
            ..self.results
        }
    }
}
