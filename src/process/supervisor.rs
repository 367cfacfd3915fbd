//! The thread that owns the worker processes. The parent module describes the life of a worker.
//!
//! The thread runs a current-thread runtime and handles commands in the order sent. Each worker has a [`Child`], shared
//! by `Rc` between the table in which commands look it up and the task that waits for its exit, so that the compiler
//! ensures that nothing signals or reaps it from anywhere else.
//!
//! The first use starts the thread, once per process, and it lives as long as the process. Nothing waits for it: at
//! exit the system ends it, whatever it is doing.
//!
//! Must not depend on what is spawned.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use super::child::Child;
use super::error::{SpawnError, SpawnStep};
use super::output::{Output, Relay, Sink, Tail};
use super::spawn::{null, own_stdout, spawn};
use super::{Descriptors, FAREWELL_GRACE, ProcessEvent, Route, SpawnSpec, Stderr, Stdout, Stream, Ticket};
use crate::platform;

/// What Node writes to stderr before it waits for a debugger, or when code of the user opens a port for one.
const LISTENS_FOR_DEBUGGER: &str = "Debugger listening on ";

/// What only tests change.
#[derive(Clone)]
pub(super) struct Settings {
    /// Reap by pidfd if the system has them.
    pub(super) pidfd: bool,
    /// Close descriptors in the child in one step if the kernel can.
    pub(super) close_range: bool,
    /// How long a worker whose channel has ended may take to exit by itself. The status of a process that exits is
    /// fixed before its channel closes, so this is for those that close it first.
    pub(super) exit_grace: Duration,
    /// How long output may take to be passed on after the exit.
    pub(super) output_grace: Duration,
    /// The parent's stderr.
    pub(super) stderr: Arc<dyn AsFd + Send + Sync>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pidfd: true,
            close_range: true,
            exit_grace: Duration::from_millis(100),
            output_grace: Duration::from_millis(50),
            stderr: Arc::new(io::stderr()),
        }
    }
}

/// The handle to the thread, which any other may use.
#[derive(Debug)]
pub struct Supervisor {
    commands: mpsc::UnboundedSender<Command>,
    exit_grace: Duration,
}

/// Something that lives exactly as long as a process.
pub type Guard = Option<Box<dyn Any + Send>>;

#[derive(Debug)]
enum Command {
    Spawn { route: Arc<Route>, spec: Arc<SpawnSpec>, descriptors: Descriptors, guard: Guard },
    Kill { ticket: Ticket, signal: Signal },
    KillSilent { ticket: Ticket },
    ChannelEnded { ticket: Ticket, grace: Duration },
}

