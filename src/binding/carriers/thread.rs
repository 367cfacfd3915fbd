//! The carrier to workers that are threads of this process.
//!
//! JavaScript starts and ends them, and has their ports. The rings in the memory that both sides share are read and
//! written here, as those of processes are: in JavaScript it would be code that V8 has to compile first, which is most
//! of what the first thousands of calls cost.
//!
//! 1. A frame of calls goes through the ring if it consists of strings and buffers, has room there, and finds the
//!    thread awake. Everything else JavaScript posts, and counts.
//! 2. What a thread has posted JavaScript handles, in its place among the frames of the ring: it has those taken that
//!    come before, counts, and has those taken that come after (`lib/transport/frame-channel.js`).
//! 3. Frames of the ring are handled one after the other. Whoever comes upon them meanwhile, further down the stack,
//!    handles neither them nor what was posted.
//!
//! Called by the pool. Must not depend on the pool.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::{Rc, Weak};

use napi::{Result, sys};
use serde_json::{Value as Json, json};

use super::frames::{FrameHandler, Source};
use super::link_error::LinkError;
use super::script::ScriptCarrier;
use super::sending::{CallsFrame, Encoded, encode_runs, send_waking};
use super::thread_frame::ThreadFrame;
use super::thread_link::ThreadLink;
use super::time_slice::TimeSlice;
use crate::binding::carrier::{NativeCarrier, Upcalls};
use crate::binding::idle_process::IdleProcess;
use crate::binding::js::{Callback, Registers, Value, number};
use crate::channel::{Arrived, Attached, ChannelError, Corrupt, OutgoingFrame, Room};
use crate::engine::{ChunkId, Run, WorkerId};
use crate::joined_answers::JoinedAnswers;
use crate::pool::Carrier;
use crate::registry::Place;
use crate::wire::{Frame, FrameHeader, Kind};

pub struct ThreadCarrier {
    env: sys::napi_env,
    upcalls: Weak<dyn Upcalls>,
    script: ScriptCarrier,
    hooks: Hooks,
    /// The threads that are there.
    links: RefCell<BTreeMap<WorkerId, ThreadLink>>,
}

/// The functions of `lib/carriers/thread-carrier.js` besides those of every carrier in JavaScript.
struct Hooks {
    /// `(worker, frame, first call's number, 1 if nobody is in a hurry, parts)`: posts a frame of calls.
    post: Callback,
    /// `(worker)`: something is in the ring.
    wake: Callback,
}

impl ThreadCarrier {
    pub fn new(
        env: sys::napi_env,
        upcalls: Weak<dyn Upcalls>,
        hooks: Value,
        registers: Rc<Registers>,
    ) -> Result<ThreadCarrier> {
        let script = ScriptCarrier::new(env, upcalls.clone(), hooks, registers, true)?;
        let hook = |name| Callback::method(env, hooks, name);
        let hooks = Hooks { post: hook("postCalls")?, wake: hook("wakeWorker")? };
        Ok(ThreadCarrier { env, upcalls, script, hooks, links: RefCell::default() })
    }

    /// Runs something on the link of a thread that is still there. It must not call JavaScript, nor the pool.
    fn with<R>(&self, worker: WorkerId, act: impl FnOnce(&mut ThreadLink) -> R) -> Option<R> {
        self.links.borrow_mut().get_mut(&worker).map(act)
    }

    /// Handles the frames that are in the ring of a thread by now and whose turn it is, as long as `is_time`; false:
    /// that is being done already.
    fn receive(&self, worker: WorkerId, is_time: impl Fn() -> bool) -> bool {
        let Some(upcalls) = self.upcalls.upgrade() else { return true };
        if !self.with(worker, ThreadLink::lend).unwrap_or(true) {
            return false;
        }
        let handler = FrameHandler { env: self.env, source: self, upcalls: &*upcalls, worker };
        let mut answers = JoinedAnswers::default();
        let end = self.with(worker, |link| link.end()).unwrap_or_default();
        let failure = loop {
            // A thread may send as fast as this one takes it.
            let goes_on = is_time() && self.with(worker, |link| link.is_before(end)).unwrap_or(false);
            if !goes_on && answers.is_empty() {
                break None;
            }
            let take = |frame: &mut Vec<u8>| self.with(worker, |link| link.take(frame)).unwrap_or(Ok(None));
            let handled = match answers.next(take) {
                Ok(None) => break None,
                Ok(Some(frame)) => Frame::of(frame).map_err(LinkError::Wire),
                Err(Corrupt) => Err(LinkError::Channel(ChannelError::CorruptRing)),
            };
            if let Err(error) = handled.and_then(|frame| handler.handle(&frame)) {
                break Some(error);
            }
        };
        self.with(worker, ThreadLink::give_back);
        if let Some(error) = failure {
            self.with(worker, ThreadLink::stop_reading);
            upcalls.event(worker, "protocol", &json!({ "detail": error.to_string() }));
            upcalls.give_up(worker);
        }
        true
    }

    /// Sends a frame of calls; false: it cannot be sent.
    fn send_frame(&self, worker: WorkerId, header: FrameHeader, frame: &ThreadFrame) -> bool {
        let bytes = frame.to_bytes(header);
        if bytes.is_some_and(|bytes| self.share(worker, &bytes)) {
            return true;
        }
        self.with(worker, |link| link.count_sent(frame.len()));
        let Ok(parts) = frame.to_list() else { return false };
        let numbers = [worker.0, header.chunk_id, header.seq, header.aux];
        let [worker, chunk, seq, aux] = numbers.map(|field| number(self.env, field.into()));
        self.hooks.post.call(&[worker, chunk, seq, aux, parts]).is_some()
    }

