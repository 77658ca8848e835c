//! Whether the others are there. Who was away for longer than cells are held and epochs are kept hears nothing any more if
//! the others changed something meanwhile, and is not heard. He finds out by their silence: everyone says something once a
//! day.

use mainframe_base::Time;
use mainframe_mls::EpochId;

use super::wanting::{Offered, Want};
use super::{Conversation, ConversationFact, Scene};
use crate::session::SessionConfig;
use crate::session::credential::Credential;
use crate::session::fragment::FrameKind;
use crate::session::ordering::Leaf;

/// When it is looked again whether others were heard, at the earliest, in milliseconds (guess).
const LOOK_AGAIN_MS: u64 = 3_600_000;
/// When it is looked first after a start, in milliseconds: another moment in every session (guess).
pub(super) const LOOK_AFTER_START_MS: u64 = 20 * 60_000;

impl Conversation {
    /// Whether so many of the others were silent for so long that they may have gone on without us, in an epoch that we
    /// know nothing of.
    pub(in crate::session) fn is_out_of_touch(&self, now: Time, config: &SessionConfig) -> bool {
        self.out_of_touch_at(config).is_some_and(|at| at <= now)
    }

    /// The epoch we are in; one that nobody knows if we were put out of all.
    pub(in crate::session) fn epoch_id(&self) -> EpochId {
        if self.is_removed { EpochId([0; 16]) } else { self.current }
    }

    /// When too many others will have been silent for too long, should they stay so.
    fn out_of_touch_at(&self, config: &SessionConfig) -> Option<Time> {
        if self.is_removed || self.is_outdated {
            return None;
        }
        let ordering = self.orderings.get(&self.deciding())?;
        let mut silent: Vec<(Time, Leaf)> =
            self.epochs[&self.current].heard().map(|(leaf, heard)| (heard, Leaf(leaf))).collect();
        silent.sort_unstable();
        let enough =
            (1..=silent.len()).find(|count| ordering.may_decide(silent[..*count].iter().map(|(_, leaf)| *leaf)))?;
        Some(silent[enough - 1].0 + config.epoch_kept_ms)
    }

    pub(super) fn presence_due(&self) -> Option<Time> {
        let has_others = self.present().seats.len() > 1 && !self.is_removed && !self.is_outdated;
        has_others.then(|| self.look_around_at.min(self.epochs[&self.current].here_at()))
    }

    pub(super) fn look_around(&mut self, scene: &mut Scene<'_>) {
        if self.look_around_at > scene.now {
            return;
        }
        let due = self.out_of_touch_at(scene.config);
        if due.is_some_and(|due| due <= scene.now) {
            scene.out.facts.push(ConversationFact::OutOfTouch);
        }
        // Where those who may be silent could decide nothing, that may change.
        self.look_around_at = due.unwrap_or(scene.now).max(scene.now + LOOK_AGAIN_MS);
    }

    /// Says that we are there, if we said nothing else for long.
    pub(super) fn say_here(&mut self, scene: &mut Scene<'_>) {
        let due = self.epochs[&self.current].here_at();
        if self.presence_due().is_some() && due <= scene.now {
            self.put_off_here(scene.now);
            self.post(scene, self.current, FrameKind::Here, &[], None);
        }
    }

    /// Said or not, it is for tomorrow: perhaps nobody listens anywhere.
    fn put_off_here(&mut self, now: Time) {
        if let Some(epoch) = self.epochs.get_mut(&self.current) {
            epoch.put_off_here(now);
        }
    }

    /// A device that may have been left behind in an epoch asks to be let in again. If we know that epoch, it hears from us
    /// how it ended, if it did.
    pub(in crate::session) fn let_back(
        &mut self,
        scene: &mut Scene<'_>,
        offered: Offered,
        credential: &Credential,
        epoch: EpochId,
    ) {
        let device = Some(credential.certificate.device);
        let is_same = |want: &Want| matches!(want, Want::Readmit(other) if other.device() == device);
        if self.epochs.contains_key(&epoch) {
            self.remind(scene, epoch);
        } else if self.wants.queue.iter().any(|(_, want)| is_same(want)) {
            tracing::debug!("a device that is about to be let in again asks once more");
        } else if self.present().seats.iter().any(|seat| credential.comes_back_to(seat, &self.id)) {
            self.want(scene, Want::Readmit(offered));
        }
        self.flush(scene);
    }
}
