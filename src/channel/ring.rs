//! A ring of frames in shared memory for each direction: a frame reaches the other end without a system call on either
//! side, and outlives its sender.
//!
//! Called by the channel beside it, and by the carrier to threads. Must not depend on what a frame is for, but for
//! answers. Both ends have another way as well, the socket of a process or the port of a thread: for what is too long,
//! for descriptors, and to wake who sleeps. The other end in JavaScript is `lib/transport/ring.js`.
//!
//! 1. A sender writes a record (the frame's length, its place, the frame) behind the last one and publishes it by
//!    storing the tail. From then on the frame arrives, whatever becomes of its sender.
//! 2. A record never crosses the end of the ring: a word that says so is put there, and the record goes to its start.
//!    What does not fit goes the other way. No sender waits.
//! 3. The place of a frame is how many frames its sender had sent the other way before, without those that only wake.
//!    The receiver takes it when it has received just as many that way, so that the order of all frames is kept.
//! 4. The answer to a single call, of which there are many, has a record with fewer words: the text of its JSON, a
//!    plain value in V8's format, or nothing for `undefined`, behind the numbers of a reply.
//! 5. A receiver that looks at the ring before it sleeps says that it is awake. Before it sleeps it takes that back,
//!    and looks once more.
//! 6. A sender that has published a frame, and finds the receiver asleep, wakes it by a frame that goes the other way.
//!    It replaces the state by "woken" in the same step, so that only one of them is sent.
//!
//! 7. The messages of calls have a ring of their own, to the parent only, which is so large that all fit that may be
//!    under way. They have no place: the receiver handles those that it finds each time that it has taken a frame,
//!    before it handles that. So a message is handled before whatever its sender has sent after it.
//!
//! Nothing that the other end writes is trusted: each end keeps its own position to itself, lengths are checked against
//! what is published, and bytes are copied before they are read.

use std::ops::Deref;

use super::page::{
    ANSWER, ANSWER_HEADER, ASLEEP, AWAKE, AWAKENESS, HEAD, MAX_MESSAGE, MAX_RECORD, MESSAGE_RECORDS,
    MESSAGE_WORDS, MESSAGES, NO_VALUE, PLAIN, RECORD_HEADER, RING_WORDS, SHARED_WORDS, TAIL, TO_PARENT,
    TO_PARENT_RECORDS, TO_WORKER, TO_WORKER_RECORDS, WOKEN, WRAP,
};
use crate::platform::SharedWords;

const WORD: usize = size_of::<u32>();

/// Which end of the channel this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Parent,
    #[cfg_attr(not(any(test, fuzzing)), expect(dead_code, reason = "the worker's end is in JavaScript"))]
    Worker,
}

/// Where the words and the records of one direction are.
#[derive(Clone, Copy, Debug)]
struct Direction {
    words: usize,
    records: usize,
}

const WORKERWARD: Direction = Direction { words: TO_WORKER, records: TO_WORKER_RECORDS };
const PARENTWARD: Direction = Direction { words: TO_PARENT, records: TO_PARENT_RECORDS };

/// One end of both directions.
#[derive(Debug)]
pub struct Ring<P> {
    page: P,
    outgoing: Direction,
    incoming: Direction,
    /// Whether messages come through a ring of their own.
    has_messages: bool,
    /// How many words were published here.
    tail: u32,
    /// How many words were taken here.
    head: u32,
    /// Whether the first record was seen before what comes before it.
    is_early: bool,
    /// How many words of messages were taken here.
    messages_head: u32,
}

/// What a look at the ring gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A frame.
    Frame,
    /// The answer to one call, whose text is in place of a frame.
    Answer(ShortAnswer),
    /// A frame is there, and has to wait for one that was sent another way before it.
    Early,
    Nothing,
}

/// The answer to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortAnswer {
    pub chunk_id: u32,
    /// The place of the call in its chunk.
    pub seq: u32,
    pub micros: u32,
    pub form: AnswerForm,
}

/// What the answer to one call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerForm {
    /// There are no bytes.
    Undefined,
    Json,
    /// A value in V8's format that may follow others, see `lib/codec/plain-values.js`.
    Plain,
}

/// The other end has written what no honest one does.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