    /// Sends a frame through the ring; false: it is to be posted.
    fn share(&self, worker: WorkerId, frame: &[u8]) -> bool {
        let sent = self.with(worker, |link| link.send(frame).then(|| link.must_wake()));
        // It may have gone to sleep before it could see the frame.
        if sent == Some(Some(true)) {
            self.hooks.wake.call(&[number(self.env, worker.0.into())]);
        }
        sent.flatten().is_some()
    }
}

impl Source for ThreadCarrier {
    fn attached(&self, _worker: WorkerId) -> Attached {
        Attached::new(Arrived::default())
    }

    fn keep_load_error(&self, worker: WorkerId, tree: Option<String>) {
        self.script.set_exit_report(worker, json!({ "loadError": tree }));
    }

    fn count_taken(&self, worker: WorkerId, size: u32) {
        self.with(worker, |link| link.count_taken(size));
    }
}

impl Carrier for ThreadCarrier {
    fn assign(&self, worker: WorkerId, index: u32) {
        self.script.assign(worker, index);
    }

    fn stop(&self, worker: WorkerId) {
        self.script.stop(worker);
    }

    fn kill(&self, worker: WorkerId) {
        self.script.kill(worker);
    }

    fn release(&self, worker: WorkerId) {
        self.script.release(worker);
    }

    fn forget(&self, worker: WorkerId) {
        // Not before: which call it began last counts to the end.
        let link = self.links.borrow_mut().remove(&worker);
        if let Some(link) = link {
            self.script.count_traffic(link.traffic());
        }
        self.script.forget(worker);
    }

    fn send(&self, worker: WorkerId, chunk: ChunkId, seq: u32, runs: &[Run], patient: bool) {
        let Some(upcalls) = self.upcalls.upgrade() else { return };
        let mut frame = ThreadFrame::new(self.env);
        match encode_runs(&*upcalls, worker, chunk, runs, &mut frame) {
            Encoded::Whole => {}
            Encoded::Deferred => return,
            Encoded::Failed => return upcalls.give_up(worker),
        }
        let waiting = upcalls.worker_waiting();
        self.with(worker, |link| link.set_waiting(waiting));
        let header =
            FrameHeader { chunk_id: chunk.0, seq, aux: patient.into(), ..FrameHeader::of(Kind::Calls) };
        let sleeper = || self.with(worker, |link| link.wakes(seq)).flatten();
        let send = || self.send_frame(worker, header, &frame);
        if !send_waking(&*upcalls, worker, chunk, sleeper, send) {
            upcalls.give_up(worker);
        }
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        self.script.cancel(worker, seqs);
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        self.with(worker, |link| link.recall(from, until))
    }

    fn demand(&self, worker: WorkerId, seq: u32, taken: u32) {
        let header = FrameHeader { chunk_id: taken, seq, ..FrameHeader::of(Kind::Demand) };
        let frame = OutgoingFrame::new(header, Room::NONE).finish();
        if !frame.is_ok_and(|frame| self.share(worker, &frame.bytes)) {
            self.script.demand(worker, seq, taken);
        }
    }

    fn last_begun(&self, worker: WorkerId) -> u32 {
        self.with(worker, |link| link.last_begun()).unwrap_or(0)
    }

    fn pid(&self, worker: WorkerId) -> Option<i32> {
        self.script.pid(worker)
    }

    fn exit_report(&self, worker: WorkerId) -> Option<Json> {
        self.script.exit_report(worker)
    }

    fn set_exit_report(&self, worker: WorkerId, report: Json) {
        self.script.set_exit_report(worker, report);
    }

    fn traffic(&self) -> (u64, u64) {
        let add = |(sent, received): (u64, u64), link: &ThreadLink| {
            let (more_sent, more_received) = link.traffic();
            (sent + more_sent, received + more_received)
        };
        self.links.borrow().values().fold(self.script.traffic(), add)
    }

    fn catch_up(&self, worker: WorkerId) {
        self.script.catch_up(worker);
    }

    fn set_awake(&self, awake: bool) {
        self.links.borrow().values().for_each(|link| link.set_awake(awake));
    }

    fn has_pending(&self) -> bool {
        self.links.borrow().values().any(ThreadLink::has_pending)
    }

    fn receive_pending(&self) {
        let pending = |(&worker, link): (&WorkerId, &ThreadLink)| link.has_pending().then_some(worker);
        let workers: Vec<WorkerId> = self.links.borrow().iter().filter_map(pending).collect();
        for worker in workers {
            let slice = TimeSlice::begin();
            // What is left is looked at before the loop sleeps.
            self.receive(worker, || !slice.is_over());
        }
    }

    fn fetch_woken(&self) {
        let links = self.links.borrow();
        let threads = || links.values().filter_map(ThreadLink::thread);
        links.values().filter_map(ThreadLink::waits).any(|woken| woken.fetch(threads()));
    }
}

impl NativeCarrier for ThreadCarrier {
    fn start(
        &self,
        worker: WorkerId,
        index: Option<u32>,
        place: Option<Place<IdleProcess>>,
    ) -> io::Result<()> {
        let shared = self.script.start_worker(worker, index, place);
        match shared.map(|shared| ThreadLink::new(self.env, shared)) {
            Some(Ok(link)) => {
                self.links.borrow_mut().insert(worker, link);
            }
            // Its frames could not be read. Nobody hears of this where there is no thread: its end is told anyway.
            _ => self.script.kill(worker),
        }
        Ok(())
    }

    fn receive_shared(&self, worker: WorkerId) -> bool {
        self.receive(worker, || true)
    }

    fn index_in_set(&self, worker: WorkerId) -> Option<u32> {
        self.script.index_in_set(worker)
    }

    fn abandon(&self) {
        self.script.abandon();
        self.links.take();
    }
}
