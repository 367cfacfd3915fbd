//! Numbers that Rust and JavaScript agree on, where they belong to no other file of Rust: the layout of the parts, jobs
//! and arguments that cross between them.
//!
//! JavaScript has all such numbers in `lib/transport/constants.js`, also those of frames, of the shared page and of
//! polling. That file is generated: the test below takes the values and their comments from here and from the files
//! that it names, and fails while `constants.js` differs. `UPDATE_GENERATED=1 cargo test protocol` writes it.
//!
//! Called by everything in `src/binding`. Must not depend on anything.

/// Entries of a flat list of parts per part: encoding, codec, flags, calls, tag and value.
pub const PART_FIELDS: u32 = 6;
/// How the value travels: the business of Rust.
#[cfg_attr(test, expect(dead_code, reason = "its users are in the binding"))]
pub const ENCODING_FIELD: u32 = 0;
/// How the value becomes what calls take or return: the business of JavaScript.
pub const CODEC_FIELD: u32 = 1;
/// What is special about the part.
pub const FLAGS_FIELD: u32 = 2;
/// How many calls the part is for; 0: it belongs to the part before it.
pub const CALLS_FIELD: u32 = 3;
/// What else JavaScript says of the part.
pub const TAG_FIELD: u32 = 4;
/// A string or a buffer.
pub const VALUE_FIELD: u32 = 5;

/// The codec of a part whose value is not for a call: a message, or bytes that belong to the part before it.
pub const NO_CODEC: u8 = 0;

/// The codec of a JSON array with one element per call.
pub const JSON_LIST: u8 = 1;
/// The codec of `undefined`, once per call.
pub const UNDEFINED: u8 = 3;
/// The codec of values in V8's format, one after another behind one header, with an element per call.
pub const PLAIN_VALUES: u8 = 12;
/// The bytes of that header.
pub const PLAIN_HEADER: usize = 2;

/// Words of the registers.
pub const REGISTER_WORDS: usize = 16;
/// The form in which parts cross. The words before it are the fields of a single part, but for its value.
pub const FORM_WORD: usize = 5;
/// The first argument.
pub const ARGUMENT_WORD: usize = 6;
/// The parts are a flat list.
pub const FORM_LIST: u32 = 0;
/// There is one part: its value crosses, its other fields are in the registers.
pub const FORM_SINGLE: u32 = 1;
/// There are no parts.
#[cfg_attr(not(test), expect(dead_code, reason = "whatever is no other form is this one"))]
pub const FORM_NOTHING: u32 = 2;

const _: () = assert!(FORM_WORD == VALUE_FIELD as usize && FORM_WORD < ARGUMENT_WORD);

/// How many words JavaScript has to count the frames that do not go through a ring, in counts that wrap.
pub const PORT_COUNTS: usize = 2;
/// Those that were sent, without those that only wake.
pub const POSTED_COUNT: usize = 0;
/// Those that were received.
pub const RECEIVED_COUNT: usize = 1;

/// An error skips the calls of its key that have not begun.
pub const JOB_STOPS_KEY: u32 = 1;
/// One call goes to each worker, also to those that are still starting.
pub const JOB_SPREAD: u32 = 2;
/// The limit of the queue does not hold for it.
pub const JOB_UNBOUNDED: u32 = 4;
/// Its calls cannot be encoded again.
pub const JOB_SENT_ONCE: u32 = 8;
/// Several calls of a key may go out together.
pub const JOB_KEY_RUNS: u32 = 16;

/// Each of its calls is for the worker with its number as index.
pub const JOB_PINNED: u32 = 32;

/// Nobody waits for any of its calls alone, or sees that it is done.
pub const JOB_BULK: u32 = 64;

/// In the register that says how a worker is to wait after a frame: nobody is in a hurry for single answers to it.
pub const SEND_PATIENT: u32 = 256;

/// Entries of a list of runs per run: job, first call and end.
pub const RUN_FIELDS: usize = 3;
/// Entries of a list of answered runs per run: index of the part, job, first call, number of calls, offset in the part.
pub const ANSWERED_FIELDS: usize = 5;

