//! The thread that owns the worker processes. See the parent module for the life of a worker.
//!
//! The thread runs a current-thread runtime and obeys commands in the order sent. Each worker has a
//! [`Child`], shared by `Rc` between the table that commands look it up in and the task that attends it:
//! the compiler sees to it that nobody signals or reaps from anywhere else.
//!
//! The thread is started by the first use, once per process, and lives as long as that. Nothing waits
//! for it: at exit the system takes it away in whatever it does.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    io::unix::AsyncFd,
    runtime::{Builder, Runtime},
    sync::{Notify, mpsc},
    task::{JoinHandle, LocalSet, spawn_local},
    time::{sleep, timeout},
};

use super::{
    Descriptors, ExitStatus, ProcessEvent, Route, SpawnSpec, Stderr, Stdout, Stream, Ticket,
    output::{Output, Relay, Sink, Tail},
    spawn::{Failure, null, own_stdout, spawn},
    watch,
};
use crate::platform;

/// What tests change.
#[derive(Clone)]
pub(super) struct Settings {
    /// Reap by pidfd where the system has them.
    pub(super) pidfd: bool,
    /// Close descriptors in the child by one action where the C library has it.
    pub(super) close_from: bool,
    /// For a worker whose channel has ended to exit by itself. A process that exits closes its channel
    /// after its status is fixed, so this is for those that close it first.
    pub(super) allowance: Duration,
    /// For output after the exit.
    pub(super) patience: Duration,
    /// The parent's stderr.
    pub(super) stderr: Arc<dyn AsFd + Send + Sync>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            pidfd: true,
            close_from: true,
            allowance: Duration::from_millis(100),
            patience: Duration::from_millis(50),
            stderr: Arc::new(io::stderr()),
        }
    }
}

/// Without pidfds: between two looks at a dying process, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// The handle to the thread, usable from any other.
#[derive(Debug)]
pub struct Supervisor {
    commands: mpsc::UnboundedSender<Command>,
}

/// What lives as long as a process.
pub type Kept = Option<Box<dyn Any + Send>>;

#[derive(Debug)]
enum Command {
    Spawn { route: Arc<Route>, spec: Arc<SpawnSpec>, descriptors: Descriptors, kept: Kept },
    Kill { ticket: Ticket, signal: Signal },
    ChannelEnded { ticket: Ticket },
}

impl Supervisor {
    /// The process's supervisor, started by the first call. If that fails (no thread or descriptor to be
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

    /// The thread ends when the handle is dropped.
    pub(super) fn start(settings: Settings) -> io::Result<Supervisor> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (commands, queue) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("parallelizer".into())
            .spawn(move || supervise(&runtime, settings, queue))?;
        Ok(Supervisor { commands })
    }

    /// Starts a worker, soon. `route` gets all its events; `kept` is dropped when there is no process (any more).
    pub fn spawn(&self, route: Arc<Route>, spec: Arc<SpawnSpec>, descriptors: Descriptors, kept: Kept) {
        self.send(Command::Spawn { route, spec, descriptors, kept });
    }

    /// Sends a signal that is meant to end the worker. Ignored if it was reaped already, or never lived.
    pub fn kill(&self, ticket: Ticket, signal: Signal) {
        self.send(Command::Kill { ticket, signal });
    }

    /// To be called when the worker's channel has ended: most often it is exiting, and its status is
    /// kept; a worker that merely closed its channel is killed after a short allowance.
    pub fn channel_ended(&self, ticket: Ticket) {
        self.send(Command::ChannelEnded { ticket });
    }

    fn send(&self, command: Command) {
        // There is no thread to take it only if that has panicked. Nobody must wait for a worker then.
        if let Err(mpsc::error::SendError(Command::Spawn { route, kept, .. })) = self.commands.send(command) {
            drop(kept);
            let message = "the supervisor's thread has ended".into();
            let (ticket, errno) = (route.ticket(), Errno::ESRCH as i32);
            route.post(ProcessEvent::SpawnFailed { ticket, errno, message });
        }
    }
}

/// The thread.
fn supervise(runtime: &Runtime, settings: Settings, mut commands: mpsc::UnboundedReceiver<Command>) {
    // Signals are the host's business: they shall go to threads that expect them.
    let _ = SigSet::all().thread_block();
    let nursery = Rc::new(Nursery {
        relay: Rc::new(Relay::new(Arc::clone(&settings.stderr))),
        settings,
        children: RefCell::default(),
    });
    LocalSet::new().block_on(runtime, async move {
        while let Some(command) = commands.recv().await {
            nursery.obey(command);
        }
    });
}

/// What the thread owns. No borrow of a cell is held across an `await`.
struct Nursery {
    settings: Settings,
    relay: Rc<Relay>,
    /// Those that are not known to be reaped.
    children: RefCell<HashMap<Ticket, Rc<Child>>>,
}

/// A pipe, and the task that reads it.
struct Pumped {
    output: Rc<Output>,
    pump: JoinHandle<()>,
}

/// A worker's pipes; its stdout may be none.
struct Outputs {
    stdout: Option<Pumped>,
    stderr: Pumped,
}

