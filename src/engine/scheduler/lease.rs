//! Workers on lease: the part of the engine that gives workers back, where several engines share one set of them.
//!
//! What it is told: whether a worker that it wanted was to be had ([`Engine::denied`], [`Engine::adopted`]), and how
//! many others wait for ([`Engine::asked`]). What it says: which workers it can do without ([`Engine::spare`]), and
//! whether it wants more than it has ([`Engine::wants_more`]). Who shares with whom is not known here.
//!
//! A worker goes between two frames only, so that nothing of it is under way. One that others wait for gets no
//! more calls once it was used for the lease's time; what it has in flight it finishes.

use std::time::Duration;

use super::super::History;
use super::super::worker::{Phase, Worker};
use super::{Engine, Mode};
use crate::engine::WorkerId;

impl Engine {
    /// There is no worker to be had; this one will not start. Whether that is so still is for others to say.
    pub fn denied(&mut self, id: WorkerId) {
        self.workers.remove(&id);
        self.is_denied = true;
        // All that can be ready may be.
        self.check_ready_awaited();
    }

    /// It is worth asking again.
    pub fn offered(&mut self) {
        self.is_denied = false;
    }

    /// Whether a worker was denied that is still wanted.
    pub fn wants_more(&self) -> bool {
        let lacks = |wanted: usize| self.live() < wanted.min(self.config.workers);
        self.is_denied && self.backoff.is_zero() && self.wanted_workers().is_some_and(lacks)
    }

    /// Instead of a worker that starts, this is one that has run calls before.
    pub fn adopted(&mut self, id: WorkerId, history: History) {
        if let Some(worker) = self.workers.get_mut(&id) {
            let History { next_seq, given, done, failed, ran } = history;
            (worker.next_seq, worker.given, worker.ran) = (next_seq, given, ran);
            (worker.done, worker.failed) = (done, failed);
            worker.silent = None;
            self.ready(id);
        }
    }

    /// Takes on a worker that nobody has asked for, for whatever becomes of all of them.
    pub fn adopt(&mut self, history: History) -> WorkerId {
        let id = self.add_worker();
        self.adopted(id, history);
        id
    }

    /// What the next engine must know of a worker that is handed back.
    pub fn history(&self, id: WorkerId) -> Option<History> {
        let worker = self.workers.get(&id)?;
        let Worker { next_seq, given, done, failed, ran, .. } = *worker;
        Some(History { next_seq, given, done, failed, ran })
    }

    /// Others wait for so many of the workers.
    pub fn asked(&mut self, count: usize) {
        self.asked = count;
    }

    /// Workers that can be handed back now. With `unused`, all that there is no work for; else those that others wait
    /// for. To be asked when there is no action left.
    pub fn spare(&self, unused: bool) -> Vec<WorkerId> {
        if self.config.lease.is_none() || self.ready_awaited {
            return Vec::new();
        }
        let is_over = self.mode != Mode::Open && self.jobs.is_empty();
        let most = if is_over || (unused && self.unused() > 0) { usize::MAX } else { self.owed() };
        let spare = self.workers.iter().filter(|(_, worker)| worker.is_spare());
        spare.map(|(&id, _)| id).take(most).collect()
    }

    /// Workers that have nothing in flight and could go on elsewhere.
    pub fn idle_workers(&self) -> Vec<WorkerId> {
        self.workers.iter().filter(|(_, worker)| worker.is_spare()).map(|(&id, _)| id).collect()
    }

    /// How many workers there is no work for, and will be none by what is known.
    pub fn unused(&self) -> usize {
        // Calls that are stuck behind another may come to an idle one.
        if self.ready_awaited || self.workers.values().any(Worker::is_recallable) {
            return 0;
        }
        self.workers.values().filter(|worker| worker.is_spare()).count()
    }

    /// The worker is somebody else's now.
    pub fn handed_back(&mut self, id: WorkerId) {
        self.workers.remove(&id);
        self.release(id);
        self.asked = self.asked.saturating_sub(1);
    }

    /// The worker cannot be handed back: it ends instead.
    pub fn not_taken_back(&mut self, id: WorkerId) {
        if self.mode == Mode::Terminated { self.kill(id) } else { self.stop(id) }
    }

    /// How many others wait for, less those that are on their way out.
    fn owed(&self) -> usize {
        if self.asked == 0 {
            return 0;
        }
        self.asked.saturating_sub(self.workers.values().filter(|worker| !worker.can_serve()).count())
    }

    /// Says which workers get no more calls because others wait for them. Of those that were used for long enough, the
    /// ones that will soonest be done.
    pub(super) fn choose_yielding(&mut self, now: Duration) {
        let Some(lease) = self.config.lease.filter(|_| self.asked > 0 || self.is_yielding) else { return };
        let is_due = |worker: &Worker| {
            let used = worker.used_since.map(|since| now.saturating_sub(since));
            worker.phase == Phase::Ready && worker.retire.is_none() && used.is_some_and(|used| used >= lease)
        };
        let mut due: Vec<(u32, WorkerId)> = (self.workers.iter())
            .filter(|(_, worker)| is_due(worker))
            .map(|(&id, worker)| (worker.load(), id))
            .collect();
        due.sort_unstable();
        due.truncate(self.owed());
        self.is_yielding = !due.is_empty();
        for (id, worker) in &mut self.workers {
            worker.yields = due.iter().any(|(_, due)| due == id);
        }
    }
}