/// The largest count that crosses as one word.
pub const MAX_COUNT: u32 = u32::MAX;
/// A frame of so many bytes gets no further calls.
pub const FULL_FRAME: usize = 512 * 1024;
/// How much is kept of the end of what a worker writes to its stderr, for the error that its end causes: bytes in Rust,
/// characters in JavaScript.
pub const STDERR_TAIL: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::time::Duration;
    use std::{env, fs};

    use super::*;
    use crate::channel::page;
    use crate::pace::{self, Waited, Waiting};
    use crate::wire::{Encoding, Kind, PART_DIED, PART_FAILED, PART_REFUSED, PART_SKIPPED};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/lib/transport/constants.js");

    /// Constants of one source file.
    struct Section {
        title: &'static str,
        /// Below `src`.
        file: &'static str,
        source: &'static str,
        /// Where a name would say too little by itself: what comes before and after it in JavaScript.
        affixes: (&'static str, &'static str),
        /// As they are called in the source, and their values.
        constants: Vec<(&'static str, String)>,
    }

    macro_rules! section {
        ($title:literal, $file:literal, ($prefix:literal, $suffix:literal), $($constant:path),+ $(,)?) => {
            Section {
                title: $title,
                file: $file,
                source: include_str!($file),
                affixes: ($prefix, $suffix),
                constants: vec![$((last_segment(stringify!($constant)), $constant.literal())),+],
            }
        };
    }

    fn sections() -> Vec<Section> {
        vec![
            section!(
                "Kinds of frames",
                "wire/mod.rs",
                ("", ""),
                Kind::Init,
                Kind::Calls,
                Kind::Cancel,
                Kind::Stop,
                Kind::Wake,
                Kind::Demand,
                Kind::Ready,
                Kind::LoadFailed,
                Kind::Reply,
                Kind::Begun,
                Kind::Output,
                Kind::Memory,
                Kind::Message,
            ),
            section!(
                "Encodings of a part's value",
                "wire/mod.rs",
                ("", ""),
                Encoding::Latin1,
                Encoding::Utf8,
                Encoding::Bytes,
                Encoding::Utf16,
            ),
            section!(
                "Flags of a part",
                "wire/mod.rs",
                ("", ""),
                PART_FAILED,
                PART_SKIPPED,
                PART_DIED,
                PART_REFUSED
            ),
            section!(
                "Fields of a part in a flat list",
                "protocol.rs",
                ("", ""),
                PART_FIELDS,
                CODEC_FIELD,
                FLAGS_FIELD,
                CALLS_FIELD,
                TAG_FIELD,
                VALUE_FIELD,
            ),
            section!(
                "Codecs that Rust knows as well",
                "protocol.rs",
                ("", ""),
                NO_CODEC,
                JSON_LIST,
                UNDEFINED,
                PLAIN_VALUES,
                PLAIN_HEADER,
            ),
            section!(
                "The registers",
                "protocol.rs",
                ("", ""),
                REGISTER_WORDS,
                FORM_WORD,
                ARGUMENT_WORD,
                FORM_LIST,
                FORM_SINGLE,
                FORM_NOTHING,
            ),
            section!(
                "Flags of a job",
                "protocol.rs",
                ("", ""),
                JOB_STOPS_KEY,
                JOB_SPREAD,
                JOB_UNBOUNDED,
                JOB_SENT_ONCE,
                JOB_KEY_RUNS,
                JOB_PINNED,
                JOB_BULK,
                SEND_PATIENT,
            ),
            section!(
                "Lists of numbers",
                "protocol.rs",
                ("", ""),
                RUN_FIELDS,
                ANSWERED_FIELDS,
                PORT_COUNTS,
                POSTED_COUNT,
                RECEIVED_COUNT,
            ),
            section!("Limits", "protocol.rs", ("", ""), MAX_COUNT, FULL_FRAME, STDERR_TAIL),
            section!(
                "The shared memory",
                "channel/page.rs",
                ("", ""),
                page::PAGE_WORDS,
                page::RING_WORDS,
                page::SHARED_WORDS,
                page::MESSAGE_WORDS,
            ),
            section!(
                "Words of the shared page",
                "channel/page.rs",
                ("", "_WORD"),
                page::LAST_BEGUN,
                page::CANCEL_COUNT,
                page::WAITING,
                page::RECALL_UNTIL,
                page::RECALL_FROM,
                page::SENT_COUNT,
                page::MESSAGES_TAKEN,
                page::THREAD_ID,
            ),
            section!(
                "The rings in the shared memory",
                "channel/page.rs",
                ("RING_", ""),
                page::TO_WORKER,
                page::TO_PARENT,
                page::MESSAGES,
                page::TAIL,
                page::HEAD,
                page::AWAKENESS,
                page::EARLY,
                page::ASLEEP,
                page::AWAKE,
                page::WOKEN,
                page::TO_WORKER_RECORDS,
                page::TO_PARENT_RECORDS,
                page::MESSAGE_RECORDS,
                page::RECORD_HEADER,
                page::ANSWER,
                page::NO_VALUE,
                page::PLAIN,
                page::ANSWER_HEADER,
                page::WRAP,
                page::MAX_RECORD,
                page::MAX_MESSAGE,
            ),
            section!(
                "How to wait for what is expected",
                "pace.rs",
                ("WAITING_", ""),
                Waiting::Asleep,
                Waiting::Polling,
                Waiting::GivingWay,
            ),
            section!(
                "What became of a wait that was no sleep",
                "pace.rs",
                ("WAITED_", ""),
                Waited::Hit,
                Waited::Missed,
                Waited::Preempted,
            ),
            section!(
                "When to poll before going to sleep; times are in milliseconds",
                "pace.rs",
                ("PACE_", ""),
                pace::MIN_SLEEP,
                pace::MAX_HELD_UP,
                pace::MAX_SLEEP,
                pace::FIRST_BUDGET,
                pace::BUDGET,
                pace::PREEMPTED,
                pace::FREE_MISSES,
                pace::MAX_PAUSE,
                pace::MAKE_UP,
                pace::FREE_LOSSES,
            ),
        ]
    }

    /// What JavaScript has in place of a constant.
    trait Literal {
        fn literal(&self) -> String;
    }

    macro_rules! literals {
        ($($kind:ty => $number:expr),+ $(,)?) => {
            $(impl Literal for $kind {
                fn literal(&self) -> String {
                    let number: fn(&$kind) -> _ = $number;
                    number(self).to_string()
                }
            })+
        };
    }

    literals! {
        u8 => |number| *number,
        u16 => |number| *number,
        u32 => |number| *number,
        usize => |number| *number,
        Kind => |kind| *kind as u8,
        Encoding => |encoding| *encoding as u8,
        Waiting => |waiting| *waiting as u8,
        Waited => |waited| *waited as u8,
        Duration => |time| time.as_micros() as f64 / 1000.0,
    }

    fn last_segment(path: &'static str) -> &'static str {
        path.rsplit("::").next().unwrap_or(path).trim()
    }

    /// `LoadFailed` and `LOAD_FAILED` as `LOAD_FAILED`.
    fn screaming(name: &str) -> String {
        let mut screaming = String::new();
        let mut follows_lower = false;
        for letter in name.chars() {
            if letter.is_uppercase() && follows_lower {
                screaming.push('_');
            }
            follows_lower = letter.is_lowercase();
            screaming.push(letter.to_ascii_uppercase());
        }
        screaming
    }

    /// The comment that stands before a constant or a variant in its source.
    fn comment<'a>(section: &Section, source: &'a str, name: &str) -> Vec<&'a str> {
        let lines: Vec<&str> = source.lines().map(str::trim).collect();
        let is_declared =
            |line: &str| line.contains(&format!("const {name}:")) || line.starts_with(&format!("{name} = "));
        let at = lines.iter().position(|line| is_declared(line));
        let at = at.unwrap_or_else(|| panic!("src/{} does not declare {name}", section.file));
        let before = lines[..at].iter().rev().skip_while(|line| line.starts_with("#["));
        let mut comment: Vec<&str> = before.map_while(|line| line.strip_prefix("/// ")).collect();
        assert!(!comment.is_empty(), "{name} in src/{} has no comment", section.file);
        comment.reverse();
        comment
    }

    fn javascript() -> String {
        let mut text = String::from(
            "'use strict';

/**
 * The numbers that JavaScript and Rust agree on, from the sources in `src` that are named below.
 *
 * Generated: do not edit. `UPDATE_GENERATED=1 cargo test protocol` writes this file, and `cargo test` fails while it
 * differs; `src/protocol.rs` says what is in it.
 */
",
        );
        let mut names = Vec::new();
        for section in sections() {
            writeln!(text, "\n// ---- {} (src/{}) ----", section.title, section.file).unwrap();
            for (name, value) in &section.constants {
                let (prefix, suffix) = section.affixes;
                // Links are for rustdoc.
                let comment =
                    comment(&section, section.source, name).join("\n").replace("[`", "`").replace("`]", "`");
                match comment.contains('\n') || comment.len() + "/**  */".len() > 120 {
                    true => write!(text, "\n/**\n * {}\n */\n", comment.replace('\n', "\n * ")).unwrap(),
                    false => write!(text, "\n/** {comment} */\n").unwrap(),
                }
                let name = format!("{prefix}{}{suffix}", screaming(name));
                writeln!(text, "const {name} = {value};").unwrap();
                names.push(name);
            }
        }
        write!(text, "\nmodule.exports = {{\n  {},\n}};\n", names.join(",\n  ")).unwrap();
        text
    }

    /// The lines in which two texts differ, from the first to the last.
    fn difference(old: &str, new: &str) -> String {
        let (mut old, mut new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        while old.last().is_some_and(|line| new.last() == Some(line)) {
            old.pop();
            new.pop();
        }
        let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let marked =
            |mark, lines: &[&str]| lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>();
        marked('-', &old[same..]) + &marked('+', &new[same..])
    }

    #[test]
    fn javascript_has_the_same_constants() {
        let (written, generated) = (fs::read_to_string(FILE).unwrap_or_default(), javascript());
        if env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(FILE, generated).unwrap();
        } else if written != generated {
            panic!(
                "{FILE} differs from the Rust sources; `UPDATE_GENERATED=1 cargo test protocol` writes it:\n{}",
                difference(&written, &generated),
            );
        }
    }

    #[test]
    fn no_two_constants_have_the_same_name() {
        let text = javascript();
        let mut names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("const ")?.split(' ').next()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
