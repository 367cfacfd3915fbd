//! Real processes (`/bin/sh`), in every way that the supervisor can handle them.

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{self, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::supervisor::Settings;
use super::*;
use crate::platform;

/// Only reached by a test that fails.
const FOREVER: Duration = Duration::from_secs(60);

/// With everything, without pidfds, and without a system call that closes descriptors in one step.
fn all_settings() -> [Settings; 3] {
    let all = Settings::default();
    [all.clone(), Settings { pidfd: false, ..all.clone() }, Settings { close_range: false, ..all }]
}

fn spec(script: &str, stdout: Stdout, stderr: Stderr) -> SpawnSpec {
    let args = ["-c", script].map(|arg| CString::new(arg).unwrap()).into();
    SpawnSpec { program: c"/bin/sh".into(), args, env: vec![c"PATH=/usr/bin:/bin".into()], stdout, stderr }
}

/// One loop with one worker: what a pool does, in small.
struct Worker<'a> {
    supervisor: &'a Supervisor,
    ticket: Ticket,
    route: Arc<Route>,
    mailbox: Arc<Mailbox>,
    /// Blocking, unlike a real one, because shells expect that.
    channel: UnixStream,
    /// Whether the supervisor has been told that the channel has ended.
    is_told: bool,
    /// Taken from the mailbox, in order.
    events: Vec<ProcessEvent>,
}

impl Worker<'_> {
    fn quiet<'a>(supervisor: &'a Supervisor, script: &str) -> Worker<'a> {
        Worker::spawn(supervisor, spec(script, Stdout::Ignore, Stderr::Ignore))
    }

    fn spawn(supervisor: &Supervisor, spec: SpawnSpec) -> Worker<'_> {
        let (channel, end) = UnixStream::pair().unwrap();
        Worker::spawn_with(supervisor, spec, channel, Descriptors { channel: end.into(), page: None })
    }

    fn spawn_with(
        supervisor: &Supervisor,
        spec: SpawnSpec,
        channel: UnixStream,
        descriptors: Descriptors,
    ) -> Worker<'_> {
        let (ticket, mailbox) = (Ticket::next(), Mailbox::new().unwrap());
        let route = Route::new(ticket, Arc::clone(&mailbox));
        supervisor.spawn(Arc::clone(&route), Arc::new(spec), descriptors, None);
        Worker { supervisor, ticket, route, mailbox, channel, is_told: false, events: Vec::new() }
    }

    /// Waits for events and takes them. Meanwhile it watches for the end of the channel.
    fn turn(&mut self) -> &[ProcessEvent] {
        let known = self.events.len();
        while self.events.len() == known {
            let timeout = PollTimeout::try_from(FOREVER).unwrap();
            let mut polled = vec![PollFd::new(self.mailbox.fd(), PollFlags::POLLIN)];
            if !self.is_told {
                polled.push(PollFd::new(self.channel.as_fd(), PollFlags::empty()));
            }
            assert_ne!(poll(&mut polled, timeout), Ok(0), "no event came after {:?}", self.events);
            if polled.get(1).and_then(PollFd::any) == Some(true) {
                self.is_told = true;
                self.supervisor.channel_ended(self.ticket);
            }
            self.events.extend(self.mailbox.drain());
        }
        &self.events[known..]
    }

    /// Waits for the last event of the ticket, and checks that it is the last.
    fn exited(&mut self) -> (ExitStatus, &[u8]) {
        while !matches!(self.events.last(), Some(ProcessEvent::Exited { .. })) {
            self.turn();
        }
        let (last, earlier) = self.events.split_last().unwrap();
        let ProcessEvent::Exited { ticket, status, stderr_tail } = last else { unreachable!() };
        assert_eq!(*ticket, self.ticket);
        assert!(matches!(earlier[0], ProcessEvent::Spawned { .. }));
        assert!(earlier[1..].iter().all(|event| matches!(event, ProcessEvent::Output { .. })));
        (*status, stderr_tail)
    }

    fn code(&mut self) -> Option<i32> {
        self.exited().0.code
    }

    fn failed(&mut self) -> (Errno, String) {
        self.turn();
        match &self.events[..] {
            [ProcessEvent::SpawnFailed { error, .. }] => (error.errno, error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn pid(&mut self) -> Pid {
        while self.events.is_empty() {
            self.turn();
        }
        assert!(matches!(self.events[0], ProcessEvent::Spawned { .. }), "{:?}", self.events);
        Pid::from_raw(self.route.pid().unwrap())
    }

    fn output(&self, of: Stream) -> Vec<u8> {
        let pieces = self.events.iter().filter_map(|event| match event {
            ProcessEvent::Output { stream, bytes, .. } if *stream == of => Some(&bytes[..]),
            _ => None,
        });
        pieces.collect::<Vec<_>>().concat()
    }

    /// Waits until the supervisor holds nothing more for this worker.
    fn forgotten(self) {
        let deadline = Instant::now() + FOREVER;
        while Arc::strong_count(&self.route) > 1 {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    }

    /// What was written to the channel, up to its end.
    fn said(&mut self) -> String {
        let mut text = String::new();
        self.channel.read_to_string(&mut text).unwrap();
        text
    }
}

/// Runs the body in a process of its own, so that it may do with its descriptors what it likes. An environment variable
/// tells the test that it is that process.
fn in_own_process(test: &str, limits: &str, body: impl FnOnce()) {
    const PASSED: i32 = 42;
    if env::var_os("PARALLELIZER_TEST_ALONE").is_some() {
        body();
        process::exit(PASSED);
    }
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let script = format!("{limits} exec \"$0\" --exact --nocapture --test-threads=1 {path}");
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).arg(env::current_exe().unwrap()).env("PARALLELIZER_TEST_ALONE", "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(PASSED), "{said}");
}

fn inheritable(fd: impl AsFd) {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
}

fn nonblocking(fd: impl AsFd) {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn the_exit_code_is_reported() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let mut worker = Worker::quiet(&supervisor, "exit 5");
        assert_eq!(worker.exited().0, ExitStatus { code: Some(5), signal: None });
    }
}

#[test]
fn the_signal_is_reported_by_name() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        for signal in [Signal::SIGKILL, Signal::SIGUSR1] {
            let mut worker = Worker::quiet(&supervisor, "exec sleep 1000");
            worker.pid();
            supervisor.kill(worker.ticket, signal);
            assert_eq!(worker.exited().0, ExitStatus { code: None, signal: Some(signal.as_str()) });
        }
    }
}

