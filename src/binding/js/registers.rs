//! Numbers that cross between Rust and JavaScript through memory that both see: a number costs less there than as an
//! argument or an element of a list, and most of a round trip's work is crossing. `lib/transport/registers.js` has the
//! other side.
//!
//! 1. Whoever calls the other side, or returns to it, writes the words that belong to it just before.
//! 2. Whoever is called reads them first of all: any further crossing writes others.
//!
//! Called by whoever has hooks or is called by JavaScript. Must not depend on what is passed.

use std::cell::Cell;

use napi::{Result, sys};

use super::parts::{PartError, PassedParts, part_list, part_or_refusal};
use super::values::Value;
use super::words::KeptWords;
use crate::channel::Attached;
use crate::protocol::{ARGUMENT_WORD, FORM_LIST, FORM_SINGLE, FORM_WORD, REGISTER_WORDS};
use crate::wire::{Encoding, Part, PartHeader};

/// The array. It belongs to one environment, and lives as long as this does.
pub struct Registers {
    env: sys::napi_env,
    words: KeptWords<Cell<u32>, REGISTER_WORDS>,
}

impl Registers {
    /// Takes a `Uint32Array` of that length, whose memory nobody takes away.
    pub fn new(env: sys::napi_env, array: Value) -> Result<Registers> {
        Ok(Registers { env, words: KeptWords::new(env, array)? })
    }

    fn words(&self) -> &[Cell<u32>; REGISTER_WORDS] {
        self.words.words()
    }

    /// Passes arguments.
    pub fn set(&self, arguments: impl IntoIterator<Item = u32>) {
        for (word, argument) in self.words()[ARGUMENT_WORD..].iter().zip(arguments) {
            word.set(argument);
        }
    }

    /// The first arguments that were passed.
    pub fn arguments<const N: usize>(&self) -> [u32; N] {
        std::array::from_fn(|index| self.words()[ARGUMENT_WORD + index].get())
    }

    /// What stands for these parts on the way to JavaScript.
    pub fn pass<'a>(
        &self,
        mut parts: impl Iterator<Item = Part<'a>>,
        attached: &Attached,
    ) -> std::result::Result<Value, PartError> {
        let Some(first) = parts.next() else { return self.pass_list(parts, attached) };
        match parts.next() {
            None => {
                let (header, value) = part_or_refusal(self.env, first, attached)?;
                self.pass_header(header);
                Ok(value)
            }
            Some(second) => self.pass_list([first, second].into_iter().chain(parts), attached),
        }
    }

    fn pass_list<'a>(
        &self,
        parts: impl Iterator<Item = Part<'a>>,
        attached: &Attached,
    ) -> std::result::Result<Value, PartError> {
        let list = part_list(self.env, parts, attached)?;
        self.words()[FORM_WORD].set(FORM_LIST);
        Ok(list)
    }

    /// Passes the numbers of a part, whose value goes by itself.
    pub fn pass_header(&self, header: PartHeader) {
        let PartHeader { encoding, codec, flags, calls, tag } = header;
        let fields = [encoding as u32, codec.into(), flags.into(), calls, tag, FORM_SINGLE];
        for (word, field) in self.words().iter().zip(fields) {
            word.set(field);
        }
    }

    /// The parts that JavaScript has passed.
    pub fn passed(&self, value: Value) -> PassedParts {
        let [encoding, codec, flags, calls, tag, form] = std::array::from_fn(|word| self.words()[word].get());
        match form {
            FORM_LIST => PassedParts::List(value),
            FORM_SINGLE => PassedParts::Single(
                PartHeader {
                    encoding: Encoding::from_script(encoding),
                    codec: codec as u8,
                    flags: flags as u16,
                    calls,
                    tag,
                },
                value,
            ),
            _ => PassedParts::Nothing,
        }
    }
}

/// A number in two words, the lower one first.
pub fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> u32::BITS) as u32]
}
