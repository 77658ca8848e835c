//! The people who talk: their keys, the nodes they sit at, and when those did not run.

use std::collections::BTreeMap;

use mainframe_base::{IdentityKey, Luminosity, Prefix, Role, Secret};
use mainframe_core::crypto::{Identity, Name, Presence, Region, hours_of};
use mainframe_core::session::Persona;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::Stage;
use crate::dice::Dice;
use crate::moment::Moment;
use crate::node::NodeId;

/// Relays of the region of whoever hides least: enough to hold what is sent there when some are away (guess).
const REGION_RELAYS: usize = 12;
/// The darkest reveal so many bits less.
const DARKER_BITS: usize = 2;
/// Hours that a place on a card holds: longer than any run.
const PLACE_HOURS: u32 = 24 * 365;

/// One of them.
pub(super) struct Person {
    pub(super) node: NodeId,
    pub(super) key: IdentityKey,
    secrets: Secret<{ Identity::SECRETS_LENGTH }>,
    device: [u8; 32],
    pub(super) region: Prefix,
    /// Power fails at the next change of the store.
    pub(super) is_failing: bool,
    pub(super) down_since: Option<Moment>,
    /// When the node did not run.
    pub(super) outages: Vec<(Moment, Moment)>,
}

impl Person {
    /// As the endpoint half is told of them at every start.
    pub(super) fn persona(&self, now: Moment) -> Persona {
        let until_hours = hours_of(now.time()) + PLACE_HOURS;
        let device = Secret::new(self.device);
        Persona {
            identity: Identity::from_secrets(&self.secrets),
            device,
            device_name: Name::new("phone").expect("short and plain"),
            name: Name::new(&format!("somebody at {}", self.node.0)).expect("short and plain"),
            regions: vec![Region { prefix: self.region, presence: Presence::Resident, until_hours }],
            luminosity_floor: self.region.luminosity(),
        }
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Cast {
    pub(super) persons: Vec<Person>,
    by_key: BTreeMap<IdentityKey, usize>,
}

impl Cast {
    /// Everyone takes a seat: by turns at a relay of their own, and at a guest that comes in for them.
    pub(super) fn of(stage: &mut Stage<'_>, dice: &mut Dice) -> Cast {
        let mut relays: Vec<NodeId> = stage.population.honest();
        dice.shuffle(&mut relays);
        let mut cast = Cast::default();
        for number in 0..stage.options.persons {
            let node = match number.is_multiple_of(2) {
                true => relays.pop().expect("there are no more people than relays"),
                false => stage.population.add_guest(&[relays[0], relays[relays.len() / 2]]),
            };
            let region = Prefix::of(stage.population.address(node), draw_luminosity(stage.options.nodes, dice));
            let identity = Identity::generate(&mut ChaCha20Rng::from_seed(dice.bytes()));
            cast.by_key.insert(identity.key(), number);
            cast.persons.push(Person {
                node,
                key: identity.key(),
                secrets: identity.secrets(),
                device: dice.bytes(),
                region,
                is_failing: false,
                down_since: None,
                outages: Vec::new(),
            });
        }
        cast
    }

    pub(super) fn len(&self) -> usize {
        self.persons.len()
    }

    /// Who has this key.
    pub(super) fn find(&self, key: &IdentityKey) -> usize {
        self.by_key[key]
    }

    /// How many sit at relays.
    pub(super) fn at_relays(&self, stage: &Stage<'_>) -> usize {
        self.persons.iter().filter(|person| stage.population.role(person.node) == Role::Relay).count()
    }

    /// Whether a person's node ran all that time.
    pub(super) fn was_up(&self, person: usize, from: Moment, until: Moment) -> bool {
        let person = &self.persons[person];
        let overlaps = |(begin, end): &(Moment, Moment)| *begin <= until && from <= *end;
        person.down_since.is_none_or(|since| since > until) && !person.outages.iter().any(overlaps)
    }
}

/// How many bits somebody reveals, or a group: some hide better than others.
pub(super) fn draw_luminosity(nodes: usize, dice: &mut Dice) -> Luminosity {
    let least_dark = (nodes / REGION_RELAYS).max(2).ilog2() as usize;
    let bits = least_dark.saturating_sub(dice.below(DARKER_BITS + 1)).max(1);
    Luminosity::at_most(bits as u16)
}
