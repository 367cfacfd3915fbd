//! Workers that are processes: a channel to each, polled on the event loop, and the supervisor's events.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use napi::sys;
use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

use super::carrier::Carrier;
use super::environment::Environment;
use super::event_loop::{Poll, Readiness};
use super::idle_process::{IdleProcess, Parts};
use super::js::{PassedParts, Value, discard, part_list, part_value, write_parts};
use super::pool::PoolState;
use crate::channel::page::{CANCEL_COUNT, LAST_BEGUN, MAY_SPIN, PAGE_LEN, RECALL_FROM, RECALL_UNTIL};
use crate::channel::{Arrived, Channel, End, FillResult, Filled, Flushed, Slot};
use crate::engine::{ChunkId, History, Reply, Run, WorkerId};
use crate::platform::{self, SharedPage};
use crate::process::{Descriptors, ProcessEvent, Route, SpawnSpec, Supervisor, Ticket};
use crate::registry::{Place, PlaceId};
use crate::wire::{
    Encoding, Frame, FrameHeader, FrameWriter, Kind, PART_FAILED, PART_SKIPPED, Part, PartHeader, with_seq,
};

/// A frame of so many bytes gets no further calls.
const FULL_FRAME: usize = 512 * 1024;
/// Bytes read from one worker before others get their turn.
const READ_BUDGET: usize = 1 << 18;

pub(super) struct ProcessCarrier {
    pool: Weak<PoolState>,
    environment: Rc<Environment>,
    spec: Arc<SpawnSpec>,
    /// What each worker is sent first.
    init: Vec<u8>,
    links: RefCell<BTreeMap<WorkerId, Link>>,
    /// What became of workers that have no link.
    unborn: RefCell<BTreeMap<WorkerId, Json>>,
    /// Bytes sent to and received from workers that are gone.
    past_traffic: Cell<(u64, u64)>,
}

/// What belongs to one worker process.
struct Link {
    route: Arc<Route>,
    /// Where it may change hands: its place in the registry.
    place: Option<PlaceId>,
    channel: Channel,
    /// What had passed through the channel before it came here.
    past_traffic: (u64, u64),
    /// `None` once the channel has ended or is not to be believed.
    poll: Option<Poll>,
    page: Option<Arc<SharedPage>>,
    /// What `poll` waits for.
    wants_writable: bool,
    /// The last call begun, where there is no page.
    mark: u32,
    notices: u32,
    pid: Option<i32>,
    fate: Fate,
}

/// What is known of a worker's end.
#[derive(Default)]
struct Fate {
    exit: Option<Json>,
    load_error: Option<String>,
    protocol: Option<String>,
    /// It was killed since it gave no sign of life.
    silent: bool,
}

impl Link {
    fn ticket(&self) -> Ticket {
        self.route.ticket()
    }

    /// Whether what comes is still read.
    fn is_read(&self) -> bool {
        self.poll.is_some()
    }

    /// Whether something has come through shared memory.
    fn has_come(&self) -> bool {
        self.is_read() && self.channel.has_pending()
    }

    /// Bytes sent and received here.
    fn traffic(&self) -> (u64, u64) {
        let (sent, received) = self.channel.traffic();
        (sent - self.past_traffic.0, received - self.past_traffic.1)
    }
}

impl ProcessCarrier {
    pub(super) fn new(
        pool: Weak<PoolState>,
        environment: Rc<Environment>,
        spec: SpawnSpec,
        init: Vec<u8>,
    ) -> ProcessCarrier {
        ProcessCarrier {
            pool,
            environment,
            spec: Arc::new(spec),
            init,
            links: RefCell::default(),
            unborn: RefCell::default(),
            past_traffic: Cell::default(),
        }
    }

