use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::descriptors::MAX_WAITING;
use super::outgoing::Limits;
use super::*;
use crate::wire::{Encoding, FrameHeader, FrameWriter, Kind, PART_ATTACHED, PartHeader};

pub fn pair() -> (Channel, Channel) {
    let (one, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    (Channel::new(OwnedFd::from(one)), Channel::new(OwnedFd::from(two)))
}

pub fn frame(id: u32, bytes: &[u8]) -> Vec<u8> {
    let mut writer = FrameWriter::new(FrameHeader { chunk_id: id, ..FrameHeader::of(Kind::Calls) });
    writer.part(PartHeader { encoding: Encoding::Bytes, codec: 0, flags: 0, calls: 1, tag: 0 }, bytes);
    writer.finish().unwrap()
}

/// Takes the frames that are whole: their ids and bytes.
fn taken(channel: &mut Channel) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut decoder = channel.lend_decoder().unwrap();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push((frame.header.chunk_id, frame.parts().flat_map(|part| part.bytes.to_vec()).collect()));
    }
    channel.return_decoder(decoder);
    frames
}

#[test]
fn frames_larger_than_the_socket_arrive_in_pieces_and_in_order() {
    let (mut one, mut two) = pair();
    let sizes = [0, 1, 65_535, 65_536, 300_000, 3_000_000, 7];
    for (id, size) in sizes.iter().enumerate() {
        one.queue(frame(id as u32, &vec![id as u8; *size]));
    }
    let mut frames = Vec::new();
    while frames.len() < sizes.len() {
        one.flush().unwrap();
        assert_ne!(two.fill(100_000).unwrap(), Filled::Ended);
        frames.extend(taken(&mut two));
    }
    assert_eq!(one.flush().unwrap(), Flushed::All);
    for (id, size) in sizes.iter().enumerate() {
        assert_eq!(frames[id], (id as u32, vec![id as u8; *size]));
    }
    assert_eq!(one.traffic().0, two.traffic().1);
}

#[test]
fn both_directions_fill_up_without_blocking() {
    let (mut one, mut two) = pair();
    let big = vec![7; 4_000_000];
    one.queue(frame(1, &big));
    two.queue(frame(2, &big));
    assert_eq!(one.flush().unwrap(), Flushed::Blocked);
    assert_eq!(two.flush().unwrap(), Flushed::Blocked);
    let (mut at_one, mut at_two) = (Vec::new(), Vec::new());
    while at_one.is_empty() || at_two.is_empty() {
        one.fill(1 << 20).unwrap();
        two.fill(1 << 20).unwrap();
        one.flush().unwrap();
        two.flush().unwrap();
        at_one.extend(taken(&mut one));
        at_two.extend(taken(&mut two));
    }
    assert_eq!((at_one[0].0, at_two[0].0), (2, 1));
    assert!(at_one[0].1 == big && at_two[0].1 == big);
}

#[test]
fn what_was_written_before_the_end_is_still_read() {
    let (mut one, mut two) = pair();
    one.queue(frame(5, b"last words"));
    one.flush().unwrap();
    drop(one);
    let mut ended = two.fill(1 << 20).unwrap();
    while ended != Filled::Ended {
        ended = two.fill(1 << 20).unwrap();
    }
    assert_eq!(taken(&mut two), [(5, b"last words".to_vec())]);
    two.queue(frame(6, b""));
    assert!(two.flush().is_err());
}

/// A file with one byte in it, which tells it from others.
fn marked(byte: u8) -> OwnedFd {
    let (reader, writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut &writer, &[byte]).unwrap();
    reader.into()
}

fn mark(fd: OwnedFd) -> u8 {
    let mut byte = [0];
    std::io::Read::read_exact(&mut std::fs::File::from(fd), &mut byte).unwrap();
    byte[0]
}

fn exchange(one: &mut Channel, two: &mut Channel, frames: usize) -> Vec<u32> {
    let mut ids = Vec::new();
    while ids.len() < frames {
        one.flush().unwrap();
        two.fill(usize::MAX).unwrap();
        ids.extend(taken(two).into_iter().map(|(id, _)| id));
    }
    ids
}

