//! The carrier to workers that are processes: a channel to each, polled on the event loop, and the supervisor's events.
//!
//! Called by the pool. Must not depend on the pool, nor on how replies are read.

use std::any::Any;
use std::io;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::sys;
use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

use super::link::{ExitReport, Link, Links};
use super::link_error::LinkError;
use super::receive::Receiver;
use super::sending::{CallsFrame, Encoded, encode_runs, send_waking};
use crate::binding::carrier::{NativeCarrier, Upcalls};
use crate::binding::environment::Environment;
use crate::binding::event_loop::{Poll, Readiness};
use crate::binding::idle_process::{IdleProcess, Parts};
use crate::binding::js::{PassedParts, Value, WrittenParts, write_parts};
use crate::channel::page::SHARED_LEN;
use crate::channel::{Channel, ChannelError, End, Finished, MAX_DESCRIPTORS, OutgoingFrame, Ring, Room};
use crate::engine::{ChunkId, History, Run, WorkerId};
use crate::platform::{self, SharedPage};
use crate::pool::Carrier;
use crate::process::{Descriptors, ProcessEvent, Route, SpawnSpec, Supervisor, Ticket};
use crate::protocol::NO_CODEC;
use crate::registry::{Place, PlaceId};
use crate::wire::{Encoding, FrameHeader, Kind, PART_SKIPPED, PartHeader};

/// Bytes read from one worker before others get their turn.
const READ_BUDGET: usize = 1 << 18;

pub struct ProcessCarrier {
    upcalls: Weak<dyn Upcalls>,
    environment: Rc<Environment>,
    spec: Arc<SpawnSpec>,
    /// What each worker is sent first. What is beside it is there once, for all of them.
    init: Finished,
    links: Rc<Links>,
    receiver: Receiver,
}

impl ProcessCarrier {
    pub fn new(
        upcalls: Weak<dyn Upcalls>,
        environment: Rc<Environment>,
        spec: SpawnSpec,
        init: Finished,
    ) -> ProcessCarrier {
        let links = Rc::new(Links::new(upcalls.clone()));
        let receiver = Receiver::new(environment.env, links.clone(), upcalls.clone());
        ProcessCarrier { upcalls, environment, spec: Arc::new(spec), init, links, receiver }
    }

    /// What it may bring along, where it may at all: nothing waits before it.
    pub const INIT_ROOM: Room = Room { buffers: MAX_DESCRIPTORS - 1, attachment: true };

    /// What each worker is sent first: a text and a list of parts.
    pub fn init_frame(env: sys::napi_env, text: &str, parts: Value, room: Room) -> napi::Result<Finished> {
        let mut frame = OutgoingFrame::new(FrameHeader::of(Kind::Init), room);
        frame.bytes(plain_part(Encoding::Utf8), text.as_bytes()).map_err(reason)?;
        let written = write_parts(env, &PassedParts::List(parts), &mut frame)?;
        match written.failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => frame.finish().map_err(reason),
        }
    }

    /// A channel to a new worker, and the descriptors that this gets.
    fn connect(&self, index: Option<u32>) -> io::Result<(Channel, Option<Arc<SharedPage>>, Descriptors)> {
        let (ours, theirs) = platform::socketpair()?;
        // Without a page the worker announces its calls in frames.
        let shared = platform::shared_page(SHARED_LEN).and_then(|file| {
            let page = SharedPage::map(&file, SHARED_LEN)?;
            Ok((file, Arc::new(page)))
        });
        let (file, page) = shared.map_or((None, None), |(file, page)| (Some(file), Some(page)));
        let mut channel = Channel::new(ours);
        if let Some(page) = &page {
            channel.attach_ring(Ring::new(page.clone(), End::Parent));
        }
        if let Some(index) = index {
            channel.queue_finished(self.init_of(index, page.is_some())?);
        }
        Ok((channel, page, Descriptors { channel: theirs, page: file }))
    }

    /// What a worker is sent first. It must know whether it has a page: otherwise the number of its descriptor is
    /// another's there.
    fn init_of(&self, index: u32, has_page: bool) -> io::Result<Finished> {
        self.init.duplicate(index << 1 | u32::from(has_page))
    }

    fn poll_on_loop(&self, worker: WorkerId, channel: &Channel) -> io::Result<Poll> {
        let descriptor = channel.descriptor();
        let upcalls = self.upcalls.clone();
        let fd = descriptor.as_raw_fd();
        let poll = Poll::new(&self.environment.event_loop, fd, descriptor, move |ready| {
            if let Some(upcalls) = upcalls.upgrade() {
                upcalls.on_readiness(worker, ready);
            }
        })?;
        poll.start(false);
        Ok(poll)
    }

    fn event(&self, worker: WorkerId, name: &'static str, detail: &Json) {
        if let Some(upcalls) = self.upcalls.upgrade() {
            upcalls.event(worker, name, detail);
        }
    }

    /// The process is gone: what its channel still holds counts.
    fn end(&self, worker: WorkerId, exit: Json) {
        self.receiver.read_rest(worker);
        self.links.set_exit(worker, exit);
        if let Some(upcalls) = self.upcalls.upgrade() {
            upcalls.worker_gone(worker);
        }
    }
}

