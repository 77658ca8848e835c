//! From one stage to the next: what follows from what was wished for, and what several ways have in common.

use mainframe_base::{IdentityKey, SessionId, Time};

use super::letters::{
    About, Decline, HelloId, KEY_PACKAGE_LENGTH_MAX, KEY_PACKAGES_MAX, Keys, KeysWanted, Moved, TREE_LENGTH_MAX,
    WELCOME_LENGTH_MAX, Welcome,
};
use super::ports::{Fact, Ignored, Output, Turn, Wish};
use super::row::{Contact, Ending, Retry, Stage};
use super::{CLOCK_MINUTES, Contacts, DAY_MS, MINUTE_MS, REQUESTS_MAX, Remembered, WAY_MINUTES, Whose, hours_of};
use crate::crypto::{Card, Invitation, LetterKind};

/// How long our own greetings are remembered after they are said: people answer requests after weeks (guess).
const OURS_MS: u64 = 60 * DAY_MS;
/// How long a greeting is remembered that was declined: its sender repeats it for two weeks, and may be away for another two.
const DECLINED_MS: u64 = 30 * DAY_MS;
/// How long any other that is done with: until no letter with them can be believed, whichever clock is off.
const THEIRS_MS: u64 = (WAY_MINUTES + 3 * CLOCK_MINUTES) as u64 * MINUTE_MS;
/// A card may be dated ahead by a day: of two cards of one hour the second takes the next hour's number.
const CARD_AHEAD_HOURS: u32 = 24;

impl Contacts {
    pub(super) fn key_packages_made(
        &mut self,
        turn: &mut Turn<'_>,
        peer: IdentityKey,
        about: About,
        packages: Vec<Vec<u8>>,
    ) {
        assert!((1..=KEY_PACKAGES_MAX).contains(&packages.len()), "one key package for each of few devices");
        assert!(packages.iter().all(|package| package.len() <= KEY_PACKAGE_LENGTH_MAX), "our key packages are short");
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        match (about, &contact.stage) {
            (About::Session(session), _) if !contact.blocked => {
                Contacts::send(turn, contact.recipient(), LetterKind::Keys, Keys { session, packages }.encode());
            }
            (About::Hello(hello), Stage::Accepting { hello: current }) if hello == *current => {
                let retry = Retry::begin(turn);
                self.enter(turn, peer, &mut contact, Stage::Accepted { hello, packages, retry });
                self.send_current(turn, &contact);
            }
            _ => {}
        }
    }

    pub(super) fn welcome_made(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, made: Welcome) {
        assert!(made.welcome.len() <= WELCOME_LENGTH_MAX, "a Welcome of ours fits a letter");
        assert!(made.tree.as_ref().is_none_or(|tree| tree.len() <= TREE_LENGTH_MAX), "longer trees are fetched");
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        match (made.about, &contact.stage) {
            (About::Session(_), _) if !contact.blocked => {
                Contacts::send(turn, contact.recipient(), LetterKind::Welcome, made.encode());
            }
            (About::Hello(hello), Stage::Starting { hello: current, .. }) if hello == *current => {
                let (retry, Welcome { session, welcome, tree, .. }) = (Retry::begin(turn), made);
                self.enter(turn, peer, &mut contact, Stage::Welcoming { hello, session, welcome, tree, retry });
                self.send_current(turn, &contact);
            }
            _ => {}
        }
    }

    pub(super) fn session_joined(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, joined: SessionId) {
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        let Stage::Joining { hello, session, .. } = contact.stage else { return };
        if session == joined {
            self.enter(turn, peer, &mut contact, Stage::Together { hello, session });
            turn.out.push(Output::Fact(Fact::Together(peer, session)));
            turn.out.push(Output::Wish(Wish::Confirm { peer, session }));
        }
    }

