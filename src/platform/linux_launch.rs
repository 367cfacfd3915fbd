//! Linux: starts a program in a process that cannot outlive the thread that started it.
//!
//! `posix_spawn` cannot ask for that, and a child that asks for it itself, once its program runs, asks too late: its
//! parent may have been killed while it was still being loaded. So this does what `posix_spawn` does, with one step
//! more:
//!
//! 1. The parent prepares everything that needs memory: the arguments as C wants them, and a stack for the child. It
//!    blocks all signals, so that no handler of the parent runs in the child.
//! 2. `clone` with `CLONE_VM` and `CLONE_VFORK`: nothing of the parent's memory is copied, however much that is, and
//!    only the calling thread waits until the child has executed the program or failed.
//! 3. The child asks for SIGKILL at the death of its parent, and ends if that has died already.
//! 4. It resets its signals, places its descriptors, closes all others, and executes the program.
//! 5. If a step fails, it writes that to the memory that it shares, and ends; the parent reaps it.
//!
//! Two things to know of the request in step 3:
//!
//! - It is for the death of the *thread*. Whoever calls this has to live as long as the child is wanted.
//! - It holds on until the program clears it, see [`outlive_parent`]; a program with file capabilities, or one that
//!   changes its user, loses it.
//!
//! Must not depend on what the program is.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use libc::pid_t;
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};

use super::launch::{Launch, LaunchError, LaunchStep};

/// Far more than the child's few frames need, the largest of which holds [`ENTRIES`] bytes.
const STACK: usize = 64 * 1024;
/// The lowest part of the stack, which faults when it is touched. As large as the largest pages that Linux knows.
const GUARD: usize = 64 * 1024;
/// How many bytes of directory entries are read at once.
const ENTRIES: usize = 1024;
/// Signals are numbered from 1 to this.
const LAST_SIGNAL: c_int = 64;

/// The kernel's set of signals. (The C library's types and functions leave out the two that it uses itself.)
type SignalSet = u64;

/// The kernel's `struct sigaction`, larger on some machines than there. Only the handler is ever other than zero.
#[repr(C)]
struct SignalAction {
    handler: usize,
    rest: [u64; 4],
}

/// What the child is given: all that it needs, ready to be used.
struct Order<'a> {
    program: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    placements: &'a [(RawFd, RawFd)],
    first_unused: RawFd,
    ignored: &'a [c_int],
    parent: pid_t,
    close_range: bool,
    /// Written by the child if it cannot execute the program.
    failure: Cell<Option<LaunchError>>,
}

