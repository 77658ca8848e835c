//! What waits for the endpoint half: cells from the relay half, orders from the interfaces.
//!
//! The relay never waits here. Cells are bounded by bytes; when they come faster than they can be looked at, the
//! oldest make room and are counted, as in the ring of recent cells, and hold and pull bring them again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use mainframe_base::Refusal;
use mainframe_core::switchboard::{CommandId, EndpointCommand, EndpointInput};
use mainframe_core::wire::Cell;

/// As many bytes as the ring of recent foreign cells (DESIGN: 32 MiB): what the endpoint would keep anyway.
const CELL_BYTES_MAX: usize = 32 << 20;
/// Orders waiting: the largest batches of four programs at once.
const COMMANDS_MAX: usize = 1_024;
/// Cells taken at once, so that one commit bounds the wait of an order: 256 scans are about 15 ms.
const BATCH_CELLS_MAX: usize = 256;

/// One batch of work.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) inputs: Vec<EndpointInput>,
    pub(crate) cells: Vec<Cell>,
    /// No more will come.
    pub(crate) ending: bool,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.cells.is_empty()
    }
}

#[derive(Default)]
struct Waiting {
    commands: VecDeque<(CommandId, EndpointCommand)>,
    /// What the relay half has to say about cells and questions of the endpoint half: no more than it asked.
    answers: VecDeque<EndpointInput>,
    cells: VecDeque<Cell>,
    cell_bytes: usize,
    overflowed: u64,
    ending: bool,
}

impl Waiting {
    fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.answers.is_empty() && self.cells.is_empty() && !self.ending
    }
}

/// The queue itself, shared by the two halves' threads and the interfaces.
#[derive(Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    #[cfg(feature = "early-open")]
    pub(crate) early: crate::early_open::EarlyOpen,
}

/// Orders may hold secrets.
impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailbox")
    }
}

impl Mailbox {
    /// Leaves cells of our regions; never waits and never fails. Whoever waits for work is woken once.
    pub(crate) fn push_cells(&self, cells: impl IntoIterator<Item = Cell>) {
        let mut waiting = self.lock();
        let idle = waiting.is_idle();
        for cell in cells {
            waiting.cell_bytes += cell.bytes().len();
            waiting.cells.push_back(cell);
        }
        while waiting.cell_bytes > CELL_BYTES_MAX {
            let oldest = waiting.cells.pop_front().expect("bytes are of cells");
            waiting.cell_bytes -= oldest.bytes().len();
            waiting.overflowed += 1;
        }
        // With work waiting the other side is awake, or being woken.
        if idle {
            self.arrived.notify_one();
        }
    }

    /// Leaves an order.
    pub(crate) fn push_command(&self, id: CommandId, command: EndpointCommand) -> Result<(), Refusal> {
        let mut waiting = self.lock();
        if waiting.ending || waiting.commands.len() >= COMMANDS_MAX {
            return Err(Refusal::Busy);
        }
        waiting.commands.push_back((id, command));
        self.arrived.notify_one();
        Ok(())
    }

    /// Leaves the relay half's answers; never waits and never fails.
    pub(crate) fn push_answers(&self, answers: impl IntoIterator<Item = EndpointInput>) {
        self.lock().answers.extend(answers);
        self.arrived.notify_one();
    }

    /// Lets nothing more in.
    pub(crate) fn end(&self) {
        self.lock().ending = true;
        self.arrived.notify_one();
    }

    /// Waits for work, at most so long; without a limit, until there is some.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Batch {
        let idle = |waiting: &mut Waiting| waiting.is_idle();
        let mut waiting = match limit {
            None => self.arrived.wait_while(self.lock(), idle).unwrap_or_else(|poisoned| poisoned.into_inner()),
            Some(limit) => {
                let woken = self.arrived.wait_timeout_while(self.lock(), limit, idle);
                woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0
            }
        };
        let cells = waiting.cells.len().min(BATCH_CELLS_MAX);
        let cells: Vec<Cell> = waiting.cells.drain(..cells).collect();
        waiting.cell_bytes -= cells.iter().map(|cell| cell.bytes().len()).sum::<usize>();
        let mut inputs: Vec<EndpointInput> = waiting.answers.drain(..).collect();
        inputs.extend(waiting.commands.drain(..).map(|(id, command)| EndpointInput::Command(id, command)));
        Batch { inputs, cells, ending: waiting.ending }
    }

    /// Cells that made room for newer ones, since the start.
    pub(crate) fn overflowed(&self) -> u64 {
        self.lock().overflowed
    }

    /// Nothing under this lock can panic half way, so a poisoned one still holds whole values.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainframe_base::{Prefix, Tag};
    use mainframe_core::wire::{CellHeader, ExpiryBucket, HoldClass, SizeClass};

    fn cell(tag: u8) -> Cell {
        let header = CellHeader {
            size_class: SizeClass::B,
            hold_class: HoldClass::Live,
            acknowledge: false,
            destination: Prefix::EVERYONE,
            expiry: ExpiryBucket(0),
            tag: Tag([tag; 16]),
            ephemeral: [0; 32],
        };
        Cell::build(header, [0; 80], &vec![0; SizeClass::B.body_length()])
    }

    #[test]
    fn when_cells_overflow_the_oldest_make_room_and_are_counted() {
        let mailbox = Mailbox::default();
        let room = CELL_BYTES_MAX / SizeClass::B.cell_length();
        mailbox.push_cells([cell(1)]);
        let other = cell(2);
        mailbox.push_cells(std::iter::repeat_n(other.clone(), room));
        assert_eq!(mailbox.overflowed(), 1);
        let batch = mailbox.wait(None);
        assert_eq!(batch.cells.len(), BATCH_CELLS_MAX);
        assert_eq!(batch.cells[0], other);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_first_cell() {
        let mailbox = Mailbox::default();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| (mailbox.wait(None).cells, mailbox.wait(None).cells));
            for number in [1, 2] {
                mailbox.push_cells([cell(number)]);
                while !mailbox.lock().is_idle() {
                    std::thread::yield_now();
                }
            }
            assert_eq!(waiter.join().unwrap(), (vec![cell(1)], vec![cell(2)]));
        });
    }

    #[test]
    fn an_ended_mailbox_still_gives_out_what_it_has_and_takes_nothing() {
        let mailbox = Mailbox::default();
        mailbox.push_command(CommandId(1), EndpointCommand::Status).unwrap();
        mailbox.end();
        assert_eq!(mailbox.push_command(CommandId(2), EndpointCommand::Status), Err(Refusal::Busy));
        let batch = mailbox.wait(None);
        assert!(batch.ending && batch.inputs.len() == 1);
        assert!(mailbox.wait(Some(Duration::ZERO)).is_empty());
    }
}
