//! What must hold of a channel whatever its peer does.
//!
//! Called by the fuzzer (`fuzz/`), and by the tests with the inputs that it found worth keeping. Must not depend on
//! anything that only one of these has.

use std::io::{self, IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::descriptors::{MAX_DESCRIPTORS, MAX_WAITING};
use super::page::{MAX_RECORD, RING_WORDS, SHARED_LEN, TO_PARENT, TO_PARENT_RECORDS};
use super::ring::Taken;
use super::{Attached, Channel, End, Filled, Ring};
use crate::platform::{SharedPage, SharedWords, shared_page};
use crate::wire::{Encoding, Frame, PART_ATTACHED};

/// Plays a peer that does what the bytes say: sends some of them, with descriptors or without, or waits until what has
/// come is read. Panics if anything is wrong.
pub fn converse(data: &[u8]) {
    let (peer, ours) = UnixStream::pair().expect("a socket");
    ours.set_nonblocking(true).expect("a flag");
    peer.set_nonblocking(true).expect("a flag");
    let (mut witness, sent) = io::pipe().expect("a pipe");
    let mut channel = Channel::new(OwnedFd::from(ours));
    let arrived = channel.arrived();
    let (mut rest, mut total, mut frames, mut taken) = (data, 0, 0u64, 0);
    let mut is_sound = true;
    while let (true, Some((&order, tail))) = (is_sound, rest.split_first()) {
        let wanted = usize::from(order >> 2) * usize::from(order >> 2);
        let (bytes, tail) = tail.split_at(wanted.min(tail.len()));
        rest = tail;
        match order & 3 {
            // A stream socket carries descriptors with bytes only.
            1 if !bytes.is_empty() => {
                let numbers = vec![sent.as_raw_fd(); usize::from(bytes[0] % 40)];
                let rights = [ControlMessage::ScmRights(&numbers)];
                let sent = sendmsg::<()>(
                    peer.as_raw_fd(),
                    &[IoSlice::new(bytes)],
                    &rights,
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                );
                total += sent.unwrap_or(0);
            }
            2 => is_sound = read(&mut channel, 1 + wanted, &mut frames),
            3 => taken += usize::from(arrived.take().is_some()),
            _ => {
                let sent = sendmsg::<()>(
                    peer.as_raw_fd(),
                    &[IoSlice::new(bytes)],
                    &[],
                    MsgFlags::MSG_NOSIGNAL,
                    None,
                );
                total += sent.unwrap_or(0);
            }
        }
    }
    drop(peer);
    while is_sound && channel.fill(1 << 16).is_ok_and(|filled| filled != Filled::Ended) {}
    let (_, received) = channel.traffic();
    assert!(received <= total as u64, "no more than was sent");
    assert!(frames * 24 <= received, "each frame has a header");
    let waiting = std::iter::from_fn(|| arrived.take()).count();
    assert!(waiting <= MAX_WAITING && taken + waiting <= data.len() * MAX_DESCRIPTORS, "not without end");
    drop((channel, sent));
    // Neither what was taken, nor what was lost, nor what nobody took is open still.
    assert_eq!(witness.read(&mut [0]).expect("a pipe"), 0);
}

/// Plays a peer that writes these bytes into shared memory, as words and where it likes, between our looks at the ring.
/// Panics if anything is wrong.
pub fn scribble(data: &[u8]) {
    let file = shared_page(SHARED_LEN).expect("memory");
    let page = Arc::new(SharedPage::map(&file, SHARED_LEN).expect("memory"));
    let mut ring = Ring::new(page.clone(), End::Parent);
    let mut frame = Vec::new();
    for order in data.as_chunks::<6>().0 {
        let [kind, near, word @ ..] = *order;
        let word = u32::from_le_bytes(word);
        match kind % 4 {
            0 => page.store(TO_PARENT + usize::from(near % 40), word),
            1 => page.store(TO_PARENT_RECORDS + usize::from(near), word),
            2 => page.store(TO_PARENT_RECORDS + RING_WORDS - 1 - usize::from(near), word),
            _ => {
                let before = ring.has_unread();
                let taken = ring.take(word, near % 2 == 0, &mut frame);
                if matches!(taken, Ok(Taken::Frame | Taken::Answer(_))) {
                    assert!(before && frame.len() <= MAX_RECORD, "no more than a record has");
                    if let Ok(frame) = Frame::of(&frame) {
                        frame.parts().for_each(|part| assert!(part.bytes.len() <= MAX_RECORD));
                    }
                }
                ring.send(&order[..usize::from(near % 7)], word);
            }
        }
    }
}

/// Reads and handles what has come; false once the channel is of no more use.
fn read(channel: &mut Channel, budget: usize, frames: &mut u64) -> bool {
    let filled = channel.fill(budget);
    let mut decoder = channel.lend_decoder().expect("it is back");
    let is_sound = loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => {
                *frames += 1;
                let attached = Attached::new(channel.arrived());
                for part in frame.parts() {
                    assert!(part.bytes.len() as u64 <= channel.traffic().1);
                    // What comes with it is memory in no case: it is taken, refused, and closed.
                    match part.header.encoding {
                        Encoding::Shared => assert!(attached.own_memory(&part).is_err()),
                        _ => assert!(
                            attached.resolve(part).is_ok_and(|part| part.attached().is_none())
                                || part.header.flags & PART_ATTACHED != 0
                        ),
                    }
                }
            }
            Ok(None) => break filled.is_ok_and(|filled| filled != Filled::Ended),
            Err(_) => break false,
        }
    };
    channel.return_decoder(decoder);
    is_sound
}
