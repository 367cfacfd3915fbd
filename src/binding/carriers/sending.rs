//! Has the calls of a chunk encoded, reports what has become of each, and sees to it where a sleeping worker wakes.
//!
//! Called by carriers that make frames here, during [`Carrier::send`](crate::pool::Carrier::send). Must not depend on
//! how a frame travels then.

use crate::binding::carrier::Upcalls;
use crate::binding::js::{PassedParts, WrittenParts};
use crate::engine::{ChunkId, Run, WorkerId};
use crate::platform;
use crate::protocol::FULL_FRAME;

/// A frame of calls that is being made.
pub trait CallsFrame {
    /// Appends parts. If they cannot be, the first call that they are for is marked as not to be run; where that
    /// cannot be done either, they are for no call.
    fn append(&mut self, parts: &PassedParts) -> WrittenParts;
    /// How many bytes it has so far.
    fn len(&self) -> u64;
}

/// What has become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// It is to be sent.
    Whole,
    /// The first call takes long: nothing is sent.
    Deferred,
    /// What JavaScript has encoded makes no sense.
    Failed,
}

/// Has runs of calls encoded into a frame, or as many of them as it takes.
pub fn encode_runs(
    upcalls: &dyn Upcalls,
    worker: WorkerId,
    chunk: ChunkId,
    runs: &[Run],
    frame: &mut impl CallsFrame,
) -> Encoded {
    let mut offset = 0;
    for run in runs {
        let encoded = upcalls.encode(worker, chunk, run, offset);
        if matches!(encoded, Some(PassedParts::Nothing)) {
            if offset == 0 {
                upcalls.defer(worker, chunk);
                return Encoded::Deferred;
            }
            upcalls.cut(worker, chunk, offset);
            break;
        }
        let parts = encoded.map(|parts| frame.append(&parts));
        let Some(parts) = parts.filter(|parts| (1..=run.calls.len()).contains(&(parts.calls as usize)))
        else {
            return Encoded::Failed;
        };
        upcalls.filled(run, parts.calls);
        let end = offset + parts.calls;
        let is_full = frame.len() >= FULL_FRAME as u64 || (parts.calls as usize) < run.calls.len();
        if is_full {
            upcalls.cut(worker, chunk, end);
        }
        for skipped in parts.skipped {
            upcalls.encode_failed(worker, chunk, offset + skipped);
        }
        for (calls, error) in parts.failed {
            for call in calls {
                upcalls.encode_failed(worker, chunk, offset + call);
                upcalls.settle_unsent(run.job, run.calls.start + call, &error.reason);
            }
        }
        if is_full {
            break;
        }
        offset = end;
    }
    upcalls.encoded(worker, chunk, frame.len());
    Encoded::Whole
}

/// Sends the frame of a chunk. The `sleeper`, the thread that it wakes where it is known to sleep, is kept away from
/// the CPU of this thread where that matters and goes on being used.
pub fn send_waking<R>(
    upcalls: &dyn Upcalls,
    worker: WorkerId,
    chunk: ChunkId,
    sleeper: impl FnOnce() -> Option<i32>,
    send: impl FnOnce() -> R,
) -> R {
    let sleeper = upcalls.cares_where_it_wakes(worker, chunk).then(sleeper).flatten();
    platform::wake_elsewhere(sleeper.filter(|_| upcalls.keeps_cpu()), send)
}