impl<P: Deref<Target: SharedWords>> Ring<P> {
    /// The memory has [`SHARED_WORDS`], and those of the ring for messages behind them if there is one.
    pub fn new(page: P, end: End) -> Ring<P> {
        let (outgoing, incoming) = match end {
            End::Parent => (WORKERWARD, PARENTWARD),
            End::Worker => (PARENTWARD, WORKERWARD),
        };
        let has_messages = end == End::Parent && page.words().len() >= SHARED_WORDS + MESSAGE_WORDS;
        Ring { page, outgoing, incoming, has_messages, tail: 0, head: 0, is_early: false, messages_head: 0 }
    }

    /// The memory itself.
    pub fn page(&self) -> &P {
        &self.page
    }

    // ---- Receiving -------------------------------------------------------------------------------------

    /// Says whether this end looks at its ring before it sleeps.
    pub fn set_awake(&self, awake: bool) {
        let state = if awake { AWAKE } else { ASLEEP };
        let at = self.incoming.words + AWAKENESS;
        // What is so already need not cost the other end its cached copy.
        if self.page.load(at) != state {
            self.page.store(at, state);
        }
    }

    /// Whether a frame is there that could be taken.
    pub fn has_pending(&self) -> bool {
        (!self.is_early && self.page.load(self.incoming.words + TAIL) != self.head) || self.has_message()
    }

    /// Whether a frame is there.
    pub fn has_unread(&self) -> bool {
        self.page.load(self.incoming.words + TAIL) != self.head || self.has_message()
    }

    /// Whether a message is there.
    pub fn has_message(&self) -> bool {
        self.has_messages && self.page.load(MESSAGES + TAIL) != self.messages_head
    }

    /// Up to where frames are published, for [`Ring::is_before`].
    pub fn end(&self) -> u32 {
        self.page.load(self.incoming.words + TAIL)
    }

    /// Whether some of what was published up to there was not taken.
    pub fn is_before(&self, end: u32) -> bool {
        end.wrapping_sub(self.head) as i32 > 0
    }

    /// Up to where messages are published, for [`Ring::has_message_before`].
    pub fn messages_end(&self) -> u32 {
        if self.has_messages { self.page.load(MESSAGES + TAIL) } else { self.messages_head }
    }

    /// Whether some of the messages that were published up to there were not taken.
    pub fn has_message_before(&self, end: u32) -> bool {
        end.wrapping_sub(self.messages_head) as i32 > 0
    }

    /// Takes the next message into `frame`; false if there is none.
    pub fn take_message(&mut self, frame: &mut Vec<u8>) -> Result<bool, Corrupt> {
        let mut published = self.page.load(MESSAGES + TAIL).wrapping_sub(self.messages_head) as usize;
        if published > MESSAGE_WORDS {
            return Err(Corrupt);
        }
        if published == 0 {
            return Ok(false);
        }
        let mut at = self.messages_head as usize % MESSAGE_WORDS;
        let mut length = self.page.load_relaxed(MESSAGE_RECORDS + at);
        if length == WRAP {
            let rest = MESSAGE_WORDS - at;
            published = published.checked_sub(rest).filter(|&published| published > 0).ok_or(Corrupt)?;
            self.messages_head = self.messages_head.wrapping_add(rest as u32);
            at = 0;
            length = self.page.load_relaxed(MESSAGE_RECORDS);
        }
        let length = length as usize;
        let size = RECORD_HEADER + length.div_ceil(WORD);
        if length == 0 || length > MAX_MESSAGE || size > published || at + size > MESSAGE_WORDS {
            return Err(Corrupt);
        }
        frame.clear();
        frame.reserve((size - RECORD_HEADER) * WORD);
        for index in RECORD_HEADER..size {
            frame.extend_from_slice(&self.page.load_relaxed(MESSAGE_RECORDS + at + index).to_ne_bytes());
        }
        frame.truncate(length);
        self.messages_head = self.messages_head.wrapping_add(size as u32);
        self.page.store(MESSAGES + HEAD, self.messages_head);
        Ok(true)
    }

