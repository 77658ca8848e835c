//! How many of a network's nodes lie, and in which way.

use anyhow::bail;

use super::Mask;

/// The largest share of all nodes that may lie: someone must be left to measure.
const LIARS_MAX: f64 = 0.9;

/// The shares of liars, on the command line.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Other liars (shares of the nodes; with the droppers 0 to 0.9 together)")]
pub struct LiarArguments {
    /// Acknowledge packets and drop them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    ack_droppers: f64,
    /// Send cells, digests and receipts two seconds late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    delayers: f64,
    /// Drop the packets of one quarter of the network and serve all others
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    selective: f64,
    /// Give everyone a copy, so that nobody asks for the share they keep
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    preseed: f64,
    /// Ask others to spread what is spread already
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    widen: f64,
    /// Send no digests and answer no pulls
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    withholders: f64,
    /// Answer pulls when it is too late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    late_servers: f64,
    /// Announce packets that do not exist
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    flooders: f64,
    /// Tell of nodes that do not exist
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    spammers: f64,
    /// Have a clock that is hours off
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    clock_liars: f64,
    /// Liars of all kinds, silent droppers too, in equal parts and besides those asked for by kind
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    liars: f64,
}

impl LiarArguments {
    /// What was asked for, besides a share of silent droppers.
    ///
    /// # Errors
    /// If a share is none, or too few nodes would be left honest.
    pub fn shares(&self, droppers: f64) -> anyhow::Result<Shares> {
        let all = Mask::LIARS.map(|mask| (mask, self.of(mask)));
        for (name, share) in all.map(|(mask, share)| (mask.name(), share)).into_iter().chain([("liars", self.liars)]) {
            if !(0.0..=LIARS_MAX).contains(&share) {
                bail!("--{name} is {share}; it is a share of the nodes, 0 to {LIARS_MAX}, such as 0.1 for a tenth");
            }
        }
        let shares = all.into_iter().fold(Shares::mixed(self.liars), |shares, (mask, share)| shares.and(mask, share));
        let sum = shares.sum() + droppers;
        if sum > LIARS_MAX + 1e-9 {
            bail!("{sum:.2} of the nodes would lie; all shares of liars together are 0 to {LIARS_MAX}");
        }
        Ok(shares)
    }

    fn of(&self, mask: Mask) -> f64 {
        match mask {
            Mask::AckDropper => self.ack_droppers,
            Mask::Delayer => self.delayers,
            Mask::SelectiveDropper => self.selective,
            Mask::Preseeder => self.preseed,
            Mask::Widener => self.widen,
            Mask::Withholder => self.withholders,
            Mask::LateServer => self.late_servers,
            Mask::Flooder => self.flooders,
            Mask::Spammer => self.spammers,
            Mask::ClockLiar => self.clock_liars,
            Mask::Honest | Mask::SilentDropper | Mask::Sybil => 0.0,
        }
    }
}

/// Shares of all nodes, one for each kind of [`Mask::LIARS`].
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Shares([f64; Mask::LIARS.len()]);

impl Shares {
    /// Everyone is honest.
    pub const NONE: Shares = Shares([0.0; Mask::LIARS.len()]);

    /// A share of one kind.
    pub fn of(mask: Mask, share: f64) -> Shares {
        Shares::NONE.and(mask, share)
    }

    /// A share of all kinds in equal parts.
    pub fn mixed(share: f64) -> Shares {
        Shares([share / Mask::LIARS.len() as f64; Mask::LIARS.len()])
    }

    /// These, and a share of one more kind.
    ///
    /// # Panics
    /// If that kind is not one that is drawn.
    pub fn and(mut self, mask: Mask, share: f64) -> Shares {
        let at = Mask::LIARS.iter().position(|kind| *kind == mask).expect("a kind of liar that is drawn");
        self.0[at] += share;
        self
    }

    /// Whether nobody lies.
    pub fn is_empty(&self) -> bool {
        *self == Shares::NONE
    }

    /// All of them together.
    pub fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// How many of so many nodes there are of each kind, without the kinds that there are none of.
    pub fn counts(&self, nodes: usize) -> Vec<(Mask, usize)> {
        let counts = Mask::LIARS.into_iter().zip(self.0.map(|share| (nodes as f64 * share).round() as usize));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    #[test]
    fn shares_add_up_and_too_many_liars_are_refused() {
        let few = LiarArguments { widen: 0.1, liars: 0.22, ..Default::default() };
        let shares = few.shares(0.5).unwrap();
        assert!((shares.sum() - 0.32).abs() < 1e-9);
        assert!(shares.counts(100).contains(&(Mask::Widener, 12)));
        assert_eq!(shares.counts(100).len(), Mask::LIARS.len());
        assert!(few.shares(0.6).unwrap_err().to_string().contains("0.92 of the nodes would lie"));
        let odd = LiarArguments { widen: -0.1, ..Default::default() };
        assert!(odd.shares(0.0).unwrap_err().to_string().contains("--widen is -0.1"));
    }

    #[test]
    fn every_other_kind_has_its_own_argument() {
        for (index, mask) in Mask::LIARS.into_iter().enumerate().filter(|(_, mask)| *mask != Mask::SilentDropper) {
            let command = LiarArguments::augment_args(clap::Command::new("test"));
            let matches = command.try_get_matches_from(["test", &format!("--{}", mask.name()), "0.5"]).unwrap();
            let shares = LiarArguments::from_arg_matches(&matches).unwrap().shares(0.0).unwrap();
            assert_eq!(shares.0[index], 0.5, "{}", mask.name());
            assert_eq!(shares.sum(), 0.5);
        }
    }
}
