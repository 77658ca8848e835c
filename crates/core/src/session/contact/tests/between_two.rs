//! What two people see of each other, step by step.

use mainframe_base::SessionId;
use rand_core::SeedableRng;

use super::super::*;
use super::world::{Parcel, START, Weather, World, card_of};
use crate::crypto::{CardBody, Identity, Invitation, LetterKind, Name};

const SILENCE: Weather = Weather { lost: 100, doubled: 0, crashes: 0, delay_max_ms: 2_000 };
const TERMS: Terms = Terms { once: true, accept_at_once: true, expires_hours: (START.0 / HOUR_MS) as u32 + 24 };

/// Lets everything arrive that is under way, and nothing be sent again.
fn settle(world: &mut World) {
    world.run_for(MINUTE_MS);
}

fn last_fact(world: &World, who: usize) -> Option<&Fact> {
    world.people[who].facts.last()
}

fn ignored(world: &World, who: usize) -> Option<Ignored> {
    match last_fact(world, who) {
        Some(Fact::Ignored { why, .. }) => Some(*why),
        _ => None,
    }
}

fn are_together(world: &World) -> bool {
    let both = [world.standing(0), world.standing(1)];
    matches!(both, [Some(ContactStanding::Together(one)), Some(ContactStanding::Together(other))] if one == other)
}

/// The second has been asked by the first.
fn asked() -> World {
    let mut world = World::new(1);
    world.add(0);
    settle(&mut world);
    assert_eq!(world.standing(1), Some(ContactStanding::Asked("hello".to_owned())));
    world
}

/// Both share a session.
fn together() -> World {
    let mut world = asked();
    let peer = world.key(0);
    world.order(1, |contacts, turn| contacts.accept(turn, peer));
    settle(&mut world);
    assert!(are_together(&world));
    world
}

fn invitation(world: &mut World, terms: Terms) -> Invitation {
    world.order(1, |contacts, turn| contacts.invite(turn, terms))
}

fn use_invitation(world: &mut World, invitation: &Invitation) {
    world.order(0, |contacts, turn| contacts.add(turn, Whom::Invitation(invitation.clone()), "you invited me"));
    settle(world);
}

#[test]
fn who_is_greeted_and_accepts_shares_a_session_after_three_letters() {
    let world = together();
    assert_eq!(world.people[0].sent, [LetterKind::Hello, LetterKind::Welcome]);
    assert_eq!(world.people[1].sent, [LetterKind::Accept]);
    assert!(world.people[0].facts.contains(&Fact::Accepted(world.key(1))));
}

#[test]
fn a_stub_is_enough_to_greet_and_the_card_comes_with_the_answer() {
    let mut world = World::new(1);
    let invitation = invitation(&mut world, TERMS).shortened();
    use_invitation(&mut world, &invitation);
    assert!(are_together(&world));
    let view = world.people[0].contacts.contact(&world.people[0].store, &world.key(1)).unwrap();
    assert_eq!(view.card, Some(world.card(1)));
}

#[test]
fn an_invitation_lets_in_without_asking_only_if_it_says_so() {
    let mut world = World::new(1);
    let terms = Terms { accept_at_once: false, ..TERMS };
    let invitation = invitation(&mut world, terms);
    use_invitation(&mut world, &invitation);
    assert!(matches!(world.standing(1), Some(ContactStanding::Asked(_))));
    let used = Some((invitation.secret.id(), Standing::Valid));
    assert!(
        matches!(last_fact(&world, 1), Some(Fact::Requested { invitation, accepted: false, .. }) if *invitation == used)
    );
}

#[test]
fn an_invitation_for_one_lets_nobody_in_the_second_time() {
    let mut world = World::new(1);
    let once = invitation(&mut world, TERMS);
    use_invitation(&mut world, &once);
    assert!(are_together(&world));
    for who in [0, 1] {
        let peer = world.key(1 - who);
        world.order(who, |contacts, turn| contacts.remove(turn, peer));
    }
    use_invitation(&mut world, &once);
    assert!(matches!(
        last_fact(&world, 1),
        Some(Fact::Requested { invitation: Some((_, Standing::UsedUp)), accepted: false, .. })
    ));
}

