//! Reading and writing bytes by hand: fixed offsets, big-endian, strict.
//!
//! A reader never reads past its end and says `Malformed` instead; what is left over at [`Reader::finish`] is
//! `Malformed` too, so every value has exactly one encoding.

use mainframe_base::Fault;

/// Takes fields from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Fault::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Fault::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(u8::from_be_bytes)
    }

    /// The next two bytes as a number.
    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes as a number.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes as a number.
    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_be_bytes)
    }

    /// The next `length` bytes, which must be zero.
    pub fn zeros(&mut self, length: usize) -> Result<(), Fault> {
        if self.bytes(length)?.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(Fault::Impossible) }
    }

    /// A list of at most `length_max` items, preceded by its length as two bytes.
    pub fn list<T>(
        &mut self,
        length_max: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let length = usize::from(self.u16()?);
        if length > length_max {
            return Err(Fault::Oversized);
        }
        (0..length).map(|_| item(self)).collect()
    }

    /// Ends the reading; anything left over is a fault.
    pub fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::Malformed) }
    }
}

/// Appends a list the way [`Reader::list`] reads it.
///
/// # Panics
/// If the list has more than 65,535 items: lists of ours are bounded where they are made.
pub fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    let length = u16::try_from(items.len()).expect("our own lists are shorter than 65,536");
    out.extend_from_slice(&length.to_be_bytes());
    for item in items {
        put(out, item);
    }
}
