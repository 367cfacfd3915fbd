//! What belongs to one worker process, and the map of all of them.
//!
//! Called by the carrier and by the receiving side. Must not depend on how frames are made or handled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Weak;
use std::sync::Arc;

use nix::errno::Errno;
use serde_json::{Value as Json, json};

use super::link_error::LinkError;
use super::page_words;
use crate::binding::carrier::Upcalls;
use crate::binding::event_loop::Poll;
use crate::channel::page::{CANCEL_COUNT, FAREWELL, LAST_BEGUN, WAITING};
use crate::channel::{Channel, FillResult, Finished, Flushed, OutgoingFrame};
use crate::engine::WorkerId;
use crate::pace::Waiting;
use crate::platform::{SharedPage, SharedWords};
use crate::process::{Route, Supervisor, Ticket};
use crate::registry::PlaceId;
use crate::woken::Woken;

/// What belongs to one worker process.
///
/// Invariant: whose `report` has a failure is not read any more (`poll` is `None`), and no frame of it is handled.
pub struct Link {
    pub route: Arc<Route>,
    /// Where it may change hands: its place in the registry.
    pub place: Option<PlaceId>,
    pub channel: Channel,
    /// What had passed through the channel before it came here.
    pub past_traffic: (u64, u64),
    /// `None` once the channel has ended or is not to be believed.
    pub poll: Option<Poll>,
    /// Without a page the worker announces its calls in frames.
    pub page: Option<Arc<SharedPage>>,
    /// Whether `poll` waits for room to write, too.
    pub wants_writable: bool,
    /// The last call begun, where there is no page.
    pub last_begun: u32,
    /// Cancellations that it was told of.
    pub cancel_count: u32,
    /// What it was last woken for.
    pub woken: Option<Woken>,
    /// Whether the parent has said farewell to it.
    pub is_dismissed: bool,
    pub report: ExitReport,
}

/// What is known of a worker's end.
#[derive(Default)]
pub struct ExitReport {
    /// How the process ended, or why it was not started.
    pub exit: Option<Json>,
    pub load_error: Option<String>,
    /// Why it was given up: the first reason.
    pub failure: Option<LinkError>,
    /// It was killed since it gave no sign of life.
    pub silent: bool,
    /// Why it could not be killed.
    pub kill_error: Option<Errno>,
    /// It has not ended although it was killed.
    pub outlives: bool,
}

impl ExitReport {
    /// As it is told with every call that ends by it.
    fn to_json(&self) -> Json {
        let mut report = self.exit.clone().unwrap_or_else(|| json!({}));
        report["loadError"] = self.load_error.clone().into();
        report["protocol"] = self.failure.as_ref().map(LinkError::to_string).into();
        report["silent"] = self.silent.into();
        report["killError"] = self.kill_error.map(|errno| errno.to_string()).into();
        report["outlives"] = self.outlives.into();
        report
    }
}

impl Link {
    pub fn ticket(&self) -> Ticket {
        self.route.ticket()
    }

    /// Whether what comes is still read.
    pub fn is_read(&self) -> bool {
        self.poll.is_some()
    }

    /// Whether a frame waits in shared memory.
    pub fn has_pending(&self) -> bool {
        self.is_read() && self.channel.has_pending()
    }

    /// Has the channel take in what has come; `None` where that is not read any more.
    pub fn fill(&mut self, fill: impl FnOnce(&mut Channel) -> FillResult) -> Option<FillResult> {
        self.is_read().then(|| fill(&mut self.channel))
    }

    /// Reads no more. Polling on would report a hang-up for ever.
    pub fn stop_reading(&mut self) {
        self.poll = None;
        self.channel.set_awake(false);
    }

    /// Keeps why it was given up, unless that is known.
    pub fn fail(&mut self, error: LinkError) {
        self.report.failure.get_or_insert(error);
        self.stop_reading();
    }

    /// Bytes sent and received here.
    pub fn traffic(&self) -> (u64, u64) {
        let (sent, received) = self.channel.traffic();
        (sent - self.past_traffic.0, received - self.past_traffic.1)
    }

    /// Writes what the socket takes, and has the loop tell when it takes more.
    fn write_out(&mut self) {
        // A broken pipe is no news: the end of the channel is seen by reading.
        let blocked = matches!(self.channel.flush(), Ok(Flushed::Blocked));
        if let Some(poll) = self.poll.as_ref().filter(|_| blocked != self.wants_writable) {
            poll.start(blocked);
            self.wants_writable = blocked;
        }
    }