    /// What each worker is sent first: a text and a list of parts.
    pub(super) fn init_frame(env: sys::napi_env, text: &str, parts: Value) -> napi::Result<Vec<u8>> {
        let mut frame = FrameWriter::new(FrameHeader::of(Kind::Init));
        frame.part(plain_part(Encoding::Utf8), text.as_bytes());
        // It is sent to many, and shared memory to one.
        write_parts(env, &PassedParts::List(parts), &mut frame, 0)?;
        frame.finish().map_err(|error| napi::Error::from_reason(error.to_string()))
    }

    /// Runs something on the link of a worker that is still there.
    fn with<R>(&self, worker: WorkerId, act: impl FnOnce(&mut Link) -> R) -> Option<R> {
        self.links.borrow_mut().get_mut(&worker).map(act)
    }

    /// The descriptors of a new worker, and its link.
    fn connect(&self) -> io::Result<(Link, Descriptors)> {
        let (ours, theirs) = platform::socketpair()?;
        // Without a page the worker announces its calls in frames.
        let shared = platform::shared_page(PAGE_LEN).and_then(|file| {
            let page = SharedPage::map(&file, PAGE_LEN)?;
            Ok((file, Arc::new(page)))
        });
        let (file, page) = shared.map_or((None, None), |(file, page)| (Some(file), Some(page)));
        let mut channel = Channel::new(ours);
        if let Some(page) = &page {
            channel.attach_slot(Slot::new(page.clone(), End::Parent));
        }
        // Without a page its descriptor's number is another's in the child.
        channel.queue(with_seq(self.init.clone(), page.is_some().into()));
        let link = Link {
            route: Route::new(Ticket::next(), self.environment.mailbox.clone()),
            place: None,
            channel,
            past_traffic: (0, 0),
            poll: None,
            page,
            wants_writable: false,
            mark: 0,
            notices: 0,
            pid: None,
            fate: Fate::default(),
        };
        Ok((link, Descriptors { channel: theirs, page: file }))
    }

    fn poll_on_loop(&self, worker: WorkerId, channel: &Channel) -> io::Result<Poll> {
        let descriptor = channel.descriptor();
        let weak = self.pool.clone();
        let poll =
            Poll::new(&self.environment.event_loop, descriptor.as_raw_fd(), descriptor, move |ready| {
                if let Some(pool) = weak.upgrade() {
                    pool.on_readiness(worker, ready);
                }
            });
        let poll = poll?;
        poll.start(false);
        Ok(poll)
    }

    fn send_frame(&self, worker: WorkerId, frame: FrameWriter, descriptors: Vec<OwnedFd>) {
        match frame.finish() {
            Ok(bytes) => {
                self.with(worker, |link| link.channel.queue_with(bytes, descriptors));
                self.write_out(worker);
            }
            Err(error) => self.give_up(worker, &format!("it would have to be sent {error}")),
        }
    }

    /// Writes what the socket takes, and has the loop tell when it takes more.
    fn write_out(&self, worker: WorkerId) {
        self.with(worker, |link| {
            // A broken pipe is no news: the end of the channel is seen by reading.
            let blocked = matches!(link.channel.flush(), Ok(Flushed::Blocked));
            if let Some(poll) = link.poll.as_ref().filter(|_| blocked != link.wants_writable) {
                poll.start(blocked);
                link.wants_writable = blocked;
            }
        });
    }

    /// Books what has passed through a channel that is no longer here.
    fn count_traffic(&self, (sent, received): (u64, u64)) {
        let (past_sent, past_received) = self.past_traffic.get();
        self.past_traffic.set((past_sent + sent, past_received + received));
    }

    /// The worker cannot be worked with any more.
    fn give_up(&self, worker: WorkerId, why: &str) {
        self.with(worker, |link| {
            link.fate.protocol.get_or_insert_with(|| why.to_owned());
            link.poll = None;
        });
        if let Some(pool) = self.pool.upgrade() {
            pool.give_up(worker);
        }
    }

