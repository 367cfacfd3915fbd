use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use proptest::prelude::*;

use super::descriptors::MAX_WAITING;
use super::page::PAGE_LEN;
use super::*;
use crate::platform::SharedPage;
use crate::wire::{Encoding, FrameHeader, FrameWriter, Kind, PartHeader};

fn pair() -> (Channel, Channel) {
    let (one, two) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    two.set_nonblocking(true).unwrap();
    (Channel::new(OwnedFd::from(one)), Channel::new(OwnedFd::from(two)))
}

fn frame(id: u32, bytes: &[u8]) -> Vec<u8> {
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
    assert_eq!(one.room_for_descriptors(), MAX_DESCRIPTORS - 4);
    assert_eq!(exchange(&mut one, &mut two, 5), [0, 1, 2, 3, 4]);
    assert_eq!(one.room_for_descriptors(), MAX_DESCRIPTORS);
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
    assert_eq!(one.fill_all().unwrap(), Filled::Ended);
    assert!(one.is_ended());
}

#[test]
fn a_channel_may_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Channel>();
}

/// The same, with a page that both ends share.
fn pair_with_slots() -> (Channel, Channel) {
    let (mut one, mut two) = pair();
    let file = crate::platform::shared_page(PAGE_LEN).unwrap();
    let page = Arc::new(SharedPage::map(&file, PAGE_LEN).unwrap());
    one.attach_slot(Slot::new(page.clone(), End::Parent));
    two.attach_slot(Slot::new(page, End::Worker));
    (one, two)
}

#[test]
fn a_small_frame_goes_past_the_socket_to_who_polls() {
    let (mut one, mut two) = pair_with_slots();
    two.set_polling(true);
    one.queue(frame(1, b"small"));
    assert_eq!(one.flush().unwrap(), Flushed::All);
    assert!(two.has_pending());
    assert_eq!(two.fill_pending().unwrap(), Filled::Drained);
    assert!(!two.has_pending());
    assert_eq!(taken(&mut two), [(1, b"small".to_vec())]);
    assert_eq!(one.traffic().0, two.traffic().1);
    // One that has no room, or brings something along, goes through the socket.
    one.queue(frame(2, &[7; SLOT_LEN]));
    one.flush().unwrap();
    assert!(!two.has_pending());
    two.fill(1 << 20).unwrap();
    assert_eq!(taken(&mut two), [(2, vec![7; SLOT_LEN])]);
    two.set_polling(false);
    one.queue(frame(3, b"small"));
    one.flush().unwrap();
    assert!(!two.has_pending(), "it sleeps");
    two.fill(1 << 20).unwrap();
    assert_eq!(taken(&mut two), [(3, b"small".to_vec())]);
}

#[test]
fn a_frame_that_cannot_have_been_sent_ends_the_channel() {
    let (mut one, mut two) = pair_with_slots();
    two.set_polling(true);
    assert!(one.slot.as_mut().unwrap().send(&frame(1, b"x"), 1_000_000));
    let told = (0..=MAX_EARLY + 1).find_map(|_| two.fill_pending().err());
    assert!(told.is_some(), "it would be looked at for ever");
}

proptest! {
    #[test]
    fn frames_arrive_in_order_whichever_way_they_go(
        acts in prop::collection::vec(
            (0u8..6, prop::sample::select(vec![0usize, 5, 900, 1900, 3000, 400_000])),
            1..120,
        ),
    ) {
        let (mut one, mut two) = pair_with_slots();
        let (mut sent, mut frames) = (0, Vec::new());
        for (act, size) in acts {
            match act {
                0 | 1 => {
                    one.queue(frame(sent, &vec![sent as u8; size]));
                    sent += 1;
                    one.flush().unwrap();
                }
                2 => two.set_polling(size % 2 == 0),
                3 => frames.extend({ two.fill(1 + size).unwrap(); taken(&mut two) }),
                4 => if two.has_pending() { two.fill_pending().unwrap(); frames.extend(taken(&mut two)); },
                _ => { one.flush().unwrap(); }
            }
        }
        while frames.len() < sent as usize {
            one.flush().unwrap();
            two.fill(1 << 20).unwrap();
            frames.extend(taken(&mut two));
        }
        prop_assert!(frames.iter().map(|(id, _)| *id).eq(0..sent));
        prop_assert_eq!(one.traffic().0, two.traffic().1);
    }
}
