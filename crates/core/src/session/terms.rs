//! What a session has agreed on besides its members: its name, who may change what, and where it is written to.
//!
//! The terms lie in the group's context, so that every member sees the same and a change is a commit like any other.

use std::collections::{BTreeMap, BTreeSet};

use mainframe_base::{Address, Fault, IdentityKey, Luminosity, Prefix};

use super::ordering::LEAVES_PER_PERSON_MAX;
use crate::codec::{Reader, put_list};
use crate::crypto::is_treacherous;
use crate::wire::HoldClass;

/// Bytes of a name.
pub const NAME_LENGTH_MAX: usize = 128;
/// Places a session is written to: as many as a list of small prefixes holds, and room for as many persons (guess).
pub const PLACES_MAX: usize = 64;
/// Leaves of a session (review P1).
pub const LEAVES_MAX: usize = 128;

const VERSION: u8 = 1;

/// Whether a session is between two persons for ever, or of as many as there may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Two persons, of whom neither can remove the other or add a third.
    Pair,
    /// A group.
    Group,
}

/// A region in which members listen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Which.
    pub region: Prefix,
    /// Who listens there; without one, everybody.
    pub owner: Option<IdentityKey>,
}

/// What the members have agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Pair or group.
    pub kind: Kind,
    /// What the group is called; empty for a pair.
    pub name: String,
    /// Who may add and remove others and change the terms.
    pub admins: BTreeSet<IdentityKey>,
    /// Where the session is written to, in order.
    pub places: Vec<Place>,
    /// How long relays keep its cells.
    pub hold: HoldClass,
    /// Whether its cells have the whitepaper's constant topic, a tag that other sessions use too, instead of tags of their
    /// own.
    pub shared_topic: bool,
}

/// What a commit would change, in the words of people.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Changes {
    /// Whose devices are added, once for each device.
    pub added: Vec<IdentityKey>,
    /// Whose devices are removed, by leaf.
    pub removed: BTreeMap<u32, IdentityKey>,
    /// The terms afterwards, if they change.
    pub terms: Option<Terms>,
}

/// Why members do not follow a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Forbidden {
    /// Somebody who is no admin adds another person.
    #[error("only an admin adds people")]
    Add,
    /// Somebody who is no admin removes another person.
    #[error("only an admin removes people")]
    Remove,
    /// Somebody who is no admin changes what was agreed on.
    #[error("only an admin changes the terms")]
    Terms,
    /// A pair would not be of two persons any more.
    #[error("a pair stays a pair")]
    Pair,
    /// It would have too many devices.
    #[error("a session has at most 128 devices, and 16 of one person")]
    TooMany,
}

/// One change to what was agreed on. It is made to the terms of the moment in which it is committed, so that of two changes
/// that wait none takes the other back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Amendment {
    /// The group gets another name.
    Name(String),
    /// A person becomes an admin, or is one no more.
    Admin(IdentityKey, bool),
}

impl Amendment {
    /// The terms with this change.
    pub(super) fn to(&self, terms: &Terms) -> Terms {
        let mut terms = terms.clone();
        match self {
            Amendment::Name(name) => terms.name.clone_from(name),
            Amendment::Admin(person, true) => drop(terms.admins.insert(*person)),
            Amendment::Admin(person, false) => drop(terms.admins.remove(person)),
        }
        terms
    }
}

impl Terms {
    /// Whether `author` may make these changes to a session of these members (one entry a leaf).
    ///
    /// # Errors
    /// What the members agreed on that speaks against it.
    pub fn allow(
        &self,
        author: IdentityKey,
        members: &BTreeMap<u32, IdentityKey>,
        changes: &Changes,
    ) -> Result<(), Forbidden> {
        let admin = self.admins.contains(&author);
        if !admin && changes.added.iter().any(|person| *person != author) {
            return Err(Forbidden::Add);
        }
        if !admin && changes.removed.values().any(|person| *person != author) {
            return Err(Forbidden::Remove);
        }
        if !admin && changes.terms.is_some() {
            return Err(Forbidden::Terms);
        }
        let devices_of = |person: &IdentityKey| {
            let there = members.iter().filter(|(leaf, whose)| *whose == person && !changes.removed.contains_key(leaf));
            there.count() + changes.added.iter().filter(|added| *added == person).count()
        };
        if members.len() + changes.added.len() > LEAVES_MAX + changes.removed.len()
            || changes.added.iter().any(|person| devices_of(person) > LEAVES_PER_PERSON_MAX)
        {
            return Err(Forbidden::TooMany);
        }
        let stays_a_pair = changes.added.iter().all(|person| self.admins.contains(person))
            && changes.removed.values().all(|person| *person == author)
            && changes.terms.as_ref().is_none_or(|terms| terms.kind == Kind::Pair && terms.admins == self.admins);
        if self.kind == Kind::Pair && !stays_a_pair { Err(Forbidden::Pair) } else { Ok(()) }
    }

