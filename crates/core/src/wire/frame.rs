//! The frame: 16 bytes of header, then a cell or a control message (docs/protocol/link.md §2).

use bytes::Bytes;
use mainframe_base::{Fault, Luminosity};

use super::cell::{Cell, SizeClass};
use super::control::{
    Ask, DIGESTS_MAX, DigestEntry, GetPeers, Held, Hello, Neighbourhood, PULLS_MAX, Peers, PullEntry, RECEIPTS_MAX,
    Receipt, Recent, Subscribe,
};
use super::list::{ListCell, Parcel};
use crate::codec::{Reader, put_list};

/// Bytes of every frame's header.
pub const FRAME_HEADER_LENGTH: usize = 16;
/// The longest payload of a control frame: no longer than the largest cell.
pub const CONTROL_LENGTH_MAX: usize = 16_384;

const CONTROL_VERSION: u8 = 1;
const FLAG_STANDBY: u8 = 1;
const ROUTE: u16 = 0xFFFF;

const TYPE_CELL: u8 = 1;
const TYPE_CUSTODY: u8 = 2;
const TYPE_DIGEST: u8 = 3;
const TYPE_PULL: u8 = 4;
const TYPE_RECENT: u8 = 5;
const TYPE_HELLO: u8 = 6;
const TYPE_GET_PEERS: u8 = 7;
const TYPE_PEERS: u8 = 8;
const TYPE_NEIGHBOURHOOD: u8 = 9;
const TYPE_ASK: u8 = 10;
const TYPE_HELD: u8 = 11;
const TYPE_SUBSCRIBE: u8 = 12;

/// How much of the network a sender lets one packet use, 0..=15; what it means is the cost table's
/// (docs/protocol/packet.md §7). Four bits, so that it tells forwarders little.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BudgetClass(u8);

impl BudgetClass {
    /// Enough for any packet.
    pub const MAX: BudgetClass = BudgetClass(15);

    /// A class of 0..=15.
    pub const fn new(class: u8) -> Option<BudgetClass> {
        if class <= 15 { Some(BudgetClass(class)) } else { None }
    }

    /// The class as a number, 0..=15.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A cell on one link, with what is said about it on that link only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellFrame {
    /// What the packet may still cost.
    pub budget: BudgetClass,
    /// The second of the two copies that enter a region: it waits, and spreads only if the first did not.
    pub standby: bool,
    /// Length of the prefix the receiver of the frame answers for; none while the packet is on its way to the region.
    pub responsibility: Option<Luminosity>,
    /// For how long the sender of the frame waits for custody, in milliseconds, quantised; derived from the proximity
    /// that remains, so it tells nothing about how far the packet came.
    pub deadline_ms: u16,
    /// Counts the cells sent on this link in this direction.
    pub accounting_sequence: u32,
    /// Repeated in the receipt.
    pub custody_nonce: u32,
    /// The cell itself.
    pub cell: Cell,
}

/// A cell to several regions on one link. It is always on its way: in a region there are ordinary cells only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListFrame {
    /// As in [`CellFrame`], for all regions of the list together.
    pub budget: BudgetClass,
    /// As in [`CellFrame`].
    pub deadline_ms: u16,
    /// As in [`CellFrame`].
    pub accounting_sequence: u32,
    /// As in [`CellFrame`].
    pub custody_nonce: u32,
    /// The cell itself.
    pub list: ListCell,
}

/// Everything that crosses a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A packet to a region.
    Cell(CellFrame),
    /// A packet to several regions.
    List(ListFrame),
    /// What became of packets sent before.
    Custody(Vec<Receipt>),
    /// Packets the sender has.
    Digest(Vec<DigestEntry>),
    /// Packets the sender wants.
    Pull(Vec<PullEntry>),
    /// A sketch of the packets the sender had lately.
    Recent(Recent),
    /// Who the sender is.
    Hello(Box<Hello>),
    /// A question for records.
    GetPeers(GetPeers),
    /// Its answer.
    Peers(Peers),
    /// What the sender believes its neighbourhood to be.
    Neighbourhood(Neighbourhood),
    /// A question for held cells.
    Ask(Ask),
    /// Its answer.
    Held(Held),
    /// A wish to hear of new cells.
    Subscribe(Subscribe),
}

/// A frame as a link writes it: what is particular to the link, then the cell's shared bytes if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutFrame {
    /// The header, and the payload of a control frame.
    pub head: Bytes,
    /// The cell of a cell frame, shared with every other copy of it.
    pub cell: Option<Bytes>,
}

