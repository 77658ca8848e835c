//! What members say to each other about an epoch, as bytes.
//!
//! docs/protocol/session.md. Every statement is signed by a leaf of the epoch it is about; what proves something to
//! somebody who was away quotes the signed statements it stands on.

use mainframe_base::Fault;

use super::commit::CommitId;
use super::roster::{LEAVES_MAX, Leaf};
use super::tally::Tally;
use crate::codec::{Reader, put_list};

/// A leaf's signature over the bytes of a statement, and whatever names the group and the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature(pub [u8; 64]);

/// Signs for our own leaf and checks others' signatures, for one epoch of one group.
pub trait Notary {
    /// Our leaf's signature over a statement.
    fn sign(&self, statement: &[u8]) -> Signature;
    /// Whether a leaf of the epoch signed a statement.
    fn is_signed_by(&self, leaf: Leaf, statement: &[u8], signature: &Signature) -> bool;
}

/// A vote for a commit at a ballot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Vote {
    /// 0 is open to every author's commit; later ballots belong to one leaf each.
    pub ballot: u32,
    /// What is voted for.
    pub commit: CommitId,
}

/// A word not to vote below a ballot any more, and the latest vote until then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// From 1 on.
    pub ballot: u32,
    /// The promising leaf's latest vote, at a lower ballot.
    pub accepted: Option<Vote>,
}

/// Somebody else's promise, quoted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotedPromise {
    /// Who promised.
    pub leaf: Leaf,
    /// Its latest vote then.
    pub accepted: Option<Vote>,
    /// Its signature over the promise.
    pub signature: Signature,
}

/// What a ballot's owner asks to vote for, and the promises that let it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// From ballot 1 on.
    pub vote: Vote,
    /// In ascending order of leaves.
    pub promises: Vec<QuotedPromise>,
}

/// Enough votes for one commit at one ballot: the proof that it counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// What all of them voted.
    pub vote: Vote,
    /// Who did, in ascending order.
    pub votes: Vec<(Leaf, Signature)>,
}

/// What a leaf says about an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// I do not know yet which commit counts, and have nothing else to say.
    Ask,
    /// I vote.
    Vote(Vote),
    /// This ballot is mine: promise, and tell me what you voted for.
    Prepare(u32),
    /// I promise.
    Promise(Promise),
    /// Vote for this.
    Propose(Proposal),
    /// This counts; whoever has not been heard from is to say that he knows.
    Certificate {
        /// The proof.
        certificate: Certificate,
        /// Of whom nothing about this epoch was heard, in ascending order.
        unheard: Vec<Leaf>,
    },
    /// I know that this counts.
    Known(CommitId),
}

/// A statement and who signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// Who says it.
    pub from: Leaf,
    /// What.
    pub statement: Statement,
    /// The signature over the statement's bytes.
    pub signature: Signature,
}

impl Statement {
    /// The statement as bytes, one encoding per statement: kind, then fields.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Statement::Ask => out.push(0),
            Statement::Vote(vote) => {
                out.push(1);
                vote.put(&mut out);
            }
            Statement::Prepare(ballot) => {
                out.push(2);
                out.extend_from_slice(&ballot.to_be_bytes());
            }
            Statement::Promise(promise) => {
                out.push(3);
                out.extend_from_slice(&promise.ballot.to_be_bytes());
                put_accepted(&mut out, promise.accepted);
            }
            Statement::Propose(proposal) => {
                out.push(4);
                proposal.put(&mut out);
            }
            Statement::Certificate { certificate, unheard } => {
                out.push(5);
                certificate.put(&mut out);
                put_list(&mut out, unheard, |out, leaf| leaf.put(out));
            }
            Statement::Known(commit) => {
                out.push(6);
                commit.put(&mut out);
            }
        }
        out
    }

    fn read(reader: &mut Reader<'_>) -> Result<Statement, Fault> {
        match reader.u8()? {
            0 => Ok(Statement::Ask),
            1 => Vote::read(reader).map(Statement::Vote),
            2 => read_owned_ballot(reader).map(Statement::Prepare),
            3 => {
                let ballot = read_owned_ballot(reader)?;
                Ok(Statement::Promise(Promise { ballot, accepted: read_accepted(reader, ballot)? }))
            }
            4 => Proposal::read(reader).map(Statement::Propose),
            5 => {
                let certificate = Certificate::read(reader)?;
                let unheard = ascending(reader.list(LEAVES_MAX, Leaf::read)?, |leaf| *leaf)?;
                Ok(Statement::Certificate { certificate, unheard })
            }
            6 => CommitId::read(reader).map(Statement::Known),
            _ => Err(Fault::UnknownFrame),
        }
    }
}

