//! A pool with a host and a carrier that only keep what they are asked for.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Carrier, Host, Pool, PoolConfig, Reports, Sent, report_sent};
use crate::engine::{ChunkId, JobId, Run, WorkerId};
use crate::pace::Waiting;

/// What happened, as texts, in order.
#[derive(Default)]
struct Fake {
    said: RefCell<Vec<String>>,
    now: Cell<Duration>,
    carrier: FakeCarrier,
    /// Whether workers cannot be started.
    refuses: Cell<bool>,
    stays_awake: Cell<bool>,
}

#[derive(Default)]
struct FakeCarrier {
    said: RefCell<Vec<String>>,
    sent: RefCell<Vec<(ChunkId, u32, Vec<Run>)>>,
    report: RefCell<Option<Json>>,
    /// What comes of reading what a worker has sent.
    on_catch_up: RefCell<Option<Box<dyn Fn()>>>,
}

impl Fake {
    fn say(&self, what: String) {
        self.said.borrow_mut().push(what);
    }

    fn taken(&self) -> Vec<String> {
        self.said.take()
    }
}

impl Host for Fake {
    type Carrier = FakeCarrier;

    fn carrier(&self) -> &FakeCarrier {
        &self.carrier
    }

    fn now(&self) -> Duration {
        self.now.get()
    }

    fn start_timer(&self, after: Duration) {
        self.say(format!("timer {}", after.as_millis()));
    }

    fn stop_timer(&self) {
        self.say("no timer".into());
    }

    fn set_held(&self, held: bool) {
        self.say(format!("held {held}"));
    }

    fn stays_awake(&self) -> bool {
        self.stays_awake.get()
    }

    fn start_worker(pool: &Pool<Fake>, worker: WorkerId, _index: Option<u32>) {
        if pool.host.refuses.get() {
            pool.spawn_failed(worker, &io::Error::from_raw_os_error(11));
        } else {
            pool.host.say(format!("start {}", worker.0));
        }
    }

    fn ended(&self, job: JobId, calls: Range<u32>, outcome: &str, detail: Option<&str>) {
        let errno = detail.and_then(|detail| serde_json::from_str::<Json>(detail).ok());
        let errno = errno.map_or(Json::Null, |detail| detail["errno"].clone());
        self.say(format!("ended {} {calls:?} {outcome} {errno}", job.0));
    }

    fn ready(&self, outcome: Option<&str>, _detail: Option<&str>) {
        self.say(format!("ready {outcome:?}"));
    }

    fn event(&self, _event: &Json) {}

    fn closed(&self, outliving: &Json) {
        self.say(format!("closed {outliving}"));
    }
}

impl Carrier for FakeCarrier {
    fn assign(&self, worker: WorkerId, index: u32) {
        self.said.borrow_mut().push(format!("assign {} {index}", worker.0));
    }

    fn demand(&self, worker: WorkerId, seq: u32, taken: u32) {
        self.said.borrow_mut().push(format!("demand {} {seq} {taken}", worker.0));
    }

    fn stop(&self, worker: WorkerId) {
        self.said.borrow_mut().push(format!("stop {}", worker.0));
    }

    fn kill(&self, worker: WorkerId) {
        self.said.borrow_mut().push(format!("kill {}", worker.0));
    }

    fn forget(&self, worker: WorkerId) {
        self.said.borrow_mut().push(format!("forget {}", worker.0));
    }

    fn send(&self, _worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run], _patient: bool) {
        self.sent.borrow_mut().push((frame, seq, runs.to_vec()));
    }

    fn cancel(&self, _worker: WorkerId, _seqs: &[u32]) {}

    fn recall(&self, _worker: WorkerId, _from: u32, _until: u32) -> Option<u32> {
        None
    }

    fn last_begun(&self, _worker: WorkerId) -> u32 {
        0
    }

    fn pid(&self, _worker: WorkerId) -> Option<i32> {
        None
    }

    fn exit_report(&self, _worker: WorkerId) -> Option<Json> {
        self.report.borrow().clone()
    }

    fn set_exit_report(&self, _worker: WorkerId, report: Json) {
        *self.report.borrow_mut() = Some(report);
    }

    fn traffic(&self) -> (u64, u64) {
        (3, 4)
    }

    fn catch_up(&self, worker: WorkerId) {
        self.said.borrow_mut().push(format!("catch up {}", worker.0));
        if let Some(act) = &*self.on_catch_up.borrow() {
            act();
        }
    }
}

