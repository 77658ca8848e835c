//! What a cell's body holds once it is opened: a header of 12 bytes, then a piece of a frame.
//!
//! | offset | length | field |
//! |---|---|---|
//! | 0 | 4 | frame: random, the same in all its fragments |
//! | 4 | 2 | index of this fragment |
//! | 6 | 2 | count of fragments |
//! | 8 | 2 | bytes used of what follows |
//! | 10 | 2 | kind, see [`FrameKind`] |
//! | 12 | | the piece, then zeros |
//!
//! In sessions the last 64 bytes are its author's [proof](super::proof).

use std::collections::BTreeMap;

use mainframe_base::Time;

use super::proof::PROOF_LENGTH;
use crate::codec::Reader;
use crate::crypto::BODY_OVERHEAD;
use crate::wire::SizeClass;

const HEADER_LENGTH: usize = 12;
/// A frame travels in small cells up to this many, and in large ones beyond: seven small cells are 14 KiB (review P4).
const SMALL_CELLS_MAX: usize = 7;
/// Cells of a frame at most: a frame of 512 KB, which the tree of the largest group is not (review P1).
const CELLS_MAX: usize = 32;
/// Bytes of frames that are not whole yet, kept at most: eight of the largest (guess).
const PARTIAL_BYTES_MAX: usize = 4 << 20;
/// Frames that are not whole yet, at most: pieces may be empty, and every one is looked at when one comes (guess).
const PARTIALS_MAX: usize = 256;
/// What has not become whole in this time was lost on the way and comes again under another number (guess: the longest
/// pause between two tries of a live cell's sender).
const PARTIAL_AGE_MS_MAX: u64 = 60 * 60 * 1_000;

/// The longest frame of a session, in bytes.
pub const FRAME_LENGTH_MAX: usize = CELLS_MAX * (16_052 - BODY_OVERHEAD - HEADER_LENGTH - PROOF_LENGTH);

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FrameKind {
    /// Bytes of whoever sent them, outside of any session.
    Plain,
    /// A letter between people who have no session yet.
    Letter,
    /// An encrypted message of a session.
    Message,
    /// A proposal of the next epoch.
    Commit,
    /// A signed word about which commit counts.
    Statement,
    /// The name of a commit that somebody lacks.
    Need,
    /// Nothing: somebody is there.
    Here,
}

impl FrameKind {
    const ALL: [FrameKind; 7] = [
        FrameKind::Plain,
        FrameKind::Letter,
        FrameKind::Message,
        FrameKind::Commit,
        FrameKind::Statement,
        FrameKind::Need,
        FrameKind::Here,
    ];

    fn number(self) -> u16 {
        FrameKind::ALL.iter().position(|kind| *kind == self).expect("listed") as u16
    }

    /// Bytes kept free behind its fragments, for a proof of whose they are.
    fn proof_length(self) -> usize {
        match self {
            FrameKind::Plain | FrameKind::Letter => 0,
            FrameKind::Message | FrameKind::Commit | FrameKind::Statement | FrameKind::Need | FrameKind::Here => {
                PROOF_LENGTH
            }
        }
    }
}

/// A piece of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    frame: u32,
    index: u16,
    count: u16,
    kind: FrameKind,
    piece: Vec<u8>,
}

/// The longest frame that fits one cell of this class: 1,688 or 16,024 bytes, 64 less in sessions.
pub fn piece_length_max(kind: FrameKind, size_class: SizeClass) -> usize {
    size_class.body_length() - BODY_OVERHEAD - HEADER_LENGTH - kind.proof_length()
}

/// How long a frame is in cells: their class and their number; `None` if it is too long.
pub fn cells_for(kind: FrameKind, length: usize) -> Option<(SizeClass, usize)> {
    let cells = |class| length.div_ceil(piece_length_max(kind, class)).max(1);
    [(SizeClass::T, SMALL_CELLS_MAX), (SizeClass::B, CELLS_MAX)]
        .into_iter()
        .map(|(class, cells_max)| (class, cells(class), cells_max))
        .find(|(_, cells, cells_max)| cells <= cells_max)
        .map(|(class, cells, _)| (class, cells))
}

