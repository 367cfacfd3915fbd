//! The worker's end of the channel.
//!
//! Called by `lib/worker/`. Must not depend on anything of the parent's: neither pools nor carriers.
//! How a worker ends with its parent is told in [`watchdog`](super::watchdog).

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use napi::bindgen_prelude::{Function, Object, Unknown};
use napi::{Env, JsValue, Result, sys};
use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal};

use super::event_loop::{EventLoop, Poll};
use super::js::{Callback, Context, PartError, Registers, Value, io_error, write_parts};
use super::spin::{Spin, Watch};
use super::watchdog::{Farewell, exit_now, start_watchdog};
use crate::channel::page::{ASLEEP, AWAKE, AWAKENESS, SHARED_LEN, TO_WORKER, WAITING, has_frame};
use crate::channel::{Arrived, Attached, Channel, ChannelError, FillResult, Filled, Flushed, OutgoingFrame};
use crate::pace::Waiting;
use crate::platform::{SharedPage, SharedWords};
use crate::process::{CHANNEL_FD, GROUP_SIGNALS, PAGE_FD};
use crate::wire::{Frame, FrameHeader, Kind};

const READ_BUDGET: usize = 1 << 20;

/// A worker's connection to its parent.
#[napi]
pub struct WorkerChannel {
    state: Rc<WorkerState>,
}

struct WorkerState {
    context: Context,
    channel: RefCell<Channel>,
    poll: RefCell<Option<Poll>>,
    wants_writable: Cell<bool>,
    /// `(parts)`, and in the registers: the frame's kind, id, seq and aux.
    on_frame: Callback,
    /// Told that a frame is in shared memory, which JavaScript reads.
    on_shared: Callback,
    registers: Registers,
    arrived: Arrived,
    event_loop: EventLoop,
    spin: RefCell<Option<Spin>>,
    page: RefCell<Option<Arc<SharedPage>>>,
    /// Whether the last frame brought calls, and the loop has not looked since: the next ones may be close.
    had_calls: Cell<bool>,
    farewell: Farewell,
}