/// A frame of calls whose bytes are written as they are encoded.
struct ProcessFrame {
    env: sys::napi_env,
    frame: OutgoingFrame,
}

impl CallsFrame for ProcessFrame {
    fn append(&mut self, parts: &PassedParts) -> WrittenParts {
        let ProcessFrame { env, frame } = self;
        let mark = frame.mark();
        write_parts(*env, parts, frame).unwrap_or_else(|error| {
            frame.truncate(mark);
            let skipped = PartHeader { flags: PART_SKIPPED, calls: 1, ..plain_part(Encoding::Latin1) };
            match frame.bytes(skipped, &[]) {
                Ok(()) => WrittenParts { calls: 1, failed: vec![(0..1, error)], ..WrittenParts::default() },
                Err(_) => WrittenParts::default(),
            }
        })
    }

    fn len(&self) -> u64 {
        self.frame.len()
    }
}

impl Carrier for ProcessCarrier {
    fn assign(&self, worker: WorkerId, index: u32) {
        let has_page = self.links.with(worker, |link| link.page.is_some()).unwrap_or(false);
        match self.init_of(index, has_page) {
            Ok(init) => self.links.send_finished(worker, init),
            Err(error) => self.links.give_up(worker, LinkError::Channel(ChannelError::System(error))),
        }
    }

    fn stop(&self, worker: WorkerId) {
        // Through the socket: the worker may be about to lose this end, and what it reads last.
        self.links.send_on_socket(worker, OutgoingFrame::new(FrameHeader::of(Kind::Stop), Room::NONE));
    }

    fn kill(&self, worker: WorkerId) {
        let ticket = self.links.with(worker, |link| link.ticket());
        if let (Some(ticket), Ok(supervisor)) = (ticket, Supervisor::get()) {
            supervisor.kill(ticket, Signal::SIGKILL);
        }
    }

    fn abandon_one(&self, worker: WorkerId) {
        let ticket = self.links.with(worker, |link| {
            link.report.outlives = true;
            link.stop_reading();
            link.ticket()
        });
        if let Some(ticket) = ticket {
            // The supervisor goes on looking for its end, and keeps its place until then.
            self.environment.disown(ticket);
        }
    }

    fn kill_silent(&self, worker: WorkerId) {
        let ticket = self.links.with(worker, |link| {
            link.report.silent = true;
            link.ticket()
        });
        if let (Some(ticket), Ok(supervisor)) = (ticket, Supervisor::get()) {
            supervisor.kill_silent(ticket);
        }
    }

    fn forget(&self, worker: WorkerId) {
        self.links.forget(worker);
    }

