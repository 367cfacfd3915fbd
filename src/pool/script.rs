//! What a carrier whose workers JavaScript looks after reports of a frame that JavaScript has made and sent.
//!
//! Called by such carriers. Must not depend on how the hook that sends is called.

use super::host::Reports;
use crate::engine::{ChunkId, Run, WorkerId};

/// What has become of a frame.
pub enum Sent<'a> {
    /// The hook has failed, or made no sense.
    Failed,
    /// Nothing was sent: the first call takes long to encode.
    Deferred,
    /// How many calls of each run are in the frame, of the first runs; which ones, by their places in the frame, could
    /// not be encoded and are not sent; and its size.
    Filled { filled: &'a [u32], skipped: &'a [u32], bytes: u64 },
}

/// Reports what has become of a frame with these runs.
pub fn report_sent(
    reports: &(impl Reports + ?Sized),
    worker: WorkerId,
    frame: ChunkId,
    runs: &[Run],
    sent: Sent<'_>,
) {
    let (filled, skipped, bytes) = match sent {
        Sent::Failed => return reports.give_up(worker),
        Sent::Deferred => return reports.defer(worker, frame),
        Sent::Filled { filled, skipped, bytes } => (filled, skipped, bytes),
    };
    for (run, &calls) in runs.iter().zip(filled) {
        reports.filled(run, calls);
    }
    let kept: u32 = filled.iter().sum();
    if (kept as usize) < runs.iter().map(|run| run.calls.len()).sum() {
        reports.cut(worker, frame, kept);
    }
    reports.encoded(worker, frame, bytes);
    for &offset in skipped {
        reports.encode_failed(worker, frame, offset);
    }
}
