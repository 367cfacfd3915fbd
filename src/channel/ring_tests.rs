use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use proptest::prelude::*;

use super::page::{
    ANSWER, ANSWER_HEADER, HEAD, MAX_MESSAGE, MAX_RECORD, MESSAGE_RECORDS, MESSAGE_WORDS, MESSAGES, NO_VALUE,
    PLAIN, RING_WORDS, SHARED_LEN, TAIL, TO_PARENT, TO_WORKER, TO_WORKER_RECORDS, WRAP,
};
use super::tests::{frame, pair};
use super::*;
use crate::platform::{SharedPage, SharedWords, shared_page};
use crate::wire::Frame;

fn memory() -> Arc<SharedPage> {
    Arc::new(SharedPage::map(shared_page(SHARED_LEN).unwrap(), SHARED_LEN).unwrap())
}

type TestRing = Ring<Arc<SharedPage>>;

fn ends() -> (Arc<SharedPage>, TestRing, TestRing) {
    let page = memory();
    (page.clone(), Ring::new(page.clone(), End::Parent), Ring::new(page, End::Worker))
}

fn take(ring: &mut TestRing, received: u32) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    (ring.take(received, true, &mut frame).unwrap() == Taken::Frame).then_some(frame)
}

// ---- The ring by itself --------------------------------------------------------------------------------

#[test]
fn frames_arrive_in_order_in_either_direction_and_wrap_around() {
    let (_, mut parent, mut worker) = ends();
    for round in 0..3_000u32 {
        let length = 1 + (round as usize * 37) % 3_000;
        let sent = vec![round as u8; length];
        assert!(parent.send(&sent, 0) && worker.send(&sent, 0));
        assert_eq!(take(&mut worker, 0).as_ref(), Some(&sent));
        assert_eq!(take(&mut parent, 0), Some(sent));
    }
    assert_eq!((take(&mut parent, 0), take(&mut worker, 0)), (None, None));
}

#[test]
fn a_full_ring_refuses_a_frame_until_there_is_room_and_a_long_frame_in_any_case() {
    let (_, mut parent, mut worker) = ends();
    assert!(!parent.send(&vec![1; MAX_RECORD + 1], 0));
    assert!(!parent.send(&[], 0));
    let sent = (0..).take_while(|&number: &u8| parent.send(&[number; 5_000], 0)).count();
    assert_eq!(sent, RING_WORDS / (5_000 / 4 + 2));
    assert_eq!(take(&mut worker, 0), Some(vec![0; 5_000]));
    assert!(parent.send(&[99; 5_000], 0));
    for number in 1..sent {
        assert_eq!(take(&mut worker, 0), Some(vec![number as u8; 5_000]));
    }
    assert_eq!(take(&mut worker, 0), Some(vec![99; 5_000]));
}

#[test]
fn a_frame_waits_for_those_that_went_another_way_before_it_even_when_their_count_wraps() {
    let (_, mut parent, mut worker) = ends();
    parent.send(b"late", 1);
    assert!(worker.has_pending());
    assert_eq!(take(&mut worker, u32::MAX), None);
    assert!(!worker.has_pending(), "it is not looked at for ever");
    assert!(worker.has_unread());
    assert_eq!(take(&mut worker, 0), None);
    assert_eq!(take(&mut worker, 1), Some(b"late".to_vec()));
    parent.send(b"never", 7);
    assert_eq!(
        worker.take(1, false, &mut Vec::new()),
        Ok(Taken::Frame),
        "those before it do not come any more"
    );
}

#[test]
fn whoever_sleeps_is_woken_by_one_sender_once() {
    let (_, parent, worker) = ends();
    assert!(parent.must_wake(), "at first nobody looks");
    assert!(!parent.must_wake(), "it is being woken");
    worker.set_awake(true);
    assert!(!parent.must_wake());
    worker.set_awake(false);
    assert!(parent.must_wake());
    assert!(worker.must_wake(), "the other direction has a state of its own");
}