impl Signed {
    pub(super) fn by(from: Leaf, statement: Statement, notary: &dyn Notary) -> Signed {
        let signature = notary.sign(&statement.encode());
        Signed { from, statement, signature }
    }

    pub(super) fn verifies(&self, notary: &dyn Notary) -> bool {
        notary.is_signed_by(self.from, &self.statement.encode(), &self.signature)
    }

    /// Leaf, signature, statement.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.from.put(&mut out);
        out.extend_from_slice(&self.signature.0);
        out.extend_from_slice(&self.statement.encode());
        out
    }

    /// Reads what [`Signed::encode`] wrote. The signature is not checked here.
    ///
    /// # Errors
    /// `Malformed`, `Oversized`, `Impossible` or `UnknownFrame`, where the bytes are none of a statement.
    pub fn decode(bytes: &[u8]) -> Result<Signed, Fault> {
        let mut reader = Reader::new(bytes);
        let (from, signature) = (Leaf::read(&mut reader)?, Signature(reader.array()?));
        let statement = Statement::read(&mut reader)?;
        reader.finish()?;
        Ok(Signed { from, statement, signature })
    }
}

impl Vote {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vote, Fault> {
        Ok(Vote { ballot: reader.u32()?, commit: CommitId::read(reader)? })
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ballot.to_be_bytes());
        self.commit.put(out);
    }
}

impl Proposal {
    /// Whether everyone quoted really promised.
    pub(super) fn verifies(&self, notary: &dyn Notary) -> bool {
        self.promises.iter().all(|quote| {
            let promise = Promise { ballot: self.vote.ballot, accepted: quote.accepted };
            notary.is_signed_by(quote.leaf, &Statement::Promise(promise).encode(), &quote.signature)
        })
    }

    fn read(reader: &mut Reader<'_>) -> Result<Proposal, Fault> {
        let vote = Vote { ballot: read_owned_ballot(reader)?, commit: CommitId::read(reader)? };
        let promises = reader.list(LEAVES_MAX, |reader| {
            let (leaf, accepted) = (Leaf::read(reader)?, read_accepted(reader, vote.ballot)?);
            Ok(QuotedPromise { leaf, accepted, signature: Signature(reader.array()?) })
        })?;
        ascending(promises, |quote| quote.leaf).map(|promises| Proposal { vote, promises })
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.vote.put(out);
        put_list(out, &self.promises, |out, quote| {
            quote.leaf.put(out);
            put_accepted(out, quote.accepted);
            out.extend_from_slice(&quote.signature.0);
        });
    }
}

impl Certificate {
    /// Whether everyone quoted really voted so; what was checked when it was heard is not checked again.
    pub(super) fn verifies(&self, notary: &dyn Notary, tally: &Tally) -> bool {
        let vote = Statement::Vote(self.vote).encode();
        self.votes.iter().all(|(leaf, signature)| {
            tally.has_checked(*leaf, self.vote, signature) || notary.is_signed_by(*leaf, &vote, signature)
        })
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.votes.iter().map(|(leaf, _)| *leaf)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Certificate, Fault> {
        let vote = Vote::read(reader)?;
        let votes = reader.list(LEAVES_MAX, |reader| Ok((Leaf::read(reader)?, Signature(reader.array()?))))?;
        ascending(votes, |(leaf, _)| *leaf).map(|votes| Certificate { vote, votes })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.vote.put(out);
        put_list(out, &self.votes, |out, (leaf, signature)| {
            leaf.put(out);
            out.extend_from_slice(&signature.0);
        });
    }
}

/// A ballot that somebody owns: 0 belongs to nobody.
fn read_owned_ballot(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    let ballot = reader.u32()?;
    if ballot == 0 { Err(Fault::Impossible) } else { Ok(ballot) }
}

fn read_accepted(reader: &mut Reader<'_>, below: u32) -> Result<Option<Vote>, Fault> {
    let accepted = read_optional_vote(reader)?;
    if accepted.is_some_and(|vote| vote.ballot >= below) { Err(Fault::Impossible) } else { Ok(accepted) }
}

pub(super) fn read_optional_vote(reader: &mut Reader<'_>) -> Result<Option<Vote>, Fault> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Vote::read(reader).map(Some),
        _ => Err(Fault::Impossible),
    }
}

