//! What must hold for the decoder whatever it is given. Run by the fuzzer (`fuzz/`), and by the tests with the inputs
//! that the fuzzer found worth keeping.
//!
//! Must not depend on anything but the codec: the fuzzer compiles it without the rest of the crate.

use super::{Decoder, Frame, FrameHeader, FrameWriter, PartHeader, WireError};

type OwnedFrame = (FrameHeader, Vec<(PartHeader, Vec<u8>)>);

/// Decodes the bytes, in pieces whose sizes are given by the first of them. Panics if anything is wrong.
pub fn decode(data: &[u8]) {
    let Some((&count, data)) = data.split_first() else { return };
    let Some((sizes, stream)) = data.split_at_checked(usize::from(count % 8)) else { return };
    let whole = feed(stream, &[]);
    assert_eq!(feed(stream, sizes), whole, "how it was cut must not matter");
    let (frames, _) = whole;
    for frame in &frames {
        let mut writer = FrameWriter::new(frame.0);
        frame.1.iter().for_each(|(header, bytes)| writer.part(*header, bytes));
        let written = writer.finish().expect("it was short enough when it was received");
        assert_eq!(feed(&written, &[]), (vec![frame.clone()], None), "it is the same when written again");
    }
}

/// All frames, and the error that came after them.
fn feed(stream: &[u8], sizes: &[u8]) -> (Vec<OwnedFrame>, Option<WireError>) {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut sizes = sizes.iter().cycle();
    loop {
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(owned(&frame)),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame().err(), Some(error), "an error stays");
                    return (frames, Some(error));
                }
            }
        }
        let room = decoder.room();
        assert!(!room.is_empty());
        assert!(
            room.len() <= (1 << 20) + 2 * stream.len(),
            "memory follows what was received, not what is announced"
        );
        if rest.is_empty() {
            return (frames, None);
        }
        let wanted = sizes.next().map_or(usize::MAX, |&size| usize::from(size).max(1));
        let (piece, tail) = rest.split_at(wanted.min(rest.len()).min(room.len()));
        room[..piece.len()].copy_from_slice(piece);
        decoder.received(piece.len());
        rest = tail;
    }
}

fn owned(frame: &Frame<'_>) -> OwnedFrame {
    let parts = frame.parts().map(|part| {
        let _ = (part.size(), part.text());
        (part.header, part.bytes.to_vec())
    });
    (frame.header, parts.collect())
}
