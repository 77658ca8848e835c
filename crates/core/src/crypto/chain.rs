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
        let (stage, key) = next_stage(&exported);
        TagChain { stage, key, next: 0 }
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
        let (next_key, link) = link_of(&self.key, self.next);
        self.next += 1;
        if self.next.is_multiple_of(STAGE_LINKS) {
            (self.stage, self.key) = next_stage(&self.stage);
        } else {
            self.key = next_key;
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
    pub fn milestones(&self) -> Milestones {
        let begins = self.next.is_multiple_of(STAGE_LINKS).then(|| link_of(&self.key, self.next).1);
        Milestones { begins, stage: self.stage.clone(), next: (self.next / STAGE_LINKS + 1) * STAGE_LINKS }
    }
}

/// The first links of stages, one after the other without end.
#[expect(missing_debug_implementations, reason = "holds secrets")]
#[derive(Clone)]
pub struct Milestones {
    begins: Option<TagLink>,
    stage: Secret<32>,
    next: u64,
}

impl Milestones {
    /// The number of the next one.
    pub fn number(&self) -> u64 {
        self.begins.as_ref().map_or(self.next, |link| link.number)
    }
}

impl Iterator for Milestones {
    type Item = TagLink;

    fn next(&mut self) -> Option<TagLink> {
        if let Some(link) = self.begins.take() {
            return Some(link);
        }
        let (stage, key) = next_stage(&self.stage);
        let (_, link) = link_of(&key, self.next);
        self.stage = stage;
        self.next += STAGE_LINKS;
        Some(link)
    }
}

impl TagLink {
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

/// The key of the link behind that of a key, and that link: one hash gives the key and the tag.
fn link_of(key: &Secret<32>, number: u64) -> (Secret<32>, TagLink) {
    let (next_key, tag) = derive_two(key, b"link");
    let tag = Tag(*tag.expose().first_chunk().expect("32 bytes begin with 16"));
    (next_key, TagLink { number, tag, key: key.clone() })
}

/// From the secret of a stage: that of the stage behind it, and the key of its own first link.
fn next_stage(stage: &Secret<32>) -> (Secret<32>, Secret<32>) {
    derive_two(stage, b"stage")
}

/// Two secrets from one: as much as one block of BLAKE3's output holds, and so for the price of one.
fn derive_two(key: &Secret<32>, what: &[u8]) -> (Secret<32>, Secret<32>) {
    let mut both = Zeroizing::new([0; 64]);
    blake3::Hasher::new_keyed(key.expose()).update(what).finalize_xof().fill(&mut *both);
    let half = |bytes: &[u8]| Secret::new(bytes.try_into().expect("half of 64 bytes"));
    (half(&both[..32]), half(&both[32..]))
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

    /// Computed with another implementation of BLAKE3, after docs/protocol/session.md §4.
    #[test]
    fn a_chain_is_as_it_is_written_down() {
        let mut chain = chain();
        let links: Vec<TagLink> = (0..129).map(|_| chain.advance()).collect();
        let expected = [
            (0, "317bb1d7b40a49a84b3f9f0826fa5a79", "5f822b10697ef0628fa05e939928770f1b9c0dd968e66263eb45b1afc203a7ff"),
            (1, "de64ff9eb6ffda6d03d4eb5f60e4a5a5", "6386315ecb5b6dbc51e6dcc23625f568cb1641ddd599ed2b3c20ed50dba372e9"),
            (
                63,
                "80f5f027fcf79d71548452203c349a9e",
                "f71212aef82f0b54511e16b89bebe446f6a007a0564beeddfdc74b6915106c39",
            ),
            (
                64,
                "872dbf52adffa1a2aa4dd9115a9b45c4",
                "2bcd4f28f70081b7c579a48a14e06605d8ac318fa6026f9804062c9a787152fb",
            ),
            (
                128,
                "cf3e11e0ccfccfb9ca6c09a1a7da1b6b",
                "0726e74763cea1221f39b81f2db05c7337feee27f6c029c0f3f557c6f929bc3a",
            ),
        ];
        for (number, tag, secret) in expected {
            let link = &links[number];
            assert_eq!(hex::encode(link.tag.0), tag);
            assert_eq!(hex::encode(*derive(&link.key, b"cell")), secret);
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