#[napi]
impl WorkerChannel {
    /// Takes over the descriptors that the parent has placed. `onFrame(parts)` is called for each frame; its kind, id
    /// and seq are then in the registers, which are of `lib/transport/registers.js`. `onShared()` is called before the
    /// event loop sleeps if a frame is in the shared memory.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        env: Env,
        on_frame: Function<'_, (), ()>,
        on_shared: Function<'_, (), ()>,
        registers: Object<'_>,
    ) -> Result<WorkerChannel> {
        let fail = |error: io::Error| io_error("no channel to the parent", &error);
        let fd = inherited(CHANNEL_FD).map_err(fail)?;
        let farewell = Farewell::default();
        start_watchdog(fd.as_fd(), farewell.clone()).map_err(fail)?;
        // They were ignored when this program was executed, but Node resets all signals at its start.
        GROUP_SIGNALS.into_iter().try_for_each(ignore).map_err(fail)?;
        let channel = Channel::new(fd);
        let descriptor = channel.descriptor();
        let at_end: Rc<RefCell<Weak<WorkerState>>> = Rc::default();
        let ending = at_end.clone();
        let event_loop = EventLoop::new(env.raw(), move || {
            if let Some(state) = ending.borrow().upgrade() {
                state.poll.take();
                state.spin.take();
            }
        })?;
        let state = Rc::new(WorkerState {
            context: Context::new(env.raw(), "ParallelizerCalls", Rc::new(Cell::new(true)))?,
            arrived: channel.arrived(),
            channel: RefCell::new(channel),
            poll: RefCell::new(None),
            wants_writable: Cell::new(false),
            on_frame: Callback::new(env.raw(), on_frame.raw())?,
            on_shared: Callback::new(env.raw(), on_shared.raw())?,
            registers: Registers::new(env.raw(), registers.raw())?,
            event_loop: event_loop.clone(),
            spin: RefCell::default(),
            page: RefCell::default(),
            had_calls: Cell::new(false),
            farewell,
        });
        *at_end.borrow_mut() = Rc::downgrade(&state);
        let weak: Weak<WorkerState> = Rc::downgrade(&state);
        let fd = descriptor.as_raw_fd();
        let poll = Poll::new(&event_loop, fd, descriptor, move |ready| {
            if let Some(state) = weak.upgrade() {
                state.context.enter(|| {
                    if ready.writable {
                        state.write_out();
                    }
                    if ready.readable {
                        state.woken();
                        state.read();
                    }
                });
            }
        })?;
        poll.start(false);
        poll.hold(true);
        *state.poll.borrow_mut() = Some(poll);
        Ok(WorkerChannel { state })
    }

    /// Handles the frames that have come, without waiting for the event loop.
    #[napi(catch_unwind)]
    pub fn receive_all(&self) {
        self.state.read();
    }

    /// Whether the event loop stays alive for the channel, as it does at first.
    #[napi(catch_unwind)]
    pub fn hold(&self, held: bool) {
        if let Some(poll) = &*self.state.poll.borrow() {
            poll.hold(held);
        }
    }

    /// The function that sends a frame with the parts that it is given; its kind, id, seq and aux are in the registers.
    ///
    /// (A function by itself: as a method it would cost twice as much, which shows in a round trip.)
    #[napi(catch_unwind, ts_return_type = "(parts: unknown) => void")]
    pub fn sender<'env>(&self, env: &'env Env) -> Result<Function<'env, (Unknown<'env>,), ()>> {
        let state = self.state.clone();
        env.create_function_from_closure("send", move |call| {
            let parts: Unknown<'_> = call.get(0)?;
            state.send(call.env.raw(), parts.raw())
        })
    }

    /// Nobody listens for this signal any more: it is ignored again if it is one for the parent to decide about. (For
    /// libuv a signal without listeners has its default.)
    #[napi(catch_unwind)]
    pub fn ignore_signal(&self, name: String) {
        let signal = name.parse().ok().filter(|signal| GROUP_SIGNALS.contains(signal));
        // Fails for no signal of these.
        let _ = signal.map(ignore);
    }

    /// Writes out what waits, blocking for so many milliseconds at most. For the very end of the process, when the
    /// event loop no longer turns.
    #[napi(catch_unwind)]
    pub fn drain(&self, millis: u32) {
        let deadline = Instant::now() + Duration::from_millis(millis.into());
        let mut channel = self.state.channel.borrow_mut();
        while matches!(channel.flush(), Ok(Flushed::Blocked)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(channel.as_fd(), PollFlags::POLLOUT)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                _ if left.is_zero() => return,
                Ok(0) => return,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// The memory shared with the parent as an `ArrayBuffer`, or `undefined` where there is none.
    #[napi(catch_unwind, ts_return_type = "ArrayBuffer | undefined")]
    pub fn shared_page<'env>(&self, env: &'env Env) -> Result<Option<Unknown<'env>>> {
        let Ok(file) = inherited(PAGE_FD) else { return Ok(None) };
        let Ok(page) = SharedPage::map(&file, SHARED_LEN) else { return Ok(None) };
        let mut value: Value = ptr::null_mut();
        // SAFETY: where this succeeds the mapping is leaked, so it outlives every use. JavaScript and the parent both
        // write to it, each to words of its own, as whole aligned words.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                env.raw(),
                page.as_ptr().cast(),
                SHARED_LEN,
                None,
                ptr::null_mut(),
                &mut value,
            )
        };
        if status != sys::Status::napi_ok {
            return Ok(None);
        }
        let page = Arc::new(page);
        std::mem::forget(page.clone());
        self.state.farewell.look_in(page.clone());
        self.state.spin_by(page)?;
        // SAFETY: `value` was just made in this environment.
        Ok(Some(unsafe { Unknown::from_raw_unchecked(env.raw(), value) }))
    }
}

impl WorkerState {
    /// Looks at the shared memory before the loop sleeps, and stays awake for a moment after calls where the page says
    /// that it may.
    fn spin_by(self: &Rc<Self>, page: Arc<SharedPage>) -> Result<()> {
        // Without it nobody would look: what the parent puts there would never be seen.
        let watch = WorkerWatch { state: Rc::downgrade(self), page: page.clone() };
        let spin = Spin::new(&self.event_loop, watch)?;
        spin.start();
        *self.spin.borrow_mut() = Some(spin);
        *self.page.borrow_mut() = Some(page);
        Ok(())
    }

    /// Sends a frame with these parts, whose header is in the registers. If it throws, nothing is sent.
    fn send(&self, env: sys::napi_env, parts: Value) -> Result<()> {
        let [kind, id, seq, aux] = self.registers.arguments();
        let kind = sendable(kind)?;
        let header = FrameHeader { chunk_id: id, seq, aux, ..FrameHeader::of(kind) };
        let room = self.channel.borrow().room();
        let mut frame = OutgoingFrame::new(header, room);
        let written = write_parts(env, &self.registers.passed(parts), &mut frame)?;
        if let Some((_, error)) = written.failed.into_iter().next() {
            return Err(error);
        }
        let frame = frame.finish().map_err(|error| napi::Error::from_reason(error.to_string()))?;
        self.channel.borrow_mut().queue_finished(frame);
        self.write_out();
        Ok(())
    }

    fn read(&self) {
        self.fill(|channel| channel.fill(READ_BUDGET));
    }

