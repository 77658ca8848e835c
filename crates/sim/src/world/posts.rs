//! The cells endpoint halves send: how many, and whether any two could share a key.

use std::collections::HashSet;

use mainframe_core::wire::Cell;

/// What endpoint halves have sent so far.
#[derive(Clone, Default, Debug)]
pub struct Posts {
    /// Cells.
    pub cells: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Cells whose tag and ephemeral were those of an earlier one: two bodies under one key.
    pub keys_again: u64,
    /// Cells whose body was that of an earlier one.
    pub bodies_again: u64,
    /// Cells that went where one with the same tag had gone: links of a chain that were used twice.
    pub tags_again: u64,
    keys: HashSet<[u8; 16]>,
    bodies: HashSet<[u8; 16]>,
    tags: HashSet<[u8; 16]>,
}

impl Posts {
    /// A cell is sent.
    pub(super) fn note(&mut self, cell: &Cell) {
        self.cells += 1;
        self.bytes += cell.bytes().len() as u64;
        let header = cell.header();
        let destination = header.destination;
        let place = [&destination.luminosity().bits().to_be_bytes()[..], &destination.first_address().0].concat();
        self.keys_again += u64::from(!self.keys.insert(short(&[&header.tag.0, &header.ephemeral])));
        self.bodies_again += u64::from(!self.bodies.insert(short(&[cell.body()])));
        self.tags_again += u64::from(!self.tags.insert(short(&[&header.tag.0, &place])));
    }
}

fn short(parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Prefix, Tag};
    use mainframe_core::wire::{CellHeader, ExpiryBucket, HoldClass, SizeClass};

    fn cell(tag: u8, ephemeral: u8, body: u8) -> Cell {
        let header = CellHeader {
            size_class: SizeClass::T,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(0),
            tag: Tag([tag; 16]),
            ephemeral: [ephemeral; 32],
        };
        Cell::build(header, [0; 80], &vec![body; SizeClass::T.body_length()])
    }

    #[test]
    fn a_key_a_tag_and_a_body_are_counted_when_they_come_again() {
        let mut posts = Posts::default();
        [cell(1, 1, 1), cell(1, 2, 2), cell(2, 1, 3)].iter().for_each(|cell| posts.note(cell));
        assert_eq!((posts.cells, posts.keys_again, posts.bodies_again, posts.tags_again), (3, 0, 0, 1));
        posts.note(&cell(1, 1, 3));
        assert_eq!((posts.cells, posts.keys_again, posts.bodies_again, posts.tags_again), (4, 1, 1, 2));
    }
}