#[test]
fn nothing_that_the_other_end_writes_is_believed() {
    let more = RING_WORDS as u32 + 1;
    // The tail, the first length, and what that is.
    let cases = [
        (more, 4),
        (3, 0),
        (3, MAX_RECORD as u32 + 1),
        (3, 100),
        (1, u32::MAX),
        (2, 400),
        (3, u32::MAX),
        (5, ANSWER),
        (4, ANSWER | NO_VALUE),
        (6, ANSWER | 5),
        (5, ANSWER | PLAIN),
        (6, ANSWER | NO_VALUE | PLAIN | 4),
        (3, PLAIN),
    ];
    for (tail, length) in cases {
        let (page, _, mut worker) = ends();
        page.store(TO_WORKER + TAIL, tail);
        page.store(TO_WORKER_RECORDS, length);
        assert_eq!(worker.take(0, true, &mut Vec::new()), Err(Corrupt), "tail {tail}, length {length}");
    }
    let (page, mut parent, _) = ends();
    page.store(TO_WORKER + HEAD, 5);
    assert!(!parent.send(b"x", 0), "it has taken more than was sent");
}

#[test]
fn the_answer_to_one_call_has_a_record_of_its_own() {
    let (page, _, mut worker) = ends();
    let answers = [
        (ANSWER | 3, [0, 7, 8, 9], u32::from_le_bytes(*b"123x")),
        (ANSWER | NO_VALUE, [0, 1, 2, 3], 0),
        (ANSWER | PLAIN | 4, [0, 4, 5, 6], u32::from_le_bytes(*b"\xff\x0fT0")),
    ];
    let mut at = TO_WORKER_RECORDS;
    for (length, numbers, text) in answers {
        page.store(at, length);
        numbers.iter().zip(at + 1..).for_each(|(&number, word)| page.store(word, number));
        at += ANSWER_HEADER;
        if length & NO_VALUE == 0 {
            page.store(at, text);
            at += 1;
        }
    }
    page.store(TO_WORKER + TAIL, (at - TO_WORKER_RECORDS) as u32);
    let mut text = Vec::new();
    let one = Taken::Answer(ShortAnswer { chunk_id: 7, seq: 8, micros: 9, form: AnswerForm::Json });
    assert_eq!((worker.take(0, true, &mut text), text.as_slice()), (Ok(one), b"123".as_slice()));
    let two = Taken::Answer(ShortAnswer { chunk_id: 1, seq: 2, micros: 3, form: AnswerForm::Undefined });
    assert_eq!((worker.take(0, true, &mut text), text.as_slice()), (Ok(two), b"".as_slice()));
    let three = Taken::Answer(ShortAnswer { chunk_id: 4, seq: 5, micros: 6, form: AnswerForm::Plain });
    assert_eq!((worker.take(0, true, &mut text), text.as_slice()), (Ok(three), b"\xff\x0fT0".as_slice()));
    assert_eq!(worker.take(0, true, &mut text), Ok(Taken::Nothing));
}

#[test]
fn each_frame_arrives_once_whoever_sleeps() {
    let (_, mut parent, mut worker) = ends();
    let (woken, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut taken = Vec::new();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut taken = Vec::new();
            loop {
                worker.set_awake(true);
                taken.extend(std::iter::from_fn(|| take(&mut worker, 0)));
                worker.set_awake(false);
                if worker.has_pending() {
                    continue;
                }
                // Asleep, until somebody says so.
                while !woken.swap(false, Ordering::SeqCst) {
                    if done.load(Ordering::SeqCst) && !worker.has_pending() {
                        return taken;
                    }
                    assert!(!done.load(Ordering::SeqCst) || woken.load(Ordering::SeqCst), "a lost wake-up");
                    thread::yield_now();
                }
            }
        });
        for number in 0..100_000u64 {
            while !parent.send(&number.to_le_bytes().repeat(9), 0) {
                thread::yield_now();
            }
            if parent.must_wake() {
                woken.store(true, Ordering::SeqCst);
            }
        }
        done.store(true, Ordering::SeqCst);
        taken = receiver.join().unwrap();
    });
    assert!(taken.into_iter().eq((0..100_000u64).map(|number| number.to_le_bytes().repeat(9))));
}