    /// version 1 | kind 1 | hold class 1 | flags 1 | name | admins | places: luminosity 2, address 32, owner 1 + 32.
    pub fn encode(&self) -> Vec<u8> {
        let hold = HoldClass::ALL.iter().position(|class| *class == self.hold).expect("listed") as u8;
        let mut out = vec![VERSION, u8::from(self.kind == Kind::Group), hold, u8::from(self.shared_topic)];
        put_list(&mut out, self.name.as_bytes(), |out, byte| out.push(*byte));
        let admins: Vec<IdentityKey> = self.admins.iter().copied().collect();
        put_list(&mut out, &admins, |out, admin| out.extend_from_slice(&admin.0));
        put_list(&mut out, &self.places, |out, place| {
            out.extend_from_slice(&place.region.luminosity().bits().to_be_bytes());
            out.extend_from_slice(&place.region.first_address().0);
            out.push(u8::from(place.owner.is_some()));
            out.extend_from_slice(&place.owner.map_or([0; 32], |owner| owner.0));
        });
        out
    }

    /// Reads terms.
    ///
    /// # Errors
    /// `UnknownVersion`, `Oversized`, `Malformed` or `Impossible`, as for everything that is read.
    pub fn decode(bytes: &[u8]) -> Result<Terms, Fault> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Fault::UnknownVersion);
        }
        let kind = if read_flag(&mut reader)? { Kind::Group } else { Kind::Pair };
        let hold = *HoldClass::ALL.get(usize::from(reader.u8()?)).ok_or(Fault::Impossible)?;
        let shared_topic = read_flag(&mut reader)?;
        let name = reader.list(NAME_LENGTH_MAX, Reader::u8)?;
        let name = String::from_utf8(name).map_err(|_| Fault::Malformed)?;
        if !is_name(&name) {
            return Err(Fault::Impossible);
        }
        let admins = reader.list(LEAVES_MAX, |reader| Ok(IdentityKey(reader.array()?)))?;
        if !admins.is_sorted_by(|one, next| one < next) {
            return Err(Fault::Impossible);
        }
        let places = reader.list(PLACES_MAX, read_place)?;
        reader.finish()?;
        Ok(Terms { kind, name, admins: admins.into_iter().collect(), places, hold, shared_topic })
    }
}

/// Whether a group may be called so: not too long, and nothing in it that steers a terminal or turns the text around it.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX && !name.chars().any(is_treacherous)
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, Fault> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Fault::Impossible),
    }
}

