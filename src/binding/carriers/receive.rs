//! What worker processes send: bytes to frames, which are handled in their order.
//!
//! Called by the carrier to processes. Must not depend on how workers are started or sent to.

use std::rc::{Rc, Weak};

use napi::sys;
use serde_json::json;

use super::frames::{FrameHandler, Source};
use super::link::{Links, channel_ended};
use super::link_error::LinkError;
use crate::binding::carrier::Upcalls;
use crate::channel::{Attached, Channel, FillResult, Filled};
use crate::engine::WorkerId;
use crate::joined_answers::JoinedAnswers;
use crate::wire::Frame;

/// Bytes read from a process that is gone before they are handled.
const REST_BUDGET: usize = 1 << 18;

pub struct Receiver {
    env: sys::napi_env,
    links: Rc<Links>,
    upcalls: Weak<dyn Upcalls>,
}

impl Receiver {
    pub fn new(env: sys::napi_env, links: Rc<Links>, upcalls: Weak<dyn Upcalls>) -> Receiver {
        Receiver { env, links, upcalls }
    }

    /// Reads about `budget` bytes and handles the frames that are whole by then.
    pub fn read(&self, worker: WorkerId, budget: usize) {
        self.fill(worker, |channel| channel.fill(budget));
    }

    /// Handles the frames that wait in shared memory.
    pub fn receive_pending(&self) {
        for worker in self.links.pending() {
            self.handle_frames(worker, true);
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
            self.handle_frames(worker, true);
            if received != Some(true) {
                // What was to come before the rest of the shared memory was never written out.
                self.handle_frames(worker, false);
                return;
            }
        }
    }

    /// Has the channel take in what has come, and handles the frames that are whole by then.
    fn fill(&self, worker: WorkerId, fill: impl FnOnce(&mut Channel) -> FillResult) {
        let Some(Some(filled)) = self.links.with(worker, |link| link.fill(fill)) else { return };
        // Those before an error as well.
        self.handle_frames(worker, true);
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

    /// Handles the frames that have come, those in shared memory in their places among the others; or, not `in_order`,
    /// wherever their places are.
    fn handle_frames(&self, worker: WorkerId, in_order: bool) {
        let Some(upcalls) = self.upcalls.upgrade() else { return };
        // The decoder is lent out: frames borrow from it while JavaScript runs. Whoever has it comes to these as well.
        let lent = self.links.with(worker, |link| {
            link.report.failure.is_none().then(|| link.channel.lend_decoder()).flatten()
        });
        let Some(Some(mut decoder)) = lent else { return };
        let mut answers = JoinedAnswers::default();
        let mut message = Vec::new();
        let failure = loop {
            let received = decoder.frames();
            let next = self.links.with(worker, |link| {
                answers.next(|frame| link.channel.take_shared(received, in_order, frame))
            });
            let next = match next {
                Some(Ok(Some(frame))) => Frame::of(frame).map(Some),
                Some(Ok(None)) | None => decoder.next_frame(),
                Some(Err(error)) => break Some(LinkError::Channel(error)),
            };
            // What was sent before this frame was in shared memory before it.
            if let Err(error) = self.handle_messages(&*upcalls, worker, &mut message) {
                break Some(error);
            }
            match next {
                Ok(Some(frame)) => {
                    if let Err(error) = self.handler(&*upcalls, worker).handle(&frame) {
                        break Some(error);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(LinkError::Wire(error)),
            }
        };
        self.links.with(worker, |link| link.channel.return_decoder(decoder));
        if let Some(error) = failure {
            upcalls.event(worker, "protocol", &json!({ "detail": error.to_string() }));
            self.links.give_up(worker, error);
        }
    }

    /// Handles the messages of calls that are in shared memory. `frame` is room for one of them.
    fn handle_messages(
        &self,
        upcalls: &dyn Upcalls,
        worker: WorkerId,
        frame: &mut Vec<u8>,
    ) -> Result<(), LinkError> {
        loop {
            match self.links.with(worker, |link| link.channel.take_message(frame)) {
                Some(Ok(true)) => {
                    let message = Frame::of(frame).map_err(LinkError::Wire)?;
                    self.handler(upcalls, worker).handle(&message)?;
                }
                Some(Ok(false)) | None => return Ok(()),
                Some(Err(error)) => return Err(LinkError::Channel(error)),
            }
        }
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