    /// Takes the next frame, if no more than `received` frames come before it that were sent another way. Without
    /// `in_order` those are known not to come any more.
    pub fn take(&mut self, received: u32, in_order: bool, frame: &mut Vec<u8>) -> Result<Taken, Corrupt> {
        let Direction { words, records } = self.incoming;
        self.is_early = false;
        let mut published = self.page.load(words + TAIL).wrapping_sub(self.head) as usize;
        if published > RING_WORDS {
            return Err(Corrupt);
        }
        if published == 0 {
            return Ok(Taken::Nothing);
        }
        let mut at = self.head as usize % RING_WORDS;
        let mut length = self.page.load_relaxed(records + at);
        if length == WRAP {
            let rest = RING_WORDS - at;
            published = published.checked_sub(rest).filter(|&published| published > 0).ok_or(Corrupt)?;
            self.head = self.head.wrapping_add(rest as u32);
            at = 0;
            length = self.page.load_relaxed(records);
        }
        let is_answer = length & ANSWER != 0;
        let form = match (length & NO_VALUE != 0, length & PLAIN != 0) {
            (false, false) => AnswerForm::Json,
            (false, true) => AnswerForm::Plain,
            (true, false) => AnswerForm::Undefined,
            (true, true) => return Err(Corrupt),
        };
        let header = if is_answer { ANSWER_HEADER } else { RECORD_HEADER };
        let length = (length & !(ANSWER | NO_VALUE | PLAIN)) as usize;
        let size = header + length.div_ceil(WORD);
        // Only an answer without a value has no bytes.
        let lacks_bytes = length == 0 && (form != AnswerForm::Undefined || !is_answer);
        if lacks_bytes || length > MAX_RECORD || size > published || at + size > RING_WORDS {
            return Err(Corrupt);
        }
        let word = |index: usize| self.page.load_relaxed(records + at + index);
        if in_order && received.wrapping_sub(word(1)) > u32::MAX / 2 {
            self.is_early = true;
            return Ok(Taken::Early);
        }
        frame.clear();
        frame.reserve((size - header) * WORD);
        for index in header..size {
            frame.extend_from_slice(&word(index).to_ne_bytes());
        }
        frame.truncate(length);
        let taken = match is_answer {
            true => Taken::Answer(ShortAnswer { chunk_id: word(2), seq: word(3), micros: word(4), form }),
            false => Taken::Frame,
        };
        self.head = self.head.wrapping_add(size as u32);
        self.page.store(words + HEAD, self.head);
        Ok(taken)
    }

    // ---- Sending ---------------------------------------------------------------------------------------

    /// Whether the other end sleeps and nobody has woken it yet: now it is for the caller to do so.
    pub fn must_wake(&self) -> bool {
        let at = self.outgoing.words + AWAKENESS;
        self.page.load(at) == ASLEEP && self.page.replace(at, ASLEEP, WOKEN)
    }

    /// Publishes a frame that comes after so many that were sent another way. Returns whether it fits.
    pub fn send(&mut self, frame: &[u8], place: u32) -> bool {
        let Direction { words, records } = self.outgoing;
        if frame.is_empty() || frame.len() > MAX_RECORD {
            return false;
        }
        let size = record_words(frame.len());
        // More than the ring has: the other end has written nonsense, and gets nothing this way.
        let used = self.tail.wrapping_sub(self.page.load(words + HEAD)) as usize;
        let mut at = self.tail as usize % RING_WORDS;
        let skipped = if at + size > RING_WORDS { RING_WORDS - at } else { 0 };
        if used.saturating_add(skipped + size) > RING_WORDS {
            return false;
        }
        if skipped > 0 {
            self.page.store_relaxed(records + at, WRAP);
            at = 0;
        }
        self.page.store_relaxed(records + at, frame.len() as u32);
        self.page.store_relaxed(records + at + 1, place);
        for (word, bytes) in (records + at + RECORD_HEADER..).zip(frame.chunks(WORD)) {
            let mut whole = [0; WORD];
            whole[..bytes.len()].copy_from_slice(bytes);
            self.page.store_relaxed(word, u32::from_ne_bytes(whole));
        }
        self.tail = self.tail.wrapping_add((skipped + size) as u32);
        self.page.store(words + TAIL, self.tail);
        true
    }
}

/// How many words the record of a frame of so many bytes has.
fn record_words(length: usize) -> usize {
    RECORD_HEADER + length.div_ceil(WORD)
}
