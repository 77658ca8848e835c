//! How people become contacts, by card and greeting, and found groups.

use std::collections::BTreeSet;

use mainframe_core::session::contact::Whom;
use mainframe_core::session::{Answer, NewGroup, Order};
use mainframe_core::wire::HoldClass;

use super::super::Stage;
use super::Play;
use super::cast::draw_luminosity;

/// One group for so many people …
const PERSONS_PER_GROUP: usize = 6;
/// … of so many members, founder included; one is larger.
const GROUP_MEMBERS: (usize, usize) = (3, 8);
const LARGE_GROUP: usize = 12;
/// Friends that each person asks besides.
const FRIENDS: usize = 1;
/// How long all of that may take, in seconds.
const PATIENCE_S: u64 = 1_800;
/// Greetings in a second.
const GREETINGS_PER_S: usize = 4;

impl Play {
    pub(super) fn get_acquainted(&mut self, stage: &mut Stage<'_>) {
        let groups = self.draw_groups(stage);
        let friendships = self.draw_friendships(&groups);
        for (number, (one, other)) in friendships.iter().enumerate() {
            self.greet(stage, *one, *other);
            if number % GREETINGS_PER_S == GREETINGS_PER_S - 1 {
                self.run_seconds(stage, 1, "people greet each other");
            }
        }
        self.wait(stage, "people get acquainted", |play, _| {
            friendships.iter().all(|pair| play.pairs.contains_key(pair))
        });
        stage.put("friendships", friendships.len());
        stage.put("friendships_made", self.pairs.len());
        let founded = groups.iter().filter(|members| self.found(stage, members)).count();
        let sizes: usize = groups.iter().map(Vec::len).sum();
        self.wait(stage, "groups are founded", |play, stage| play.seats_in_groups(stage) >= sizes);
        stage.put("groups", groups.len());
        stage.put("groups_founded", founded);
        let (seats, at_relays) = (self.seats_in_groups(stage), self.cast.at_relays(stage));
        stage.put("group_members", seats);
        stage.put("persons_at_relays", at_relays);
    }

    /// Founder first.
    fn draw_groups(&mut self, stage: &Stage<'_>) -> Vec<Vec<usize>> {
        let (least, most) = GROUP_MEMBERS;
        let count = (self.cast.len() / PERSONS_PER_GROUP).max(1);
        let sizes = (0..count).map(|number| match number {
            0 => LARGE_GROUP,
            _ => least + self.dice.below(most - least + 1),
        });
        let sizes: Vec<usize> = sizes.collect();
        let _ = stage;
        let draw = |size: usize| {
            let mut everyone: Vec<usize> = (0..self.cast.len()).collect();
            self.dice.shuffle(&mut everyone);
            everyone.truncate(size);
            everyone
        };
        sizes.into_iter().map(draw).collect()
    }

    /// Founders know their members, and everyone knows somebody.
    fn draw_friendships(&mut self, groups: &[Vec<usize>]) -> BTreeSet<(usize, usize)> {
        let founders = groups.iter().filter_map(|members| members.split_first());
        let with_founders = founders.flat_map(|(founder, members)| members.iter().map(|member| (*founder, *member)));
        let mut pairs: BTreeSet<(usize, usize)> =
            with_founders.map(|(one, other)| (one.min(other), one.max(other))).collect();
        for person in 0..self.cast.len() {
            for _ in 0..FRIENDS {
                let other = self.dice.below(self.cast.len());
                if other != person {
                    pairs.insert((person.min(other), person.max(other)));
                }
            }
        }
        pairs
    }

    fn greet(&mut self, stage: &mut Stage<'_>, one: usize, other: usize) {
        let Some(Ok(Answer::Card(card))) = self.order(stage, other, Order::Card) else {
            unreachable!("everyone has a card")
        };
        let asked = self.order(stage, one, Order::AddContact(Whom::Card(*card), "hello".to_owned()));
        assert!(matches!(asked, Some(Ok(_))), "a card is enough to greet somebody");
    }

    /// Whether the founder knows all members.
    fn found(&mut self, stage: &mut Stage<'_>, members: &[usize]) -> bool {
        let Some((founder, members)) = members.split_first() else { return false };
        let members = members.iter().map(|member| self.cast.persons[*member].key).collect();
        let luminosity = draw_luminosity(stage.options.nodes, &mut self.dice);
        let order = Order::CreateGroup(NewGroup {
            name: "river".to_owned(),
            members,
            luminosity,
            hold: HoldClass::Day,
            shared_topic: false,
        });
        matches!(self.order(stage, *founder, order), Some(Ok(_)))
    }

    fn seats_in_groups(&mut self, stage: &mut Stage<'_>) -> usize {
        let mut seats = 0;
        for person in 0..self.cast.len() {
            let views = self.views(stage, person);
            seats += views.iter().filter(|view| view.terms.kind == mainframe_core::session::terms::Kind::Group).count();
        }
        seats
    }

    fn wait(&mut self, stage: &mut Stage<'_>, doing: &str, mut is_done: impl FnMut(&mut Play, &mut Stage<'_>) -> bool) {
        for _ in 0..PATIENCE_S / 10 {
            if is_done(self, stage) {
                break;
            }
            self.run_seconds(stage, 10, doing);
        }
    }
}