impl OutFrame {
    /// Bytes on the wire.
    pub fn length(&self) -> usize {
        self.head.len() + self.cell.as_ref().map_or(0, Bytes::len)
    }

    /// The frame in one piece.
    pub fn to_bytes(&self) -> Bytes {
        match &self.cell {
            None => self.head.clone(),
            Some(cell) => [&self.head[..], &cell[..]].concat().into(),
        }
    }
}

/// How many bytes follow a header.
///
/// # Errors
/// `UnknownFrame`, `UnknownVersion`, `Oversized` or `Impossible`: the stream cannot be read further.
pub fn payload_length(header: &[u8; FRAME_HEADER_LENGTH]) -> Result<usize, Fault> {
    match header[0] {
        TYPE_CELL => size_class(header[1] & 0x0F).map(SizeClass::cell_length),
        TYPE_CUSTODY..=TYPE_SUBSCRIBE => {
            if header[1] != CONTROL_VERSION {
                return Err(Fault::UnknownVersion);
            }
            let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
            if length <= CONTROL_LENGTH_MAX { Ok(length) } else { Err(Fault::Oversized) }
        }
        _ => Err(Fault::UnknownFrame),
    }
}

impl Frame {
    /// Reads one whole frame, header and payload.
    ///
    /// # Errors
    /// The precise fault of the peer; see [`Cell::parse`] for cells.
    pub fn decode(bytes: &Bytes) -> Result<Frame, Fault> {
        let header = bytes.first_chunk().ok_or(Fault::Malformed)?;
        if bytes.len() != FRAME_HEADER_LENGTH + payload_length(header)? {
            return Err(Fault::Malformed);
        }
        if header[0] == TYPE_CELL { decode_cell(header, bytes) } else { decode_control(header, bytes) }
    }

    /// Writes the frame; the cell's bytes are shared, not copied.
    pub fn encode(&self) -> OutFrame {
        match self {
            Frame::Cell(frame) => encode_cell(frame),
            Frame::List(frame) => encode_list(frame),
            Frame::Custody(receipts) => control(TYPE_CUSTODY, |out| put_list(out, receipts, |out, item| item.put(out))),
            Frame::Digest(digests) => control(TYPE_DIGEST, |out| put_list(out, digests, |out, item| item.put(out))),
            Frame::Pull(pulls) => control(TYPE_PULL, |out| put_list(out, pulls, |out, item| item.put(out))),
            Frame::Recent(recent) => control(TYPE_RECENT, |out| recent.put(out)),
            Frame::Hello(hello) => control(TYPE_HELLO, |out| hello.put(out)),
            Frame::GetPeers(question) => control(TYPE_GET_PEERS, |out| question.put(out)),
            Frame::Peers(answer) => control(TYPE_PEERS, |out| answer.put(out)),
            Frame::Neighbourhood(belief) => control(TYPE_NEIGHBOURHOOD, |out| belief.put(out)),
            Frame::Ask(question) => control(TYPE_ASK, |out| question.put(out)),
            Frame::Held(answer) => control(TYPE_HELD, |out| answer.put(out)),
            Frame::Subscribe(wish) => control(TYPE_SUBSCRIBE, |out| wish.put(out)),
        }
    }
}

fn size_class(number: u8) -> Result<SizeClass, Fault> {
    match number {
        0 => Ok(SizeClass::T),
        1 => Ok(SizeClass::B),
        _ => Err(Fault::Impossible),
    }
}

fn decode_cell(header: &[u8; FRAME_HEADER_LENGTH], bytes: &Bytes) -> Result<Frame, Fault> {
    let mut reader = Reader::new(&header[1..]);
    let class = reader.u8()?;
    let flags = reader.u8()?;
    reader.zeros(1)?;
    if flags & !FLAG_STANDBY != 0 {
        return Err(Fault::Impossible);
    }
    let (budget, standby) = (BudgetClass(class >> 4), flags & FLAG_STANDBY != 0);
    let responsibility = match reader.u16()? {
        ROUTE => None,
        bits => Some(Luminosity::new(bits).ok_or(Fault::Impossible)?),
    };
    let (deadline_ms, accounting_sequence, custody_nonce) = (reader.u16()?, reader.u32()?, reader.u32()?);
    let parcel = Parcel::parse(bytes.slice(FRAME_HEADER_LENGTH..))?;
    if parcel.envelope().size_class != size_class(class & 0x0F)? {
        return Err(Fault::Impossible);
    }
    match parcel {
        Parcel::Cell(cell) => Ok(Frame::Cell(CellFrame {
            budget,
            standby,
            responsibility,
            deadline_ms,
            accounting_sequence,
            custody_nonce,
            cell,
        })),
        Parcel::List(_) if standby || responsibility.is_some() => Err(Fault::Impossible),
        Parcel::List(list) => {
            Ok(Frame::List(ListFrame { budget, deadline_ms, accounting_sequence, custody_nonce, list }))
        }
    }
}