#[test]
fn an_invitation_that_was_in_time_when_it_was_used_holds_when_the_letter_comes() {
    let mut world = World::new(1);
    let invitation = invitation(&mut world, TERMS);
    world.weather.delay_max_ms = 1;
    world.now = world.now + 23 * HOUR_MS;
    world.order(0, |contacts, turn| contacts.add(turn, Whom::Invitation(invitation.clone()), "late"));
    world.now = world.now + 48 * HOUR_MS;
    settle(&mut world);
    assert!(are_together(&world));
}

#[test]
fn expired_and_withdrawn_invitations_let_nobody_in() {
    let mut world = World::new(1);
    let invitation = invitation(&mut world, Terms { once: false, ..TERMS });
    world.people[0].clock_ms = -(30 * MINUTE_MS as i64);
    world.now = world.now + 24 * HOUR_MS;
    world.order(0, |contacts, turn| contacts.add(turn, Whom::Invitation(invitation.clone()), "by a slow clock"));
    settle(&mut world);
    assert!(are_together(&world), "an hour of clocks is forgiven");

    let mut world = World::new(1);
    let invitation = self::invitation(&mut world, TERMS);
    world.act(1, |contacts, turn| contacts.withdraw_invitation(turn, invitation.secret.id()));
    use_invitation(&mut world, &invitation);
    assert_eq!(world.standing(1), None);
    world.now = world.now + 24 * HOUR_MS;
    let late = world.act(0, |contacts, turn| contacts.add(turn, Whom::Invitation(invitation.clone()), "late"));
    assert_eq!(late, Some(Err(NotDone::InvitationExpired)));
}

#[test]
fn only_so_many_invitations_are_out_and_expired_ones_make_room() {
    let mut world = World::new(1);
    for _ in 0..invitations::INVITATIONS_MAX {
        invitation(&mut world, TERMS);
    }
    let more = |world: &mut World, terms| world.act(1, |contacts, turn| contacts.invite(turn, terms).map(|_| ()));
    assert_eq!(more(&mut world, TERMS), Some(Err(NotDone::Full)));
    world.now = world.now + 120 * HOUR_MS;
    let later = Terms { expires_hours: TERMS.expires_hours + 240, ..TERMS };
    assert_eq!(more(&mut world, later), Some(Ok(())));
}

#[test]
fn a_lost_greeting_is_sent_again_until_it_is_given_up_after_two_weeks() {
    let mut world = World::new(1);
    world.weather = SILENCE;
    world.add(0);
    world.run_for(13 * DAY_MS);
    assert!(!world.people[0].facts.contains(&Fact::GaveUp(world.key(1))));
    world.run_for(3 * DAY_MS);
    assert_eq!(last_fact(&world, 0), Some(&Fact::GaveUp(world.key(1))));
    let tries = world.people[0].sent.len();
    assert!((15..30).contains(&tries), "{tries} tries");
    let view = world.people[0].contacts.contact(&world.people[0].store, &world.key(1)).unwrap();
    assert!(view.gave_up && view.standing == ContactStanding::Greeted);
    world.run_for(30 * DAY_MS);
    assert_eq!(world.people[0].sent.len(), tries);
}

#[test]
fn a_greeting_is_sent_again_and_a_request_is_bounded_after_a_crash_too() {
    let mut world = World::new(1);
    world.weather = SILENCE;
    world.add(0);
    world.crash(0);
    world.weather = super::world::FINE;
    world.run_for(HOUR_MS);
    assert!(matches!(world.standing(1), Some(ContactStanding::Asked(_))));
    world.crash(1);
    assert_eq!(world.people[1].contacts.footprint()[0].now, 1);
}

#[test]
fn an_answer_counts_even_after_it_was_given_up() {
    let mut world = asked();
    world.run_for(16 * DAY_MS);
    assert!(world.people[0].facts.contains(&Fact::GaveUp(world.key(1))));
    let peer = world.key(0);
    world.order(1, |contacts, turn| contacts.accept(turn, peer));
    settle(&mut world);
    assert!(are_together(&world));
}

