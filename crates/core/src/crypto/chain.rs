//! Ratcheted tags: by what the members of a session know its cells, and the key to each (docs/protocol/session.md).
//!
//! Every device has a chain in every epoch. Its links are numbered; each gives one tag and one secret, and then the chain
//! moves on and cannot go back. The key to a cell's body comes of the link's secret *and* of 32 random bytes in the cell, so
//! that no key ever serves two bodies, whatever backup a device was restored from.
//!
//! A chain goes in stages of 64 links, and from one stage to the next in one step. So the first link of a stage far ahead is
//! found cheaply, and whoever lost everything in between finds it and goes on from there
//! (docs/decisions/0011-milestones.md).

use mainframe_base::{Secret, Tag};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::seal::{BodyKey, Sealed};
use super::shared_topic::SharedTopic;

/// Links of a stage: the window of a device in a group (review P26).
pub const STAGE_LINKS: u64 = 64;

/// One place of a chain: the next link to be given out.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct TagChain {
    /// From which the next stage follows.
    stage: Secret<32>,
    /// From which the next link follows.
    key: Secret<32>,
    next: u64,
}

/// One link: what a cell is known by, and what opens it.
#[expect(missing_debug_implementations, reason = "holds a secret")]
#[derive(Clone)]
pub struct TagLink {
    /// Its place in the chain, from 0.
    pub number: u64,
    /// By what the cell is known.
    pub tag: Tag,
    /// From which its secret follows, once it is needed: hundreds of links are awaited for each that comes. What follows
    /// from it besides, the links behind it, whoever awaits it can find anyway.
    key: Secret<32>,
}

impl TagChain {
    /// Bytes of [`TagChain::secrets`].
    pub const SECRETS_LENGTH: usize = 64;

    /// The beginning of a chain, from a secret that only the session's members can export.
    pub fn new(exported: Secret<32>) -> TagChain {
        let key = Secret::new(*derive(&exported, b"chain"));
        TagChain { stage: Secret::new(*derive(&exported, b"stage")), key, next: 0 }
    }

    /// A chain that was kept: its secrets and the number of the next link.
    pub fn at(secrets: &Secret<{ TagChain::SECRETS_LENGTH }>, next: u64) -> TagChain {
        let (stage, key) = secrets.expose().split_at(32);
        let secret = |half: &[u8]| Secret::new(half.try_into().expect("half of 64 bytes"));
        TagChain { stage: secret(stage), key: secret(key), next }
    }

    /// What is kept of it.
    pub fn secrets(&self) -> Secret<{ TagChain::SECRETS_LENGTH }> {
        let mut secrets = Zeroizing::new([0; TagChain::SECRETS_LENGTH]);
        secrets[..32].copy_from_slice(self.stage.expose());
        secrets[32..].copy_from_slice(self.key.expose());
        Secret::new(*secrets)
    }

    /// The number of the next link.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Gives the next link and moves on: after this the chain cannot give it again.
    pub fn advance(&mut self) -> TagLink {
        let link = TagLink::of(&self.key, self.next);
        self.next += 1;
        if self.next.is_multiple_of(STAGE_LINKS) {
            self.key = Secret::new(*derive(&self.stage, b"chain"));
            self.stage = Secret::new(*derive(&self.stage, b"stage"));
        } else {
            self.key = Secret::new(*derive(&self.key, b"next"));
        }
        link
    }

    /// Goes on at the beginning of the next stage, if none begins here: whoever lost us awaits that link.
    pub fn skip_to_stage(&mut self) {
        while !self.next.is_multiple_of(STAGE_LINKS) {
            self.advance();
        }
    }

    /// The first links of the stages ahead, without moving; the next link itself if a stage begins with it.
    pub fn milestones(&self) -> impl Iterator<Item = TagLink> {
        let begins = self.next.is_multiple_of(STAGE_LINKS).then(|| TagLink::of(&self.key, self.next));
        let first = (self.next / STAGE_LINKS + 1) * STAGE_LINKS;
        let mut stage = self.stage.clone();
        let ahead = (0..).map(move |ahead| {
            let key = Secret::new(*derive(&stage, b"chain"));
            stage = Secret::new(*derive(&stage, b"stage"));
            TagLink::of(&key, first + ahead * STAGE_LINKS)
        });
        begins.into_iter().chain(ahead)
    }
}