    /// The process is gone: what its channel still holds counts.
    fn end(&self, pool: &PoolState, worker: WorkerId, exit: Json) {
        self.with(worker, |link| {
            if link.fate.protocol.is_none() {
                // An error is an end like any other here.
                let _ = link.channel.fill_all();
            }
        });
        self.handle_frames(worker);
        self.set_fate(worker, exit);
        pool.worker_gone(worker);
    }

    /// Reads about `budget` bytes and handles the frames that are whole by then.
    fn read(&self, worker: WorkerId, budget: usize) {
        self.fill(worker, |channel| channel.fill(budget));
    }

    /// Has the channel take in what has come, and handles the frames that are whole by then.
    fn fill(&self, worker: WorkerId, fill: impl FnOnce(&mut Channel) -> FillResult) {
        let filled = self.with(worker, |link| link.poll.is_some().then(|| fill(&mut link.channel)));
        let Some(Some(filled)) = filled else { return };
        self.handle_frames(worker);
        if let Err(error) = &filled {
            self.with(worker, |link| {
                link.fate.protocol.get_or_insert_with(|| format!("its channel cannot be read: {error}"));
            });
        }
        if !matches!(filled, Ok(Filled::Drained | Filled::More)) {
            // Polling on would report the hang-up for ever.
            let ticket = self.with(worker, |link| {
                link.poll = None;
                link.ticket()
            });
            if let (Some(ticket), Ok(supervisor)) = (ticket, Supervisor::get()) {
                supervisor.channel_ended(ticket);
            }
        }
    }

