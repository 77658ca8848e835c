//! How much of something is held, and how much may be.

/// One map, queue or memory that others can make grow: what is in it now, and its bound. Both are entries, or bytes if
/// the name says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// What is held.
    pub name: &'static str,
    /// How much there is of it now.
    pub now: usize,
    /// How much there may be.
    pub bound: usize,
}

impl Held {
    /// Whether there is more than there may be.
    pub fn is_exceeded(&self) -> bool {
        self.now > self.bound
    }
}
