//! What the engine refuses, one variant for each reason.
//!
//! Must not depend on how callers or workers are told.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// Why a submission is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// The queue has no room for all of its calls; `waiting` calls are in it.
    QueueFull { waiting: u64 },
    /// The engine was closed or terminated.
    Closed,
}

impl Display for SubmitError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            SubmitError::QueueFull { waiting } => write!(f, "the queue is full: {waiting} calls wait"),
            SubmitError::Closed => f.write_str("the engine is closed"),
        }
    }
}

impl Error for SubmitError {}

/// Why a reply is refused: it cannot be true, so its worker must not be trusted any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolViolation {
    /// The worker does not exist, or not any more.
    UnknownWorker,
    /// The worker has no such chunk in flight.
    UnknownChunk,
    /// The chunk has fewer calls.
    UnknownCalls,
    /// A call was replied to before.
    RepeatedReply,
    /// A call was skipped although it is wanted and the worker was never told to skip any.
    UnexpectedSkip,
}

impl Display for ProtocolViolation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProtocolViolation::UnknownWorker => "a reply of an unknown worker",
            ProtocolViolation::UnknownChunk => "a reply to a frame that it does not have",
            ProtocolViolation::UnknownCalls => "a reply to calls that it does not have",
            ProtocolViolation::RepeatedReply => "a second reply to a call",
            ProtocolViolation::UnexpectedSkip => "it skipped a call that is wanted",
        })
    }
}

impl Error for ProtocolViolation {}