#[test]
fn who_declines_and_tells_is_heard_and_who_does_not_is_silent() {
    let mut world = asked();
    let peer = world.key(0);
    world.order(1, |contacts, turn| contacts.decline(turn, peer, true));
    settle(&mut world);
    assert_eq!(last_fact(&world, 0), Some(&Fact::Declined(world.key(1))));
    assert_eq!(world.standing(0), Some(ContactStanding::Ended(Ending::ByThem)));

    let mut world = asked();
    world.order(1, |contacts, turn| contacts.decline(turn, peer, false));
    world.run_for(13 * DAY_MS);
    assert_eq!(world.standing(0), Some(ContactStanding::Greeted));
    assert_eq!(world.people[1].sent, []);
    assert!(!matches!(world.standing(1), Some(ContactStanding::Asked(_))), "the repeated greeting asks no second time");
}

#[test]
fn a_lost_refusal_is_repeated_when_the_greeting_is() {
    let mut world = asked();
    let peer = world.key(0);
    world.weather = SILENCE;
    world.order(1, |contacts, turn| contacts.decline(turn, peer, true));
    world.weather = super::world::FINE;
    world.run_for(DAY_MS);
    assert_eq!(world.standing(0), Some(ContactStanding::Ended(Ending::ByThem)));
}

#[test]
fn strangers_who_were_declined_are_forgotten_in_the_end() {
    let mut world = asked();
    let (peer, mine) = (world.key(0), world.key(1));
    world.order(1, |contacts, turn| contacts.decline(turn, peer, true));
    world.run_for(31 * DAY_MS);
    assert_eq!(world.standing(1), None);
    assert_eq!(world.people[1].contacts.footprint().map(|held| held.now), [0, 0]);
    assert!(world.people[0].contacts.contact(&world.people[0].store, &mine).is_some(), "but whom one chose, one keeps");
}

#[test]
fn who_is_blocked_hears_nothing_ever_after_and_is_not_heard() {
    let mut world = asked();
    let peer = world.key(0);
    world.order(1, |contacts, turn| contacts.block(turn, peer));
    let facts = world.people[1].facts.len();
    world.run_for(20 * DAY_MS);
    world.order(0, |contacts, turn| contacts.greet(turn, contacts_first(contacts, turn), "please"));
    world.crash(1);
    world.run_for(DAY_MS);
    assert_eq!((world.people[1].facts.len(), world.people[1].sent.len()), (facts, 0));

    world.order(1, |contacts, turn| contacts.unblock(turn, peer));
    world.order(0, |contacts, turn| contacts.greet(turn, contacts_first(contacts, turn), "please"));
    settle(&mut world);
    assert_eq!(world.standing(1), Some(ContactStanding::Asked("please".to_owned())));
}

fn contacts_first(contacts: &Contacts, turn: &Turn<'_>) -> mainframe_base::IdentityKey {
    contacts.contacts(turn.tx, None, 1)[0].peer
}

#[test]
fn of_two_greetings_at_once_that_of_the_lower_key_counts() {
    let mut world = World::new(1);
    world.add(0);
    world.add(1);
    world.run_for(DAY_MS);
    assert!(are_together(&world));
    assert_eq!((world.people[0].started, world.people[1].started), (1, 0));
}

#[test]
fn who_declined_silently_and_greets_later_is_met_though_the_other_never_stopped_greeting() {
    for decliner in [0, 1] {
        let mut world = World::new(1);
        world.add(1 - decliner);
        settle(&mut world);
        let peer = world.key(1 - decliner);
        world.order(decliner, |contacts, turn| contacts.decline(turn, peer, false));
        world.add(decliner);
        world.run_for(2 * DAY_MS);
        assert!(are_together(&world), "person {decliner} declined");
    }
}

/// What the peer of `who` says, whatever the peer's own state.
fn say(world: &mut World, who: usize, kind: LetterKind, body: Vec<u8>) {
    world.now = world.now + 2 * MINUTE_MS;
    let (from, sent_minutes) = (world.key(1 - who), crate::crypto::minutes_of(world.now));
    world.input(who, Input::LetterOpened(crate::crypto::Opened { kind, from, sent_minutes, invitation: None, body }));
}

/// The name of the greeting in the last letter.
fn last_greeting(world: &World) -> HelloId {
    let (to, letter) = world.recorded.last().unwrap();
    let opened = crate::crypto::open_letter(&world.people[*to].identity, |_| None, letter).unwrap();
    Hello::decode(&opened.body).unwrap().id
}

