//! Hand-overs under their names, found in one step and never moved: thousands come and go every second.

use super::handover::HandoverId;

#[derive(Clone, Debug)]
struct Slot<T> {
    /// Counts the tenants, so that the name of a former one finds nobody.
    generation: u32,
    value: Option<T>,
}

/// A bounded set's storage: as many slots as there ever were values at once.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> HandoverId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("the pool's bound is far below 2^32 cells")
        });
        let slot = &mut self.slots[index as usize];
        slot.value = Some(value);
        HandoverId { index, generation: slot.generation }
    }

    pub(super) fn get(&self, id: &HandoverId) -> Option<&T> {
        self.slots.get(id.index as usize).filter(|slot| slot.generation == id.generation)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: &HandoverId) -> Option<&mut T> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?.value.as_mut()
    }

    pub(super) fn remove(&mut self, id: &HandoverId) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_tenants_name_finds_nobody() {
        let mut slab = Slab::new();
        let (first, second) = (slab.insert("first"), slab.insert("second"));
        assert_eq!(slab.remove(&first), Some("first"));
        let third = slab.insert("third");
        assert_eq!(slab.get(&first), None);
        assert_eq!(slab.remove(&first), None);
        assert_eq!(slab.get(&second), Some(&"second"));
        assert_eq!(slab.get_mut(&third), Some(&mut "third"));
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.slots.len(), 2, "slots are used again");
    }
}
