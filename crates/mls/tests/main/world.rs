//! Devices with names, and groups of them.

use mainframe_base::SessionId;
use mainframe_mls::{Change, DeviceSecret, Draft, Group, KeyPackage, Leaf};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub(crate) const SESSION: SessionId = SessionId([7; 16]);

pub(crate) struct World {
    pub(crate) rng: ChaCha20Rng,
    /// All devices that were made, in order.
    pub(crate) devices: Vec<DeviceSecret>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        World { rng: ChaCha20Rng::seed_from_u64(seed), devices: Vec::new() }
    }

    pub(crate) fn device(&mut self) -> (DeviceSecret, Vec<u8>) {
        let device = DeviceSecret::generate(&mut self.rng);
        self.devices.push(device.clone());
        (device, format!("device {}", self.devices.len()).into_bytes())
    }

    pub(crate) fn package(&mut self) -> (DeviceSecret, KeyPackage) {
        let (device, credential) = self.device();
        let package = KeyPackage::generate(&mut self.rng, &device, &credential);
        (device, package)
    }

    pub(crate) fn alone(&mut self) -> Group {
        let (device, credential) = self.device();
        Group::create(&mut self.rng, SESSION, &device, &credential, b"context")
    }

    /// A group of `count`, in order of their leaves, founded by the first.
    pub(crate) fn group(&mut self, count: usize) -> Vec<Group> {
        let mut groups = vec![self.alone()];
        let newcomers: Vec<_> = (1..count).map(|_| self.package()).collect();
        self.add(&mut groups, newcomers);
        groups
    }

    /// Lets the first add all newcomers, and all merge.
    pub(crate) fn add(&mut self, groups: &mut Vec<Group>, newcomers: Vec<(DeviceSecret, KeyPackage)>) {
        let add = newcomers.iter().map(|(_, package)| package.bytes.clone()).collect();
        let draft = self.commit(groups, 0, &Change { add, ..Change::default() });
        for (device, package) in newcomers {
            groups.push(join(&device, &package, &draft));
        }
    }

    /// Lets one commit and all merge who are still in.
    pub(crate) fn commit(&mut self, groups: &mut [Group], author: usize, change: &Change) -> Draft {
        let draft = groups[author].commit(&mut self.rng, change).expect("a good change");
        for group in groups.iter_mut().filter(|group| group.is_member()) {
            group.merge(&draft.commit).expect("a good commit");
        }
        draft
    }
}

pub(crate) fn join(device: &DeviceSecret, package: &KeyPackage, draft: &Draft) -> Group {
    let invitation = draft.invitations.iter().find(|it| it.to == package.id).expect("invited");
    Group::join(device, &package.secrets, &invitation.welcome, draft.tree.as_deref()).expect("a good Welcome").group
}

pub(crate) fn removal(leaf: u32) -> Change {
    Change { remove: vec![Leaf(leaf)], ..Change::default() }
}

pub(crate) fn refresh() -> Change {
    Change { refresh: true, ..Change::default() }
}
