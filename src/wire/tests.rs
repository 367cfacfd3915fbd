//! The codec with whole, cut, damaged and random frames.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Init,
        Kind::Calls,
        Kind::Cancel,
        Kind::Stop,
        Kind::Ready,
        Kind::LoadFailed,
        Kind::Reply,
        Kind::Begun,
        Kind::Output,
        Kind::Memory,
    ])
}

fn frame_headers() -> impl Strategy<Value = FrameHeader> {
    (kinds(), any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>())
        .prop_map(|(kind, flags, chunk_id, seq, aux)| FrameHeader { kind, flags, chunk_id, seq, aux })
}

fn part_headers() -> impl Strategy<Value = PartHeader> {
    let encodings = prop::sample::select(vec![
        Encoding::Latin1,
        Encoding::Utf8,
        Encoding::Bytes,
        Encoding::Shared,
        Encoding::Utf16,
    ]);
    (encodings, any::<u8>(), any::<u16>(), any::<u32>(), any::<u32>())
        .prop_map(|(encoding, codec, flags, calls, tag)| PartHeader { encoding, codec, flags, calls, tag })
}

type OwnedFrame = (FrameHeader, Vec<(PartHeader, Vec<u8>)>);

fn frames() -> impl Strategy<Value = Vec<OwnedFrame>> {
    let part = (part_headers(), vec(any::<u8>(), 0..300));
    vec((frame_headers(), vec(part, 0..5)), 0..8)
}

fn owned(frame: Frame<'_>) -> OwnedFrame {
    let part = |part: Part<'_>| (part.header, part.bytes.to_vec());
    (frame.header, frame.parts().map(part).collect())
}

fn encode(frame: &OwnedFrame) -> Vec<u8> {
    let mut writer = FrameWriter::new(frame.0);
    for (header, bytes) in &frame.1 {
        writer.part(*header, bytes);
    }
    writer.finish().expect("within the limit")
}

/// Feeds `bytes` in pieces of the given sizes (repeated) and collects the frames.
fn decode(bytes: &[u8], pieces: &[usize]) -> Result<Vec<OwnedFrame>, WireError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    let mut rest = bytes;
    for &piece in pieces.iter().cycle() {
        while let Some(frame) = decoder.next_frame()? {
            frames.push(owned(frame));
        }
        if rest.is_empty() {
            break;
        }
        let room = decoder.room();
        let count = piece.clamp(1, rest.len()).min(room.len());
        room[..count].copy_from_slice(&rest[..count]);
        decoder.received(count);
        rest = &rest[count..];
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn frames_survive_any_fragmentation(frames in frames(), pieces in vec(1usize..5000, 1..6)) {
        let bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
        prop_assert_eq!(decode(&bytes, &pieces), Ok(frames));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in vec(any::<u8>(), 0..4000), pieces in vec(1usize..500, 1..4)) {
        let _ = decode(&bytes, &pieces);
    }

    /// Damage anywhere in valid frames is reported or harmless, and never a panic.
    #[test]
    fn damaged_frames_do_not_panic(
        frames in frames(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(encode).collect();
        for (at, value) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        let _ = decode(&bytes, &[97]);
    }

    /// A header that announces a long body costs nothing until its bytes arrive.
    #[test]
    fn memory_follows_what_was_received(len in 0u64..=MAX_BODY_LEN, received in 0usize..200_000) {
        let mut decoder = Decoder::default();
        let mut bytes = FrameWriter::new(FrameHeader::of(Kind::Calls)).finish().unwrap();
        bytes[..8].copy_from_slice(&len.to_le_bytes());
        bytes[12..16].copy_from_slice(&1u32.to_le_bytes());
        bytes.resize(HEADER_LEN + received, 0);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let room = decoder.room();
            prop_assert!(room.len() <= 2 * bytes.len() + 128 * 1024);
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            decoder.received(count);
            rest = &rest[count..];
        }
    }
}