impl TagLink {
    fn of(key: &Secret<32>, number: u64) -> TagLink {
        let tag = derive(key, b"tag");
        TagLink { number, tag: Tag(*tag.first_chunk().expect("32 bytes begin with 16")), key: key.clone() }
    }

    /// Seals a plaintext. `associated` is bound to the body without being in it.
    pub fn seal(&self, rng: &mut impl CryptoRng, associated: &[u8], plaintext: &[u8]) -> Sealed {
        let mut ephemeral = [0; 32];
        rng.fill_bytes(&mut ephemeral);
        self.seal_with(ephemeral, associated, plaintext)
    }

    /// The same under a tag that other sessions use too. The key is another for every cell also then: 16 of its bytes are
    /// random.
    pub fn seal_in(
        &self,
        topic: &SharedTopic,
        rng: &mut impl CryptoRng,
        associated: &[u8],
        plaintext: &[u8],
    ) -> Sealed {
        let ephemeral = topic.cover(rng, &self.tag);
        Sealed { tag: topic.tag(), ..self.seal_with(ephemeral, associated, plaintext) }
    }

    fn seal_with(&self, ephemeral: [u8; 32], associated: &[u8], plaintext: &[u8]) -> Sealed {
        let body = self.body_key(&ephemeral).seal(associated, &self.tag, plaintext);
        Sealed { tag: self.tag, ephemeral, body }
    }

    /// The plaintext of a body that was sealed under this link; `None` means that someone on the way changed it.
    pub fn open(&self, associated: &[u8], ephemeral: &[u8; 32], body: &[u8]) -> Option<Vec<u8>> {
        self.body_key(ephemeral).open(associated, &self.tag, body)
    }

    fn body_key(&self, ephemeral: &[u8; 32]) -> BodyKey {
        let secret = Secret::new(*derive(&self.key, b"cell"));
        BodyKey::new(Secret::new(*derive(&secret, ephemeral)))
    }
}

fn derive(key: &Secret<32>, what: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(*blake3::keyed_hash(key.expose(), what).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn chain() -> TagChain {
        TagChain::new(Secret::new([7; 32]))
    }

    #[test]
    fn both_ends_of_a_chain_find_the_same_links() {
        let (mut one, mut other) = (chain(), chain());
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for number in 0..20 {
            let (sent, expected) = (one.advance(), other.advance());
            let sealed = sent.seal(&mut rng, b"header", b"what is said");
            assert_eq!((sealed.tag, expected.number), (expected.tag, number));
            let opened = expected.open(b"header", &sealed.ephemeral, &sealed.body);
            assert_eq!(opened.as_deref(), Some(&b"what is said"[..]));
            assert!(expected.open(b"another", &sealed.ephemeral, &sealed.body).is_none());
        }
    }

    #[test]
    fn a_kept_chain_goes_on_where_it_was_and_knows_nothing_older() {
        let mut whole = chain();
        let past = whole.advance().tag;
        let mut kept = TagChain::at(&whole.secrets(), whole.next());
        let tags: Vec<Tag> = (0..100).map(|_| kept.advance().tag).collect();
        assert_eq!(whole.advance().tag, tags[0]);
        assert!(!tags.contains(&past));
    }

    #[test]
    fn the_first_links_of_stages_ahead_are_those_the_chain_comes_to() {
        let mut chain = chain();
        (0..10).for_each(|_| drop(chain.advance()));
        let ahead: Vec<TagLink> = chain.milestones().take(3).collect();
        let reached: Vec<TagLink> = (0..300).map(|_| chain.advance()).collect();
        for milestone in ahead {
            let link = reached.iter().find(|link| link.number == milestone.number).unwrap();
            assert_eq!((link.tag, link.key.expose()), (milestone.tag, milestone.key.expose()));
            assert_eq!(link.number % STAGE_LINKS, 0);
        }
    }

    #[test]
    fn one_link_used_twice_still_seals_with_two_keys() {
        let link = chain().advance();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (one, other) = (link.seal(&mut rng, b"", b"same"), link.seal(&mut rng, b"", b"same"));
        assert_eq!(one.tag, other.tag);
        assert_ne!(one.body[16..], other.body[16..]);
    }
}