const FIRST: WorkerId = WorkerId(0);

fn pool(more: &Json) -> Pool<Fake> {
    let mut config = json!({
        "workers": 1, "maxCallsPerWorker": 0, "maxWorkerMemory": 0, "idleTimeout": 0, "gracePeriod": 100,
        "lazy": false, "concurrency": 1, "inline": false, "traces": false, "remote": false,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    let config = PoolConfig::parse(&config.to_string()).expect("a whole configuration");
    Pool::new(Fake::default(), &config)
}

/// The number of the chunk that was sent first.
fn first_chunk(pool: &Pool<Fake>) -> u32 {
    pool.host.carrier.sent.borrow()[0].0.0
}

/// The first worker that was started.
fn first_worker(pool: &Pool<Fake>) -> WorkerId {
    pool.engine.borrow().workers().first().copied().unwrap_or(FIRST)
}

#[test]
fn the_loop_is_held_while_something_is_in_progress_and_only_then() {
    let pool = pool(&Json::Null);
    pool.start(None);
    let worker = first_worker(&pool);
    assert_eq!(pool.host.taken(), [format!("start {}", worker.0)]);
    pool.script_worker_ready(worker);
    pool.submit([1, 0, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
    pool.pump();
    assert!(pool.host.taken().contains(&"held true".into()));
    let (frame, _, runs) = pool.host.carrier.sent.take().remove(0);
    report_sent(&pool, worker, frame, &runs, Sent::Filled { filled: &[1], skipped: &[], bytes: 5 });
    let settled = pool.script_worker_replied(worker, frame, 0, 1.0, 2.0, &[(1, 0)]);
    assert_eq!(settled.map(|settled| settled.len()).ok(), Some(1));
    pool.pump();
    assert!(pool.host.taken().contains(&"held false".into()));
}

#[test]
fn what_was_answered_is_taken_in_before_time_passes() {
    let pool = pool(&Json::Null);
    pool.start(None);
    let worker = first_worker(&pool);
    pool.script_worker_ready(worker);
    pool.submit([1, 0, 0, 0, 0, 0, 0], None, 50.0).expect("there is room");
    pool.pump();
    let (frame, seq, runs) = pool.host.carrier.sent.take().remove(0);
    report_sent(&pool, worker, frame, &runs, Sent::Filled { filled: &[1], skipped: &[], bytes: 5 });
    pool.begun(worker, seq);
    pool.pump();
    pool.host.now.set(Duration::from_millis(60));
    pool.on_timer();
    assert_eq!(pool.host.carrier.said.take().first(), Some(&format!("catch up {}", worker.0)));
}

#[test]
fn what_is_withdrawn_before_it_was_sent_is_not_sent_though_answers_come_meanwhile() {
    let pool = Rc::new(pool(&Json::Null));
    pool.start(None);
    let worker = first_worker(&pool);
    pool.script_worker_ready(worker);
    let weak = Rc::downgrade(&pool);
    let pump = move || weak.upgrade().into_iter().for_each(|pool| pool.pump());
    *pool.host.carrier.on_catch_up.borrow_mut() = Some(Box::new(pump));
    let job = pool.submit([1, 0, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
    pool.cancel(job);
    assert!(pool.host.carrier.sent.take().is_empty());
    assert!(pool.host.taken().contains(&format!("ended {} 0..1 aborted null", job.0)));
}

#[test]
fn only_a_call_that_has_begun_is_told_that_nobody_wants_more_of_it() {
    let pool = pool(&Json::Null);
    pool.start(None);
    let worker = first_worker(&pool);
    pool.script_worker_ready(worker);
    let job = pool.submit([1, 3, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
    assert!(!pool.leave(job), "it waits");
    pool.pump();
    let (frame, seq, runs) = pool.host.carrier.sent.take().remove(0);
    report_sent(&pool, worker, frame, &runs, Sent::Filled { filled: &[1], skipped: &[], bytes: 5 });
    assert!(!pool.leave(job), "it was sent");
    pool.host.carrier.said.take();
    pool.begun(worker, seq);
    assert!(pool.leave(job));
    assert!(pool.host.carrier.said.take().contains(&format!("demand {} {seq} {}", worker.0, u32::MAX)));
    pool.script_worker_exited(worker, json!({ "exitCode": 1 }));
    let ended =
        |said: &[String]| said.iter().any(|line| line.starts_with(&format!("ended {} 0..1 exited", job.0)));
    assert!(ended(&pool.host.taken()), "it is not run again");
    assert!(!pool.leave(job), "it has settled");
}

#[test]
fn a_worker_that_cannot_be_started_fails_what_waits_with_the_reason() {
    let pool = pool(&Json::Null);
    pool.host.refuses.set(true);
    pool.start(None);
    let job = pool.submit([2, 0, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
    // As often as the engine tries again.
    for second in 1..100 {
        pool.host.now.set(Duration::from_secs(second));
        pool.on_timer();
    }
    let said = pool.host.taken();
    assert!(said.contains(&format!("ended {} 0..2 bootFailed 11", job.0)), "{said:?}");
}

#[test]
fn a_frame_that_could_not_be_made_costs_its_worker() {
    let pool = pool(&Json::Null);
    pool.start(None);
    let worker = first_worker(&pool);
    pool.script_worker_ready(worker);
    pool.submit([1, 0, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
    pool.pump();
    let (frame, _, runs) = pool.host.carrier.sent.take().remove(0);
    report_sent(&pool, worker, frame, &runs, Sent::Failed);
    pool.pump();
    assert!(pool.host.carrier.said.take().contains(&format!("kill {}", worker.0)));
}

#[test]
fn a_closed_pool_says_so_once_its_last_worker_is_gone_and_forgets_it() {
    let pool = pool(&Json::Null);
    pool.start(None);
    let worker = first_worker(&pool);
    pool.script_worker_ready(worker);
    pool.close();
    assert!(pool.host.carrier.said.take().contains(&format!("stop {}", worker.0)));
    pool.host.taken();
    pool.script_worker_exited(worker, json!({ "exitCode": 0 }));
    assert!(pool.host.taken().contains(&"closed []".into()));
    assert!(pool.host.carrier.said.take().contains(&format!("forget {}", worker.0)));
    assert_eq!(pool.stats()["bytesReceived"], 4);
}

#[test]
fn who_waits_polls_on_a_cpu_to_spare_and_gives_way_on_the_only_one() {
    // A pool of two, one of which works: what was told of the CPUs, how it waits, and how the worker is to.
    let ways = [
        (None, Waiting::Asleep),
        (Some(0), Waiting::GivingWay),
        (Some(1), Waiting::Asleep),
        (Some(2), Waiting::Polling),
    ];
    for (cpus, way) in ways {
        let pool = pool(&json!({ "workers": 2 }));
        if let Some(cpus) = cpus {
            pool.set_spin_cpus(cpus);
        }
        pool.start(None);
        let worker = first_worker(&pool);
        pool.script_worker_ready(worker);
        assert_eq!(pool.waiting(), Waiting::Asleep, "nothing is expected");
        pool.submit([1, 0, 0, 0, 0, 0, 0], None, 0.0).expect("there is room");
        pool.pump();
        assert_eq!((pool.waiting(), pool.worker_waiting()), (way, way), "{cpus:?} CPUs");
        // One that sleeps was woken by its first chunk only.
        let cares = |chunk| pool.cares_where_it_wakes(worker, ChunkId(chunk));
        let is_looked_after = cpus.is_some_and(|cpus| cpus > 0);
        assert_eq!((cares(first_chunk(&pool)), cares(99)), (is_looked_after, false), "{cpus:?} CPUs");
        assert!(!pool.keeps_cpu(), "{cpus:?} CPUs, and it sleeps at once");
        pool.host.stays_awake.set(true);
        assert_eq!(pool.keeps_cpu(), way == Waiting::Polling, "{cpus:?} CPUs, and nothing else to send");
    }
}