/// Starts the program; returns once it runs. It is killed when the calling thread ends.
///
/// With `close_range` the kernel closes the child's other descriptors in one step, if it can (Linux 5.9). Otherwise the
/// child reads in `/proc` which there are.
pub fn launch(launch: &Launch<'_>, close_range: bool) -> Result<Pid, LaunchError> {
    let argv = pointers(launch.argv.iter().map(|arg| arg.as_ptr()));
    let env = pointers(launch.env.iter().map(|variable| variable.as_ptr()));
    let placements: Vec<_> = launch.placements().collect();
    let ignored: Vec<_> = launch.ignored.iter().map(|&signal| signal as c_int).collect();
    let stack = Stack::new().map_err(LaunchError::at(LaunchStep::Prepare))?;
    let mut order = Order {
        program: launch.program.as_ptr(),
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        placements: &placements,
        first_unused: launch.first_unused(),
        ignored: &ignored,
        parent: getpid().as_raw(),
        close_range,
        failure: Cell::new(None),
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;

    let before = set_blocked(SignalSet::MAX);
    // SAFETY: `run` gets the only pointer to `order` and a stack of its own. It shares this memory, and this thread
    // does not go on before the child has executed the program or ended (CLONE_VFORK): everything that `order` points
    // to lives until then, and nobody else on this thread's side uses it meanwhile. What the other threads do does not
    // matter, since the child takes no lock and allocates nothing, see `run`.
    let started = unsafe { libc::clone(run, stack.top(), flags, (&raw mut order).cast()) };
    let started = Errno::result(started).map_err(LaunchError::at(LaunchStep::Start));
    set_blocked(before);

    let pid = Pid::from_raw(started?);
    match order.failure.get() {
        None => Ok(pid),
        Some(failure) => {
            // It ends at once. Nobody else knows of it, but a host may reap whatever there is.
            while waitpid(pid, None) == Err(Errno::EINTR) {}
            Err(failure)
        }
    }
}

/// This process is not killed any more when the thread that has started it ends.
pub fn outlive_parent() {
    // SAFETY: sets a number that the kernel keeps for this process. Fails only where there is nothing to clear.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// The child, from its first instruction on.
///
/// It runs in the memory of its parent, whose other threads go on. So whatever is called here is async-signal-safe: a
/// system call, or the thin function of the C library around one. It takes no lock, allocates nothing, and cannot
/// panic. The only memory that it changes is its own stack, `errno` of the thread that waits for it, and
/// `Order::failure`.
extern "C" fn run(order: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a pointer to an `Order` which lives, and which only this function uses, until this
    // process has executed the program or ended.
    let order = unsafe { &*order.cast::<Order<'_>>() };
    order.failure.set(Some(execute(order)));
    // SAFETY: ends this process only: there are no other threads in it. It runs no handlers of the parent's exit.
    unsafe { libc::_exit(127) }
}

/// Returns only if a step has failed.
fn execute(order: &Order<'_>) -> LaunchError {
    let failed = |step| LaunchError { step, errno: Errno::last() };

    // SAFETY: sets a number that the kernel keeps for this process. Where a sandbox denies it, the worker's own
    // watchdog has to do.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: only asks for a number.
    let parent = unsafe { libc::getppid() };
    // It died before the request: nobody waits for this process. (0 is a parent outside of this PID namespace.)
    if parent != order.parent && parent != 0 {
        // SAFETY: as in `run`.
        unsafe { libc::_exit(127) };
    }

    for signal in 1..=LAST_SIGNAL {
        let is_ignored = order.ignored.contains(&signal);
        set_action(signal, if is_ignored { libc::SIG_IGN } else { libc::SIG_DFL });
    }
    for &(source, place) in order.placements {
        // SAFETY: gives a descriptor another number in this process, whose table of them is its own.
        if unsafe { libc::dup2(source, place) } < 0 {
            return failed(LaunchStep::Descriptors);
        }
    }
    let is_closed = order.close_range && close_range(order.first_unused);
    if !is_closed && !close_listed(order.first_unused) {
        return failed(LaunchStep::Descriptors);
    }
    // Only now: the handlers of the parent are gone.
    set_blocked(0);
    // SAFETY: all three are, or end in, null-terminated strings and lists that outlive the call.
    unsafe { libc::execve(order.program, order.argv, order.env) };
    failed(LaunchStep::Execute)
}

/// Sets which signals are blocked for this thread, and returns which were.
fn set_blocked(blocked: SignalSet) -> SignalSet {
    let mut before: SignalSet = 0;
    // SAFETY: both sets are of the size that is passed. It cannot fail, with these arguments.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const blocked,
            &raw mut before,
            size_of::<SignalSet>(),
        )
    };
    before
}

/// Sets what this process does about a signal. Fails for the two for which that cannot be set.
fn set_action(signal: c_int, handler: usize) {
    let action = SignalAction { handler, rest: [0; 4] };
    // SAFETY: `action` begins as the kernel's type does and is no shorter, no old one is asked for, and the size is
    // that of the kernel's set. Ignoring and the default install no code.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &raw const action,
            ptr::null_mut::<SignalAction>(),
            size_of::<SignalSet>(),
        )
    };
}