#[test]
fn when_each_accepted_the_others_greeting_that_of_the_lower_key_counts() {
    for who in [0, 1] {
        let mut world = World::new(1);
        world.weather = SILENCE;
        world.add(who);
        let first = last_greeting(&world);
        world.add(who);
        let second = last_greeting(&world);
        say(&mut world, who, LetterKind::Decline, Decline { hello: second }.encode());
        let card = world.card(1 - who);
        let theirs = Hello { id: HelloId([7; 16]), text: String::new(), card: card.clone() };
        say(&mut world, who, LetterKind::Hello, theirs.encode());
        let peer = world.key(1 - who);
        world.order(who, |contacts, turn| contacts.accept(turn, peer));
        // Another of the peer's devices accepted the first greeting in the meantime.
        let accept = Accept { hello: first, packages: vec![vec![7; 100]], card };
        say(&mut world, who, LetterKind::Accept, accept.encode());
        assert_eq!(world.people[who].started, u32::from(who == 0));
    }
}

#[test]
fn who_is_heard_in_a_session_that_was_taken_back_is_told() {
    let mut world = asked();
    let (mine, peer) = (world.key(0), world.key(1));
    world.order(1, |contacts, turn| contacts.accept(turn, mine));
    while !matches!(world.standing(1), Some(ContactStanding::Together(_))) {
        assert!(world.step(START + DAY_MS));
    }
    world.weather = SILENCE;
    world.order(0, |contacts, turn| contacts.remove(turn, peer));
    world.weather = super::world::FINE;
    settle(&mut world);
    assert_eq!(world.standing(0), Some(ContactStanding::Ended(Ending::ByUs)));
    assert_eq!(world.standing(1), Some(ContactStanding::Ended(Ending::ByThem)));
}

#[test]
fn adding_who_has_asked_accepts_him() {
    let mut world = asked();
    world.add(1);
    settle(&mut world);
    assert!(are_together(&world));
    assert!(!world.people[1].sent.contains(&LetterKind::Hello));
}

#[test]
fn letters_replayed_change_nothing_and_are_answered_no_oftener_than_once_a_minute() {
    let mut world = together();
    let letters = world.recorded.clone();
    let sent = [0, 1].map(|who| world.people[who].sent.len());
    for _ in 0..50 {
        for (to, letter) in letters.clone() {
            world.deliver(to, Parcel::Letter(letter));
        }
    }
    settle(&mut world);
    assert!(are_together(&world));
    assert_eq!([0, 1].map(|who| world.people[who].sent.len()), sent);
    assert_eq!((world.people[0].started, ignored(&world, 1)), (1, Some(Ignored::Replay)));

    let mut world = asked();
    let greeting = world.recorded[0].1.clone();
    let peer = world.key(0);
    world.weather = SILENCE;
    world.order(1, |contacts, turn| contacts.accept(turn, peer));
    for _ in 0..120 {
        world.now = world.now + 1_000;
        world.deliver(1, Parcel::Letter(greeting.clone()));
    }
    assert!(world.people[1].sent.len() <= 4, "{:?}", world.people[1].sent);
}

#[test]
fn a_clock_an_hour_off_is_forgiven_and_one_two_days_off_explained() {
    for (ahead_ms, forgiven) in [(59, true), (-59, true), (2 * 24 * 60, false), (-4 * 24 * 60, false)] {
        let mut world = World::new(1);
        world.people[0].clock_ms = ahead_ms * MINUTE_MS as i64;
        world.add(0);
        settle(&mut world);
        assert_eq!(world.standing(1).is_some(), forgiven, "{ahead_ms} minutes");
        match ignored(&world, 1) {
            None => assert!(forgiven),
            Some(why) => assert!(why.to_string().contains("clock"), "{why}"),
        }
    }
}

#[test]
fn a_later_card_replaces_an_earlier_one_and_no_other() {
    let mut world = together();
    let told = |world: &mut World, at| {
        let card = card_of(&world.people[0].identity, at);
        world.input(1, Input::CardTold(card.clone()));
        let kept = world.people[1].contacts.contact(&world.people[1].store, &world.key(0)).unwrap().card.unwrap();
        (kept == card, matches!(last_fact(world, 1), Some(Fact::CardChanged(_))))
    };
    assert_eq!(told(&mut world, Time(START.0 - 3 * HOUR_MS)), (false, false));
    assert_eq!(told(&mut world, START + 3 * HOUR_MS), (true, true));
    assert_eq!(told(&mut world, START + 2 * HOUR_MS), (false, true));
    assert!(!told(&mut world, START + 2 * DAY_MS).0);
    assert_eq!(ignored(&world, 1), Some(Ignored::CardAhead));
}

