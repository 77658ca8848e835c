//! How a session begins on this device: it founds it, or enters it by a Welcome.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainframe_base::{DeviceKey, IdentityKey, SessionId, Time};
use mainframe_mls::{DeviceSecret, Group, Rows};

use super::{Conversation, Scene, Wants, export, facts_of, members_of, ordering_of};
use crate::crypto::DeviceCertificate;
use crate::session::SessionConfig;
use crate::session::credential::Credential;
use crate::session::epoch::{Epoch, EpochFacts};
use crate::session::fragment::Assembly;
use crate::session::ledger::{Ledger, LedgerOut, LedgerScene, Member, Start};
use crate::session::ordering::Ordering;
use crate::session::terms::{Kind, Terms};

/// A group that is as sessions are, before anything of it is kept.
pub(in crate::session) struct Beginning {
    group: Group,
    terms: Terms,
    facts: EpochFacts,
    ordering: Ordering,
    me: Member,
}

impl Beginning {
    /// What a Welcome leads to; `None` if that is not as sessions are.
    pub(in crate::session) fn welcomed(
        now: Time,
        config: &SessionConfig,
        device: &DeviceSecret,
        secrets: &Rows,
        welcome: &[u8],
        tree: Option<&[u8]>,
    ) -> Option<Beginning> {
        let joined = Group::join(device, secrets, welcome, tree).ok()?;
        Beginning::of(now, config, joined.group, joined.inviter.0)
    }

    fn of(now: Time, config: &SessionConfig, group: Group, committer: u32) -> Option<Beginning> {
        let terms = Terms::decode(group.context()).ok()?;
        let facts = facts_of(&group, &[], committer, now)?;
        let seat = facts.seat(facts.own_leaf)?;
        let me = Member { device: seat.id(), person: seat.person };
        let ordering = ordering_of(&facts, config)?;
        Some(Beginning { group, terms, facts, ordering, me })
    }

    /// The session's name.
    pub(in crate::session) fn id(&self) -> SessionId {
        self.group.id()
    }

    /// Which of our persons would be in it.
    pub(in crate::session) fn person(&self) -> IdentityKey {
        self.me.person
    }

    /// Whether it is the session of two with somebody.
    pub(in crate::session) fn is_pair_with(&self, peer: &IdentityKey) -> bool {
        let two = [*peer, self.me.person];
        self.terms.kind == Kind::Pair
            && self.terms.admins == two.into()
            && self.facts.seats.iter().all(|seat| two.contains(&seat.person))
    }

    /// Whether a device would be in it.
    pub(super) fn has(&self, device: &DeviceKey) -> bool {
        self.facts.seats.iter().any(|seat| seat.device == *device)
    }

    /// The number of its epoch.
    pub(in crate::session) fn epoch(&self) -> u64 {
        self.facts.number
    }
}

impl Conversation {
    /// Founds a session in which we are alone.
    pub(in crate::session) fn found(
        scene: &mut Scene<'_>,
        id: SessionId,
        device: &DeviceSecret,
        certificate: &DeviceCertificate,
        terms: &Terms,
    ) -> Conversation {
        let credential = Credential::of(certificate.clone()).encode();
        let group = Group::create(scene.rng, id, device, &credential, &terms.encode());
        let own_leaf = group.own_leaf().0;
        let beginning = Beginning::of(scene.now, scene.config, group, own_leaf);
        let beginning = beginning.expect("what we founded ourselves is as it should be");
        Conversation::begin(scene, beginning, device, Some(&Start::default()))
    }

    /// Enters a session. What was said on this device when it was in it before stays.
    pub(in crate::session) fn begin(
        scene: &mut Scene<'_>,
        beginning: Beginning,
        device: &DeviceSecret,
        start: Option<&Start>,
    ) -> Conversation {
        let Beginning { group, terms, facts, ordering, me } = beginning;
        let id = group.id();
        let members = members_of(&facts);
        let epoch = Epoch::begin(facts, |leaf| export(&group, leaf));
        let mut out = LedgerOut::default();
        let ledger = ledger_of(scene, &mut out, id, me, &members, start);
        let mut conversation = Conversation {
            id,
            me,
            device: device.clone(),
            group,
            terms,
            current: epoch.facts.id,
            epochs: BTreeMap::new(),
            branch: None,
            orderings: [(epoch.facts.id, ordering)].into(),
            candidates: BTreeMap::new(),
            asked: BTreeMap::new(),
            reminded: BTreeMap::new(),
            early: Vec::new(),
            renewed: scene.now,
            heard: None,
            look_around_at: scene.now + scene.config.epoch_kept_ms,
            wants: Wants::default(),
            draft: None,
            ledger,
            said_on_branch: BTreeSet::new(),
            is_removed: false,
            is_stuck: false,
            is_outdated: false,
            originals: VecDeque::new(),
            assembly: Assembly::new(),
            is_dirty: true,
        };
        conversation.add_epoch(scene, epoch);
        // Without its row a device that starts again before anything is decided could never decide with the others.
        conversation.keep_decision(scene.tx, &conversation.current);
        conversation.obey_ledger(scene, out);
        conversation.flush(scene);
        conversation
    }
}

/// A new ledger, or the one that is kept of a session we were in before: it goes on counting where it was, for what we said
/// then is known by its numbers. If that was said by another device of this node, counting begins anew. Without a place to
/// begin at we were never out: what was said meanwhile is still owed to us, and what we said is to the others.
fn ledger_of(
    scene: &mut Scene<'_>,
    out: &mut LedgerOut,
    id: SessionId,
    me: Member,
    members: &[Member],
    start: Option<&Start>,
) -> Ledger {
    let (config, seed) = (scene.config.ledger.clone(), scene.seed());
    let scene = &mut LedgerScene { now: scene.now, tx: scene.tx, out };
    match Ledger::load(scene.tx, id, scene.now, config.clone(), seed) {
        Some(mut ledger) => {
            ledger.go_on_as(scene, me);
            match start {
                Some(start) => ledger.rejoin(scene, start),
                None => ledger.resend_open(scene.now),
            }
            ledger.set_members(scene, members);
            ledger
        }
        None => {
            let start = start.cloned().unwrap_or_default();
            Ledger::create(scene, id, (me, members), &start, config, seed)
        }
    }
}