impl Nursery {
    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Spawn { route, spec, descriptors, kept } => {
                let ticket = route.ticket();
                match self.launch(&spec, descriptors, &route) {
                    Ok((child, outputs)) => {
                        route.post(ProcessEvent::Spawned { ticket, pid: child.pid.as_raw() });
                        self.children.borrow_mut().insert(ticket, Rc::clone(&child));
                        spawn_local(Rc::clone(self).attend(child, outputs, route, kept));
                    }
                    Err(Failure { errno, message }) => {
                        drop(kept);
                        route.post(ProcessEvent::SpawnFailed { ticket, errno, message });
                    }
                }
            }
            Command::Kill { ticket, signal } => {
                if let Some(child) = self.child(ticket) {
                    child.kill(signal);
                }
            }
            Command::ChannelEnded { ticket } => {
                if let Some(child) = self.child(ticket) {
                    child.dying.notify_one();
                    let allowance = self.settings.allowance;
                    spawn_local(async move {
                        sleep(allowance).await;
                        child.kill(Signal::SIGKILL);
                    });
                }
            }
        }
    }

    fn child(&self, ticket: Ticket) -> Option<Rc<Child>> {
        self.children.borrow().get(&ticket).map(Rc::clone)
    }

    /// Whatever can fail comes before the spawn: a process that runs is always attended.
    fn launch(
        &self,
        spec: &SpawnSpec,
        descriptors: Descriptors,
        route: &Arc<Route>,
    ) -> Result<(Rc<Child>, Outputs), Failure> {
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
        let pid = spawn(spec, stdout_end, stderr_end, descriptors, self.settings.close_from)?;
        let child = Rc::new(Child { pid, status: Cell::new(None), dying: Notify::new() });
        let pumped = |output: Output| {
            let output = Rc::new(output);
            Pumped { pump: spawn_local(Rc::clone(&output).pump()), output }
        };
        Ok((child, Outputs { stdout: stdout.map(pumped), stderr: pumped(stderr) }))
    }

    /// From the spawn to the exit event.
    async fn attend(self: Rc<Self>, child: Rc<Child>, mut outputs: Outputs, route: Arc<Route>, kept: Kept) {
        let ticket = route.ticket();
        let pidfd = if self.settings.pidfd { child.pidfd() } else { None };
        let status = child.exited(pidfd).await;
        self.children.borrow_mut().remove(&ticket);

        outputs.drain();
        let _ = timeout(self.settings.patience, outputs.passed_on()).await;
        // The pumps may be stuck behind a slow reader with a pipe that has filled up again.
        outputs.drain();
        let stderr_tail = outputs.detach();
        drop(kept);
        route.post(ProcessEvent::Exited { ticket, status, stderr_tail });
    }
}

fn output(sink: Sink, tail: Option<Tail>) -> Result<(Output, OwnedFd), Failure> {
    let (reader, writer) = platform::output_pipe().map_err(Failure::at("open a pipe for output"))?;
    let output = Output::new(reader, sink, tail).map_err(Failure::at("watch a pipe for output"))?;
    Ok((output, writer))
}

impl Outputs {
    fn drain(&self) {
        self.stdout.iter().chain([&self.stderr]).for_each(|pumped| pumped.output.drain());
    }

    /// Waits until both pipes have ended and everything from them was taken.
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

/// A process that we have started. Not `Send`: one thread signals it and reaps it.
struct Child {
    pid: Pid,
    /// Set once, when the process is reaped. The id may be somebody else's from then on.
    status: Cell<Option<ExitStatus>>,
    /// Notified when the end is to be expected, for those who cannot watch.
    dying: Notify,
}

impl Child {
    /// None if the system has no pidfds, or denies us one.
    fn pidfd(&self) -> Option<AsyncFd<OwnedFd>> {
        let pidfd = platform::pidfd_open(self.pid.as_raw()).ok()?;
        watch(pidfd).ok()
    }

    /// Resolves when the process has been reaped.
    async fn exited(&self, pidfd: Option<AsyncFd<OwnedFd>>) -> ExitStatus {
        if let Some(pidfd) = pidfd {
            while let Ok(mut readiness) = pidfd.readable().await {
                if let Some(status) = self.reap() {
                    return status;
                }
                readiness.clear_ready();
            }
        }
        // Before the first wait: it may have been reaped by somebody else, and no pidfd given for that.
        if let Some(status) = self.reap() {
            return status;
        }
        self.dying.notified().await;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(status) = self.reap() {
                return status;
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Reaps the process if it has ended; its status if it is reaped.
    fn reap(&self) -> Option<ExitStatus> {
        if self.status.get().is_none() {
            let status = match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, code)) => ExitStatus { code: Some(code), signal: None },
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    ExitStatus { code: None, signal: Some(signal.as_str()) }
                }
                Ok(_) | Err(Errno::EINTR) => return None,
                // ECHILD: somebody else has reaped it. EINVAL: reaped, a signal without a name ended it.
                Err(_) => ExitStatus { code: None, signal: None },
            };
            self.status.set(Some(status));
        }
        self.status.get()
    }

    /// Signals the process unless it has been reaped, by whomever: hence the look first.
    fn kill(&self, signal: Signal) {
        if self.reap().is_none() {
            // Fails only for a process that changed its user id.
            let _ = kill(self.pid, signal);
        }
        // In either case: a status that the look has found must be found by `exited` too.
        self.dying.notify_one();
    }
}
