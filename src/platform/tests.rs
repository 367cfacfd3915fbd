//! Each function as the modules above use it, against the real system.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::slice;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};

use super::sealed_bytes::UnusableMemory;
use super::*;

fn is_close_on_exec(fd: impl AsFd) -> bool {
    fcntl(fd, FcntlArg::F_GETFD).is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() != 0)
}

/// Says why a test ends early.
#[cfg(target_os = "linux")]
fn skipped() {
    println!("skipped: this sandbox denies memory with seals");
}

#[test]
fn every_descriptor_is_close_on_exec() {
    let (one, other) = socketpair().unwrap();
    let (reader, writer) = output_pipe().unwrap();
    let above = duplicate_above(&one, 40).unwrap();
    assert!(above.as_raw_fd() >= 40);
    let page = shared_page(64).unwrap();
    for fd in [&one, &other, &reader, &writer, &above, &page] {
        assert!(is_close_on_exec(fd));
    }
    assert!(is_close_on_exec(Waker::new().unwrap().fd()));
}

#[test]
fn a_page_carries_words_from_one_mapping_to_another() {
    assert!(shared_page(64).is_ok());
    for file in [os::sealed_memory(64), os::unnamed_file(64)].into_iter().flatten() {
        let one = SharedPage::map(&file, 64).unwrap();
        let other = SharedPage::map(&file, 64).unwrap();
        drop(file);
        assert_eq!(other.load(15), 0);
        one.store(15, 0xfeed_beef);
        assert_eq!(other.load(15), 0xfeed_beef);
    }
}