#[test]
fn descriptors_arrive_with_their_frames_and_in_order() {
    let (mut one, mut two) = pair();
    let large = vec![0; 3_000_000];
    one.queue(frame(0, b"none"));
    one.queue_with(frame(1, &large), vec![marked(1), marked(2)]);
    one.queue_with(frame(2, b"small"), vec![marked(3)]);
    one.queue(frame(3, b"none"));
    one.queue_with(frame(4, b"last"), vec![marked(4)]);
    assert_eq!(one.room(), Room { buffers: MAX_DESCRIPTORS - 1 - 4, attachment: true });
    assert_eq!(exchange(&mut one, &mut two, 5), [0, 1, 2, 3, 4]);
    assert_eq!(one.room().buffers, MAX_DESCRIPTORS - 1);
    let arrived = two.arrived();
    let marks: Vec<u8> = std::iter::from_fn(|| arrived.take()).map(mark).collect();
    assert_eq!(marks, [1, 2, 3, 4]);
}

#[test]
fn descriptors_that_nobody_takes_do_not_pile_up() {
    let (mut one, mut two) = pair();
    for round in 0..20 {
        one.queue_with(frame(round, b"x"), (0..MAX_DESCRIPTORS).map(|_| marked(7)).collect());
        exchange(&mut one, &mut two, 1);
    }
    let kept = std::iter::from_fn(|| two.arrived().take()).count();
    assert_eq!(kept, MAX_WAITING);
}

#[test]
fn more_descriptors_than_fit_are_an_error_and_none_stays_open() {
    use std::io::Read;
    let (one, two) = UnixStream::pair().unwrap();
    two.set_nonblocking(true).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let numbers = [writer.as_raw_fd(); 40];
    let bytes = frame(1, b"x");
    let rights = [ControlMessage::ScmRights(&numbers)];
    sendmsg::<()>(one.as_raw_fd(), &[IoSlice::new(&bytes)], &rights, MsgFlags::empty(), None).unwrap();
    drop(writer);
    let mut channel = Channel::new(OwnedFd::from(two));
    assert!(matches!(channel.fill(1000), Err(ChannelError::DescriptorsLost)));
    drop(channel);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the other end any more");
}

