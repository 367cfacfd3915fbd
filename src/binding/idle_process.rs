//! A worker process between two leases: all that its next owner needs to go on with it, and nothing of the last one's.
//!
//! Plain data that may move between threads. Dropping it ends the process in an orderly way. Made and taken by
//! the carrier to processes; kept by the registry. Must not depend on any environment.

use std::sync::Arc;

use crate::channel::Channel;
use crate::channel::page::FAREWELL;
use crate::engine::History;
use crate::platform::{SharedPage, SharedWords};
use crate::process::{Route, Supervisor};
use crate::wire::{FrameHeader, FrameWriter, Kind};

pub struct IdleProcess {
    /// `None` once it is taken.
    parts: Option<Parts>,
}

pub struct Parts {
    pub route: Arc<Route>,
    /// With what was read and is no whole frame yet, and what is not written.
    pub channel: Channel,
    pub page: Option<Arc<SharedPage>>,
    /// The last call begun, where there is no page.
    pub last_begun: u32,
    /// How many cancellations it was told of: the count in the page goes on.
    pub cancel_count: u32,
    pub history: History,
}

impl IdleProcess {
    pub fn new(parts: Parts) -> IdleProcess {
        IdleProcess { parts: Some(parts) }
    }

    /// Whether it has ended meanwhile.
    pub fn is_ended(&self) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.channel.is_ended())
    }

    pub fn history(&self) -> Option<History> {
        self.parts.as_ref().map(|parts| parts.history)
    }

    /// Nobody goes on with it: it may end.
    pub fn say_farewell(&mut self) {
        let Some(Parts { channel, page, .. }) = &mut self.parts else { return };
        if let Some(page) = page {
            page.store(FAREWELL, 1);
        }
        if let Ok(stop) = FrameWriter::new(FrameHeader::of(Kind::Stop)).finish() {
            channel.queue_on_socket(stop, Vec::new());
        }
        // What does not go out now never will.
        let _ = channel.flush();
    }

    pub fn take(mut self) -> Option<Parts> {
        self.parts.take()
    }
}

impl Drop for IdleProcess {
    fn drop(&mut self) {
        self.say_farewell();
        if let Some(Parts { route, channel, .. }) = self.parts.take() {
            drop(channel);
            if let Ok(supervisor) = Supervisor::get() {
                supervisor.dismissed(route.ticket());
            }
        }
    }
}
