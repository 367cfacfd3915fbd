//! Descriptors that travel with frames: received ones, and the system calls that carry them.
//!
//! 1. Those of a frame are sent with its first byte, and closed here as soon as that is written.
//! 2. Every read marks received descriptors close-on-exec: a plain `read` would drop them silently, and a leaked one
//!    would be inherited by every process started later.
//! 3. They arrive before their frame is whole, and in order: whoever handles a frame takes as many as it needs.
//! 4. One that nobody takes is closed with the channel; beyond [`MAX_WAITING`], at once. When one is lost, nobody can
//!    tell which frame it belonged to, and the channel is of no more use.
//!
//! Called by the channel; [`Arrived`] by whoever handles frames. Must not depend on what a frame is.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::cmsg_space;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::platform::RECEIVE_FLAGS;

/// Descriptors that may be on their way to the other end, and in one frame.
pub const MAX_DESCRIPTORS: usize = 16;
/// Received descriptors that wait to be taken; two frames' worth for each chunk that may be under way.
pub const MAX_WAITING: usize = 64;

/// An end that is gone is an error and no signal. rustix does not name the flag for every system that has it.
const SEND_FLAGS: SendFlags = SendFlags::from_bits_retain(libc::MSG_NOSIGNAL as u32);

/// Room for the control message that carries as many as one frame may bring.
const CONTROL_LEN: usize = cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// Received descriptors whose frames are not handled yet. Clones are the same queue.
///
/// Invariant: never more than [`MAX_WAITING`], in the order received.
#[derive(Clone, Debug, Default)]
pub struct Arrived(Arc<Mutex<VecDeque<OwnedFd>>>);

impl Arrived {
    /// The next one.
    pub fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Keeps those that there is room for, and closes the others.
    pub(super) fn keep(&self, descriptors: impl Iterator<Item = OwnedFd>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for descriptor in descriptors {
            if RECEIVE_FLAGS.is_empty() {
                // It is open: setting this flag cannot be refused.
                let set = fcntl_setfd(&descriptor, FdFlags::CLOEXEC);
                debug_assert_eq!(set, Ok(()));
            }
            if waiting.len() < MAX_WAITING {
                waiting.push_back(descriptor);
            }
        }
        debug_assert!(waiting.len() <= MAX_WAITING);
    }
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// Descriptors were lost: more came than an honest peer sends, or this process has no number left for them.
    DescriptorsLost,
    System(Errno),
}

/// Sends as much as the socket takes, and these descriptors with the first byte of it.
pub fn send(fd: impl AsFd, slices: &[IoSlice<'_>], descriptors: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        // Sent without them, the frame could not be understood.
        return Err(Errno::INVAL);
    }
    sendmsg(fd, slices, &mut control, SEND_FLAGS)
}

/// One `recvmsg`. Descriptors that come with it are kept, as long as there are not too many.
pub fn receive(fd: impl AsFd, room: &mut [u8], arrived: &Arrived) -> Result<usize, ReceiveError> {
    let mut space = [MaybeUninit::uninit(); CONTROL_LEN];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(fd, &mut [IoSliceMut::new(room)], &mut control, RECEIVE_FLAGS)
        .map_err(ReceiveError::System)?;
    // Also of a message that was cut: those before the cut would stay open for ever.
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            arrived.keep(descriptors);
        }
    }
    match message.flags.contains(ReturnFlags::CTRUNC) {
        true => Err(ReceiveError::DescriptorsLost),
        false => Ok(message.bytes),
    }
}