#[test]
fn descriptors_that_the_process_has_no_numbers_for_are_an_error_and_none_stays_open() {
    use std::io::Read;
    const NAME: &str =
        "channel::tests::descriptors_that_the_process_has_no_numbers_for_are_an_error_and_none_stays_open";
    const IN_CHILD: &str = "PARALLELIZER_TEST_WITHOUT_DESCRIPTORS";
    if std::env::var_os(IN_CHILD).is_none() {
        // The limit is the whole process's, and other tests run in this one.
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", NAME]).env(IN_CHILD, "1").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    let (mut one, mut two) = pair();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let descriptors = (0..3).map(|_| writer.try_clone().unwrap().into()).collect();
    drop(writer);
    one.queue_with(frame(1, b"x"), descriptors);
    assert_eq!(one.flush().unwrap(), Flushed::All);
    let lowest_free = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    let limit = libc::rlimit { rlim_cur: lowest_free as libc::rlim_t + 1, rlim_max: 1024 };
    // SAFETY: a live structure, which is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    assert!(matches!(two.fill(1000), Err(ChannelError::DescriptorsLost)));
    drop((one, two));
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody holds the other end any more");
}

/// Linux counts the descriptors that all processes of a user have on their way.
#[cfg(target_os = "linux")]
#[test]
fn descriptors_that_the_system_does_not_carry_now_are_sent_later_and_others_are_not_added() {
    const NAME: &str = "channel::tests::\
                        descriptors_that_the_system_does_not_carry_now_are_sent_later_and_others_are_not_added";
    const IN_CHILD: &str = "PARALLELIZER_TEST_CROWDED";
    /// A user that has no other processes. (Root may always send.)
    const USER: libc::uid_t = 61_234;
    const LIMIT: libc::rlim_t = 40;
    if std::env::var_os(IN_CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", NAME]).env(IN_CHILD, "1").output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    // SAFETY: takes numbers. Where this is not root, the user stays, who is as good.
    unsafe { libc::setresuid(USER, USER, USER) };
    let limit = libc::rlimit { rlim_cur: LIMIT, rlim_max: 1024 };
    // SAFETY: a live structure, which is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);

    let (spare, reader) = UnixStream::pair().unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let numbers = [pipe.as_raw_fd(); MAX_DESCRIPTORS];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let mut on_their_way = 0;
    while on_their_way <= LIMIT as usize {
        sendmsg::<()>(spare.as_raw_fd(), &[IoSlice::new(b"x")], &rights, MsgFlags::empty(), None).unwrap();
        on_their_way += MAX_DESCRIPTORS;
    }

    let (mut one, mut two) = pair();
    one.queue_with(frame(1, b"first"), vec![marked(1)]);
    assert_eq!(one.flush().unwrap(), Flushed::Blocked);
    assert_eq!(one.room(), Room { buffers: 0, attachment: false });
    // Their end closes them.
    drop((spare, reader));
    while one.flush().unwrap() != Flushed::All {}
    assert_eq!(one.room(), Room { buffers: MAX_DESCRIPTORS - 1, attachment: true });
    two.fill(1000).unwrap();
    assert_eq!(taken(&mut two), [(1, b"first".to_vec())]);
    assert_eq!(two.arrived().take().map(mark), Some(1));
}

#[test]
fn as_many_descriptors_as_a_frame_may_bring_all_arrive() {
    let (mut one, mut two) = pair();
    let descriptors = (0..MAX_DESCRIPTORS).map(|_| std::io::pipe().unwrap().0.into()).collect();
    one.queue_with(frame(1, b"x"), descriptors);
    one.flush().unwrap();
    two.fill(1000).unwrap();
    let arrived = two.arrived();
    assert_eq!(std::iter::from_fn(|| arrived.take()).count(), MAX_DESCRIPTORS);
}

/// What the fuzzer starts from.
#[test]
fn the_stored_corpus_is_read_as_it_must_be() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/channel");
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(entries.len() >= 20, "{} files", entries.len());
    for path in entries {
        println!("{}", path.display());
        fuzz_harness::converse(&std::fs::read(&path).unwrap());
    }
}

#[test]
fn a_channel_is_ended_once_nothing_is_left_to_read() {
    let (mut one, mut other) = pair();
    assert!(!one.is_ended());
    other.queue(frame(1, b"last words"));
    assert_eq!(other.flush().unwrap(), Flushed::All);
    drop(other);
    assert!(!one.is_ended(), "it may say something still");
    assert_eq!(one.fill(usize::MAX).unwrap(), Filled::Drained);
    assert_eq!(one.fill(usize::MAX).unwrap(), Filled::Ended);
    assert!(one.is_ended());
}

#[test]
fn nothing_is_read_and_lost_while_the_decoder_is_lent() {
    let (mut one, mut two) = pair();
    let mut send = |id| {
        one.queue(frame(id, b"x"));
        assert_eq!(one.flush().unwrap(), Flushed::All);
    };
    send(1);
    two.fill(usize::MAX).unwrap();
    let decoder = two.lend_decoder().unwrap();
    send(2);
    two.fill(usize::MAX).unwrap();
    two.return_decoder(decoder);
    assert_eq!(taken(&mut two), [(1, b"x".to_vec())]);
    two.fill(usize::MAX).unwrap();
    assert_eq!(taken(&mut two), [(2, b"x".to_vec())]);
}

#[test]
fn a_channel_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Channel>();
}

// ---- Frames with long parts. The limits are small here: what they are set to is nothing to how they work. ---------

const SMALL: Limits = Limits { own_memory: 100, frame: 400, beside: 20 };
const ROOM: Room = Room { buffers: 2, attachment: true };

fn part(encoding: Encoding) -> PartHeader {
    PartHeader { encoding, codec: 0, flags: 0, calls: 1, tag: 0 }
}