#[test]
fn a_contact_with_a_new_identity_keeps_his_session_and_the_user_is_told() {
    let mut world = together();
    let old = world.key(0);
    let renewed = Identity::generate(&mut world.rng);
    let hours = hours_of(world.now);
    let moved = |from: &Identity| Moved { rotation: from.rotate_to(&renewed, hours), card: card_of(&renewed, START) };
    let moved_of_a_stranger = moved(&Identity::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(5)));
    world.input(1, Input::MoveTold(moved_of_a_stranger));
    assert!(are_together(&world));
    let moved = moved(&world.people[0].identity);
    world.input(1, Input::MoveTold(moved));
    assert_eq!(last_fact(&world, 1), Some(&Fact::Moved { old, new: renewed.key() }));
    let person = &world.people[1];
    let standing = person.contacts.contact(&person.store, &renewed.key()).unwrap().standing;
    assert!(matches!(standing, ContactStanding::Together(_)));
    assert!(person.contacts.contact(&person.store, &old).is_none());
}

#[test]
fn who_was_blocked_stays_blocked_under_a_new_identity() {
    let mut world = together();
    let old = world.key(0);
    world.order(1, |contacts, turn| contacts.block(turn, old));
    let renewed = Identity::generate(&mut world.rng);
    let rotation = world.people[0].identity.rotate_to(&renewed, hours_of(world.now));
    world.input(1, Input::MoveTold(Moved { rotation, card: card_of(&renewed, START) }));
    let view = world.people[1].contacts.contact(&world.people[1].store, &renewed.key()).unwrap();
    assert!(view.blocked);
}

#[test]
fn a_contact_who_lost_the_session_is_let_in_again_without_asking() {
    let mut world = together();
    let (mine, peer) = (world.key(0), world.key(1));
    world.order(0, |contacts, turn| contacts.remove(turn, peer));
    world.now = world.now + HOUR_MS;
    world.add(0);
    settle(&mut world);
    assert!(are_together(&world));
    assert!(
        matches!(world.people[1].facts.iter().rev().nth(1), Some(Fact::Requested { peer, accepted: true, .. }) if *peer == mine)
    );
}

#[test]
fn what_was_taken_back_is_not_accepted_any_more() {
    let mut world = asked();
    let (mine, peer) = (world.key(0), world.key(1));
    world.weather = SILENCE;
    world.order(0, |contacts, turn| contacts.remove(turn, peer));
    world.order(0, |contacts, turn| contacts.remove(turn, peer));
    assert_eq!(world.standing(0), None);
    world.weather = super::world::FINE;
    world.order(1, |contacts, turn| contacts.accept(turn, mine));
    settle(&mut world);
    assert_eq!((world.standing(0), world.standing(1)), (None, Some(ContactStanding::Ended(Ending::ByThem))));
}

#[test]
fn a_session_that_cannot_be_made_ends_the_greeting_on_both_sides() {
    let mut world = asked();
    let (mine, peer) = (world.key(0), world.key(1));
    world.weather = SILENCE;
    world.order(1, |contacts, turn| contacts.accept(turn, mine));
    // The acceptance arrives, and its keys are no good.
    let accept = world.recorded.last().unwrap().1.clone();
    let opened = crate::crypto::open_letter(&world.people[0].identity, |_| None, &accept).unwrap();
    let hello = HelloId(opened.body[..16].try_into().unwrap());
    world.weather = super::world::FINE;
    world.act(0, |contacts, turn| {
        let mut unheard = Vec::new();
        let mut quiet = Turn { now: turn.now, rng: turn.rng, tx: turn.tx, out: &mut unheard };
        contacts.handle(&mut quiet, Input::LetterOpened(opened.clone()));
        contacts.handle(turn, Input::SessionFailed { peer, hello });
    });
    settle(&mut world);
    assert_eq!(world.standing(0), Some(ContactStanding::Ended(Ending::Failed)));
    assert_eq!(world.standing(1), Some(ContactStanding::Ended(Ending::ByThem)));
}