    // ---- Words of the page ------------------------------------------------------------------------------

    /// The number of the call that the worker began last.
    pub fn last_begun(&self) -> u32 {
        self.page.as_ref().map_or(self.last_begun, |page| page.load(LAST_BEGUN))
    }

    /// Says how the worker is to wait after its work.
    pub fn set_waiting(&self, waiting: Waiting) {
        if let Some(page) = &self.page {
            page.store(WAITING, waiting as u32);
        }
    }

    /// The thread that a chunk wakes which begins with this call, where it is known to sleep. It is kept in mind.
    pub fn wakes(&mut self, seq: u32) -> Option<i32> {
        let page = self.page.as_ref()?;
        let sleeper = self.route.pid().filter(|_| page_words::is_asleep(&**page));
        if let Some(thread) = sleeper {
            self.woken = Some(Woken::new(thread, seq));
        }
        sleeper
    }

    /// The worker, if it was woken and has not begun what it was woken for.
    fn waits(&self) -> Option<Woken> {
        self.woken.filter(|woken| woken.waits(self.last_begun()))
    }

    /// Says that a cancellation was sent. To be called after that: whoever sees the count finds the frame.
    pub fn count_cancel(&mut self) {
        self.cancel_count = self.cancel_count.wrapping_add(1);
        if let Some(page) = &self.page {
            page.store(CANCEL_COUNT, self.cancel_count);
        }
    }

    /// Says that a message which counts so much was handled.
    pub fn count_taken(&self, size: u32) {
        if let Some(page) = &self.page {
            page_words::count_taken(&**page, size);
        }
    }

    /// Says that this process ends in an orderly way. The worker must have nothing to do, and is to be asked to stop,
    /// too.
    pub fn say_farewell(&mut self) {
        self.is_dismissed = true;
        if let Some(page) = &self.page {
            page.store(FAREWELL, 1);
        }
    }

    /// Publishes the calls `from <= seq < until` as recalled, and returns the number of the one begun last. `None`
    /// without a page.
    pub fn recall(&self, from: u32, until: u32) -> Option<u32> {
        self.page.as_ref().map(|page| page_words::recall(&**page, from, until))
    }
}

/// The links of a pool, by worker.
///
/// Invariant: a worker has a link from its start or adoption until it is forgotten or detached; one that could not be
/// started has a report among `failed_spawns` until it is forgotten, and no link.
pub struct Links {
    upcalls: Weak<dyn Upcalls>,
    links: RefCell<BTreeMap<WorkerId, Link>>,
    failed_spawns: RefCell<BTreeMap<WorkerId, Json>>,
    /// Bytes sent to and received from workers that are no longer here.
    past_traffic: Cell<(u64, u64)>,
}

impl Links {
    pub fn new(upcalls: Weak<dyn Upcalls>) -> Links {
        Links {
            upcalls,
            links: RefCell::default(),
            failed_spawns: RefCell::default(),
            past_traffic: Cell::default(),
        }
    }

    /// Runs something on the link of a worker that is still there. It must not call JavaScript, nor the pool.
    pub fn with<R>(&self, worker: WorkerId, act: impl FnOnce(&mut Link) -> R) -> Option<R> {
        self.links.borrow_mut().get_mut(&worker).map(act)
    }

    /// Adds a worker's link, and writes out what already waits in its channel.
    pub fn insert(&self, worker: WorkerId, link: Link) {
        debug_assert!(!self.failed_spawns.borrow().contains_key(&worker));
        let before = self.links.borrow_mut().insert(worker, link);
        debug_assert!(before.is_none(), "two links of one worker");
        self.write_out(worker);
    }

    /// Takes a worker's link out, and books its traffic.
    pub fn remove(&self, worker: WorkerId) -> Option<Link> {
        let link = self.links.borrow_mut().remove(&worker)?;
        let ((past_sent, past_received), (sent, received)) = (self.past_traffic.get(), link.traffic());
        self.past_traffic.set((past_sent + sent, past_received + received));
        Some(link)
    }

    /// The worker is gone, and everybody has been told.
    pub fn forget(&self, worker: WorkerId) {
        self.failed_spawns.borrow_mut().remove(&worker);
        self.remove(worker);
    }