fn encode_cell(frame: &CellFrame) -> OutFrame {
    let responsibility = frame.responsibility.map_or(ROUTE, Luminosity::bits);
    let first =
        [TYPE_CELL, class(frame.budget, frame.cell.header().size_class), u8::from(frame.standby) * FLAG_STANDBY, 0];
    let numbers = [frame.accounting_sequence, frame.custody_nonce];
    OutFrame { head: head(first, responsibility, frame.deadline_ms, numbers), cell: Some(frame.cell.bytes().clone()) }
}

fn encode_list(frame: &ListFrame) -> OutFrame {
    let first = [TYPE_CELL, class(frame.budget, frame.list.envelope().size_class), 0, 0];
    let numbers = [frame.accounting_sequence, frame.custody_nonce];
    OutFrame { head: head(first, ROUTE, frame.deadline_ms, numbers), cell: Some(frame.list.bytes().clone()) }
}

fn class(budget: BudgetClass, size_class: SizeClass) -> u8 {
    budget.0 << 4 | u8::from(size_class == SizeClass::B)
}

fn head(first: [u8; 4], responsibility: u16, deadline_ms: u16, numbers: [u32; 2]) -> Bytes {
    let mut head = Vec::with_capacity(FRAME_HEADER_LENGTH);
    head.extend_from_slice(&first);
    head.extend_from_slice(&responsibility.to_be_bytes());
    head.extend_from_slice(&deadline_ms.to_be_bytes());
    numbers.iter().for_each(|number| head.extend_from_slice(&number.to_be_bytes()));
    head.into()
}

fn decode_control(header: &[u8; FRAME_HEADER_LENGTH], bytes: &[u8]) -> Result<Frame, Fault> {
    Reader::new(&header[2..4]).zeros(2)?;
    Reader::new(&header[8..]).zeros(8)?;
    let mut reader = Reader::new(&bytes[FRAME_HEADER_LENGTH..]);
    let frame = match header[0] {
        TYPE_CUSTODY => Frame::Custody(reader.list(RECEIPTS_MAX, Receipt::take)?),
        TYPE_DIGEST => Frame::Digest(reader.list(DIGESTS_MAX, DigestEntry::take)?),
        TYPE_PULL => Frame::Pull(reader.list(PULLS_MAX, PullEntry::take)?),
        TYPE_RECENT => Frame::Recent(Recent::take(&mut reader)?),
        TYPE_HELLO => Frame::Hello(Box::new(Hello::take(&mut reader)?)),
        TYPE_GET_PEERS => Frame::GetPeers(GetPeers::take(&mut reader)?),
        TYPE_PEERS => Frame::Peers(Peers::take(&mut reader)?),
        TYPE_NEIGHBOURHOOD => Frame::Neighbourhood(Neighbourhood::take(&mut reader)?),
        TYPE_ASK => Frame::Ask(Ask::take(&mut reader)?),
        TYPE_HELD => Frame::Held(Held::take(&mut reader)?),
        TYPE_SUBSCRIBE => Frame::Subscribe(Subscribe::take(&mut reader)?),
        _ => return Err(Fault::UnknownFrame),
    };
    reader.finish()?;
    Ok(frame)
}

fn control(kind: u8, put: impl FnOnce(&mut Vec<u8>)) -> OutFrame {
    let mut head = vec![0; FRAME_HEADER_LENGTH];
    head[0] = kind;
    head[1] = CONTROL_VERSION;
    put(&mut head);
    let length = head.len() - FRAME_HEADER_LENGTH;
    assert!(length <= CONTROL_LENGTH_MAX, "our own control frames keep their bound");
    head[4..8].copy_from_slice(&(length as u32).to_be_bytes());
    OutFrame { head: head.into(), cell: None }
}