fn text(frame: &mut OutgoingFrame, text: &str) {
    let written = frame.bytes_with(part(Encoding::Latin1), text.len(), |buffer| {
        buffer.extend_from_slice(text.as_bytes());
        Ok::<(), std::collections::TryReserveError>(())
    });
    written.unwrap();
}

/// Sends a frame, and returns the bytes of its parts as the other end has them, with whether they came beside it.
fn carried(frame: OutgoingFrame) -> Vec<(bool, Vec<u8>)> {
    let (mut one, mut two) = pair();
    one.queue_finished(frame.finish().unwrap());
    one.flush().unwrap();
    two.fill(usize::MAX).unwrap();
    let attached = Attached::new(two.arrived());
    let mut decoder = two.lend_decoder().unwrap();
    let frame = decoder.next_frame().unwrap().unwrap();
    let read = |part: crate::wire::Part<'_>| {
        let size = part.size();
        if part.header.encoding == Encoding::Shared {
            let memory = attached.own_memory(&part).unwrap();
            // SAFETY: a live mapping of this length.
            let bytes = unsafe { std::slice::from_raw_parts(memory.as_ptr(), memory.len()) };
            assert_eq!(size, bytes.len() as u64);
            return (true, bytes.to_vec());
        }
        let is_beside = part.header.flags & PART_ATTACHED != 0;
        let resolved = attached.resolve(part).unwrap();
        assert_eq!((resolved.header.flags, size), (0, resolved.bytes.len() as u64));
        (is_beside, resolved.bytes.to_vec())
    };
    let parts = frame.parts().map(read).collect();
    assert!(two.arrived().take().is_none(), "a descriptor that no part needs");
    parts
}

/// Says why a test ends early.
fn has_sealed_memory() -> bool {
    let has = crate::platform::sealed_copy(b"x").is_ok();
    if !has {
        println!("skipped: this system has no memory with seals");
    }
    has
}

#[test]
fn what_would_make_a_frame_long_goes_beside_it() {
    if !has_sealed_memory() {
        return;
    }
    let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), ROOM, SMALL);
    text(&mut frame, "short");
    text(&mut frame, &"t".repeat(500));
    for marked in 1..=5u8 {
        frame.bytes(part(Encoding::Bytes), &[marked; 500]).unwrap();
    }
    text(&mut frame, &"u".repeat(99));
    let size = frame.len();
    assert!((3104..4000).contains(&size), "{size}: what is beside it counts");
    let mut expected = vec![(false, b"short".to_vec()), (true, vec![b't'; 500])];
    expected.extend((1..=5).map(|marked| (true, vec![marked; 500])));
    expected.push((false, vec![b'u'; 99]));
    assert_eq!(carried(frame), expected);
}

#[test]
fn a_frame_brings_few_descriptors_along_however_many_long_parts_it_has() {
    if !has_sealed_memory() {
        return;
    }
    let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), ROOM, SMALL);
    for marked in 0..200 {
        frame.bytes(part(Encoding::Bytes), &[marked; 150]).unwrap();
        text(&mut frame, &"t".repeat(150));
    }
    let finished = frame.finish().unwrap();
    assert_eq!(finished.descriptors.len(), 3);
    assert!(finished.bytes.len() < 400 * 60, "{}", finished.bytes.len());
}

#[test]
fn parts_that_are_not_long_go_beside_a_frame_that_is() {
    if !has_sealed_memory() {
        return;
    }
    let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), ROOM, SMALL);
    for _ in 0..100 {
        text(&mut frame, &"t".repeat(50));
        text(&mut frame, "t");
    }
    let parts = carried(frame);
    let beside = parts.iter().filter(|(is_beside, _)| *is_beside).count();
    assert!((90..100).contains(&beside), "{beside}");
    assert!(parts.iter().all(|(is_beside, bytes)| !is_beside || bytes.len() == 50));
}

#[test]
fn without_room_for_descriptors_everything_is_in_the_frame() {
    let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), Room::NONE, SMALL);
    text(&mut frame, &"t".repeat(1000));
    frame.bytes(part(Encoding::Bytes), &[7; 1000]).unwrap();
    assert_eq!(carried(frame), [(false, vec![b't'; 1000]), (false, vec![7; 1000])]);
}