impl Supervisor {
    /// The supervisor of this process, started by the first call. If that fails (there is no thread or descriptor to be
    /// had), a later call tries again.
    pub fn get() -> io::Result<&'static Supervisor> {
        static SUPERVISOR: OnceLock<Supervisor> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        if let Some(supervisor) = SUPERVISOR.get() {
            return Ok(supervisor);
        }
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(supervisor) = SUPERVISOR.get() {
            return Ok(supervisor);
        }
        let supervisor = Supervisor::start(Settings::default())?;
        Ok(SUPERVISOR.get_or_init(|| supervisor))
    }

    /// Starts a thread that ends when the handle is dropped.
    pub(super) fn start(settings: Settings) -> io::Result<Supervisor> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (commands, queue) = mpsc::unbounded_channel();
        let exit_grace = settings.exit_grace;
        thread::Builder::new()
            .name("parallelizer".into())
            .spawn(move || supervise(&runtime, settings, queue))?;
        Ok(Supervisor { commands, exit_grace })
    }

    /// Starts a worker soon. Its events go to `route`; `guard` is dropped once there is no process (any more).
    pub fn spawn(&self, route: Arc<Route>, spec: Arc<SpawnSpec>, descriptors: Descriptors, guard: Guard) {
        self.send(Command::Spawn { route, spec, descriptors, guard });
    }

    /// Sends a signal that is meant to end the worker. Ignored if that was reaped already, or never ran.
    pub fn kill(&self, ticket: Ticket, signal: Signal) {
        self.send(Command::Kill { ticket, signal });
    }

    /// Kills a worker that has given no sign of life, unless it may be waiting for a debugger.
    pub fn kill_silent(&self, ticket: Ticket) {
        self.send(Command::KillSilent { ticket });
    }

    /// To be called when the worker's channel has ended. Usually the worker is exiting, and its status is kept; one
    /// that merely closed its channel is killed after a short grace period.
    pub fn channel_ended(&self, ticket: Ticket) {
        self.send(Command::ChannelEnded { ticket, grace: self.exit_grace });
    }

    /// The same for a worker that was said farewell to: it has [`FAREWELL_GRACE`] for what it does at its exit.
    pub fn dismissed(&self, ticket: Ticket) {
        self.send(Command::ChannelEnded { ticket, grace: self.exit_grace + FAREWELL_GRACE });
    }

    fn send(&self, command: Command) {
        // This fails only if the thread has panicked. Nobody must wait for a worker then.
        if let Err(mpsc::error::SendError(Command::Spawn { route, guard, .. })) = self.commands.send(command)
        {
            drop(guard);
            let error = SpawnError { step: SpawnStep::AskSupervisor, errno: Errno::ESRCH };
            route.post(ProcessEvent::SpawnFailed { ticket: route.ticket(), error });
        }
    }
}

/// The thread.
fn supervise(runtime: &Runtime, settings: Settings, mut commands: mpsc::UnboundedReceiver<Command>) {
    // Signals are up to the host: they are to go to threads that expect them.
    let _ = SigSet::all().thread_block();
    let children = Rc::new(Children {
        relay: Rc::new(Relay::new(Arc::clone(&settings.stderr))),
        settings,
        by_ticket: RefCell::default(),
    });
    LocalSet::new().block_on(runtime, async move {
        while let Some(command) = commands.recv().await {
            children.handle(command);
        }
    });
}

/// What the thread owns. No borrow of a cell is held across an `await`.
struct Children {
    settings: Settings,
    relay: Rc<Relay>,
    /// The processes that are not known to be reaped.
    by_ticket: RefCell<HashMap<Ticket, Running>>,
}

/// A process, and where its events go.
#[derive(Clone)]
struct Running {
    child: Rc<Child>,
    route: Arc<Route>,
    stderr: Rc<Output>,
}

impl Running {
    /// Signals the process, and reports if that is not allowed.
    fn kill(&self, signal: Signal) {
        if let Err(errno) = self.child.kill(signal) {
            self.route.post(ProcessEvent::KillFailed { ticket: self.route.ticket(), errno });
        }
    }
}

/// A pipe, and the task that reads it.
struct Pumped {
    output: Rc<Output>,
    pump: JoinHandle<()>,
}

/// A worker's pipes; there may be none for stdout.
struct Outputs {
    stdout: Option<Pumped>,
    stderr: Pumped,
}

impl Children {
    fn handle(self: &Rc<Self>, command: Command) {
        match command {
            Command::Spawn { route, spec, descriptors, guard } => {
                let ticket = route.ticket();
                match self.launch(&spec, descriptors, &route) {
                    Ok((child, outputs)) => {
                        route.spawned(child.pid());
                        let running = Running {
                            child: Rc::clone(&child),
                            route: Arc::clone(&route),
                            stderr: Rc::clone(&outputs.stderr.output),
                        };
                        self.by_ticket.borrow_mut().insert(ticket, running);
                        spawn_local(Rc::clone(self).wait_for_exit(child, outputs, route, guard));
                    }
                    Err(error) => {
                        drop(guard);
                        route.post(ProcessEvent::SpawnFailed { ticket, error });
                    }
                }
            }
            Command::Kill { ticket, signal } => {
                if let Some(running) = self.running(ticket) {
                    running.kill(signal);
                }
            }
            Command::KillSilent { ticket } => {
                if let Some(running) = self.running(ticket) {
                    if running.stderr.tail_contains(LISTENS_FOR_DEBUGGER) {
                        running.route.post(ProcessEvent::Debugged { ticket });
                    } else {
                        running.kill(Signal::SIGKILL);
                    }
                }
            }
            Command::ChannelEnded { ticket, grace } => {
                if let Some(running) = self.running(ticket) {
                    running.child.expect_end();
                    spawn_local(async move {
                        sleep(grace).await;
                        running.kill(Signal::SIGKILL);
                    });
                }
            }
        }
    }