/// The fragments of the cells a frame travels in, and the class of all of them; `None` if it is too long.
pub fn split(kind: FrameKind, bytes: &[u8], frame: u32) -> Option<(SizeClass, Vec<Vec<u8>>)> {
    let (class, _) = cells_for(kind, bytes.len())?;
    Some((class, split_into(class, kind, bytes, frame)))
}

/// The fragments of the cells of this class that hold a frame, each as long as it may be.
pub fn split_into(class: SizeClass, kind: FrameKind, bytes: &[u8], frame: u32) -> Vec<Vec<u8>> {
    let room = piece_length_max(kind, class);
    let count = bytes.len().div_ceil(room).max(1);
    let pieces = (0..count).map(|index| &bytes[index * room..bytes.len().min((index + 1) * room)]);
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut fragment = Vec::with_capacity(HEADER_LENGTH + room + kind.proof_length());
        fragment.extend_from_slice(&frame.to_be_bytes());
        for number in [index as u16, count as u16, piece.len() as u16, kind.number()] {
            fragment.extend_from_slice(&number.to_be_bytes());
        }
        fragment.extend_from_slice(piece);
        fragment.resize(HEADER_LENGTH + room, 0);
        fragment
    };
    pieces.enumerate().map(fragment).collect()
}

impl Fragment {
    /// What kind of frame it is a piece of.
    pub fn kind(&self) -> FrameKind {
        self.kind
    }

    /// What was sent outside of any session, which is always whole; `None` for anything else.
    pub fn plain(self) -> Option<Vec<u8>> {
        (self.kind == FrameKind::Plain && self.count == 1).then_some(self.piece)
    }

    /// Reads what was opened; `None` for what is not made as described.
    pub fn read(plaintext: &[u8]) -> Option<Fragment> {
        let mut reader = Reader::new(plaintext);
        let frame = reader.u32().ok()?;
        let (index, count) = (reader.u16().ok()?, reader.u16().ok()?);
        let used = usize::from(reader.u16().ok()?);
        let kind = *FrameKind::ALL.get(usize::from(reader.u16().ok()?))?;
        if index >= count || usize::from(count) > CELLS_MAX {
            return None;
        }
        let piece = reader.bytes(used).ok()?.to_vec();
        reader.zeros(reader.remaining()).ok()?;
        Some(Fragment { frame, index, count, kind, piece })
    }
}

/// A frame of which not every piece has come.
struct Partial {
    began: Time,
    kind: FrameKind,
    pieces: Vec<Option<Vec<u8>>>,
}

impl Partial {
    fn bytes(&self) -> usize {
        self.pieces.iter().flatten().map(Vec::len).sum()
    }
}

/// Frames on their way to being whole, by who sends them.
#[expect(missing_debug_implementations, reason = "holds what people say")]
pub struct Assembly<K> {
    partial: BTreeMap<(K, u32), Partial>,
    bytes: usize,
}

impl<K: Ord + Copy> Assembly<K> {
    /// Nothing has come yet.
    pub fn new() -> Assembly<K> {
        Assembly { partial: BTreeMap::new(), bytes: 0 }
    }

    /// Takes a piece; returns the frame it made whole.
    pub fn add(&mut self, now: Time, from: K, fragment: Fragment) -> Option<(FrameKind, Vec<u8>)> {
        let Fragment { frame, index, count, kind, piece } = fragment;
        if count == 1 {
            return Some((kind, piece));
        }
        let key = (from, frame);
        let empty = || Partial { began: now, kind, pieces: vec![None; usize::from(count)] };
        let partial = self.partial.entry(key).or_insert_with(empty);
        if partial.kind != kind || partial.pieces.len() != usize::from(count) {
            return None;
        }
        let place = &mut partial.pieces[usize::from(index)];
        if place.is_none() {
            self.bytes += piece.len();
            *place = Some(piece);
        }
        if partial.pieces.iter().all(Option::is_some) {
            let whole = self.remove(&key)?;
            return Some((kind, whole.pieces.into_iter().flatten().flatten().collect()));
        }
        self.forget(now);
        None
    }

