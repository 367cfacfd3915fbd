//! What crosses between Rust and JavaScript: values, parts of frames, calls.
//!
//! | file | holds | depends on |
//! |---|---|---|
//! | `status` | napi's status as a result | – |
//! | `values` | strings, numbers, lists, buffers | `status` |
//! | `words` | memory that both sides see | `status` |
//! | `context` | entering JavaScript from the event loop | `values` |
//! | `callback` | JavaScript functions that are kept | `context` |
//! | `parts` | parts of frames, to values and back | `values` |
//! | `registers` | numbers and single parts, passed through memory | `parts`, `words` |
//!
//! Called by everything else in the binding, on the JavaScript thread only, inside a callback scope or a call from
//! JavaScript. Must not depend on what is called, nor on the event loop, pools or carriers.

mod callback;
mod context;
mod parts;
mod registers;
mod status;
mod values;
mod words;

pub use callback::Callback;
pub use context::Context;
pub use parts::{
    PartError, PassedParts, WrittenParts, list_of, part_list, part_value, size_of_value, write_part,
    write_parts,
};
pub use registers::{Registers, halves};
pub use status::{check, io_error};
pub use values::{
    Value, as_number, buffer, element, list_length, null, number, number_list, optional_text, read_numbers,
    text,
};
pub use words::{KeptWords, with_words};
