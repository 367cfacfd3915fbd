//! What worker processes send: bytes to frames, which are handled in their order.
//!
//! Called by the carrier to processes. Must not depend on how workers are started or sent to.

use std::rc::{Rc, Weak};

use napi::sys;
use serde_json::json;

use super::frames::{FrameHandler, Source};
use super::link::{Links, channel_ended};
use super::link_error::LinkError;
use super::time_slice::TimeSlice;
use crate::binding::carrier::Upcalls;
use crate::channel::{Attached, Channel, FillResult, Filled};
use crate::engine::WorkerId;
use crate::joined_answers::JoinedAnswers;
use crate::wire::Frame;

/// Bytes read from a process that is gone before they are handled.
const REST_BUDGET: usize = 1 << 18;

/// How much of what has come is handled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The frames that have come, and as many messages behind them as there is time for before the event loop turns.
    Turn,
    /// The frames that have come, and the messages before them.
    Frames,
    /// Everything: the worker is gone.
    All,
    /// The same, wherever the places of frames are: what was to come before them was never written out.
    Unordered,
}

pub struct Receiver {
    env: sys::napi_env,
    links: Rc<Links>,
    upcalls: Weak<dyn Upcalls>,
}

impl Receiver {
    pub fn new(env: sys::napi_env, links: Rc<Links>, upcalls: Weak<dyn Upcalls>) -> Receiver {
        Receiver { env, links, upcalls }
    }

    /// Reads about `budget` bytes and handles the frames that are whole by then, as long as there is time.
    pub fn read(&self, worker: WorkerId, budget: usize) {
        self.fill(worker, Extent::Turn, |channel| channel.fill(budget));
    }

    /// Reads and handles the frames that have come so far.
    pub fn catch_up(&self, worker: WorkerId) {
        self.fill(worker, Extent::Frames, |channel| channel.fill(usize::MAX));
    }

    /// Handles what waits in shared memory, as long as there is time.
    pub fn receive_pending(&self) {
        for worker in self.links.pending() {
            self.handle_frames(worker, Extent::Turn);
        }
    }

    /// The process is gone: what its channel still holds counts.
    pub fn read_rest(&self, worker: WorkerId) {
        loop {
            let received = self.links.with(worker, |link| {
                if link.report.failure.is_some() || link.channel.is_lent() {
                    return false;
                }
                let before = link.channel.traffic().1;
                // An error is an end like any other here.
                let filled = link.channel.fill(REST_BUDGET);
                matches!(filled, Ok(Filled::More | Filled::Drained)) && link.channel.traffic().1 > before
            });
            // In between, so that few descriptors wait at a time.
            self.handle_frames(worker, Extent::All);
            if received != Some(true) {
                self.handle_frames(worker, Extent::Unordered);
                return;
            }
        }
    }

    /// Has the channel take in what has come, and handles the frames that are whole by then.
    fn fill(&self, worker: WorkerId, extent: Extent, fill: impl FnOnce(&mut Channel) -> FillResult) {
        let Some(Some(filled)) = self.links.with(worker, |link| link.fill(fill)) else { return };
        // Those before an error as well.
        self.handle_frames(worker, extent);
        let ended = match filled {
            Ok(Filled::Drained | Filled::More) => return,
            Ok(Filled::Ended) => None,
            Err(error) => Some(LinkError::Channel(error)),
        };
        let ticket = self.links.with(worker, |link| {
            match ended {
                Some(error) => link.fail(error),
                None => link.stop_reading(),
            }
            link.ticket()
        });
        if let Some(ticket) = ticket {
            channel_ended(ticket);
        }
    }

