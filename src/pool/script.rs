//! What a carrier whose workers JavaScript looks after tells JavaScript of a frame that it is to make and send, and
//! reports of it then.
//!
//! Called by such carriers. Must not depend on how the hook that sends is called.

use super::host::Reports;
use crate::engine::{ChunkId, Run, WorkerId};
use crate::protocol::SEND_PATIENT;

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

/// How a worker is to wait after a frame, and with [`SEND_PATIENT`] whether nobody is in a hurry for single answers.
pub fn waiting_word(reports: &(impl Reports + ?Sized), patient: bool) -> u32 {
    reports.worker_waiting() as u32 | if patient { SEND_PATIENT } else { 0 }
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