#[test]
fn a_death_is_noticed_without_being_told_where_there_are_pidfds() {
    if let Err(error) = platform::pidfd_open(process::id() as i32) {
        println!("skipped: there are no pidfds: {error}");
        return;
    }
    let supervisor = Supervisor::get().unwrap();
    let mut worker = Worker::quiet(supervisor, "kill -SEGV $$");
    worker.is_told = true;
    assert_eq!(worker.exited().0.signal, Some("SIGSEGV"));
    assert!(std::ptr::eq(supervisor, Supervisor::get().unwrap()));
}

#[test]
fn a_worker_that_somebody_else_reaped_has_no_status() {
    let supervisor = Supervisor::start(Settings { pidfd: false, ..Settings::default() }).unwrap();
    let mut worker = Worker::quiet(&supervisor, "read line <&3; exit 5");
    let pid = worker.pid();
    // The supervisor looks once after the spawn; once another worker has come and gone, that is long past.
    assert_eq!(Worker::quiet(&supervisor, "exit 3").code(), Some(3));
    worker.channel.write_all(b"now\n").unwrap();
    waitpid(pid, None).unwrap();
    assert_eq!(worker.exited().0, ExitStatus { code: None, signal: None });
}

#[test]
fn a_kill_that_comes_too_late_leaves_the_status_alone() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let mut worker = Worker::quiet(&supervisor, "read line <&3; exit 5");
        worker.is_told = true;
        let stat = format!("/proc/{}/stat", worker.pid());
        assert_eq!(Worker::quiet(&supervisor, "exit 3").code(), Some(3));
        worker.channel.write_all(b"now\n").unwrap();
        // It is a zombie, or was reaped already.
        let deadline = Instant::now() + FOREVER;
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        supervisor.kill(worker.ticket, Signal::SIGKILL);
        assert_eq!(worker.code(), Some(5));
    }
}