    pub(super) fn session_heard(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, heard: SessionId) {
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        if let Stage::Welcoming { hello, session, .. } = contact.stage {
            if session == heard {
                self.enter(turn, peer, &mut contact, Stage::Together { hello, session });
                turn.out.push(Output::Fact(Fact::Together(peer, session)));
            }
        } else if matches!(contact.stage, Stage::Ended { .. }) {
            // We took it back, and he does not know.
            self.answer_again(turn, &mut contact);
            self.save(turn, peer, &contact);
        }
    }

    pub(super) fn session_failed(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, hello: HelloId) {
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        let tried = matches!(contact.stage, Stage::Starting { .. } | Stage::Joining { .. });
        if tried && contact.stage.hello() == Some(hello) {
            self.end(turn, peer, &mut contact, Ending::Failed);
            turn.out.push(Output::Fact(Fact::Failed(peer)));
        }
    }

    pub(super) fn keys_needed(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, session: SessionId) {
        if let Some(contact) = Contact::load(turn.tx, &self.me, &peer).filter(|contact| !contact.blocked) {
            Contacts::send(turn, contact.recipient(), LetterKind::KeysWanted, KeysWanted { session }.encode());
        }
    }

    pub(super) fn card_told(&mut self, turn: &mut Turn<'_>, card: Card) {
        let peer = card.identity();
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &peer) else { return };
        match check_card(turn.now, &peer, &card) {
            Ok(()) => {
                Contacts::learn_card(turn, &mut contact, card);
                self.save(turn, peer, &contact);
            }
            Err(why) => turn.out.push(Output::Fact(Fact::Ignored { from: peer, why })),
        }
    }

    /// A contact is somebody else by name from now on. A session goes on, a greeting of ours begins anew, and whatever else
    /// was under way came to nothing, because it was tied to the old name.
    pub(super) fn moved(&mut self, turn: &mut Turn<'_>, moved: Moved) {
        let (old, new) = (moved.rotation.old, moved.rotation.new);
        let Some(mut contact) = Contact::load(turn.tx, &self.me, &old).filter(|_| new != self.me && old != self.me)
        else {
            return;
        };
        self.delete(turn, old);
        let known = Contact::load(turn.tx, &self.me, &new);
        let blocked = contact.blocked || known.as_ref().is_some_and(|known| known.blocked);
        if let Some(known) = known {
            contact = known;
        }
        contact.blocked = blocked;
        contact.card = Some(moved.card);
        if !matches!(contact.stage, Stage::Together { .. }) {
            let stage = std::mem::replace(&mut contact.stage, Stage::Known);
            if let Stage::Saying { text, .. } = stage
                && !blocked
            {
                self.say(turn, new, &mut contact, text, None);
            }
        }
        self.save(turn, new, &contact);
        if !blocked {
            turn.out.push(Output::Fact(Fact::Moved { old, new }));
        }
    }

    /// Greets under a new name.
    pub(super) fn say(
        &mut self,
        turn: &mut Turn<'_>,
        peer: IdentityKey,
        contact: &mut Contact,
        text: String,
        invitation: Option<Invitation>,
    ) {
        let mut hello = HelloId([0; 16]);
        turn.rng.fill_bytes(&mut hello.0);
        self.hellos.remember(turn.tx, hello, Remembered { peer, whose: Whose::Ours }, turn.now + OURS_MS);
        let retry = Retry::begin(turn);
        self.enter(turn, peer, contact, Stage::Saying { hello, text, invitation, retry });
        self.send_current(turn, contact);
        self.forget_hellos(turn);
    }

    /// Accepts a greeting: its keys are made next. It is done with: who sends it again gets the same answer.
    pub(super) fn begin_accepting(
        &mut self,
        turn: &mut Turn<'_>,
        peer: IdentityKey,
        contact: &mut Contact,
        hello: HelloId,
    ) {
        contact.chosen = true;
        self.close(turn, peer, hello);
        self.enter(turn, peer, contact, Stage::Accepting { hello });
        turn.out.push(Output::Wish(Wish::MakeKeyPackages { peer, about: About::Hello(hello) }));
        self.forget_hellos(turn);
    }

    /// Ends what follows from a greeting, and says so if it should be said.
    pub(super) fn end(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, contact: &mut Contact, ending: Ending) {
        let Some(hello) = contact.stage.hello() else { return };
        let is_ours = matches!(contact.stage, Stage::Saying { .. } | Stage::Starting { .. } | Stage::Welcoming { .. });
        let to = contact.recipient();
        if is_ours {
            let what = Remembered { peer, whose: Whose::Withdrawn };
            self.hellos.remember(turn.tx, hello, what, turn.now + OURS_MS);
        } else {
            let what = Remembered { peer, whose: Whose::Done };
            self.hellos.remember(turn.tx, hello, what, turn.now + DECLINED_MS);
        }
        self.enter(turn, peer, contact, Stage::Ended { hello, ending });
        if matches!(ending, Ending::ByUs | Ending::Failed) {
            Contacts::send(turn, to, LetterKind::Decline, Decline { hello }.encode());
        }
        self.forget_hellos(turn);
    }

    /// Remembers that a greeting of the peer's is done with.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, hello: HelloId) {
        let what = Remembered { peer, whose: Whose::Done };
        self.hellos.remember(turn.tx, hello, what, turn.now + THEIRS_MS);
    }

    /// Enters a stage, and keeps it.
    pub(super) fn enter(&mut self, turn: &mut Turn<'_>, peer: IdentityKey, contact: &mut Contact, stage: Stage) {
        contact.stage = stage;
        contact.since = turn.now;
        self.save(turn, peer, contact);
        self.drop_requests(turn);
    }

    fn drop_requests(&mut self, turn: &mut Turn<'_>) {
        while self.requests.len() > REQUESTS_MAX {
            let (_, oldest) = self.requests.first().expect("there are too many");
            let mut contact = Contact::load(turn.tx, &self.me, &oldest).expect("who asked is kept");
            if contact.chosen {
                contact.stage = Stage::Known;
                self.save(turn, oldest, &contact);
            } else {
                self.delete(turn, oldest);
            }
            turn.out.push(Output::Fact(Fact::RequestDropped(oldest)));
        }
    }

    /// Wishes once more what may not have been carried out.
    pub(super) fn wish_again(&self, turn: &mut Turn<'_>, peer: IdentityKey, contact: &Contact) {
        let wish = match (&contact.stage, &contact.card) {
            (Stage::Accepting { hello }, _) => Wish::MakeKeyPackages { peer, about: About::Hello(*hello) },
            (Stage::Starting { hello, packages }, Some(card)) => {
                Wish::StartSession { peer: card.clone(), hello: *hello, packages: packages.clone() }
            }
            (Stage::Joining { hello, session, welcome, tree }, _) => Wish::JoinSession {
                peer,
                about: About::Hello(*hello),
                session: *session,
                welcome: welcome.clone(),
                tree: tree.clone(),
                start: Vec::new(),
            },
            _ => return,
        };
        turn.out.push(Output::Wish(wish));
    }

    /// Takes a card over if it is newer than the one that is known. It has been checked.
    pub(super) fn learn_card(turn: &mut Turn<'_>, contact: &mut Contact, card: Card) {
        let known = contact.card.as_ref().map(|known| known.body().issued_hours);
        if known.is_some_and(|issued_hours| issued_hours >= card.body().issued_hours) {
            return;
        }
        let peer = card.identity();
        contact.card = Some(card);
        if known.is_some() {
            turn.out.push(Output::Fact(Fact::CardChanged(peer)));
        }
    }
}

/// Whether a card is its sender's, and of our time.
pub(super) fn check_card(now: Time, from: &IdentityKey, card: &Card) -> Result<(), Ignored> {
    if card.identity() != *from {
        return Err(mainframe_base::Fault::Impossible.into());
    }
    if card.body().issued_hours > hours_of(now) + CARD_AHEAD_HOURS {
        return Err(Ignored::CardAhead);
    }
    if card.is_expired(now) { Err(Ignored::CardExpired) } else { Ok(()) }
}
