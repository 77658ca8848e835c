//! What a node must not do: open a cell before it passes it on. Built in with the feature `early-open` only, so that the
//! measurement that looks for it can be seen to find it.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long the relay half waits at most; an endpoint half that is stopping never answers.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes the relay half wait until the endpoint half has looked at what it was given.
#[derive(Default)]
pub(crate) struct EarlyOpen {
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Whether there is an endpoint half.
    is_attended: bool,
    /// Cells it has not looked at.
    left: usize,
}

impl EarlyOpen {
    /// There is an endpoint half; a relay half alone has nobody to wait for.
    pub(crate) fn attend(&self) {
        self.lock().is_attended = true;
    }

    /// Cells are given to the endpoint half.
    pub(crate) fn give(&self, cells: usize) {
        let mut state = self.lock();
        if state.is_attended {
            state.left += cells;
        }
    }

    /// The endpoint half has opened, or not, so many of them, and committed.
    pub(crate) fn looked_at(&self, cells: usize) {
        let mut state = self.lock();
        state.left = state.left.saturating_sub(cells);
        self.done.notify_all();
    }

    /// Waits until it has looked at all.
    pub(crate) fn wait(&self) {
        let waited = self.done.wait_timeout_while(self.lock(), PATIENCE, |state| state.left > 0);
        drop(waited.unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