#[test]
fn commands_for_a_worker_that_is_gone_are_ignored() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let mut worker = Worker::quiet(&supervisor, "exit 0");
    worker.exited();
    supervisor.kill(worker.ticket, Signal::SIGKILL);
    supervisor.channel_ended(worker.ticket);
    supervisor.kill(Ticket::next(), Signal::SIGKILL);
    assert_eq!(Worker::quiet(&supervisor, "exit 3").code(), Some(3));
}

#[test]
fn a_worker_that_merely_closed_its_channel_is_killed() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let mut worker = Worker::quiet(&supervisor, "exec sleep 1000 3>&-");
        assert_eq!(worker.exited().0.signal, Some("SIGKILL"));
    }
}

#[test]
fn a_worker_that_closed_its_channel_on_its_way_out_keeps_its_status() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(Settings { exit_grace: FOREVER, ..settings }).unwrap();
        let mut worker = Worker::quiet(&supervisor, "exec 3>&-; sleep 0.2; exit 7");
        assert_eq!(worker.code(), Some(7));
    }
}

#[test]
fn a_worker_that_was_dismissed_and_goes_on_is_killed() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let mut worker = Worker::quiet(&supervisor, "exec sleep 1000");
        worker.pid();
        supervisor.dismissed(worker.ticket);
        assert_eq!(worker.exited().0.signal, Some("SIGKILL"));
    }
}

#[test]
fn a_silent_worker_is_killed_unless_a_debugger_may_be_attached() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let mut worker = Worker::quiet(&supervisor, "exec sleep 1000");
    worker.pid();
    supervisor.kill_silent(worker.ticket);
    assert_eq!(worker.exited().0.signal, Some("SIGKILL"));

    let script = "echo Debugger listening on ws://127.0.0.1:1/x >&2; exec sleep 1000";
    let mut worker = Worker::spawn(&supervisor, spec(script, Stdout::Ignore, Stderr::Forward));
    while worker.output(Stream::Stderr).is_empty() {
        worker.turn();
    }
    supervisor.kill_silent(worker.ticket);
    assert!(matches!(worker.turn(), [ProcessEvent::Debugged { .. }]));
    supervisor.kill(worker.ticket, Signal::SIGKILL);
    worker.events.pop();
    assert_eq!(worker.exited().0.signal, Some("SIGKILL"));
}

#[test]
fn a_kill_that_is_not_allowed_is_reported() {
    // SAFETY: only asks.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can give up its rights");
        return;
    }
    in_own_process("a_kill_that_is_not_allowed_is_reported", "", || {
        let supervisor = Supervisor::start(Settings::default()).unwrap();
        let mut worker = Worker::quiet(&supervisor, "read line <&3; exit 5");
        worker.pid();
        // SAFETY: this process only runs this test.
        assert_eq!(unsafe { libc::setuid(65_534) }, 0);
        supervisor.kill(worker.ticket, Signal::SIGKILL);
        assert!(matches!(worker.turn(), [ProcessEvent::KillFailed { errno: Errno::EPERM, .. }]));
        // It can be reaped all the same.
        worker.events.pop();
        worker.channel.write_all(b"now\n").unwrap();
        assert_eq!(worker.code(), Some(5));
    });
}

#[test]
fn the_last_4_kib_of_stderr_come_with_the_exit() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    for stderr in [Stderr::Forward, Stderr::Ignore] {
        let script = "seq 1 3000 >&2; exit 1";
        let mut worker = Worker::spawn(&supervisor, spec(script, Stdout::Ignore, stderr));
        let (status, tail) = worker.exited();
        assert_eq!(status.code, Some(1));
        assert_eq!(tail, &numbers(3000).as_bytes()[numbers(3000).len() - 4096..]);
    }
    let mut worker = Worker::quiet(&supervisor, "printf short >&2");
    assert_eq!(worker.exited().1, b"short");
}

/// What `seq 1 count` prints.
fn numbers(count: usize) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