/// The buffer ends with the frame that is on its way: half as much again is not set aside for nothing.
#[test]
fn the_buffer_does_not_grow_far_beyond_the_frame_that_comes() {
    let header = PartHeader { encoding: Encoding::Bytes, codec: 0, flags: 0, calls: 1, tag: 0 };
    let mut writer = FrameWriter::new(FrameHeader::of(Kind::Calls));
    writer.part(header, &vec![7; 5_000_000]);
    let bytes = writer.finish().unwrap();
    let mut decoder = Decoder::default();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (arrived, room) = (bytes.len() - rest.len(), decoder.room());
        assert!(arrived + room.len() <= bytes.len() + 128 * 1024, "{arrived} + {}", room.len());
        let count = room.len().min(rest.len());
        room[..count].copy_from_slice(&rest[..count]);
        decoder.received(count);
        rest = &rest[count..];
    }
    assert_eq!(decoder.next_frame().unwrap().unwrap().parts().next().unwrap().bytes.len(), 5_000_000);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_arrives() {
    let mut bytes = FrameWriter::new(FrameHeader::of(Kind::Calls)).finish().unwrap();
    bytes[..8].copy_from_slice(&(MAX_BODY_LEN + 1).to_le_bytes());
    assert_eq!(decode(&bytes, &[1]), Err(WireError::TooLong(MAX_BODY_LEN + 1)));
}

#[test]
fn an_error_repeats() {
    let mut decoder = Decoder::default();
    decoder.room()[..HEADER_LEN].fill(0xff);
    decoder.received(HEADER_LEN);
    assert_eq!(decoder.next_frame().unwrap_err(), WireError::UnknownKind(0xff));
    assert_eq!(decoder.next_frame().unwrap_err(), WireError::UnknownKind(0xff));
}

#[test]
fn parts_must_fill_the_frame() {
    let mut writer = FrameWriter::new(FrameHeader::of(Kind::Reply));
    let header = PartHeader { encoding: Encoding::Bytes, codec: 0, flags: 0, calls: 1, tag: 0 };
    writer.part(header, b"abc");
    let mut bytes = writer.finish().unwrap();
    bytes[HEADER_LEN + 12] = 2;
    assert_eq!(decode(&bytes, &[1000]), Err(WireError::BadParts));
    bytes[HEADER_LEN] = 9;
    assert_eq!(decode(&bytes, &[1000]), Err(WireError::UnknownEncoding(9)));
}

#[test]
fn a_part_that_cannot_be_filled_leaves_no_trace() {
    let header = PartHeader { encoding: Encoding::Bytes, codec: 0, flags: 0, calls: 1, tag: 0 };
    let mut writer = FrameWriter::new(FrameHeader::of(Kind::Reply));
    writer
        .part_with(header, |buffer| {
            buffer.extend_from_slice(b"half");
            Err("no")
        })
        .unwrap_err();
    let empty = FrameWriter::new(FrameHeader::of(Kind::Reply)).finish().unwrap();
    assert_eq!(writer.finish().unwrap(), empty);
}

#[test]
fn the_sequence_number_of_a_finished_frame_can_be_changed() {
    let header = FrameHeader { chunk_id: 7, seq: 1, ..FrameHeader::of(Kind::Init) };
    let mut writer = FrameWriter::new(header);
    let part = PartHeader { encoding: Encoding::Bytes, codec: 0, flags: 0, calls: 0, tag: 0 };
    writer.part(part, b"anything");
    let frame = with_seq(writer.finish().unwrap(), 99);
    let mut decoder = Decoder::default();
    decoder.room()[..frame.len()].copy_from_slice(&frame);
    decoder.received(frame.len());
    let (changed, parts) = owned(decoder.next_frame().unwrap().unwrap());
    assert_eq!(changed, FrameHeader { seq: 99, ..header });
    assert_eq!(parts, [(part, b"anything".to_vec())]);
}

#[test]
fn a_text_is_read_by_its_encoding() {
    let text = |encoding, bytes: &[u8]| {
        let header = PartHeader { encoding, codec: 0, flags: 0, calls: 1, tag: 0 };
        Part { header, bytes }.text()
    };
    assert_eq!(text(Encoding::Latin1, b"\xe9"), Some("é".into()));
    assert_eq!(text(Encoding::Utf8, "é漢".as_bytes()), Some("é漢".into()));
    assert_eq!(text(Encoding::Utf8, b"\xe9"), Some("\u{fffd}".into()));
    // A surrogate pair, half a pair, and half a unit.
    assert_eq!(text(Encoding::Utf16, b"\x3d\xd8\x00\xde\x3d\xd8a"), Some("😀\u{fffd}".into()));
    assert_eq!(text(Encoding::Bytes, b"a"), None);
}

/// The inputs that the fuzzer starts from.
#[test]
fn the_stored_corpus_is_decoded_as_it_must_be() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/frames");
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(entries.len() >= 30, "{} files", entries.len());
    for path in entries {
        println!("{}", path.display());
        fuzz_harness::decode(&std::fs::read(&path).unwrap());
    }
}