    /// The parent has sent something, be it only to wake this process.
    fn woken(&self) {
        if let Some(spin) = &*self.spin.borrow() {
            spin.woken();
        }
        if let Some(page) = &*self.page.borrow() {
            page.store(TO_WORKER + AWAKENESS, AWAKE);
        }
    }

    /// Has the channel take in what has come, and handles the frames that are whole by then.
    fn fill(&self, fill: impl FnOnce(&mut Channel) -> FillResult) {
        let filled = {
            let Ok(mut channel) = self.channel.try_borrow_mut() else { return };
            fill(&mut channel)
        };
        // Frame by frame: a handler may read on by itself, and must find the frames that come next.
        let trouble = loop {
            let lent = self.channel.borrow_mut().lend_decoder();
            let Some(mut decoder) = lent else { return };
            let next = decoder.next_frame().map(|frame| frame.map(|frame| self.pass(&frame)));
            self.channel.borrow_mut().return_decoder(decoder);
            match next {
                Ok(Some(Ok(parts))) => {
                    self.on_frame.call(&[parts]);
                }
                // Its calls would never be answered.
                Ok(Some(Err(error))) => break Some(error.to_string()),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
        };
        let trouble = trouble.or_else(|| filled.as_ref().err().map(ChannelError::to_string));
        if let Some(trouble) = &trouble {
            // The parent reports the end of stderr along with this worker's death.
            let _ =
                writeln!(io::stderr(), "parallelizer: what the parent has sent cannot be read: {trouble}");
        }
        if trouble.is_some() || matches!(filled, Ok(Filled::Ended)) {
            self.end(trouble.is_none());
        }
    }

    /// The parent is gone or broken. Nothing more can be told, and nobody wants it.
    fn end(&self, may_finish: bool) {
        if !(may_finish && self.farewell.is_said()) {
            exit_now();
        }
        // JavaScript has been told to stop, and the watchdog sees to it that it does. Polling on would report the
        // hang-up for ever.
        self.poll.take();
    }

    /// What the handler of frames is called with.
    fn pass(&self, frame: &Frame<'_>) -> std::result::Result<Value, PartError> {
        let header = frame.header;
        self.had_calls.set(header.kind == Kind::Calls);
        if header.kind == Kind::Stop {
            self.farewell.told_to_stop();
        }
        let parts = self.registers.pass(frame.parts(), &Attached::new(self.arrived.clone()))?;
        self.registers.set([header.kind as u32, header.chunk_id, header.seq, header.aux]);
        Ok(parts)
    }

    fn write_out(&self) {
        let blocked = match self.channel.borrow_mut().flush() {
            Ok(flushed) => matches!(flushed, Flushed::Blocked),
            // The parent is gone, or somebody here has closed the channel: nobody would hear of this worker again.
            Err(_) => return self.end(true),
        };
        if blocked != self.wants_writable.replace(blocked)
            && let Some(poll) = &*self.poll.borrow()
        {
            poll.start(blocked);
        }
    }
}

/// A worker that waits for calls.
struct WorkerWatch {
    state: Weak<WorkerState>,
    page: Arc<SharedPage>,
}

impl Watch for WorkerWatch {
    fn waiting(&self) -> Waiting {
        // Once per burst: a worker that stays idle sleeps.
        let had_calls = self.state.upgrade().is_some_and(|state| state.had_calls.take());
        let told = self.page.load(WAITING);
        [Waiting::Polling, Waiting::GivingWay]
            .into_iter()
            .find(|&waiting| had_calls && waiting as u32 == told)
            .unwrap_or_default()
    }

    fn set_awake(&self, awake: bool) {
        self.page.store(TO_WORKER + AWAKENESS, if awake { AWAKE } else { ASLEEP });
    }

    fn has_pending(&self) -> bool {
        has_frame(TO_WORKER, |index| self.page.load(index))
    }

    fn receive_pending(&self) {
        if let Some(state) = self.state.upgrade() {
            state.had_calls.set(true);
            state.context.enter(|| {
                state.on_shared.call(&[]);
            });
        }
    }
}

fn sendable(kind: u32) -> Result<Kind> {
    use Kind::{Begun, LoadFailed, Memory, Message, Output, Ready, Reply, Wake};
    [Wake, Ready, LoadFailed, Reply, Begun, Output, Memory, Message]
        .into_iter()
        .find(|&known| known as u32 == kind)
        .ok_or_else(|| napi::Error::from_reason("a worker does not send this kind of frame"))
}

/// Takes over a descriptor that the parent has placed here, and keeps it from grandchildren.
fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is only looked at; a wrong number gives EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: the parent has placed it for us, and each number is taken over once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ignores a signal that is the parent's to decide about.
fn ignore(signal: Signal) -> io::Result<()> {
    // SAFETY: to ignore a signal installs no handler.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigIgn) }?;
    Ok(())
}