/// Closes all descriptors of the child from `first` up. False where the kernel cannot, or may not.
fn close_range(first: RawFd) -> bool {
    // SAFETY: takes numbers; the child needs none of these descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) == 0 }
}

/// Closes all descriptors of the child from `first` up, as `/proc` lists them. False, with `errno`, if that cannot be
/// read.
fn close_listed(first: RawFd) -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a null-terminated path.
    let list = unsafe { libc::open(c"/proc/self/fd".as_ptr(), flags) };
    if list < 0 {
        return false;
    }
    // The kernel writes its 64-bit numbers at multiples of 8.
    let mut entries = [0u64; ENTRIES / 8];
    loop {
        // SAFETY: the kernel writes at most as many bytes as `entries` has.
        let count = unsafe { libc::syscall(libc::SYS_getdents64, list, entries.as_mut_ptr(), ENTRIES) };
        let Ok(count) = usize::try_from(count) else { return false };
        if count == 0 {
            break;
        }
        // SAFETY: any value is valid for a byte, and these are within `entries`, which lives longer.
        let bytes = unsafe { std::slice::from_raw_parts(entries.as_ptr().cast::<u8>(), count.min(ENTRIES)) };
        // The list goes by the number, so that what is closed here does not shift what is still to come.
        for number in Numbers(bytes) {
            if number >= first && number != list {
                // SAFETY: the child needs none of these descriptors.
                unsafe { libc::close(number) };
            }
        }
    }
    // SAFETY: opened above. (It is at `first` or above, or has the number of one that the child was not given.)
    unsafe { libc::close(list) };
    true
}

/// The names in directory entries that are numbers.
struct Numbers<'a>(&'a [u8]);

/// Where a `struct linux_dirent64` has its length and its name.
const LENGTH_AT: usize = 16;
const NAME_AT: usize = 19;

impl Iterator for Numbers<'_> {
    type Item = RawFd;

    fn next(&mut self) -> Option<RawFd> {
        loop {
            let length = self.0.get(LENGTH_AT..LENGTH_AT + 2)?;
            let length = usize::from(u16::from_ne_bytes([*length.first()?, *length.get(1)?]));
            let (entry, rest) = self.0.split_at_checked(length)?;
            self.0 = rest;
            let number = entry.get(NAME_AT..)?.iter().take_while(|&&byte| byte != 0).try_fold(
                0,
                |number: RawFd, byte| {
                    let digit = char::from(*byte).to_digit(10)?;
                    number.checked_mul(10)?.checked_add_unsigned(digit)
                },
            );
            if number.is_some() {
                return number;
            }
        }
    }
}

/// A list of C strings, as C wants it. The strings have to live as long as it is used.
fn pointers(strings: impl Iterator<Item = *const c_char>) -> Vec<*const c_char> {
    strings.chain([ptr::null()]).collect()
}

/// Memory for a child's stack.
struct Stack {
    /// Invariant: the start of a live mapping of `GUARD + STACK` bytes, the first `GUARD` of which are inaccessible.
    base: NonNull<c_void>,
}

impl Stack {
    const LEN: NonZeroUsize = NonZeroUsize::new(GUARD + STACK).unwrap();

    fn new() -> Result<Stack, Errno> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, placed by the kernel, aliases nothing.
        let base = unsafe { mmap_anonymous(None, Stack::LEN, access, flags)? };
        let stack = Stack { base };
        // SAFETY: this part of the new mapping is used by nobody, and never will be.
        unsafe { mprotect(base, GUARD, ProtFlags::PROT_NONE)? };
        Ok(stack)
    }

    /// Where it begins: it grows downward. Aligned as any machine wants it, being the end of a page.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.base.as_ptr().byte_add(Stack::LEN.get()) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped. The child that used it has its own memory by now, or is gone.
        let unmapped = unsafe { munmap(self.base, Stack::LEN.get()) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}