    /// Handles the frames that have come, those in shared memory in their places among the others.
    fn handle_frames(&self, worker: WorkerId, extent: Extent) {
        let Some(upcalls) = self.upcalls.upgrade() else { return };
        // The decoder is lent out: frames borrow from it while JavaScript runs. Whoever has it comes to these as well.
        let lent = self.links.with(worker, |link| {
            link.report.failure.is_none().then(|| link.channel.lend_decoder()).flatten()
        });
        let Some(Some(mut decoder)) = lent else { return };
        let slice = TimeSlice::begin();
        let in_order = extent != Extent::Unordered;
        // What it sends from now on it may send as fast as it is handled. Frames that have come through the socket are
        // behind none of that.
        let end = self.links.with(worker, |link| link.channel.shared_end()).unwrap_or_default();
        let is_limited = matches!(extent, Extent::Turn | Extent::Frames);
        let mut answers = JoinedAnswers::default();
        let mut message = Vec::new();
        let failure = loop {
            let received = decoder.frames();
            let next = self.links.with(worker, |link| {
                answers.next(|frame| match is_limited && !link.channel.has_shared_before(end) {
                    true => Ok(None),
                    false => link.channel.take_shared(received, in_order, frame),
                })
            });
            let next = match next {
                Some(Ok(Some(frame))) => Frame::of(frame).map(Some),
                Some(Ok(None)) | None => decoder.next_frame(),
                Some(Err(error)) => break Some(LinkError::Channel(error)),
            };
            let handled = match next {
                // What was sent before this frame was in shared memory before it.
                Ok(Some(frame)) => self
                    .handle_messages(&*upcalls, worker, &mut message, || true)
                    .and_then(|_| self.handler(&*upcalls, worker).handle(&frame)),
                Ok(None) if extent == Extent::Frames => break None,
                Ok(None) => {
                    let is_time = || extent != Extent::Turn || !slice.is_over();
                    match self.handle_messages(&*upcalls, worker, &mut message, is_time) {
                        // What is left is looked at before the loop sleeps.
                        Ok(count) if count == 0 || !is_time() => break None,
                        Ok(_) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(LinkError::Wire(error)),
            };
            if let Err(error) = handled {
                break Some(error);
            }
        };
        self.links.with(worker, |link| link.channel.return_decoder(decoder));
        if let Some(error) = failure {
            upcalls.event(worker, "protocol", &json!({ "detail": error.to_string() }));
            self.links.give_up(worker, error);
        }
    }

    /// Handles the messages of calls that are in shared memory by now, as long as there is time, and returns how many.
    /// `frame` is room for one of them.
    fn handle_messages(
        &self,
        upcalls: &dyn Upcalls,
        worker: WorkerId,
        frame: &mut Vec<u8>,
        is_time: impl Fn() -> bool,
    ) -> Result<usize, LinkError> {
        let end = self.links.with(worker, |link| link.channel.messages_end()).unwrap_or_default();
        let mut count = 0;
        while is_time() {
            let taken = self.links.with(worker, |link| {
                let is_there = link.channel.has_message_before(end);
                if is_there { link.channel.take_message(frame) } else { Ok(false) }
            });
            match taken {
                Some(Ok(true)) => {
                    let message = Frame::of(frame).map_err(LinkError::Wire)?;
                    self.handler(upcalls, worker).handle(&message)?;
                    count += 1;
                }
                Some(Ok(false)) | None => break,
                Some(Err(error)) => return Err(LinkError::Channel(error)),
            }
        }
        Ok(count)
    }

    fn handler<'a>(&'a self, upcalls: &'a dyn Upcalls, worker: WorkerId) -> FrameHandler<'a> {
        FrameHandler { env: self.env, source: &*self.links, upcalls, worker }
    }
}

impl Source for Links {
    fn attached(&self, worker: WorkerId) -> Attached {
        Attached::new(self.with(worker, |link| link.channel.arrived()).unwrap_or_default())
    }

    fn keep_load_error(&self, worker: WorkerId, tree: Option<String>) {
        self.with(worker, |link| link.report.load_error = tree);
    }

    fn keep_begun(&self, worker: WorkerId, seq: u32) {
        self.with(worker, |link| link.last_begun = seq);
    }

    fn count_taken(&self, worker: WorkerId, size: u32) {
        self.with(worker, |link| link.count_taken(size));
    }
}