#[test]
fn what_was_taken_back_leaves_no_trace() {
    if !has_sealed_memory() {
        return;
    }
    for has_before in [false, true] {
        let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), ROOM, SMALL);
        if has_before {
            text(&mut frame, &"before".repeat(100));
        }
        let mark = frame.mark();
        let before = frame.len();
        text(&mut frame, &"t".repeat(500));
        frame.bytes(part(Encoding::Bytes), &[7; 500]).unwrap();
        frame.truncate(mark);
        assert_eq!(frame.len(), before);
        text(&mut frame, &"after".repeat(100));
        let mut expected = vec![(true, "after".repeat(100).into_bytes())];
        if has_before {
            expected.insert(0, (true, "before".repeat(100).into_bytes()));
        }
        assert_eq!(carried(frame), expected);
    }
}

#[test]
fn a_string_that_cannot_be_copied_leaves_the_frame_as_it_was() {
    #[derive(Debug, PartialEq)]
    struct Failed;
    impl From<std::collections::TryReserveError> for Failed {
        fn from(_: std::collections::TryReserveError) -> Failed {
            Failed
        }
    }
    for size in [5, 500] {
        let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Calls), ROOM, SMALL);
        text(&mut frame, "short");
        let failed = frame.bytes_with(part(Encoding::Latin1), size, |buffer| {
            buffer.push(b'h');
            Err(Failed)
        });
        assert_eq!(failed, Err(Failed));
        assert_eq!(carried(frame), [(false, b"short".to_vec())]);
    }
}

#[test]
fn what_is_beside_a_frame_serves_several_receivers() {
    if !has_sealed_memory() {
        return;
    }
    let mut frame = OutgoingFrame::with_limits(FrameHeader::of(Kind::Init), ROOM, SMALL);
    text(&mut frame, &"t".repeat(500));
    let finished = frame.finish().unwrap();
    for seq in [3, 4] {
        let (mut one, mut two) = pair();
        one.queue_finished(finished.duplicate(seq).unwrap());
        one.flush().unwrap();
        two.fill(usize::MAX).unwrap();
        let attached = Attached::new(two.arrived());
        let mut decoder = two.lend_decoder().unwrap();
        let frame = decoder.next_frame().unwrap().unwrap();
        assert_eq!(frame.header.seq, seq);
        let resolved = attached.resolve(frame.parts().next().unwrap()).unwrap();
        assert_eq!(resolved.text(), Some("t".repeat(500)));
    }
}

/// What a peer says of memory that it has not sent, or that is not what it says, is not believed.
#[test]
fn a_part_beyond_its_memory_is_refused() {
    if !has_sealed_memory() {
        return;
    }
    let resolve = |place: u64, length: u64, memory: Option<OwnedFd>| {
        let arrived = Arrived::default();
        arrived.keep(memory.into_iter());
        let content = [place.to_le_bytes(), length.to_le_bytes()].concat();
        let header = PartHeader { flags: PART_ATTACHED, ..part(Encoding::Latin1) };
        let attached = Attached::new(arrived);
        let resolved = attached.resolve(crate::wire::Part { header, bytes: &content });
        resolved.map(|part| part.bytes.to_vec()).map_err(|error| error.to_string())
    };
    let memory = || crate::platform::sealed_copy(b"0123456789").ok();
    assert_eq!(resolve(2, 3, memory()), Ok(b"234".to_vec()));
    assert_eq!(resolve(10, 0, memory()), Ok(Vec::new()));
    for (place, length) in [(0, 11), (11, 0), (5, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)] {
        assert!(resolve(place, length, memory()).unwrap_err().contains("beyond"), "{place} {length}");
    }
    assert!(resolve(0, 1, None).unwrap_err().contains("has not come"));
    let (reader, _writer) = std::io::pipe().unwrap();
    assert!(resolve(0, 1, Some(reader.into())).is_err());
}
