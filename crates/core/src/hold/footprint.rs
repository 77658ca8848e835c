//! Everything that others can make grow here, beside its bound.

use mainframe_base::Held;

use super::Hold;
use super::attending::{ATTENDANCES_MAX, UNSERVED_MAX};
use super::fetching::{HAD_MAX, WANTED_MAX};
use super::serving::READS_MAX;
use super::subscribers::SUBSCRIBERS_MAX;

impl Hold {
    /// Sizes now, and what they never exceed.
    pub fn footprint(&self) -> Vec<Held> {
        let (bytes, bytes_max) = self.catalogue.bytes();
        let held = |name, now, bound| Held { name, now, bound };
        vec![
            held("held_bytes", bytes as usize, bytes_max as usize),
            held("subscribers", self.subscribers.len(), SUBSCRIBERS_MAX),
            held("held_reads", self.serving.reads(), READS_MAX),
            held("held_wanted", self.fetches.len(), WANTED_MAX),
            held("held_had", self.fetches.had(), HAD_MAX),
            held("attendances", self.attendances.len(), ATTENDANCES_MAX),
            held("unserved", self.unserved.len(), UNSERVED_MAX),
        ]
    }
}
