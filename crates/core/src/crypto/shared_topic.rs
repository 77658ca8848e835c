//! The whitepaper's constant topic ("Session management"): cells of many sessions under few tags.
//!
//! A session that wants this writes all its cells under one of [`SHARED_TOPICS`] tags that everybody knows. Which of the
//! sessions of that tag a cell is of, and which link of whose chain, stands masked in the 32 bytes that are random
//! otherwise, so that colliding sessions are kept apart by one hash each and no trial decryption
//! (docs/protocol/session.md §4).

use std::sync::LazyLock;

use mainframe_base::{Secret, SessionId, Tag};
use rand_core::CryptoRng;

/// Tags that such sessions share (guess: few enough that in every region several do, and many enough that a receiver
/// looks at one foreign cell in so many).
pub const SHARED_TOPICS: u8 = 16;

const TAG_CONTEXT: &str = "mainframe 2026 shared topic";
const MASK_CONTEXT: &str = "mainframe 2026 shared topic mask";

/// All such tags. Worked out once: every cell that is not ours is compared with them.
static TAGS: LazyLock<[Tag; SHARED_TOPICS as usize]> =
    LazyLock::new(|| std::array::from_fn(|number| tag_of(number as u8)));

/// The topic of one session.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct SharedTopic {
    tag: Tag,
    mask: Secret<32>,
}

impl SharedTopic {
    /// The topic of the session of this name, which its members alone know.
    pub fn of(session: SessionId) -> SharedTopic {
        let mask = blake3::derive_key(MASK_CONTEXT, &session.0);
        let number = blake3::derive_key(TAG_CONTEXT, &session.0)[0] % SHARED_TOPICS;
        SharedTopic { tag: TAGS[usize::from(number)], mask: Secret::new(mask) }
    }

    /// Whether any session's topic has this tag.
    pub fn is_one(tag: &Tag) -> bool {
        TAGS.contains(tag)
    }

    /// The tag that the session shares with others.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// 32 bytes that look random, and tell members the tag of a link: 16 random, and the tag masked by what follows from
    /// those.
    pub fn cover(&self, rng: &mut impl CryptoRng, link: &Tag) -> [u8; 32] {
        let mut ephemeral = [0; 32];
        rng.fill_bytes(&mut ephemeral[..16]);
        let masked = xor(self.mask_by(&ephemeral), link.0);
        ephemeral[16..].copy_from_slice(&masked);
        ephemeral
    }

    /// The tag of the link that a cell of ours was sealed under. Of a cell of another session: bytes that are no tag.
    pub fn uncover(&self, ephemeral: &[u8; 32]) -> Tag {
        Tag(xor(self.mask_by(ephemeral), *ephemeral.last_chunk().expect("16 of 32")))
    }

    fn mask_by(&self, ephemeral: &[u8; 32]) -> [u8; 16] {
        *blake3::keyed_hash(self.mask.expose(), &ephemeral[..16]).as_bytes().first_chunk().expect("16 of 32")
    }
}

fn tag_of(number: u8) -> Tag {
    Tag(*blake3::derive_key(TAG_CONTEXT, &[number]).first_chunk().expect("16 of 32"))
}

fn xor(one: [u8; 16], other: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|index| one[index] ^ other[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn members_find_the_link_and_sessions_of_the_same_tag_find_nothing() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let ours = SharedTopic::of(SessionId([1; 16]));
        let colliding = (2..).map(|id| SharedTopic::of(SessionId([id; 16]))).find(|other| other.tag == ours.tag);
        let link = Tag([7; 16]);
        let (once, again) = (ours.cover(&mut rng, &link), ours.cover(&mut rng, &link));
        assert_eq!((ours.uncover(&once), ours.uncover(&again)), (link, link));
        assert_ne!(once, again);
        assert_ne!(colliding.unwrap().uncover(&once), link);
        assert!(SharedTopic::is_one(&ours.tag()) && !SharedTopic::is_one(&link));
    }
}