pub(super) fn put_accepted(out: &mut Vec<u8>, accepted: Option<Vote>) {
    out.push(accepted.is_some().into());
    if let Some(vote) = accepted {
        vote.put(out);
    }
}

fn ascending<T>(items: Vec<T>, leaf: impl Fn(&T) -> Leaf) -> Result<Vec<T>, Fault> {
    if items.is_sorted_by(|one, next| leaf(one) < leaf(next)) { Ok(items) } else { Err(Fault::Impossible) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_statement_reads_back_as_it_was_written(signed in signed()) {
            prop_assert_eq!(Signed::decode(&signed.encode()), Ok(signed));
        }

        #[test]
        fn bytes_are_a_statement_in_one_way_or_not_at_all(bytes in vec(any::<u8>(), 68..240), kind in 0..8_u8) {
            let mut bytes = bytes;
            bytes.splice(68..68, [kind]);
            if let Ok(signed) = Signed::decode(&bytes) {
                prop_assert_eq!(signed.encode(), bytes);
            }
        }

        #[test]
        fn a_bent_statement_is_another_or_none(signed in signed(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = signed.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Signed::decode(&bytes) {
                prop_assert_eq!(other.encode(), bytes);
                prop_assert_ne!(other, signed);
            }
        }
    }

    #[test]
    fn a_leaf_cannot_be_quoted_twice() {
        let votes = vec![(Leaf(3), Signature([0; 64])); 2];
        let statement = Statement::Certificate {
            certificate: Certificate { vote: Vote { ballot: 0, commit: CommitId([0; 32]) }, votes },
            unheard: Vec::new(),
        };
        let signed = Signed { from: Leaf(3), statement, signature: Signature([0; 64]) };
        assert_eq!(Signed::decode(&signed.encode()), Err(Fault::Impossible));
    }

    #[test]
    fn nobody_promises_a_ballot_below_its_latest_vote() {
        let accepted = Some(Vote { ballot: 3, commit: CommitId([0; 32]) });
        let promise = |ballot| Signed {
            from: Leaf(0),
            statement: Statement::Promise(Promise { ballot, accepted }),
            signature: Signature([0; 64]),
        };
        assert_eq!(Signed::decode(&promise(3).encode()), Err(Fault::Impossible));
        assert!(Signed::decode(&promise(4).encode()).is_ok());
    }

    fn signed() -> impl Strategy<Value = Signed> {
        (any::<u32>(), statement(), signature()).prop_map(|(from, statement, signature)| Signed {
            from: Leaf(from),
            statement,
            signature,
        })
    }

    fn statement() -> impl Strategy<Value = Statement> {
        let owned = 1..u32::MAX;
        let quotes = btree_map(any::<u32>(), (option::of(vote(0..1)), signature()), 0..5);
        let votes = btree_map(any::<u32>(), signature(), 0..5);
        prop_oneof![
            Just(Statement::Ask),
            any::<[u8; 32]>().prop_map(|commit| Statement::Known(CommitId(commit))),
            vote(0..u32::MAX).prop_map(Statement::Vote),
            owned.clone().prop_map(Statement::Prepare),
            (10..u32::MAX, option::of(vote(0..10)))
                .prop_map(|(ballot, accepted)| Statement::Promise(Promise { ballot, accepted })),
            (vote(owned), quotes).prop_map(|(vote, quotes)| {
                let quote = |(leaf, (accepted, signature))| QuotedPromise { leaf: Leaf(leaf), accepted, signature };
                Statement::Propose(Proposal { vote, promises: quotes.into_iter().map(quote).collect() })
            }),
            (vote(0..u32::MAX), votes, btree_set(any::<u32>(), 0..5)).prop_map(|(vote, votes, unheard)| {
                let votes = votes.into_iter().map(|(leaf, signature)| (Leaf(leaf), signature)).collect();
                let unheard = unheard.into_iter().map(Leaf).collect();
                Statement::Certificate { certificate: Certificate { vote, votes }, unheard }
            }),
        ]
    }

    fn vote(ballots: std::ops::Range<u32>) -> impl Strategy<Value = Vote> {
        (ballots, any::<[u8; 32]>()).prop_map(|(ballot, commit)| Vote { ballot, commit: CommitId(commit) })
    }

    fn signature() -> impl Strategy<Value = Signature> {
        any::<u8>().prop_map(|byte| Signature([byte; 64]))
    }
}