    fn send(&self, worker: WorkerId, chunk: ChunkId, seq: u32, runs: &[Run], patient: bool) {
        let Some(upcalls) = self.upcalls.upgrade() else { return };
        let waiting = upcalls.worker_waiting();
        self.links.with(worker, |link| link.set_waiting(waiting));
        let header =
            FrameHeader { chunk_id: chunk.0, seq, aux: patient.into(), ..FrameHeader::of(Kind::Calls) };
        let room = self.links.with(worker, |link| link.channel.room()).unwrap_or(Room::NONE);
        let frame = OutgoingFrame::new(header, room);
        let mut frame = ProcessFrame { env: self.environment.env, frame };
        match encode_runs(&*upcalls, worker, chunk, runs, &mut frame) {
            Encoded::Whole => {}
            Encoded::Deferred => return,
            Encoded::Failed => return self.links.give_up(worker, LinkError::CallsNotEncoded),
        }
        let sleeper = || self.links.with(worker, |link| link.wakes(seq)).flatten();
        send_waking(&*upcalls, worker, chunk, sleeper, || self.links.send(worker, frame.frame));
    }

    fn cancel(&self, worker: WorkerId, seqs: &[u32]) {
        let mut frame = OutgoingFrame::new(FrameHeader::of(Kind::Cancel), Room::NONE);
        let bytes: Vec<u8> = seqs.iter().flat_map(|seq| seq.to_le_bytes()).collect();
        // Without memory for some numbers nothing goes on here: the worker runs what it has.
        if frame.bytes(plain_part(Encoding::Bytes), &bytes).is_err() {
            return;
        }
        self.links.send(worker, frame);
        self.links.with(worker, Link::count_cancel);
    }

    fn demand(&self, worker: WorkerId, seq: u32, taken: u32) {
        let header = FrameHeader { chunk_id: taken, seq, ..FrameHeader::of(Kind::Demand) };
        self.links.send(worker, OutgoingFrame::new(header, Room::NONE));
    }

    fn recall(&self, worker: WorkerId, from: u32, until: u32) -> Option<u32> {
        self.links.with(worker, |link| link.recall(from, until)).flatten()
    }

    fn last_begun(&self, worker: WorkerId) -> u32 {
        self.links.with(worker, |link| link.last_begun()).unwrap_or(0)
    }

    fn pid(&self, worker: WorkerId) -> Option<i32> {
        self.links.with(worker, |link| link.route.pid()).flatten()
    }

    fn exit_report(&self, worker: WorkerId) -> Option<Json> {
        self.links.exit_report(worker)
    }

    fn set_exit_report(&self, worker: WorkerId, report: Json) {
        self.links.set_exit(worker, report);
    }

    fn traffic(&self) -> (u64, u64) {
        self.links.traffic()
    }

    fn catch_up(&self, worker: WorkerId) {
        self.receiver.catch_up(worker);
    }

    fn set_awake(&self, awake: bool) {
        self.links.set_awake(awake);
    }

    fn has_pending(&self) -> bool {
        self.links.has_pending()
    }

    fn fetch_woken(&self) {
        self.links.fetch_woken();
    }

    fn receive_pending(&self) {
        self.receiver.receive_pending();
    }
}

impl NativeCarrier for ProcessCarrier {
    fn start(
        &self,
        worker: WorkerId,
        index: Option<u32>,
        place: Option<Place<IdleProcess>>,
    ) -> io::Result<()> {
        let supervisor = Supervisor::get()?;
        let (channel, page, descriptors) = self.connect(index)?;
        let route = Route::new(Ticket::next(), self.environment.mailbox.clone());
        let link = Link {
            route: route.clone(),
            place: place.as_ref().map(Place::id),
            poll: Some(self.poll_on_loop(worker, &channel)?),
            channel,
            past_traffic: (0, 0),
            page,
            wants_writable: false,
            last_begun: 0,
            cancel_count: 0,
            woken: None,
            is_dismissed: false,
            report: ExitReport::default(),
        };
        self.links.insert(worker, link);
        self.environment.own(route.ticket(), self.upcalls.clone(), worker);
        let kept = place.map(|place| Box::new(place) as Box<dyn Any + Send>);
        supervisor.spawn(route, self.spec.clone(), descriptors, kept);
        Ok(())
    }

