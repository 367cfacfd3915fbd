//! Joins the answers to single calls, which a worker publishes one by one so that none is lost with it, to replies of
//! many: what an answer costs from here on, it costs per frame.
//!
//! Called by the binding, with what it takes out of shared memory. Must not depend on where that is.

use std::mem;

use crate::channel::{AnswerForm, Shared, ShortAnswer};
use crate::protocol::{JSON_LIST, PLAIN_HEADER, PLAIN_VALUES, UNDEFINED};
use crate::wire::{Encoding, FrameHeader, FrameWriter, Kind, PartHeader};

/// More text is not joined: whoever waits for the first answers has waited long enough.
const MAX_JOINED: usize = 256 * 1024;

/// Frames in their order, with answers to consecutive calls in one.
#[derive(Default)]
pub struct JoinedAnswers {
    /// What was returned last.
    frame: Vec<u8>,
    /// What was taken last, where it is not in `frame` already.
    taken: Vec<u8>,
    following: Option<Shared>,
}

impl JoinedAnswers {
    /// Whether everything that was taken has been returned.
    pub fn is_empty(&self) -> bool {
        self.following.is_none()
    }

    /// The next frame. `take` puts a frame, or the text of an answer, into the buffer that it is given.
    pub fn next<E>(
        &mut self,
        mut take: impl FnMut(&mut Vec<u8>) -> Result<Option<Shared>, E>,
    ) -> Result<Option<&[u8]>, E> {
        let next = match self.following.take() {
            Some(following) => Some(following),
            None => take(&mut self.taken)?,
        };
        match next {
            None => return Ok(None),
            Some(Shared::Frame) => mem::swap(&mut self.frame, &mut self.taken),
            Some(Shared::Answer(first)) => self.join(first, take)?,
        }
        Ok(Some(&self.frame))
    }