    fn running(&self, ticket: Ticket) -> Option<Running> {
        self.by_ticket.borrow().get(&ticket).cloned()
    }

    /// Whatever can fail comes before the spawn, so that the exit of a process that runs is always waited for.
    fn launch(
        &self,
        spec: &SpawnSpec,
        descriptors: Descriptors,
        route: &Arc<Route>,
    ) -> Result<(Rc<Child>, Outputs), SpawnError> {
        let forward = |stream| Sink::Forward { route: Arc::clone(route), stream };
        let (stdout, stdout_end) = match spec.stdout {
            Stdout::Inherit => (None, own_stdout()?),
            Stdout::Ignore => (None, null()?),
            Stdout::Forward => {
                let (output, end) = output(forward(Stream::Stdout), None)?;
                (Some(output), end)
            }
        };
        let sink = match spec.stderr {
            Stderr::Inherit => Sink::Relay(Rc::clone(&self.relay)),
            Stderr::Forward => forward(Stream::Stderr),
            Stderr::Ignore => Sink::Discard,
        };
        let (stderr, stderr_end) = output(sink, Some(Tail::default()))?;
        let pid = spawn(spec, stdout_end, stderr_end, descriptors, self.settings.close_range)?;
        let child = Rc::new(Child::new(pid));
        let pumped = |output: Output| {
            let output = Rc::new(output);
            Pumped { pump: spawn_local(Rc::clone(&output).pump()), output }
        };
        Ok((child, Outputs { stdout: stdout.map(pumped), stderr: pumped(stderr) }))
    }

    /// What happens from the spawn to the exit event.
    async fn wait_for_exit(
        self: Rc<Self>,
        child: Rc<Child>,
        mut outputs: Outputs,
        route: Arc<Route>,
        guard: Guard,
    ) {
        let ticket = route.ticket();
        let pidfd = if self.settings.pidfd { child.pidfd() } else { None };
        let status = child.exited(pidfd).await;
        self.by_ticket.borrow_mut().remove(&ticket);

        outputs.drain();
        let _ = timeout(self.settings.output_grace, outputs.passed_on()).await;
        // A pump may be stuck behind a slow reader, with a pipe that has filled up again.
        outputs.drain();
        let stderr_tail = outputs.detach();
        drop(guard);
        route.post(ProcessEvent::Exited { ticket, status, stderr_tail });
    }
}

fn output(sink: Sink, tail: Option<Tail>) -> Result<(Output, OwnedFd), SpawnError> {
    let (reader, writer) = platform::output_pipe().map_err(SpawnError::at(SpawnStep::OpenPipe))?;
    let output = Output::new(reader, sink, tail).map_err(SpawnError::at(SpawnStep::WatchPipe))?;
    Ok((output, writer))
}

impl Outputs {
    fn drain(&self) {
        self.stdout.iter().chain([&self.stderr]).for_each(|pumped| pumped.output.drain());
    }

    /// Waits until both pipes have ended and everything from them has been taken.
    async fn passed_on(&mut self) {
        for pumped in self.stdout.iter_mut().chain([&mut self.stderr]) {
            let _ = (&mut pumped.pump).await;
        }
    }

    /// Returns the end of stderr. The pumps go on by themselves.
    fn detach(self) -> Vec<u8> {
        self.stdout.iter().for_each(|pumped| drop(pumped.output.detach()));
        self.stderr.output.detach()
    }
}