#[test]
fn forwarded_output_is_complete_and_in_order() {
    let expected = numbers(180_000);
    assert!(expected.len() > 1024 * 1024);
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let script = "seq 1 180000 & seq 1 180000 >&2; wait; exit 4";
        let mut worker = Worker::spawn(&supervisor, spec(script, Stdout::Forward, Stderr::Forward));
        assert_eq!(worker.code(), Some(4));
        assert!(worker.output(Stream::Stdout) == expected.as_bytes());
        assert!(worker.output(Stream::Stderr) == expected.as_bytes());
    }
}

#[test]
fn a_loop_that_does_not_look_is_not_flooded() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let mut worker =
        Worker::spawn(&supervisor, spec("seq 1 180000; exit 4", Stdout::Forward, Stderr::Ignore));
    let mut largest = 0;
    while !matches!(worker.events.last(), Some(ProcessEvent::Exited { .. })) {
        thread::sleep(Duration::from_millis(2));
        let sizes = worker.turn().iter().map(|event| match event {
            ProcessEvent::Output { bytes, .. } => bytes.len(),
            _ => 0,
        });
        largest = largest.max(sizes.sum());
    }
    // One piece while it runs; one more, and what the pipe holds, once it has exited.
    assert!(largest <= 2 * 64 * 1024, "{largest} bytes waited");
    assert!(worker.output(Stream::Stdout) == numbers(180_000).as_bytes());
}

#[test]
fn output_that_nobody_takes_does_not_hold_the_exit_up() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(Settings { exit_grace: FOREVER, ..settings }).unwrap();
        // One piece waits; the rest is in the pipe when the worker exits.
        let script = "echo hello; sleep 0.1; seq 1 10000; exit 4";
        let mut worker = Worker::spawn(&supervisor, spec(script, Stdout::Forward, Stderr::Ignore));
        let pid = worker.pid();
        supervisor.channel_ended(worker.ticket);
        let deadline = Instant::now() + FOREVER;
        while kill(pid, None) != Err(Errno::ESRCH) {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(worker.code(), Some(4));
        assert!(worker.output(Stream::Stdout) == format!("hello\n{}", numbers(10_000)).as_bytes());
    }
}

#[test]
fn stderr_is_written_through_to_a_full_pipe_without_holding_anybody_up() {
    for full_is_nonblocking in [true, false] {
        let (mut terminal, stderr) = io::pipe().unwrap();
        if full_is_nonblocking {
            nonblocking(&stderr);
        }
        let settings = Settings { stderr: Arc::new(stderr), ..Settings::default() };
        let supervisor = Supervisor::start(settings).unwrap();
        let script = "seq 1 180000 >&2; exit 4";
        let mut noisy = Worker::spawn(&supervisor, spec(script, Stdout::Ignore, Stderr::Inherit));
        noisy.pid();
        // Nobody reads the terminal yet, and the supervisor serves others all the same.
        for _ in 0..3 {
            assert_eq!(Worker::quiet(&supervisor, "exit 3").code(), Some(3));
        }
        let expected = numbers(180_000);
        let mut written = vec![0; expected.len()];
        terminal.read_exact(&mut written).unwrap();
        assert!(written == expected.as_bytes());
        let (status, tail) = noisy.exited();
        assert_eq!(status.code, Some(4));
        assert_eq!(tail, &expected.as_bytes()[expected.len() - 4096..]);
    }
}

#[test]
fn stderr_that_nobody_reads_is_dropped() {
    let (terminal, stderr) = io::pipe().unwrap();
    drop(terminal);
    let supervisor = Supervisor::start(Settings { stderr: Arc::new(stderr), ..Settings::default() }).unwrap();
    let mut worker =
        Worker::spawn(&supervisor, spec("seq 1 180000 >&2; exit 4", Stdout::Ignore, Stderr::Inherit));
    assert_eq!(worker.code(), Some(4));
}

