//! What a worker prints: read from its pipes on the supervisor's thread, and passed on.
//!
//! An [`Output`] is the reading end of one pipe. While the worker lives, only its `pump` reads it; once the worker has
//! been reaped, `drain` reads at once what is still there. Both run on the same thread and deliver before they yield,
//! so the bytes stay in order.
//!
//! Back-pressure: every piece is sent with a [`Receipt`], which is dropped by whoever takes the piece (the event loop
//! out of its mailbox, or the writer thread for the parent's stderr). The pump waits for that before it reads on.
//! Pieces are taken in order, so the last receipt stands for all of them.
//!
//! The parent's stderr may be a full pipe, blocking or not. Only the [`Relay`]'s own thread, which the first piece
//! starts, ever writes to it.
//!
//! Must not depend on what is printed.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::unistd::{read, write};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::{ProcessEvent, Route, Stream, watch};
use crate::protocol::STDERR_TAIL;

/// The most bytes read at once: the usual capacity of a pipe.
const MAX_PIECE: usize = 64 * 1024;
/// The most bytes drained. That covers whatever a dead worker can have left in a pipe (an unprivileged process can
/// enlarge one to 1 MiB), and limits the time that a grandchild which writes endlessly can take.
const MAX_DRAIN: usize = 1024 * 1024;
/// How many bytes of the end of stderr are kept.
const MAX_TAIL: usize = STDERR_TAIL;

/// Held while a piece waits to be taken; once it is dropped, reading goes on.
#[derive(Debug)]
pub(super) struct Receipt {
    _taken: oneshot::Sender<Infallible>,
}

/// Resolves (to an error, as its type says) when the [`Receipt`] is dropped.
type Taken = oneshot::Receiver<Infallible>;

fn receipt() -> (Receipt, Taken) {
    let (sender, taken) = oneshot::channel();
    (Receipt { _taken: sender }, taken)
}

/// Where the pieces go.
pub(super) enum Sink {
    Relay(Rc<Relay>),
    Forward { route: Arc<Route>, stream: Stream },
    Discard,
}

impl Sink {
    /// Passes on a copy; returns what resolves when it is taken.
    fn send(&self, bytes: &[u8]) -> Option<Taken> {
        let (receipt, taken) = receipt();
        match self {
            Sink::Relay(relay) => relay.send(Piece { bytes: bytes.to_vec(), _receipt: receipt }),
            Sink::Forward { route, stream } => {
                let (ticket, bytes) = (route.ticket(), bytes.to_vec());
                route.push(ProcessEvent::Output { ticket, stream: *stream, bytes }, Some(receipt));
            }
            Sink::Discard => return None,
        }
        Some(taken)
    }
}

/// The last bytes of a stream. Invariant: at most [`MAX_TAIL`].
#[derive(Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MAX_TAIL)..];
        let excess = (self.0.len() + bytes.len()).saturating_sub(MAX_TAIL);
        self.0.drain(..excess);
        self.0.extend_from_slice(bytes);
    }
}

/// The reading end of one pipe. Not `Send`: one thread reads it.
pub(super) struct Output {
    /// Non-blocking.
    pipe: AsyncFd<OwnedFd>,
    /// From the worker's exit on `Discard`, unless it is the relay.
    sink: RefCell<Sink>,
    /// What is kept for the exit event; `None` if nothing is, or no longer.
    tail: RefCell<Option<Tail>>,
    /// Resolves when the last piece sent is taken; `None` once the pump waits for it.
    taken: Cell<Option<Taken>>,
    /// Whether the pipe has ended or failed, so that it is not read again.
    ended: Cell<bool>,
}

enum Read {
    Bytes(usize),
    NothingYet,
    End,
}

impl Output {
    /// To be called within the runtime. `pipe` has to be non-blocking.
    pub(super) fn new(pipe: OwnedFd, sink: Sink, tail: Option<Tail>) -> io::Result<Output> {
        Ok(Output {
            pipe: watch(pipe)?,
            sink: RefCell::new(sink),
            tail: RefCell::new(tail),
            taken: Cell::new(None),
            ended: Cell::new(false),
        })
    }