    fn remove(&mut self, key: &(K, u32)) -> Option<Partial> {
        let partial = self.partial.remove(key)?;
        self.bytes -= partial.bytes();
        Some(partial)
    }

    /// Lets go of what became too old, then of the oldest until the rest is within its bound.
    fn forget(&mut self, now: Time) {
        let old = |partial: &Partial| now.since_ms(partial.began) > PARTIAL_AGE_MS_MAX;
        while self.bytes > PARTIAL_BYTES_MAX || self.partial.len() > PARTIALS_MAX || self.partial.values().any(old) {
            let oldest = self.partial.iter().min_by_key(|(_, partial)| partial.began).map(|(key, _)| *key);
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }
}

impl<K: Ord + Copy> Default for Assembly<K> {
    fn default() -> Self {
        Assembly::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_takes_small_cells_up_to_seven_and_large_ones_beyond() {
        for (kind, small) in [(FrameKind::Letter, 1_688), (FrameKind::Message, 1_624)] {
            assert_eq!(cells_for(kind, 0), Some((SizeClass::T, 1)));
            assert_eq!(cells_for(kind, small), Some((SizeClass::T, 1)));
            assert_eq!(cells_for(kind, small + 1), Some((SizeClass::T, 2)));
            assert_eq!(cells_for(kind, 7 * small), Some((SizeClass::T, 7)));
            assert_eq!(cells_for(kind, 7 * small + 1), Some((SizeClass::B, 1)));
        }
        assert_eq!(cells_for(FrameKind::Message, FRAME_LENGTH_MAX), Some((SizeClass::B, 32)));
        assert_eq!(cells_for(FrameKind::Message, FRAME_LENGTH_MAX + 1), None);
    }

    #[test]
    fn frames_that_never_become_whole_are_let_go_oldest_first() {
        let mut assembly = Assembly::new();
        let fragment = |frame| Fragment { frame, index: 0, count: 2, kind: FrameKind::Message, piece: vec![0; 16_024] };
        for frame in 0..400 {
            assert!(assembly.add(Time(u64::from(frame)), (), fragment(frame)).is_none());
        }
        assert!(assembly.bytes <= PARTIAL_BYTES_MAX);
        assert!(!assembly.partial.contains_key(&((), 0)) && assembly.partial.contains_key(&((), 399)));
        assembly.add(Time(PARTIAL_AGE_MS_MAX + 400), (), fragment(1_000));
        assert_eq!(assembly.partial.len(), 1);
    }

    proptest! {
        #[test]
        fn a_frame_becomes_whole_in_any_order_and_with_pieces_twice(
            bytes in prop::collection::vec(any::<u8>(), 0..40_000), frame: u32, order: Vec<prop::sample::Index>,
        ) {
            let (_, fragments) = split(FrameKind::Commit, &bytes, frame).unwrap();
            let mut assembly = Assembly::new();
            let shuffled = order.iter().map(|index| index.get(&fragments));
            let mut whole = None;
            for fragment in shuffled.chain(&fragments) {
                whole = whole.or(assembly.add(Time(0), 7, Fragment::read(fragment).unwrap()));
            }
            prop_assert_eq!(whole, Some((FrameKind::Commit, bytes)));
        }

        #[test]
        fn arbitrary_plaintexts_never_panic(plaintexts: Vec<Vec<u8>>) {
            let mut assembly = Assembly::new();
            for fragment in plaintexts.iter().filter_map(|plaintext| Fragment::read(plaintext)) {
                assembly.add(Time(0), 0, fragment);
            }
        }
    }
}