    fn handle_frames(&self, worker: WorkerId) {
        // The decoder is lent out: frames borrow from it while JavaScript runs.
        let lent = self.with(worker, |link| {
            // Whoever handles its frames already comes to these as well.
            link.fate.protocol.is_none().then(|| link.channel.lend_decoder()).flatten()
        });
        let (Some(Some(mut decoder)), Some(pool)) = (lent, self.pool.upgrade()) else { return };
        let violation = loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(violation) = self.handle_frame(&pool, worker, &frame) {
                        break Some(violation);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        self.with(worker, |link| link.channel.return_decoder(decoder));
        if let Some(violation) = violation {
            pool.event(worker, "protocol", &json!({ "detail": violation }));
            self.give_up(worker, &violation);
        }
    }

    /// The descriptors that this worker has sent.
    fn arrived(&self, worker: WorkerId) -> Arrived {
        self.with(worker, |link| link.channel.arrived()).unwrap_or_default()
    }

    fn handle_frame(&self, pool: &PoolState, worker: WorkerId, frame: &Frame<'_>) -> Result<(), String> {
        let header = frame.header;
        match header.kind {
            Kind::Ready => pool.worker_ready(worker),
            Kind::LoadFailed => {
                let text = frame.parts().next().and_then(|part| part.text());
                self.with(worker, |link| link.fate.load_error = text);
                pool.load_failed(worker);
            }
            Kind::Reply => self.handle_reply(pool, worker, frame)?,
            Kind::Begun => {
                // Its first one has 0: it has begun no call, and runs.
                pool.worker_alive(worker);
                self.with(worker, |link| link.mark = header.seq);
                pool.begun(worker, header.seq);
            }
            Kind::Output => {
                let arrived = self.arrived(worker);
                let parts = part_list(self.environment.env, frame.parts(), &arrived);
                pool.output(worker, header.seq, parts.map_err(|error| error.to_string())?);
            }
            Kind::Memory => pool.worker_memory(worker, u64::from(header.aux) * 1024),
            Kind::Init | Kind::Calls | Kind::Cancel | Kind::Stop => {
                return Err("a frame that only a parent sends".to_owned());
            }
        }
        Ok(())
    }

    fn handle_reply(&self, pool: &PoolState, worker: WorkerId, frame: &Frame<'_>) -> Result<(), String> {
        let env = self.environment.env;
        let arrived = self.arrived(worker);
        // What was skipped took no time.
        let ran = |part: &Part<'_>| part.header.flags & PART_SKIPPED == 0;
        let total: u64 = frame.parts().filter(ran).map(|part| u64::from(part.header.calls)).sum();
        let elapsed = Duration::from_micros(frame.header.aux.into());
        let mut offset = frame.header.seq;
        let mut parts = frame.parts().peekable();
        while let Some(part) = parts.next() {
            let header = part.header;
            let mut extras: Vec<Part<'_>> = Vec::new();
            while let Some(extra) = parts.next_if(|next| next.header.calls == 0) {
                extras.push(extra);
            }
            let reply = Reply {
                chunk: ChunkId(frame.header.chunk_id),
                offset,
                calls: header.calls,
                failed: header.flags & PART_FAILED != 0,
                skipped: header.flags & PART_SKIPPED != 0,
                elapsed: elapsed.mul_f64(f64::from(header.calls) / (total.max(1) as f64)),
                bytes: [part].iter().chain(&extras).fold(0u64, |sum, part| sum.saturating_add(part.size())),
            };
            offset = offset.saturating_add(header.calls);
            let answered = pool.answered(worker, reply)?;
            if answered.is_empty() {
                [part].iter().chain(&extras).for_each(|part| discard(part, &arrived));
                continue;
            }
            let read = part_value(env, &part, &arrived).and_then(|value| match extras.is_empty() {
                true => Ok((value, None)),
                false => Ok((value, Some(part_list(env, extras.into_iter(), &arrived)?))),
            });
            match read {
                Ok((value, extras)) => pool.settle_answered(&answered, header, value, extras),
                // They are booked as answered: nothing else will tell their callers.
                Err(error) => {
                    pool.settle_unreadable(&answered, header, &error.to_string());
                    return Err(error.to_string());
                }
            }
        }
        Ok(())
    }
}

impl Carrier for ProcessCarrier {
    fn start(&self, worker: WorkerId, place: Option<Place<IdleProcess>>) -> io::Result<()> {
        let supervisor = Supervisor::get()?;
        let (mut link, descriptors) = self.connect()?;
        link.poll = Some(self.poll_on_loop(worker, &link.channel)?);
        link.place = place.as_ref().map(Place::id);
        let route = link.route.clone();
        self.links.borrow_mut().insert(worker, link);
        self.write_out(worker);
        self.environment.own(route.ticket(), self.pool.clone(), worker);
        let kept = place.map(|place| Box::new(place) as Box<dyn Any + Send>);
        supervisor.spawn(route, self.spec.clone(), descriptors, kept);
        Ok(())
    }

    fn place(&self, worker: WorkerId) -> Option<PlaceId> {
        self.with(worker, |link| link.place).flatten()
    }

    fn is_lent(&self, worker: WorkerId) -> bool {
        // What is in its page would be told to nobody.
        self.with(worker, |link| link.channel.is_lent() || link.has_come()).unwrap_or(false)
    }

    fn detach(&self, worker: WorkerId, history: History) -> Option<IdleProcess> {
        let link = self.links.borrow_mut().remove(&worker)?;
        self.count_traffic(link.traffic());
        self.environment.disown(link.ticket());
        link.route.detach();
        let Link { route, channel, poll, page, mark, notices, pid, .. } = link;
        // Its new owner polls it from now on.
        drop(poll);
        Some(IdleProcess::new(Parts { route, channel, page, mark, notices, pid, history }))
    }

    fn adopt(&self, worker: WorkerId, place: PlaceId, idle: IdleProcess) -> io::Result<()> {
        let parts = idle.take().ok_or(io::ErrorKind::NotFound)?;
        let poll = match self.poll_on_loop(worker, &parts.channel) {
            Ok(poll) => poll,
            Err(error) => {
                drop(IdleProcess::new(parts));
                return Err(error);
            }
        };
        let Parts { route, channel, page, mark, notices, pid, .. } = parts;
        self.environment.own(route.ticket(), self.pool.clone(), worker);
        let link = Link {
            place: Some(place),
            past_traffic: channel.traffic(),
            poll: Some(poll),
            wants_writable: false,
            fate: Fate::default(),
            route: route.clone(),
            channel,
            page,
            mark,
            notices,
            pid,
        };
        self.links.borrow_mut().insert(worker, link);
        route.attach(self.environment.mailbox.clone());
        // What the last owner could not write.
        self.write_out(worker);
        Ok(())
    }