#[test]
fn a_grandchild_that_holds_the_pipes_does_not_hold_the_exit_up() {
    for settings in all_settings() {
        let (mut terminal, stderr) = io::pipe().unwrap();
        let settings = Settings { stderr: Arc::new(stderr), exit_grace: FOREVER, ..settings };
        let supervisor = Supervisor::start(settings).unwrap();
        // The grandchild lives until the channel brings it a line.
        let script = "(read line <&3; echo lost; echo late >&2; echo done >&3) & echo early >&2; exit 3";
        let mut worker = Worker::spawn(&supervisor, spec(script, Stdout::Forward, Stderr::Inherit));
        // It holds the channel too, so that does not end; the supervisor is told nevertheless.
        supervisor.channel_ended(worker.ticket);
        let (status, tail) = worker.exited();
        assert_eq!((status.code, tail), (Some(3), &b"early\n"[..]));
        // What it writes afterwards is passed through, and nothing more arrives in the mailbox.
        worker.channel.write_all(b"now\n").unwrap();
        assert_eq!(worker.said(), "done\n");
        let mut written = [0; 11];
        terminal.read_exact(&mut written).unwrap();
        assert_eq!(&written, b"early\nlate\n");
        assert!(worker.mailbox.drain().is_empty());
    }
}

/// Writes to the channel which descriptors the shell has, and what they are.
const LIST: &str = r#"for f in /proc/$$/fd/*; do [ -e $f ] && echo "${f##*/} $(readlink $f)" >&3; done"#;

#[test]
fn a_child_gets_its_own_descriptors_and_nothing_else() {
    let hosts: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
    hosts.iter().for_each(inheritable);
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        for page in [false, true] {
            let (channel, end) = UnixStream::pair().unwrap();
            let page = page.then(|| platform::shared_page(64).unwrap());
            let mut expected = vec!["0 /dev/null", "1 /dev/null", "2 pipe:", "3 socket:"];
            expected.extend(page.as_ref().map(|_| "4 /"));
            let spec = spec(LIST, Stdout::Ignore, Stderr::Ignore);
            let mut worker =
                Worker::spawn_with(&supervisor, spec, channel, Descriptors { channel: end.into(), page });
            let said = worker.said();
            assert_eq!(said.lines().count(), expected.len(), "{said}");
            assert!(said.lines().zip(expected).all(|(line, start)| line.starts_with(start)), "{said}");
        }
    }
}

#[test]
fn sources_may_bear_the_numbers_of_the_places() {
    in_own_process("sources_may_bear_the_numbers_of_the_places", "", || {
        // First away from those numbers, so that each of them has one owner.
        let away = |fd: OwnedFd| platform::duplicate_above(&fd, 10).unwrap();
        let (channel, end) = UnixStream::pair().unwrap();
        let (channel, end) = (away(channel.into()), away(end.into()));
        let page = away(platform::shared_page(64).unwrap());
        for (fd, number) in [(end, PAGE_FD), (page, CHANNEL_FD)] {
            // SAFETY: this process only runs this test, which owns whatever had these numbers.
            assert_eq!(unsafe { libc::dup2(fd.as_raw_fd(), number) }, number);
        }
        // SAFETY: as above, and each number is owned once.
        let [end, page] = [PAGE_FD, CHANNEL_FD].map(|number| unsafe { OwnedFd::from_raw_fd(number) });
        let descriptors = Descriptors { channel: end, page: Some(page) };
        let supervisor = Supervisor::start(Settings::default()).unwrap();
        let spec = spec(LIST, Stdout::Ignore, Stderr::Ignore);
        let mut worker = Worker::spawn_with(&supervisor, spec, channel.into(), descriptors);
        let said = worker.said();
        assert!(said.contains("3 socket:") && said.contains("4 /"), "{said}");
    });
}

