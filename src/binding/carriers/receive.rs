//! What worker processes send, handled: bytes to frames, frames to upcalls.
//!
//! Called by the carrier to processes. Must not depend on how workers are started or sent to.

use std::rc::{Rc, Weak};
use std::time::Duration;

use napi::sys;
use serde_json::json;

use super::link::{LinkError, Links, channel_ended};
use crate::binding::carrier::{Answerer, Upcalls};
use crate::binding::js::{PartError, Value, list_of, part_list, part_value};
use crate::channel::{Attached, Channel, FillResult, Filled};
use crate::engine::{ChunkId, WorkerId};
use crate::joined_answers::JoinedAnswers;
use crate::pool::Apportioned;
use crate::wire::{Frame, Kind, PART_REFUSED, Part, PartHeader};

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
                    if let Err(error) = self.handle_frame(&*upcalls, worker, &frame) {
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
                    self.handle_frame(upcalls, worker, &message)?;
                }
                Some(Ok(false)) | None => return Ok(()),
                Some(Err(error)) => return Err(LinkError::Channel(error)),
            }
        }
    }

    /// What has come beside the frame of this worker that is handled next.
    fn attached(&self, worker: WorkerId) -> Attached {
        Attached::new(self.links.with(worker, |link| link.channel.arrived()).unwrap_or_default())
    }

    fn handle_frame(
        &self,
        upcalls: &dyn Upcalls,
        worker: WorkerId,
        frame: &Frame<'_>,
    ) -> Result<(), LinkError> {
        let header = frame.header;
        match header.kind {
            Kind::Ready => upcalls.worker_ready(worker),
            Kind::LoadFailed => {
                let attached = self.attached(worker);
                let part = frame.parts().next().map(|part| attached.resolve(part)).transpose();
                let part = part.map_err(|error| LinkError::Value(error.to_string()))?;
                let text = part.and_then(|part| part.text());
                self.links.with(worker, |link| link.report.load_error = text);
                upcalls.load_failed(worker);
            }
            Kind::Reply => self.handle_reply(upcalls, worker, frame)?,
            Kind::Begun => {
                // Its first one has 0: it has begun no call, and runs.
                upcalls.worker_alive(worker);
                self.links.with(worker, |link| link.last_begun = header.seq);
                upcalls.begun(worker, header.seq);
            }
            Kind::Output => {
                let parts = part_list(self.env, frame.parts(), &self.attached(worker));
                let parts = parts.map_err(|error| LinkError::Value(error.to_string()))?;
                upcalls.output(worker, header.seq, parts);
            }
            Kind::Message => {
                let parts = part_list(self.env, frame.parts(), &self.attached(worker));
                let parts = parts.map_err(|error| LinkError::Value(error.to_string()))?;
                upcalls.emitted(worker, header.seq, header.aux, parts);
                // Not before: what it leads to counts as well.
                self.links.with(worker, |link| link.count_taken(header.chunk_id));
            }
            Kind::Wake => {}
            Kind::Memory => upcalls.worker_memory(worker, u64::from(header.aux) * 1024),
            Kind::Init | Kind::Calls | Kind::Cancel | Kind::Stop | Kind::Demand => {
                return Err(LinkError::ParentFrame);
            }
        }
        Ok(())
    }

    fn handle_reply(
        &self,
        upcalls: &dyn Upcalls,
        worker: WorkerId,
        frame: &Frame<'_>,
    ) -> Result<(), LinkError> {
        let attached = self.attached(worker);
        let elapsed = Duration::from_micros(frame.header.aux.into());
        let sizes = frame.parts().map(|part| (part.header.calls, part.header.flags));
        let mut reply = Apportioned::new(ChunkId(frame.header.chunk_id), frame.header.seq, elapsed, sizes);
        let mut parts = frame.parts().peekable();
        while let Some(part) = parts.next() {
            let header = part.header;
            let mut extras: Vec<Part<'_>> = Vec::new();
            while let Some(extra) = parts.next_if(|next| next.header.calls == 0) {
                extras.push(extra);
            }
            let all = || [part].into_iter().chain(extras.iter().copied());
            let bytes = all().fold(0u64, |sum, part| sum.saturating_add(part.size()));
            let reply = reply.next(header.calls, header.flags, bytes);
            let answered = upcalls.answered(worker, reply).map_err(LinkError::Reply)?;
            let from = Answerer { worker, reply };
            if answered.is_empty() {
                all().for_each(|part| attached.discard(&part));
                continue;
            }
            // They are booked as answered: nothing else will tell their callers.
            match self.read_answer(part, &extras, &attached) {
                Ok((header, value, extras)) => {
                    upcalls.settle_answered(from, &answered, header, value, extras)
                }
                Err(PartError::Refused(why)) => {
                    let refused = PartHeader { flags: header.flags | PART_REFUSED, ..header };
                    upcalls.settle_unreadable(from, &answered, refused, &why);
                }
                Err(PartError::Corrupt(why)) => {
                    upcalls.settle_unreadable(from, &answered, header, &why);
                    return Err(LinkError::Value(why));
                }
            }
        }
        Ok(())
    }

    /// A part and those that belong to it, as JavaScript is handed them.
    fn read_answer(
        &self,
        part: Part<'_>,
        extras: &[Part<'_>],
        attached: &Attached,
    ) -> Result<(PartHeader, Value, Option<Value>), PartError> {
        let mut read = Vec::with_capacity(1 + extras.len());
        let mut failure = None;
        for part in [part].into_iter().chain(extras.iter().copied()) {
            // After one that cannot be had, what belongs to the others is taken all the same: more frames come.
            if failure.is_some() {
                attached.discard(&part);
                continue;
            }
            match part_value(self.env, part, attached) {
                Ok(found) => read.push(found),
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let mut read = read.into_iter();
        let (header, value) = read.next().ok_or_else(|| PartError::Corrupt("no part".into()))?;
        let extras = (!extras.is_empty()).then(|| list_of(self.env, read.map(Ok))).transpose()?;
        Ok((header, value, extras))
    }
}
