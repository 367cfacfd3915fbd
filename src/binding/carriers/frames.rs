//! Frames that workers have sent, handled: what they say becomes upcalls.
//!
//! Called by the receiving sides of processes and of threads. Must not depend on how a frame has come: what differs is
//! behind [`Source`].

use std::time::Duration;

use napi::sys;

use super::link_error::LinkError;
use crate::binding::carrier::{Answerer, Upcalls};
use crate::binding::js::{PartError, Value, list_of, part_list, part_value};
use crate::channel::Attached;
use crate::engine::{ChunkId, WorkerId};
use crate::pool::Apportioned;
use crate::wire::{Frame, Kind, PART_REFUSED, Part, PartHeader};

/// The workers whose frames are handled.
pub trait Source {
    /// What has come beside the frame of this worker that is being handled.
    fn attached(&self, worker: WorkerId) -> Attached;
    /// Keeps why the user's module does not load, for the worker's exit report.
    fn keep_load_error(&self, worker: WorkerId, tree: Option<String>);
    /// Keeps the number of the call that a worker without a page began last.
    fn keep_begun(&self, _worker: WorkerId, _seq: u32) {}
    /// Says that a message which counts so much was handled.
    fn count_taken(&self, worker: WorkerId, size: u32);
}

/// Handles the frames of one worker.
pub struct FrameHandler<'a> {
    pub env: sys::napi_env,
    pub source: &'a dyn Source,
    pub upcalls: &'a dyn Upcalls,
    pub worker: WorkerId,
}

impl FrameHandler<'_> {
    pub fn handle(&self, frame: &Frame<'_>) -> Result<(), LinkError> {
        let FrameHandler { upcalls, worker, .. } = *self;
        let header = frame.header;
        match header.kind {
            Kind::Ready => upcalls.worker_ready(worker),
            Kind::LoadFailed => {
                let attached = self.source.attached(worker);
                let part = frame.parts().next().map(|part| attached.resolve(part)).transpose();
                let part = part.map_err(|error| LinkError::Value(error.to_string()))?;
                self.source.keep_load_error(worker, part.and_then(|part| part.text()));
                upcalls.load_failed(worker);
            }
            Kind::Reply => self.handle_reply(frame)?,
            Kind::Begun => {
                // Its first one has 0: it has begun no call, and runs.
                upcalls.worker_alive(worker);
                self.source.keep_begun(worker, header.seq);
                upcalls.begun(worker, header.seq);
            }
            Kind::Output => upcalls.output(worker, header.seq, self.list_parts(frame)?),
            Kind::Message => {
                upcalls.emitted(worker, header.seq, header.aux, self.list_parts(frame)?);
                // Not before: what it leads to counts as well.
                self.source.count_taken(worker, header.chunk_id);
            }
            Kind::Wake => {}
            Kind::Memory => upcalls.worker_memory(worker, u64::from(header.aux) * 1024),
            Kind::Init | Kind::Calls | Kind::Cancel | Kind::Stop | Kind::Demand => {
                return Err(LinkError::ParentFrame);
            }
        }
        Ok(())
    }

    fn list_parts(&self, frame: &Frame<'_>) -> Result<Value, LinkError> {
        let parts = part_list(self.env, frame.parts(), &self.source.attached(self.worker));
        parts.map_err(|error| LinkError::Value(error.to_string()))
    }

    fn handle_reply(&self, frame: &Frame<'_>) -> Result<(), LinkError> {
        let FrameHandler { upcalls, worker, .. } = *self;
        let attached = self.source.attached(worker);
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