proptest! {
    #[test]
    fn whatever_a_fuzzer_writes_is_borne(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz_harness::scribble(&data);
    }

    #[test]
    fn scribbled_memory_never_gives_more_than_is_there(
        words in prop::collection::vec(prop_oneof![any::<u32>(), 0u32..200, Just(u32::MAX)], 1..60),
        tail in prop_oneof![0u32..100, any::<u32>()],
    ) {
        let (page, _, mut worker) = ends();
        words.iter().enumerate().for_each(|(index, &word)| page.store(TO_WORKER_RECORDS + index, word));
        page.store(TO_WORKER + TAIL, tail);
        let mut frame = Vec::new();
        let mut total = 0;
        while let Ok(Taken::Frame | Taken::Answer(_)) = worker.take(0, false, &mut frame) {
            prop_assert!(frame.len() <= MAX_RECORD);
            total += frame.len();
            prop_assert!(total <= RING_WORDS * 4);
            // Whatever it is, it is a frame or an error.
            if let Ok(frame) = Frame::of(&frame) {
                frame.parts().for_each(drop);
            }
        }
    }
}

// ---- The ring and the socket ---------------------------------------------------------------------------

fn pair_with_rings() -> (Channel, Channel) {
    let (mut one, mut two) = pair();
    let page = memory();
    one.attach_ring(Ring::new(page.clone(), End::Parent));
    two.attach_ring(Ring::new(page, End::Worker));
    (one, two)
}

/// Takes the frames whose turn it is: their ids and bytes, without those that only wake.
fn received(channel: &mut Channel, in_order: bool) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    let mut decoder = channel.lend_decoder().unwrap();
    let mut shared = Vec::new();
    loop {
        let taken = channel.take_shared(decoder.frames(), in_order, &mut shared).unwrap();
        let next =
            if taken.is_some() { Some(Frame::of(&shared).unwrap()) } else { decoder.next_frame().unwrap() };
        let Some(frame) = next else { break };
        if frame.header.kind != Kind::Wake {
            frames
                .push((frame.header.chunk_id, frame.parts().flat_map(|part| part.bytes.to_vec()).collect()));
        }
    }
    channel.return_decoder(decoder);
    frames
}

#[test]
fn a_small_frame_goes_past_the_socket_to_who_is_awake_and_through_it_to_who_sleeps() {
    let (mut one, mut two) = pair_with_rings();
    two.set_awake(true);
    one.queue(frame(1, b"small"));
    assert!(two.has_pending());
    assert_eq!(one.flush().unwrap(), Flushed::All);
    assert_eq!(received(&mut two, true), [(1, b"small".to_vec())]);
    assert!(!two.has_pending());
    assert_eq!(one.traffic().0, two.traffic().1);
    // A long one goes through the socket in any case.
    one.queue(frame(2, &[7; MAX_RECORD]));
    one.flush().unwrap();
    assert!(!two.has_pending());
    two.fill(1 << 20).unwrap();
    assert_eq!(received(&mut two, true), [(2, vec![7; MAX_RECORD])]);
    two.set_awake(false);
    one.queue(frame(3, b"wakes"));
    one.queue(frame(4, b"while it wakes"));
    one.flush().unwrap();
    two.fill(1 << 20).unwrap();
    assert_eq!(received(&mut two, true), [(3, b"wakes".to_vec()), (4, b"while it wakes".to_vec())]);
}

#[test]
fn what_is_in_the_ring_outlives_its_sender_and_what_it_could_not_write() {
    let (mut one, mut two) = pair_with_rings();
    let large = vec![5; 4_000_000];
    two.set_awake(true);
    one.queue(frame(1, b"before"));
    one.queue(frame(2, &large));
    one.queue(frame(3, b"after"));
    assert_eq!(one.flush().unwrap(), Flushed::Blocked);
    drop(one);
    while two.fill(1 << 20).unwrap() != Filled::Ended {}
    assert_eq!(received(&mut two, true), [(1, b"before".to_vec())]);
    assert_eq!(received(&mut two, false), [(3, b"after".to_vec())]);
}

