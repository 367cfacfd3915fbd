//! Why a worker cannot be worked with any more.
//!
//! Made by whoever sends to it or handles what it sends. Must not depend on what is done about it.

use std::fmt;

use crate::channel::{ChannelError, FinishError};
use crate::engine::ProtocolViolation;
use crate::wire::WireError;

/// Why a worker cannot be worked with any more.
#[derive(Debug)]
pub enum LinkError {
    /// A frame for it cannot be sent: it would be longer than any that is accepted.
    FrameUnsendable(FinishError),
    CallsNotEncoded,
    /// Its channel cannot be read.
    Channel(ChannelError),
    /// What it has sent is no frame.
    Wire(WireError),
    /// It has sent a frame that only a parent sends.
    ParentFrame,
    /// It has answered what it cannot have been asked.
    Reply(ProtocolViolation),
    /// A value that it has sent is not what it says.
    Value(String),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::FrameUnsendable(error) => write!(f, "it would have to be sent {error}"),
            LinkError::CallsNotEncoded => f.write_str("calls for it could not be encoded"),
            LinkError::Channel(error) => write!(f, "its channel cannot be read: {error}"),
            LinkError::Wire(error) => error.fmt(f),
            LinkError::ParentFrame => f.write_str("a frame that only a parent sends"),
            LinkError::Reply(violation) => violation.fmt(f),
            LinkError::Value(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for LinkError {}