    /// Reads until the pipe ends, and returns once everything read has been taken.
    pub(super) async fn pump(self: Rc<Self>) {
        loop {
            // In a loop, because `drain` may have sent more while an earlier piece was waited for.
            while let Some(taken) = self.taken.take() {
                let _ = taken.await;
            }
            if self.ended.get() {
                return;
            }
            let Ok(mut readiness) = self.pipe.readable().await else { return };
            if let Read::NothingYet = self.read() {
                readiness.clear_ready();
            }
        }
    }

    /// Reads what is there now, whether or not earlier pieces have been taken. For when the worker is dead and can add
    /// nothing.
    pub(super) fn drain(&self) {
        let mut rest = MAX_DRAIN;
        while rest > 0
            && let Read::Bytes(count) = self.read()
        {
            rest = rest.saturating_sub(count);
        }
    }

    /// Lets go of everything but the pipe (and the relay), and returns the tail.
    pub(super) fn detach(&self) -> Vec<u8> {
        let mut sink = self.sink.borrow_mut();
        if let Sink::Forward { .. } = *sink {
            *sink = Sink::Discard;
        }
        self.tail.take().unwrap_or_default().0
    }

    /// Whether this text is within the tail.
    pub(super) fn tail_contains(&self, text: &str) -> bool {
        let tail = self.tail.borrow();
        tail.as_ref().is_some_and(|tail| tail.0.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
    }

    fn read(&self) -> Read {
        if self.ended.get() {
            return Read::End;
        }
        let mut piece = [0; MAX_PIECE];
        match read(self.pipe.get_ref(), &mut piece) {
            Ok(count @ 1..) => {
                let bytes = &piece[..count];
                if let Some(tail) = &mut *self.tail.borrow_mut() {
                    tail.push(bytes);
                }
                self.taken.set(self.sink.borrow().send(bytes));
                Read::Bytes(count)
            }
            Err(Errno::EAGAIN) => Read::NothingYet,
            Err(Errno::EINTR) => Read::Bytes(0),
            Ok(0) | Err(_) => {
                self.ended.set(true);
                Read::End
            }
        }
    }
}

struct Piece {
    bytes: Vec<u8>,
    _receipt: Receipt,
}

/// Writes pieces to the parent's stderr, on a thread of its own. Used by one thread.
pub(super) struct Relay {
    target: Arc<dyn AsFd + Send + Sync>,
    /// To the writer thread; `None` until the first piece.
    pieces: RefCell<Option<mpsc::Sender<Piece>>>,
}

impl Relay {
    pub(super) fn new(target: Arc<dyn AsFd + Send + Sync>) -> Relay {
        Relay { target, pieces: RefCell::new(None) }
    }

    /// Drops the piece if a thread cannot be started now. The next one tries again.
    fn send(&self, piece: Piece) {
        let mut pieces = self.pieces.borrow_mut();
        if pieces.is_none() {
            *pieces = start_writer(Arc::clone(&self.target)).ok();
        }
        if let Some(sender) = &*pieces
            && sender.send(piece).is_err()
        {
            *pieces = None;
        }
    }
}

fn start_writer(target: Arc<dyn AsFd + Send + Sync>) -> io::Result<mpsc::Sender<Piece>> {
    let (sender, pieces) = mpsc::channel::<Piece>();
    thread::Builder::new().name("parallelizer-io".into()).spawn(move || {
        // Signals are up to the host; SIGPIPE in particular becomes a plain EPIPE.
        let _ = SigSet::all().thread_block();
        for piece in pieces {
            write_all(&*target, &piece.bytes);
        }
    })?;
    Ok(sender)
}

/// Writes all of it, however long the reader takes. What nobody can read any more (EPIPE, EIO, EBADF) is dropped, as it
/// would be if the worker had written it there itself.
fn write_all(target: &dyn AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(target.as_fd(), bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let _ = poll(&mut [PollFd::new(target.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(_) => return,
        }
    }
}