    fn set_fate(&self, worker: WorkerId, fate: Json) {
        if self.with(worker, |link| link.fate.exit = Some(fate.clone())).is_none() {
            self.unborn.borrow_mut().insert(worker, fate);
        }
    }

    fn send(&self, worker: WorkerId, frame: ChunkId, seq: u32, runs: &[Run]) {
        let Some(pool) = self.pool.upgrade() else { return };
        let may_spin = pool.worker_may_spin();
        self.with(worker, |link| {
            if let Some(page) = &link.page {
                page.store(MAY_SPIN, may_spin.into());
            }
        });
        let header = FrameHeader { chunk_id: frame.0, seq, ..FrameHeader::of(Kind::Calls) };
        let mut writer = FrameWriter::new(header);
        let mut descriptors = Vec::new();
        let room = self.with(worker, |link| link.channel.room_for_descriptors()).unwrap_or(0);
        let mut offset = 0;
        for run in runs {
            let encoded = pool.encode(worker, frame, run, offset);
            if matches!(encoded, Some(PassedParts::Nothing)) {
                match offset {
                    0 => return pool.defer(worker, frame),
                    _ => pool.cut(worker, frame, offset),
                }
                break;
            }
            let left = room - descriptors.len();
            let parts =
                encoded.and_then(|parts| write_parts(self.environment.env, &parts, &mut writer, left).ok());
            let Some(parts) = parts.filter(|parts| (1..=run.calls.len()).contains(&(parts.calls as usize)))
            else {
                return self.give_up(worker, "calls for it could not be encoded");
            };
            pool.filled(run, parts.calls);
            descriptors.extend(parts.shared);
            let end = offset + parts.calls;
            let is_full = writer.len() >= FULL_FRAME || (parts.calls as usize) < run.calls.len();
            if is_full {
                pool.cut(worker, frame, end);
            }
            for skipped in parts.skipped {
                pool.encode_failed(worker, frame, offset + skipped);
            }
            if is_full {
                break;
            }
            offset = end;
        }
        self.send_frame(worker, writer, descriptors);
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        let mut frame = FrameWriter::new(FrameHeader::of(Kind::Cancel));
        let bytes: Vec<u8> = seqs.iter().flat_map(|seq| seq.to_le_bytes()).collect();
        frame.part(plain_part(Encoding::Bytes), &bytes);
        self.send_frame(worker, frame, Vec::new());
        // After the frame: whoever sees the count finds the frame.
        self.with(worker, |link| {
            link.notices = link.notices.wrapping_add(1);
            if let Some(page) = &link.page {
                page.store(CANCEL_COUNT, link.notices);
            }
        });
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        let recall = |link: &mut Link| {
            let page = link.page.as_ref()?;
            // Another range is over: its start must not be seen with this one's end.
            if page.load(RECALL_FROM) != from {
                page.store(RECALL_FROM, 0);
            }
            page.store(RECALL_UNTIL, until);
            page.store(RECALL_FROM, from);
            Some(page.load(LAST_BEGUN))
        };
        self.with(worker, recall).flatten()
    }

    fn stop(&self, worker: WorkerId) {
        self.send_frame(worker, FrameWriter::new(FrameHeader::of(Kind::Stop)), Vec::new());
    }

    fn kill(&self, worker: WorkerId) {
        let ticket = self.with(worker, |link| link.ticket());
        if let (Some(ticket), Ok(supervisor)) = (ticket, Supervisor::get()) {
            supervisor.kill(ticket, Signal::SIGKILL);
        }
    }