#[test]
fn a_page_is_never_mapped_beyond_its_file() {
    let file = shared_page(64).unwrap();
    assert!(SharedPage::map(&file, 65).is_err());
    assert!(SharedPage::map(&file, 0).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn bytes_that_were_sent_cannot_be_changed_by_anybody() {
    let Ok(file) = sealed_copy(b"some bytes") else { return skipped() };
    assert!(is_close_on_exec(&file));
    assert_eq!(nix::unistd::write(&file, b"x"), Err(Errno::EPERM));
    assert_eq!(nix::unistd::ftruncate(&file, 0), Err(Errno::EPERM));
    let one = MappedBytes::map(&file, 10).unwrap();
    let other = MappedBytes::map(&file, 10).unwrap();
    // SAFETY: a live mapping of 10 bytes.
    let bytes = unsafe { slice::from_raw_parts_mut(one.as_ptr(), one.len()) };
    assert_eq!(bytes, b"some bytes");
    bytes[0] = b'S';
    // SAFETY: as above.
    assert_eq!(unsafe { slice::from_raw_parts(other.as_ptr(), other.len()) }, b"some bytes");
}

#[test]
#[cfg(target_os = "linux")]
fn memory_that_could_change_or_is_too_short_is_not_mapped() {
    let Ok(file) = sealed_copy(b"some bytes") else { return skipped() };
    let refusal = |result: io::Result<MappedBytes>| {
        let error = result.unwrap_err();
        error.get_ref().and_then(|reason| reason.downcast_ref::<UnusableMemory>()).copied()
    };
    assert_eq!(refusal(MappedBytes::map(&file, 11)), Some(UnusableMemory::TooShort));
    assert_eq!(refusal(MappedBytes::map(&file, 0)), Some(UnusableMemory::Empty));
    let open = os::sealed_memory(64).unwrap();
    let open = refusal(MappedBytes::map(&open, 64));
    assert_eq!(open, Some(UnusableMemory::NotSealed), "its maker may still write to it");
    let (one, _other) = socketpair().unwrap();
    assert!(MappedBytes::map(&one, 1).is_err());
}

#[test]
#[cfg(target_os = "linux")]
fn memory_that_is_filled_piece_by_piece_is_read_as_a_whole_once_it_is_sealed() {
    let Ok(mut writer) = SealedWriter::new() else { return skipped() };
    assert_eq!(writer.append(b"one").unwrap(), 0);
    let len = writer.len();
    let place = writer.append(b"taken back").unwrap();
    assert_eq!((len, place), (3, 8), "pieces are aligned");
    writer.truncate(len);
    assert_eq!(writer.append(b"two").unwrap(), 8);
    let file = writer.seal().unwrap();
    assert!(is_close_on_exec(&file));
    assert_eq!(nix::unistd::write(&file, b"x"), Err(Errno::EPERM));
    assert_eq!(&*SealedView::map(&file).unwrap(), b"one\0\0\0\0\0two");
    assert!(SealedView::map(os::sealed_memory(64).unwrap()).is_err(), "its maker may still write to it");
    assert!(SealedView::map(SealedWriter::new().unwrap().seal().unwrap()).is_err(), "nothing is in it");
}

#[test]
#[cfg(target_os = "linux")]
fn sealed_memory_keeps_its_size() {
    let Ok(file) = os::sealed_memory(64) else { return skipped() };
    assert_eq!(nix::unistd::ftruncate(&file, 0), Err(Errno::EPERM));
    assert_eq!(nix::unistd::ftruncate(&file, 8192), Err(Errno::EPERM));
}

#[test]
fn a_cleared_waker_can_wake_again() {
    let waker = Waker::new().unwrap();
    let readable = || poll(&mut [PollFd::new(waker.fd(), PollFlags::POLLIN)], 0u8).unwrap() == 1;
    assert!(!readable());
    for _ in 0..2 {
        waker.wake();
        waker.wake();
        assert!(readable());
        waker.clear();
        assert!(!readable());
    }
}

#[test]
fn only_the_first_thread_is_the_main_thread() {
    assert!(!thread::spawn(is_main_thread).join().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn who_outlives_its_parent_gets_no_signal_at_its_end() {
    let asked_for = || {
        let mut signal = 0;
        // SAFETY: the kernel writes one number there.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) }, 0);
        signal
    };
    // SAFETY: sets a number that the kernel keeps for this process.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
    assert_eq!(asked_for(), libc::SIGKILL);
    outlive_parent();
    assert_eq!(asked_for(), 0);
}

#[test]
fn own_path_names_the_running_image() {
    let own = fs::canonicalize(own_path().unwrap()).unwrap();
    assert_eq!(own, fs::canonicalize(std::env::current_exe().unwrap()).unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn a_thread_is_woken_elsewhere_and_may_run_where_it_did_before() {
    use nix::sched::{sched_getaffinity, sched_getcpu, sched_setaffinity};
    use nix::unistd::gettid;

    use super::wake_elsewhere;

    // This thread stays where it is; the other one may run anywhere.
    let all = sched_getaffinity(gettid()).unwrap();
    let here = sched_getcpu().unwrap();
    let mut only_here = nix::sched::CpuSet::new();
    only_here.set(here).unwrap();
    let (tell_id, id) = std::sync::mpsc::channel();
    let (wake, woken) = std::sync::mpsc::channel::<()>();
    let sleeper = std::thread::spawn(move || {
        tell_id.send(gettid()).unwrap();
        woken.recv().unwrap_err();
    });
    let id = id.recv().unwrap();
    sched_setaffinity(gettid(), &only_here).unwrap();
    let mut others = all;
    others.unset(here).unwrap();
    // Where there is only one CPU, nothing changes.
    let elsewhere = if others == nix::sched::CpuSet::new() { all } else { others };
    assert_eq!(os::keep_away(id, &all, || sched_getaffinity(id)), Ok(elsewhere));
    assert_eq!(sched_getaffinity(id), Ok(all));
    // Neither does it while all CPUs are busy.
    let during = wake_elsewhere(Some(id.as_raw()), || sched_getaffinity(id)).unwrap();
    assert!(during == all || during == elsewhere, "{during:?}");
    assert_eq!(sched_getaffinity(id), Ok(all));
    drop(wake);
    sleeper.join().unwrap();
    assert_eq!(wake_elsewhere(Some(id.as_raw()), || 7), 7, "also where the thread is gone");
    assert_eq!(wake_elsewhere(None, || 8), 8);
}

#[test]
#[cfg(target_os = "linux")]
fn a_thread_is_fetched_to_this_cpu_and_may_run_where_it_did_before() {
    use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
    use std::time::Duration;

    use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
    use nix::unistd::{Pid, gettid};

    use super::fetch_thread;

    let cpus =
        |all: &CpuSet| (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu).unwrap()).collect::<Vec<_>>();
    let only = |cpu: usize| {
        let mut set = CpuSet::new();
        set.set(cpu).unwrap();
        set
    };
    let all = sched_getaffinity(gettid()).unwrap();
    let here = cpus(&all)[0];
    sched_setaffinity(gettid(), &only(here)).unwrap();
    let (id, is_over, was_here) = (AtomicI32::new(0), AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sched_setaffinity(gettid(), &all).unwrap();
            id.store(gettid().as_raw(), Ordering::SeqCst);
            while !is_over.load(Ordering::SeqCst) {
                was_here.fetch_or(sched_getcpu() == Ok(here), Ordering::SeqCst);
            }
        });
        while id.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let thread = id.load(Ordering::SeqCst);
        was_here.store(false, Ordering::SeqCst);
        while !was_here.load(Ordering::SeqCst) {
            fetch_thread(thread);
            // It has this CPU now, while this thread sleeps.
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = Pid::from_raw(thread);
        assert_eq!(sched_getaffinity(pid), Ok(all));
        if let Some(&other) = cpus(&all).get(1) {
            // One that may not run here stays where it is.
            sched_setaffinity(pid, &only(other)).unwrap();
            fetch_thread(thread);
            assert_eq!(sched_getaffinity(pid), Ok(only(other)));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    // Nothing happens where the thread is gone.
    fetch_thread(id.load(Ordering::SeqCst));
    sched_setaffinity(gettid(), &all).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_tells_how_many_threads_run() {
    assert_eq!(os::running_threads(b"0.20 0.18 0.12 3/80 11206\n"), Some(3));
    assert_eq!(os::running_threads(b"0.20 0.18"), None);
    assert!(super::runs_on(nix::unistd::gettid().as_raw()).is_some(), "this one runs");
    assert_eq!(os::parse_runs_on(b"7 (a) b) S 1 7"), None, "it sleeps");
    let fields: Vec<_> = (4..=52).map(|field| field.to_string()).collect();
    assert_eq!(os::parse_runs_on(format!("7 (a) R b) R {}", fields.join(" ")).as_bytes()), Some(39));
    let own = os::running_threads(&std::fs::read("/proc/loadavg").unwrap());
    assert!(own.is_some_and(|running| running > 0), "{own:?}");
}