fn read_place(reader: &mut Reader<'_>) -> Result<Place, Fault> {
    let luminosity = Luminosity::new(reader.u16()?).ok_or(Fault::Impossible)?;
    let address = Address(reader.array()?);
    let region = Prefix::of(&address, luminosity);
    let owned = read_flag(reader)?;
    let owner = IdentityKey(reader.array()?);
    if region.first_address() != address || (!owned && owner.0 != [0; 32]) {
        return Err(Fault::Impossible);
    }
    Ok(Place { region, owner: owned.then_some(owner) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(number: u8) -> IdentityKey {
        IdentityKey([number; 32])
    }

    fn terms(kind: Kind, admins: &[u8]) -> Terms {
        let admins = admins.iter().map(|number| person(*number)).collect();
        Terms { kind, name: "river".into(), admins, places: Vec::new(), hold: HoldClass::Day, shared_topic: false }
    }

    fn members(persons: &[u8]) -> BTreeMap<u32, IdentityKey> {
        (0..).zip(persons.iter().map(|number| person(*number))).collect()
    }

    fn adds(number: u8) -> Changes {
        Changes { added: vec![person(number)], ..Changes::default() }
    }

    fn removes(leaf: u32, number: u8) -> Changes {
        Changes { removed: [(leaf, person(number))].into(), ..Changes::default() }
    }

    #[test]
    fn in_a_group_admins_change_anything_and_others_their_own_devices() {
        let (terms, members) = (terms(Kind::Group, &[1]), members(&[1, 2, 3]));
        let allow = |author, changes: &Changes| terms.allow(person(author), &members, changes);
        assert_eq!(allow(1, &adds(9)), Ok(()));
        assert_eq!(allow(1, &removes(2, 3)), Ok(()));
        assert_eq!(allow(2, &adds(2)), Ok(()));
        assert_eq!(allow(2, &removes(1, 2)), Ok(()));
        assert_eq!(allow(2, &adds(9)), Err(Forbidden::Add));
        assert_eq!(allow(2, &removes(2, 3)), Err(Forbidden::Remove));
        let changed = Changes { terms: Some(terms.clone()), ..Changes::default() };
        assert_eq!(allow(2, &changed), Err(Forbidden::Terms));
    }

    #[test]
    fn a_pair_stays_a_pair() {
        let (terms, members) = (terms(Kind::Pair, &[1, 2]), members(&[1, 2]));
        let allow = |author, changes: &Changes| terms.allow(person(author), &members, changes);
        assert_eq!(allow(1, &adds(1)), Ok(()));
        assert_eq!(allow(1, &adds(9)), Err(Forbidden::Pair));
        assert_eq!(allow(1, &removes(1, 2)), Err(Forbidden::Pair));
    }

    #[test]
    fn a_group_takes_so_many_devices_and_no_more() {
        let full: BTreeMap<u32, IdentityKey> = (0..LEAVES_MAX as u32).map(|leaf| (leaf, person(leaf as u8))).collect();
        let terms = terms(Kind::Group, &[1]);
        assert_eq!(terms.allow(person(1), &full, &adds(1)), Err(Forbidden::TooMany));
        let swapped = Changes { removed: [(0, person(0))].into(), ..adds(1) };
        assert_eq!(terms.allow(person(1), &full, &swapped), Ok(()));
    }

    #[test]
    fn a_person_has_so_many_devices_in_a_session_and_no_more() {
        let most = LEAVES_PER_PERSON_MAX as u32;
        let members: BTreeMap<u32, IdentityKey> = (0..most).map(|leaf| (leaf, person(1))).collect();
        let terms = terms(Kind::Group, &[1]);
        assert_eq!(terms.allow(person(1), &members, &adds(1)), Err(Forbidden::TooMany), "nobody could decide any more");
        assert_eq!(terms.allow(person(1), &members, &adds(2)), Ok(()));
        let swapped = Changes { removed: [(0, person(1))].into(), ..adds(1) };
        assert_eq!(terms.allow(person(1), &members, &swapped), Ok(()));
    }

    #[test]
    fn a_group_s_name_steers_no_terminal() {
        let steering = Terms { name: "river\x1b[2J".into(), ..terms(Kind::Group, &[1]) };
        assert_eq!(Terms::decode(&steering.encode()), Err(Fault::Impossible));
    }

    proptest! {
        #[test]
        fn terms_come_back_from_their_bytes(
            name in "[a-z好友 ]{0,20}", admins: BTreeSet<[u8; 32]>, places: Vec<([u8; 32], u8, Option<[u8; 32]>)>, hold in 0usize..4,
        ) {
            let place = |(address, luminosity, owner): ([u8; 32], u8, Option<[u8; 32]>)| Place {
                region: Prefix::of(&Address(address), Luminosity::from_byte(luminosity)),
                owner: owner.map(IdentityKey),
            };
            let terms = Terms {
                kind: Kind::Group,
                name,
                admins: admins.into_iter().take(LEAVES_MAX).map(IdentityKey).collect(),
                places: places.into_iter().take(PLACES_MAX).map(place).collect(),
                hold: HoldClass::ALL[hold],
                shared_topic: hold == 1,
            };
            prop_assert_eq!(Terms::decode(&terms.encode()), Ok(terms));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Terms::decode(&bytes);
        }
    }
}