    fn kill_silent(&self, worker: WorkerId) {
        self.with(worker, |link| link.fate.silent = true);
        self.kill(worker);
    }

    fn catch_up(&self, worker: WorkerId) {
        self.read(worker, usize::MAX);
    }

    fn mark(&self, worker: WorkerId) -> u32 {
        let mark = |link: &mut Link| link.page.as_ref().map_or(link.mark, |page| page.load(LAST_BEGUN));
        self.with(worker, mark).unwrap_or(0)
    }

    fn pid(&self, worker: WorkerId) -> Option<i32> {
        self.with(worker, |link| link.pid).flatten()
    }

    fn fate(&self, worker: WorkerId) -> Option<Json> {
        let fate = self.with(worker, |link| {
            let mut fate = link.fate.exit.clone().unwrap_or_else(|| json!({}));
            fate["loadError"] = link.fate.load_error.clone().into();
            fate["protocol"] = link.fate.protocol.clone().into();
            fate["silent"] = link.fate.silent.into();
            fate
        });
        fate.or_else(|| self.unborn.borrow().get(&worker).cloned())
    }

    fn forget(&self, worker: WorkerId) {
        self.unborn.borrow_mut().remove(&worker);
        if let Some(link) = self.links.borrow_mut().remove(&worker) {
            self.count_traffic(link.traffic());
        }
    }

    fn poll(&self, polls: bool) {
        self.links.borrow().values().for_each(|link| link.channel.set_polling(polls && link.is_read()));
    }

    fn has_come(&self) -> bool {
        self.links.borrow().values().any(Link::has_come)
    }

    fn take_come(&self) {
        let come = |(&worker, link): (&WorkerId, &Link)| link.has_come().then_some(worker);
        let workers: Vec<WorkerId> = self.links.borrow().iter().filter_map(come).collect();
        for worker in workers {
            self.fill(worker, Channel::fill_pending);
        }
    }

    fn traffic(&self) -> (u64, u64) {
        let links = self.links.borrow();
        links
            .values()
            .map(Link::traffic)
            .fold(self.past_traffic.get(), |sum, link| (sum.0 + link.0, sum.1 + link.1))
    }

    fn abandon(&self) {
        // Closing the channels ends the workers.
        for link in self.links.take().into_values() {
            let ticket = link.ticket();
            drop(link);
            if let Ok(supervisor) = Supervisor::get() {
                supervisor.channel_ended(ticket);
            }
        }
    }

    fn on_readiness(&self, worker: WorkerId, ready: Readiness) {
        if ready.writable {
            self.write_out(worker);
        }
        if ready.readable {
            self.read(worker, READ_BUDGET);
        }
    }

    fn on_process_event(&self, pool: &PoolState, worker: WorkerId, event: ProcessEvent) {
        match event {
            ProcessEvent::Spawned { pid, .. } => {
                self.with(worker, |link| link.pid = Some(pid));
                pool.event(worker, "spawned", &Json::Null);
            }
            ProcessEvent::SpawnFailed { error, .. } => {
                let exit = json!({ "errno": error.errno as i32, "message": error.to_string() });
                pool.event(worker, "spawnFailed", &exit);
                self.end(pool, worker, exit);
            }
            ProcessEvent::Exited { status, stderr_tail, .. } => {
                let shown = json!({ "exitCode": status.code, "signal": status.signal });
                pool.event(worker, "exited", &shown);
                let mut exit = shown;
                exit["stderr"] = String::from_utf8_lossy(&stderr_tail).into();
                self.end(pool, worker, exit);
            }
            ProcessEvent::Output { stream, bytes, .. } => pool.printed(worker, stream, &bytes),
        }
    }
}

fn plain_part(encoding: Encoding) -> PartHeader {
    PartHeader { encoding, codec: 0, flags: 0, calls: 0, tag: 0 }
}
