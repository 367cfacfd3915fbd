//! Texts and lists of numbers that cross between JavaScript and the module, through memory that both see.
//!
//! 1. What JavaScript passes is put into the *inbox*: it asks for room there, writes, and then calls a function that is
//!    told how much that is. The function takes it out before anything else happens, since JavaScript may pass more
//!    while it is called back.
//! 2. What JavaScript is given stays in the *outbox* until the next result: it is read right after the call.
//! 3. What a function of JavaScript is given is borrowed: it is read before that function returns, or calls back.
//!
//! Called by the rest of `wasm`. Must not depend on what crosses.

use std::cell::RefCell;

thread_local! {
    /// Words, so that lists of numbers are aligned.
    static INBOX: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static OUTBOX: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// What is not wanted any more is freed if it has more than so many words.
const MAX_KEPT_WORDS: usize = 8 * 1024;

/// Room for so many bytes that JavaScript passes.
pub fn inbox(len: usize) -> *mut u8 {
    INBOX.with_borrow_mut(|inbox| {
        inbox.clear();
        if inbox.capacity() > MAX_KEPT_WORDS {
            *inbox = Vec::new();
        }
        inbox.resize(len.div_ceil(size_of::<u64>()), 0);
        inbox.as_mut_ptr().cast()
    })
}

/// The first bytes of what JavaScript has passed.
pub fn passed_bytes(len: usize) -> Vec<u8> {
    INBOX.with_borrow(|inbox| {
        let bytes = inbox.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(len).collect()
    })
}

/// The same as a text.
pub fn passed_text(len: usize) -> String {
    String::from_utf8_lossy(&passed_bytes(len)).into_owned()
}

/// The same as numbers.
pub fn passed_numbers(count: usize) -> Vec<u32> {
    INBOX.with_borrow(|inbox| {
        let halves = inbox.iter().flat_map(|&word| [word as u32, (word >> u32::BITS) as u32]);
        halves.take(count).collect()
    })
}

/// Gives JavaScript a text. Returns its length in bytes.
pub fn give_text(text: &str) -> usize {
    let words = text.as_bytes().chunks(size_of::<u64>()).map(|chunk| {
        let mut word = [0; size_of::<u64>()];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    OUTBOX.with_borrow_mut(|outbox| *outbox = words.collect());
    text.len()
}

/// Gives JavaScript numbers. Returns how many.
pub fn give_numbers(numbers: impl Iterator<Item = f64>) -> usize {
    OUTBOX.with_borrow_mut(|outbox| {
        outbox.clear();
        outbox.extend(numbers.map(f64::to_bits));
        outbox.len()
    })
}

/// Where that is.
pub fn outbox() -> *const u8 {
    OUTBOX.with_borrow(|outbox| outbox.as_ptr().cast())
}