    /// Writes a frame with the answer that was taken last and those that follow it.
    fn join<E>(
        &mut self,
        first: ShortAnswer,
        mut take: impl FnMut(&mut Vec<u8>) -> Result<Option<Shared>, E>,
    ) -> Result<(), E> {
        let ShortAnswer { chunk_id, seq, micros, form } = first;
        // Its numbers are not known yet: they are written over it.
        let mut list = mem::take(&mut self.frame);
        list.clear();
        if form == AnswerForm::Json {
            list.push(b'[');
        }
        list.extend_from_slice(&self.taken);
        let (mut calls, mut micros) = (1u32, micros);
        while list.len() < MAX_JOINED {
            let Some(next) = take(&mut self.taken)? else { break };
            let joins = matches!(next, Shared::Answer(next)
                if next.chunk_id == chunk_id && next.seq == seq.wrapping_add(calls) && next.form == form);
            let Shared::Answer(ShortAnswer { micros: more, .. }) = next else {
                self.following = Some(next);
                break;
            };
            if !joins {
                self.following = Some(next);
                break;
            }
            micros = micros.saturating_add(more);
            calls = calls.saturating_add(1);
            match form {
                AnswerForm::Undefined => {}
                AnswerForm::Json => {
                    list.push(b',');
                    list.extend_from_slice(&self.taken);
                }
                AnswerForm::Plain => {
                    list.extend_from_slice(self.taken.get(PLAIN_HEADER..).unwrap_or_default())
                }
            }
        }
        let (encoding, codec) = match form {
            AnswerForm::Undefined => (Encoding::Latin1, UNDEFINED),
            AnswerForm::Json => (Encoding::Latin1, JSON_LIST),
            AnswerForm::Plain => (Encoding::Bytes, PLAIN_VALUES),
        };
        if form == AnswerForm::Json {
            list.push(b']');
        }
        let part = PartHeader { encoding, codec, flags: 0, calls, tag: 0 };
        let header = FrameHeader { chunk_id, seq, aux: micros, ..FrameHeader::of(Kind::Reply) };
        let mut writer = FrameWriter::new(header);
        writer.part(part, &list);
        // It is far from being too long.
        self.frame = writer.finish().unwrap_or_default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Frame;

    fn answer(seq: u32, text: Option<&str>) -> (Shared, Vec<u8>) {
        let form = if text.is_some() { AnswerForm::Json } else { AnswerForm::Undefined };
        (
            Shared::Answer(ShortAnswer { chunk_id: 7, seq, micros: 10, form }),
            text.unwrap_or_default().as_bytes().to_vec(),
        )
    }

    fn plain(seq: u32, bytes: &[u8]) -> (Shared, Vec<u8>) {
        let answer = ShortAnswer { chunk_id: 7, seq, micros: 10, form: AnswerForm::Plain };
        (Shared::Answer(answer), bytes.to_vec())
    }

    fn frame(seq: u32) -> (Shared, Vec<u8>) {
        let writer = FrameWriter::new(FrameHeader { seq, ..FrameHeader::of(Kind::Output) });
        (Shared::Frame, writer.finish().unwrap())
    }

    /// Kind, seq, codec, calls, text and time of each frame.
    fn joined(taken: &[(Shared, Vec<u8>)]) -> Vec<(Kind, u32, u8, u32, String, u32)> {
        let mut rest = taken.iter();
        let mut answers = JoinedAnswers::default();
        let mut found = Vec::new();
        loop {
            let take = |into: &mut Vec<u8>| {
                let next = rest.next();
                if let Some((_, bytes)) = next {
                    into.clone_from(bytes);
                }
                Ok::<_, ()>(next.map(|(shared, _)| *shared))
            };
            let Some(frame) = answers.next(take).unwrap() else {
                assert!(answers.is_empty(), "something was kept back");
                return found;
            };
            let Frame { header, .. } = Frame::of(frame).unwrap();
            let part = Frame::of(frame).unwrap().parts().next();
            let (codec, calls) = part.map_or((0, 0), |part| (part.header.codec, part.header.calls));
            let text = part.and_then(|part| part.text()).unwrap_or_default();
            found.push((header.kind, header.seq, codec, calls, text, header.aux));
        }
    }

    #[test]
    fn answers_to_consecutive_calls_become_one() {
        let taken = [
            answer(0, Some("1")),
            answer(1, Some("\"a\"")),
            answer(2, Some("{}")),
            answer(3, None),
            answer(4, None),
            answer(9, None),
        ];
        let expected = [
            (Kind::Reply, 0, JSON_LIST, 3, "[1,\"a\",{}]".to_owned(), 30),
            (Kind::Reply, 3, UNDEFINED, 2, String::new(), 20),
            (Kind::Reply, 9, UNDEFINED, 1, String::new(), 10),
        ];
        assert_eq!(joined(&taken), expected);
    }

    #[test]
    fn plain_values_follow_one_another_behind_one_header() {
        let taken = [
            answer(0, Some("1")),
            plain(1, b"\xff\x0fT"),
            plain(2, b"\xff\x0f_"),
            plain(3, b"x"),
            answer(4, Some("2")),
        ];
        let found: Vec<_> = joined(&taken).into_iter().map(|frame| (frame.1, frame.2, frame.3)).collect();
        assert_eq!(found, [(0, JSON_LIST, 1), (1, PLAIN_VALUES, 3), (4, JSON_LIST, 1)]);
        let mut answers = JoinedAnswers::default();
        let mut rest = taken[1..4].iter();
        let take = |into: &mut Vec<u8>| {
            let next = rest.next();
            if let Some((_, bytes)) = next {
                into.clone_from(bytes);
            }
            Ok::<_, ()>(next.map(|(shared, _)| *shared))
        };
        let frame = answers.next(take).unwrap().unwrap();
        let part = Frame::of(frame).unwrap().parts().next().unwrap();
        assert_eq!((part.header.encoding, part.bytes), (Encoding::Bytes, b"\xff\x0fT_".as_slice()));
    }

    #[test]
    fn frames_pass_as_they_are_and_in_their_places() {
        let taken =
            [answer(0, Some("0")), frame(1), answer(1, Some("1")), frame(2), frame(3), answer(2, None)];
        let found: Vec<_> = joined(&taken).iter().map(|frame| (frame.0, frame.1)).collect();
        let expected = [
            (Kind::Reply, 0),
            (Kind::Output, 1),
            (Kind::Reply, 1),
            (Kind::Output, 2),
            (Kind::Output, 3),
            (Kind::Reply, 2),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_long_list_is_not_held_back_for_more() {
        let text = "x".repeat(100_000);
        let taken: Vec<_> = (0..6).map(|seq| answer(seq, Some(&text))).collect();
        let calls: Vec<_> = joined(&taken).iter().map(|frame| frame.3).collect();
        assert_eq!(calls, [3, 3]);
    }
}
