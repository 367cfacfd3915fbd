//! A worker process between two leases: all that its next owner needs to go on with it, and nothing of the last one's.
//!
//! Plain data that may move between threads. Dropping it closes the channel, which ends the process.

use std::sync::Arc;

use crate::channel::Channel;
use crate::engine::History;
use crate::platform::SharedPage;
use crate::process::{Route, Supervisor};

pub struct IdleProcess {
    /// `None` once it is taken.
    parts: Option<Parts>,
}

pub(super) struct Parts {
    pub(super) route: Arc<Route>,
    /// With what was read and is no whole frame yet, and what is not written.
    pub(super) channel: Channel,
    pub(super) page: Option<Arc<SharedPage>>,
    /// The last call begun, where there is no page.
    pub(super) mark: u32,
    /// How many cancellations it was told of: the count in the page goes on.
    pub(super) notices: u32,
    pub(super) pid: Option<i32>,
    pub(super) history: History,
}

impl IdleProcess {
    pub(super) fn new(parts: Parts) -> IdleProcess {
        IdleProcess { parts: Some(parts) }
    }

    /// Whether it has ended meanwhile.
    pub(super) fn is_ended(&self) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.channel.is_ended())
    }

    pub(super) fn history(&self) -> Option<History> {
        self.parts.as_ref().map(|parts| parts.history)
    }

    pub(super) fn take(mut self) -> Option<Parts> {
        self.parts.take()
    }
}

impl Drop for IdleProcess {
    fn drop(&mut self) {
        if let Some(Parts { route, channel, .. }) = self.parts.take() {
            drop(channel);
            if let Ok(supervisor) = Supervisor::get() {
                supervisor.channel_ended(route.ticket());
            }
        }
    }
}