#[test]
fn a_scribbled_ring_ends_the_channel() {
    let (mut one, two) = pair_with_rings();
    drop(two);
    let page = memory();
    page.store(TO_PARENT + TAIL, u32::MAX);
    one.attach_ring(Ring::new(page, End::Parent));
    let taken = one.take_shared(0, true, &mut Vec::new());
    assert!(matches!(taken, Err(ChannelError::CorruptRing)));
}

proptest! {
    #[test]
    fn frames_arrive_in_order_whichever_way_they_go(
        acts in prop::collection::vec(
            (0u8..6, prop::sample::select(vec![0usize, 5, 900, 1900, 9_000, 30_000, 400_000])),
            1..120,
        ),
    ) {
        let (mut one, mut two) = pair_with_rings();
        let (mut sent, mut frames) = (0, Vec::new());
        for (act, size) in acts {
            match act {
                0 | 1 => {
                    one.queue(frame(sent, &vec![sent as u8; size]));
                    sent += 1;
                    one.flush().unwrap();
                }
                2 => two.set_awake(size % 2 == 0),
                3 => frames.extend({ two.fill(1 + size).unwrap(); received(&mut two, true) }),
                4 => if two.has_pending() { frames.extend(received(&mut two, true)); },
                _ => { one.flush().unwrap(); }
            }
        }
        while frames.len() < sent as usize {
            one.flush().unwrap();
            two.fill(1 << 20).unwrap();
            frames.extend(received(&mut two, true));
        }
        prop_assert!(frames.iter().map(|(id, _)| *id).eq(0..sent));
        prop_assert_eq!(one.traffic().0, two.traffic().1);
    }
}

// ---- Messages ------------------------------------------------------------------------------------------

/// Publishes a message as `lib/transport/ring.js` does.
fn put_message(page: &SharedPage, tail: &mut u32, frame: &[u8]) {
    let size = 2 + frame.len().div_ceil(4);
    let mut at = *tail as usize % MESSAGE_WORDS;
    if at + size > MESSAGE_WORDS {
        page.store(MESSAGE_RECORDS + at, WRAP);
        *tail = tail.wrapping_add((MESSAGE_WORDS - at) as u32);
        at = 0;
    }
    page.store(MESSAGE_RECORDS + at, frame.len() as u32);
    for (word, bytes) in (MESSAGE_RECORDS + at + 2..).zip(frame.chunks(4)) {
        let mut whole = [0; 4];
        whole[..bytes.len()].copy_from_slice(bytes);
        page.store(word, u32::from_le_bytes(whole));
    }
    *tail = tail.wrapping_add(size as u32);
    page.store(MESSAGES + TAIL, *tail);
}

#[test]
fn messages_arrive_in_order_and_wrap_around() {
    let (page, mut parent, worker) = ends();
    let (mut tail, mut taken) = (0, Vec::new());
    assert!(!parent.has_message() && !parent.take_message(&mut taken).unwrap());
    for round in 0..40usize {
        let sent: Vec<Vec<u8>> =
            (0..3).map(|nth| vec![(round * 3 + nth) as u8; 1 + round * 6_007 % 300_000]).collect();
        sent.iter().for_each(|frame| put_message(&page, &mut tail, frame));
        assert!(parent.has_pending() && parent.has_unread() && !worker.has_pending());
        for frame in sent {
            assert!(parent.take_message(&mut taken).unwrap());
            assert_eq!(taken, frame);
        }
        assert!(!parent.take_message(&mut taken).unwrap() && !parent.has_pending());
        assert_eq!(page.load(MESSAGES + HEAD), tail, "the worker sees that there is room");
    }
}

#[test]
fn what_no_worker_writes_in_place_of_a_message_is_refused() {
    for (length, published) in
        [(0, 4), (MAX_MESSAGE as u32 + 1, MESSAGE_WORDS as u32), (100, 3), (WRAP, 2), (5, u32::MAX)]
    {
        let (page, mut parent, _) = ends();
        page.store(MESSAGE_RECORDS, length);
        page.store(MESSAGES + TAIL, published);
        assert_eq!(parent.take_message(&mut Vec::new()), Err(Corrupt), "{length} in {published}");
    }
}