    /// The environment ends. Closing the channels ends the workers.
    pub fn abandon(&self) {
        for link in self.links.take().into_values() {
            let (ticket, is_dismissed) = (link.ticket(), link.is_dismissed);
            drop(link);
            if is_dismissed { dismissed(ticket) } else { channel_ended(ticket) }
        }
    }

    /// Sends a frame.
    pub fn send(&self, worker: WorkerId, frame: OutgoingFrame) {
        self.send_by(worker, frame, Channel::queue_finished);
    }

    /// Sends a frame that is ready, through the socket.
    pub fn send_finished(&self, worker: WorkerId, frame: Finished) {
        self.with(worker, |link| {
            link.channel.queue_on_socket(frame.bytes, frame.descriptors);
            link.write_out();
        });
    }

    /// Sends a frame through the socket, in any case.
    pub fn send_on_socket(&self, worker: WorkerId, frame: OutgoingFrame) {
        self.send_by(worker, frame, |channel, frame| {
            channel.queue_on_socket(frame.bytes, frame.descriptors);
        });
    }

    fn send_by(&self, worker: WorkerId, frame: OutgoingFrame, queue: impl FnOnce(&mut Channel, Finished)) {
        match frame.finish() {
            Ok(frame) => {
                self.with(worker, |link| {
                    queue(&mut link.channel, frame);
                    link.write_out();
                });
            }
            Err(error) => self.give_up(worker, LinkError::FrameUnsendable(error)),
        }
    }

    /// Writes what the socket takes, and has the loop tell when it takes more.
    pub fn write_out(&self, worker: WorkerId) {
        self.with(worker, Link::write_out);
    }

    /// The worker cannot be worked with any more.
    pub fn give_up(&self, worker: WorkerId, error: LinkError) {
        self.with(worker, |link| link.fail(error));
        if let Some(upcalls) = self.upcalls.upgrade() {
            upcalls.give_up(worker);
        }
    }

    /// How the process ended, or why it did not start.
    pub fn set_exit(&self, worker: WorkerId, exit: Json) {
        match self.links.borrow_mut().get_mut(&worker) {
            Some(link) => link.report.exit = Some(exit),
            None => {
                self.failed_spawns.borrow_mut().insert(worker, exit);
            }
        }
    }

    pub fn exit_report(&self, worker: WorkerId) -> Option<Json> {
        let report = self.with(worker, |link| link.report.to_json());
        report.or_else(|| self.failed_spawns.borrow().get(&worker).cloned())
    }

    /// Bytes sent and received, by all workers.
    pub fn traffic(&self) -> (u64, u64) {
        let links = self.links.borrow();
        links
            .values()
            .map(Link::traffic)
            .fold(self.past_traffic.get(), |sum, link| (sum.0 + link.0, sum.1 + link.1))
    }

    // ---- Frames in shared memory ------------------------------------------------------------------------

    /// Tells the workers that are still read whether their rings are looked at before this thread sleeps, and the
    /// others that not.
    pub fn set_awake(&self, awake: bool) {
        self.links.borrow().values().for_each(|link| link.channel.set_awake(awake && link.is_read()));
    }

    pub fn has_pending(&self) -> bool {
        self.links.borrow().values().any(Link::has_pending)
    }

    /// Fetches one of the workers that were woken.
    pub fn fetch_woken(&self) {
        let links = self.links.borrow();
        let threads = || links.values().filter_map(|link| link.route.pid());
        links.values().filter_map(Link::waits).any(|woken| woken.fetch(threads()));
    }

    /// The workers of which a frame waits in shared memory.
    pub fn pending(&self) -> Vec<WorkerId> {
        let links = self.links.borrow();
        links.iter().filter_map(|(&worker, link)| link.has_pending().then_some(worker)).collect()
    }
}

/// Tells the supervisor that nothing more comes from a process, which it then looks for.
pub fn channel_ended(ticket: Ticket) {
    if let Ok(supervisor) = Supervisor::get() {
        supervisor.channel_ended(ticket);
    }
}

/// The same of a process that was said farewell to.
pub fn dismissed(ticket: Ticket) {
    if let Ok(supervisor) = Supervisor::get() {
        supervisor.dismissed(ticket);
    }
}
