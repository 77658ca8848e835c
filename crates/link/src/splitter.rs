//! Turns a stream of bytes back into frames without copying them (docs/protocol/link.md §3).
//!
//! Bytes are read into a block; whole frames are split off its front. A frame keeps its block alive, so whoever keeps
//! one frame for long keeps up to 64 KiB: copy what is kept alone. The block grows with the traffic and shrinks after it.

use bytes::{Bytes, BytesMut};
use mainframe_base::Fault;
use mainframe_core::wire::{FRAME_HEADER_LENGTH, payload_length};

/// The block of a quiet peer: two small cells (guess).
const BLOCK_BYTES_MIN: usize = 4_608;
/// The block of a busy peer: 31 small cells for one lock, one wake-up and one message to the relay half (measured:
/// docs/protocol/link.md §6).
const BLOCK_BYTES_MAX: usize = 65_536;
/// A block with less room than this is left behind: less than a small cell makes for tiny reads (guess).
const SPARE_BYTES_MIN: usize = 2_064;

/// Bytes received and not yet whole frames.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The block; what lies behind `filled` is zeroed room.
    block: BytesMut,
    filled: usize,
    block_bytes: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter { block: BytesMut::new(), filled: 0, block_bytes: BLOCK_BYTES_MIN }
    }
}

impl Splitter {
    /// Room for the next read, never empty.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.block.len() < self.filled + SPARE_BYTES_MIN || self.block.len() < self.wanted() {
            self.renew();
        }
        &mut self.block[self.filled..]
    }

    /// Takes in the first `read` bytes of the room and appends the frames they complete.
    ///
    /// # Errors
    /// The header's fault; the frames before it are in `frames`, and the stream cannot be read further.
    pub(crate) fn advance(&mut self, read: usize, frames: &mut Vec<Bytes>) -> Result<(), Fault> {
        self.adapt(read);
        self.filled += read;
        while let Some(length) = self.next_length()? {
            if self.filled < length {
                break;
            }
            frames.push(self.block.split_to(length).freeze());
            self.filled -= length;
        }
        Ok(())
    }

    /// Gives the block back if nothing is in it and it is larger than a quiet peer needs.
    pub(crate) fn rest(&mut self) {
        if self.filled == 0 && self.block.len() > BLOCK_BYTES_MIN {
            self.block = BytesMut::new();
        }
    }

    fn next_length(&self) -> Result<Option<usize>, Fault> {
        let Some(header) = self.block[..self.filled].first_chunk::<FRAME_HEADER_LENGTH>() else { return Ok(None) };
        Ok(Some(FRAME_HEADER_LENGTH + payload_length(header)?))
    }

    /// Length of the frame that has begun, if its header is here.
    fn wanted(&self) -> usize {
        self.next_length().ok().flatten().unwrap_or(0)
    }

    fn renew(&mut self) {
        let length = self.block_bytes.max(self.wanted()).max(self.filled + SPARE_BYTES_MIN);
        let mut block = BytesMut::zeroed(length);
        block[..self.filled].copy_from_slice(&self.block[..self.filled]);
        self.block = block;
    }

    /// Doubles after a read that filled the room, halves after one that used less than a quarter of a block.
    fn adapt(&mut self, read: usize) {
        let room = self.block.len() - self.filled;
        if read == room {
            self.block_bytes = (self.block_bytes * 2).min(BLOCK_BYTES_MAX);
        } else if read < self.block_bytes / 4 {
            self.block_bytes = (self.block_bytes / 2).max(BLOCK_BYTES_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as core would write it: a cell of either size, or a control frame of any length.
    fn frame(kind: u8, length: usize, filling: u8) -> Vec<u8> {
        let mut header = [0; FRAME_HEADER_LENGTH];
        match kind % 3 {
            0 => header[0] = 1,
            1 => header[..2].copy_from_slice(&[1, 1]),
            _ => {
                header[..2].copy_from_slice(&[2, 1]);
                header[4..8].copy_from_slice(&(length as u32).to_be_bytes());
            }
        }
        let length = payload_length(&header).unwrap();
        [&header[..], &vec![filling; length]].concat()
    }

    fn feed(splitter: &mut Splitter, mut bytes: &[u8], step: usize) -> Result<Vec<Bytes>, Fault> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let room = splitter.room();
            let read = room.len().min(step).min(bytes.len());
            room[..read].copy_from_slice(&bytes[..read]);
            bytes = &bytes[read..];
            splitter.advance(read, &mut frames)?;
            splitter.rest();
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            shapes in prop::collection::vec((any::<u8>(), 0usize..=16_384, any::<u8>()), 1..40),
            step in prop_oneof![1usize..50, 1_000usize..100_000],
        ) {
            let sent: Vec<Vec<u8>> = shapes.iter().map(|(kind, length, filling)| frame(*kind, *length, *filling)).collect();
            let mut splitter = Splitter::default();
            let received = feed(&mut splitter, &sent.concat(), step).unwrap();
            prop_assert_eq!(received, sent);
            prop_assert_eq!(splitter.filled, 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, step in 1usize..100) {
            let _ = feed(&mut Splitter::default(), &bytes, step);
        }
    }

    #[test]
    fn the_frames_before_a_fault_are_delivered() {
        let mut splitter = Splitter::default();
        let good = frame(2, 10, 7);
        let bytes = [good.clone(), vec![0xFF; 16]].concat();
        splitter.room()[..bytes.len()].copy_from_slice(&bytes);
        let mut frames = Vec::new();
        assert_eq!(splitter.advance(bytes.len(), &mut frames), Err(Fault::UnknownFrame));
        assert_eq!(frames, [good]);
    }

    #[test]
    fn a_block_grows_under_load_and_is_given_back_after_it() {
        let mut splitter = Splitter::default();
        let burst: Vec<u8> = (0..400).flat_map(|_| frame(0, 0, 1)).collect();
        feed(&mut splitter, &burst, usize::MAX).unwrap();
        assert_eq!(splitter.block_bytes, BLOCK_BYTES_MAX);
        for _ in 0..10 {
            feed(&mut splitter, &frame(2, 10, 1), usize::MAX).unwrap();
        }
        assert!(splitter.block.len() <= BLOCK_BYTES_MIN);
    }
}