#[test]
fn a_crash_before_a_wish_is_carried_out_wishes_it_again() {
    let mut world = asked();
    let peer = world.key(0);
    let person = &mut world.people[1];
    let mut lost = Vec::new();
    let mut turn = Turn { now: world.now, rng: &mut world.rng, tx: &mut person.store, out: &mut lost };
    person.contacts.accept(&mut turn, peer).unwrap();
    let mut out = Vec::new();
    let card = card_of(&person.identity, START);
    let mut turn = Turn { now: world.now, rng: &mut world.rng, tx: &mut person.store, out: &mut out };
    person.contacts = Contacts::load(card, &mut turn);
    assert!(
        matches!(out[..], [Output::Wish(Wish::MakeKeyPackages { peer: wished, about: About::Hello(_) })] if wished == peer)
    );
}

#[test]
fn a_flood_of_requests_drops_the_oldest_and_never_a_contact() {
    let mut world = together();
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(8);
    for number in 0..REQUESTS_MAX + 20 {
        let stranger = Identity::generate(&mut rng);
        let id = HelloId([number.to_be_bytes(), [0; 8]].concat().try_into().unwrap());
        let hello = Hello { id, text: String::new(), card: card_of(&stranger, START) };
        let opened = crate::crypto::Opened {
            kind: LetterKind::Hello,
            from: stranger.key(),
            sent_minutes: crate::crypto::minutes_of(world.now),
            invitation: None,
            body: hello.encode(),
        };
        world.now = world.now + 1;
        world.input(1, Input::LetterOpened(opened));
    }
    let dropped = world.people[1].facts.iter().filter(|fact| matches!(fact, Fact::RequestDropped(_))).count();
    assert_eq!(dropped, 20);
    let held = world.people[1].contacts.footprint();
    assert!(!held.iter().any(Held::is_exceeded), "{held:?}");
    assert_eq!(world.people[1].contacts.contacts(&world.people[1].store, None, 9_999).len(), REQUESTS_MAX + 1);
    assert!(are_together(&world));
}

#[test]
fn where_there_are_too_many_contacts_nobody_is_let_in_without_asking() {
    let mut world = World::new(1);
    for number in 0..CONTACTS_MAX as u32 {
        let somebody = mainframe_base::IdentityKey([number.to_be_bytes(); 8].concat().try_into().unwrap());
        world.order(1, |contacts, turn| contacts.block(turn, somebody));
    }
    let standing = Terms { once: false, ..TERMS };
    let invitation = invitation(&mut world, standing);
    use_invitation(&mut world, &invitation);
    assert_eq!(world.standing(1), Some(ContactStanding::Asked("you invited me".to_owned())));
    assert!(matches!(last_fact(&world, 1), Some(Fact::Requested { accepted: false, .. })));
}

#[test]
fn only_contacts_are_asked_for_keys_and_welcomed_to_other_sessions() {
    let session = SessionId([4; 16]);
    let mut world = together();
    let peer = world.key(1);
    world.input(0, Input::KeysNeeded { peer, session });
    settle(&mut world);
    assert_eq!(world.people[1].sent.last(), Some(&LetterKind::Keys));

    let mut world = asked();
    world.input(0, Input::KeysNeeded { peer, session });
    settle(&mut world);
    assert_eq!(ignored(&world, 1), Some(Ignored::Stranger));
}

#[test]
fn nobody_greets_himself_or_with_a_text_that_is_none() {
    let mut world = World::new(1);
    let (mine, theirs) = (world.card(0), world.card(1));
    let mut add =
        |card: &Card, text: &str| world.act(0, |contacts, turn| contacts.add(turn, Whom::Card(card.clone()), text));
    assert_eq!(add(&mine, "hello"), Some(Err(NotDone::Ourselves)));
    assert_eq!(add(&theirs, &"a".repeat(601)), Some(Err(NotDone::Text)));
    assert_eq!(add(&theirs, "\u{7}"), Some(Err(NotDone::Text)));
    let body =
        CardBody { expires_hours: theirs.body().issued_hours + 1, name: Name::default(), ..theirs.body().clone() };
    let expired = Card::sign(&world.people[1].identity, body).unwrap();
    world.now = world.now + 2 * HOUR_MS;
    let late = world.act(0, |contacts, turn| contacts.add(turn, Whom::Card(expired.clone()), "hello"));
    assert_eq!(late, Some(Err(NotDone::CardExpired)));
}