#[test]
fn the_parents_standard_descriptors_may_be_closed() {
    in_own_process("the_parents_standard_descriptors_may_be_closed", "", || {
        let supervisor = Supervisor::start(Settings::default()).unwrap();
        assert_eq!(Worker::quiet(&supervisor, "exit 3").code(), Some(3));
        let (channel, end) = UnixStream::pair().unwrap();
        let mailbox = Mailbox::new().unwrap();
        for number in 0..3 {
            // SAFETY: this process only runs this test, which does not need to print.
            unsafe { libc::close(number) };
        }
        let spec = Arc::new(spec(LIST, Stdout::Inherit, Stderr::Forward));
        let descriptors = Descriptors { channel: end.into(), page: None };
        supervisor.spawn(Route::new(Ticket::next(), mailbox), spec, descriptors, None);
        let said = io::read_to_string(&channel).unwrap();
        let starts = ["0 /dev/null", "1 /dev/null", "2 pipe:", "3 socket:"];
        assert!(said.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{said}");
        assert_eq!(said.lines().count(), starts.len(), "{said}");
    });
}

#[test]
fn the_child_starts_with_no_signal_blocked_and_ignores_what_is_for_its_parent() {
    // The test harness ignores SIGPIPE, and the supervisor's thread blocks everything.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(!own.contains("SigIgn:\t0000000000000000"));
    let for_parent = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    let for_parent = for_parent.iter().fold(0, |set, &signal| set | 1u64 << (signal as u32 - 1));
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let mut worker = Worker::quiet(&supervisor, "exec grep ^Sig /proc/self/status >&3");
    let said = worker.said();
    let set = |name: &str| {
        let set = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(set, 16).unwrap()
    };
    assert_eq!(set("SigBlk:\t"), 0, "{said}");
    assert_eq!(set("SigIgn:\t"), for_parent, "{said}");
}

#[test]
fn a_worker_ends_with_the_thread_that_started_it_even_while_it_boots() {
    for settings in all_settings() {
        let supervisor = Supervisor::start(settings).unwrap();
        let mut worker = Worker::quiet(&supervisor, "trap '' TERM HUP INT; echo >&3; read line <&3");
        let pid = worker.pid();
        let mut said = [0; 1];
        worker.channel.read_exact(&mut said).unwrap();
        // The channel stays open, and nobody is left who could kill or reap it.
        let Worker { channel, .. } = worker;
        drop(supervisor);
        let deadline = Instant::now() + FOREVER;
        let mut status = WaitStatus::StillAlive;
        while status == WaitStatus::StillAlive {
            assert!(Instant::now() < deadline, "it goes on");
            thread::sleep(Duration::from_millis(1));
            status = waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap();
        }
        assert_eq!(status, WaitStatus::Signaled(pid, Signal::SIGKILL, false));
        drop(channel);
    }
}

#[test]
fn no_worker_is_left_by_a_parent_that_is_killed_at_any_moment() {
    const SELF: &str = "PARALLELIZER_TEST_SPAWNS";
    if env::var_os(SELF).is_some() {
        let supervisor = Supervisor::start(Settings::default()).unwrap();
        println!("started");
        let mut workers = Vec::new();
        loop {
            let spec = spec("exec sleep 1000", Stdout::Inherit, Stderr::Ignore);
            workers.push(Worker::spawn(&supervisor, spec));
            workers.last_mut().unwrap().pid();
        }
    }
    let name = "process::tests::no_worker_is_left_by_a_parent_that_is_killed_at_any_moment";
    for micros in (0..10_000).step_by(700) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", name]).env(SELF, "1").stdout(process::Stdio::piped());
        let mut parent = command.spawn().unwrap();
        let mut stdout = parent.stdout.take().unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"started\n") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            said.extend(byte);
        }
        thread::sleep(Duration::from_micros(micros));
        parent.kill().unwrap();
        parent.wait().unwrap();
        // Whoever is left has inherited its standard output.
        let mut ended = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ended, PollTimeout::try_from(FOREVER).unwrap()), Ok(1), "a worker is left");
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_program_that_is_not_there_is_a_failure_with_its_name() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    for (program, errno, said) in [
        (c"/nonexistent/node", Errno::ENOENT, "spawn /nonexistent/node: ENOENT: No such file or directory"),
        (c"/etc/passwd", Errno::EACCES, "spawn /etc/passwd: EACCES: Permission denied"),
    ] {
        let mut spec = spec("", Stdout::Forward, Stderr::Forward);
        spec.program = program.into();
        let mut worker = Worker::spawn(&supervisor, spec);
        assert_eq!(worker.failed(), (errno, said.to_owned()));
        // The child's end was closed.
        assert_eq!(worker.said(), "");
    }
}