    fn say_farewell(&self, worker: WorkerId) {
        self.links.with(worker, Link::say_farewell);
        self.stop(worker);
        // While the environment is torn down the loop still turns, but JavaScript cannot be told what comes: that would
        // look as if it could not be read, for which the worker would be killed.
        self.links.with(worker, Link::stop_reading);
    }

    fn on_readiness(&self, worker: WorkerId, ready: Readiness) {
        if ready.writable {
            self.links.write_out(worker);
        }
        if ready.readable {
            self.receiver.read(worker, READ_BUDGET);
        }
    }

    fn on_process_event(&self, worker: WorkerId, event: ProcessEvent) {
        match event {
            ProcessEvent::Spawned { .. } => self.event(worker, "spawned", &Json::Null),
            ProcessEvent::SpawnFailed { error, .. } => {
                let exit = json!({ "errno": error.errno as i32, "message": error.to_string() });
                self.event(worker, "spawnFailed", &exit);
                self.end(worker, exit);
            }
            ProcessEvent::Debugged { .. } => {
                self.links.with(worker, |link| link.report.silent = false);
                if let Some(upcalls) = self.upcalls.upgrade() {
                    upcalls.worker_spared(worker);
                }
            }
            ProcessEvent::KillFailed { errno, .. } => {
                self.event(worker, "killFailed", &json!({ "message": errno.to_string() }));
                // Its watchdog ends it then.
                self.links.with(worker, |link| {
                    link.report.kill_error = Some(errno);
                    link.channel.hang_up();
                });
            }
            ProcessEvent::Exited { status, stderr_tail, .. } => {
                let mut exit = json!({ "exitCode": status.code, "signal": status.signal });
                self.event(worker, "exited", &exit);
                exit["stderr"] = String::from_utf8_lossy(&stderr_tail).into();
                self.end(worker, exit);
            }
            ProcessEvent::Output { stream, bytes, .. } => {
                if let Some(upcalls) = self.upcalls.upgrade() {
                    upcalls.printed(worker, stream, &bytes);
                }
            }
        }
    }

    fn place(&self, worker: WorkerId) -> Option<PlaceId> {
        self.links.with(worker, |link| link.place).flatten()
    }

    fn index_in_set(&self, worker: WorkerId) -> Option<u32> {
        self.place(worker).map(PlaceId::index)
    }

    fn is_in_use(&self, worker: WorkerId) -> bool {
        // Whoever has it next is woken by what comes from now on; what has come already would be told to nobody.
        let is_in_use = |link: &mut Link| {
            link.channel.set_awake(false);
            link.channel.is_lent() || link.channel.has_unread()
        };
        self.links.with(worker, is_in_use).unwrap_or(false)
    }

    fn detach(&self, worker: WorkerId, history: History) -> Option<IdleProcess> {
        let link = self.links.remove(worker)?;
        self.environment.disown(link.ticket());
        link.route.detach();
        let Link { route, channel, poll, page, last_begun, cancel_count, .. } = link;
        // Its new owner polls it from now on.
        drop(poll);
        Some(IdleProcess::new(Parts { route, channel, page, last_begun, cancel_count, history }))
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
        let Parts { route, channel, page, last_begun, cancel_count, .. } = parts;
        self.environment.own(route.ticket(), self.upcalls.clone(), worker);
        let link = Link {
            place: Some(place),
            past_traffic: channel.traffic(),
            poll: Some(poll),
            wants_writable: false,
            woken: None,
            is_dismissed: false,
            report: ExitReport::default(),
            route: route.clone(),
            channel,
            page,
            last_begun,
            cancel_count,
        };
        // Writes out what the last owner could not.
        self.links.insert(worker, link);
        route.attach(self.environment.mailbox.clone());
        Ok(())
    }

    fn abandon(&self) {
        self.links.abandon();
    }
}

fn reason(error: impl std::error::Error) -> napi::Error {
    napi::Error::from_reason(error.to_string())
}

/// The header of a part that is no call's.
fn plain_part(encoding: Encoding) -> PartHeader {
    PartHeader { encoding, codec: NO_CODEC, flags: 0, calls: 0, tag: 0 }
}