#[test]
fn no_descriptor_left_is_a_failure_and_leaks_none() {
    in_own_process("no_descriptor_left_is_a_failure_and_leaks_none", "ulimit -n 64;", || {
        let supervisor = Supervisor::start(Settings::default()).unwrap();
        let script = || spec("exit 3", Stdout::Forward, Stderr::Forward);
        let mut first = Worker::spawn(&supervisor, script());
        assert_eq!(first.code(), Some(3));
        first.forgotten();
        let mut hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // For the loop's side: a mailbox, and both ends of the channel.
        hoard.truncate(hoard.len() - 3);
        // Whichever step finds none left, the error is the same, and the next worker gets further.
        let mut failures = 0;
        loop {
            let mut worker = Worker::spawn(&supervisor, script());
            worker.turn();
            let ProcessEvent::SpawnFailed { error, .. } = &worker.events[0] else { break };
            assert_eq!(error.errno, Errno::EMFILE, "{error}");
            failures += 1;
            worker.forgotten();
            hoard.pop().unwrap();
        }
        // At least two pipes and the null device.
        assert!(failures >= 5, "{failures}");
    });
}

#[test]
fn two_hundred_workers_leave_no_descriptor_behind() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let before = open_descriptors();
    for round in 0..200 {
        let mut spec = spec("exit 3", Stdout::Forward, Stderr::Forward);
        if round % 4 == 0 {
            spec.program = c"/nonexistent/node".into();
            Worker::spawn(&supervisor, spec).failed();
        } else {
            assert_eq!(Worker::spawn(&supervisor, spec).code(), Some(3));
        }
    }
    // Other tests in this process have some open meanwhile.
    let deadline = Instant::now() + FOREVER;
    while open_descriptors() > before + 100 {
        assert!(Instant::now() < deadline, "{before} became {}", open_descriptors());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_process_may_change_hands_and_no_event_is_lost() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let (ticket, first, second) = (Ticket::next(), Mailbox::new().unwrap(), Mailbox::new().unwrap());
    let route = Route::new(ticket, Arc::clone(&first));
    let (mut channel, end) = UnixStream::pair().unwrap();
    let descriptors = Descriptors { channel: end.into(), page: None };
    let spec = spec("echo one; read go <&3; echo two; exit 4", Stdout::Forward, Stderr::Ignore);
    let guard = Arc::new(());
    let lives = Arc::clone(&guard);
    supervisor.spawn(Arc::clone(&route), Arc::new(spec), descriptors, Some(Box::new(lives)));
    // Events that have arrived and were not taken must reach whoever gets the process next.
    let mut ready = [PollFd::new(first.fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(60_000u16)), Ok(1));
    route.detach();
    assert!(first.drain().is_empty());
    channel.write_all(b"go\n").unwrap();
    assert_eq!(Arc::strong_count(&guard), 2, "it lives");
    route.attach(Arc::clone(&second));
    let mut worker = Worker {
        supervisor: &supervisor,
        ticket,
        route,
        mailbox: second,
        channel,
        is_told: false,
        events: Vec::new(),
    };
    assert_eq!(worker.code(), Some(4));
    assert!(matches!(worker.events[0], ProcessEvent::Spawned { .. }), "{:?}", worker.events);
    assert_eq!(worker.output(Stream::Stdout), b"one\ntwo\n");
    assert!(first.drain().is_empty());
    assert_eq!(Arc::strong_count(&guard), 1, "dropped before the last event");
    worker.forgotten();
}

#[test]
fn the_guard_of_a_process_that_cannot_start_is_dropped() {
    let supervisor = Supervisor::start(Settings::default()).unwrap();
    let mailbox = Mailbox::new().unwrap();
    let (_channel, end) = UnixStream::pair().unwrap();
    let nowhere = SpawnSpec { program: c"/nonexistent".into(), ..spec("", Stdout::Ignore, Stderr::Ignore) };
    let guard = Arc::new(());
    let route = Route::new(Ticket::next(), Arc::clone(&mailbox));
    let descriptors = Descriptors { channel: end.into(), page: None };
    supervisor.spawn(route, Arc::new(nowhere), descriptors, Some(Box::new(Arc::clone(&guard))));
    let mut ready = [PollFd::new(mailbox.fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(60_000u16)), Ok(1));
    assert!(matches!(mailbox.drain()[..], [ProcessEvent::SpawnFailed { .. }]));
    assert_eq!(Arc::strong_count(&guard), 1);
}
