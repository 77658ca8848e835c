//! A cell to several regions: sealed once, and one cell as long as their paths agree (docs/protocol/packet.md §10).
//!
//! Its mode says "list". Its reserve begins with the list of the regions it still has to reach, and ends in PRF(name); where
//! the region stands in an ordinary cell it carries a secret of the sender's. A relay at which paths part sends copies that
//! differ in their lists only. A copy with one region left becomes an ordinary cell: its region's bits are followed by
//! filling that is drawn from the secret, so every relay makes the same cell of it, and whoever has not seen a list cannot
//! tell the cell from any other.

use bytes::Bytes;
use mainframe_base::{Address, Fault, Luminosity, PacketId, Prefix, Refusal};

use super::cell::{Cell, HEADER_LENGTH, RESERVE_LENGTH, id_of, reserve_of};
use super::envelope::{self, CoreFields, Envelope};
use crate::codec::Reader;

/// The longest list, in bytes: it leaves the last 16 bytes of the reserve to PRF(name). Room for 91 regions of up to 8 bits, 61
/// of up to 16, or five full addresses.
pub const LIST_LENGTH_MAX: usize = RESERVE_LENGTH - 16;

const MODE_LIST: u8 = 1;
/// Where the destination of an ordinary cell stands: here the secret from which the filling of parted cells is drawn.
const SECRET: std::ops::Range<usize> = 4..36;
/// The deed challenge and the stamp.
const BLIND: std::ops::Range<usize> = 84..HEADER_LENGTH;

/// What one packet is, as it travels: a cell to a region, or to several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parcel {
    /// To one region.
    Cell(Cell),
    /// To two and more.
    List(ListCell),
}

impl From<Cell> for Parcel {
    fn from(cell: Cell) -> Parcel {
        Parcel::Cell(cell)
    }
}

impl Parcel {
    /// One cell to all of these regions; an ordinary one if they come down to a single region. A region that lies in another
    /// is served with that one. `filling` is random, as in [`Cell::build`], and known to nobody else.
    ///
    /// # Errors
    /// `TooManyTargets` if their list would take more than [`LIST_LENGTH_MAX`] bytes.
    ///
    /// # Panics
    /// Without a region, or if the body is not [`super::SizeClass::body_length`] long: bugs of ours.
    pub fn build(
        envelope: Envelope,
        regions: impl IntoIterator<Item = Prefix>,
        filling: [u8; 80],
        body: &[u8],
    ) -> Result<Parcel, Refusal> {
        let targets = disjoint(regions);
        match targets[..] {
            [] => panic!("a packet goes somewhere"),
            [region] => Ok(Cell::build(envelope.to(region), filling, body).into()),
            _ if list_length(&targets) > LIST_LENGTH_MAX => Err(Refusal::TooManyTargets),
            _ => {
                let (secret, blind) = filling.split_first_chunk().expect("80 bytes begin with 32");
                let core = envelope.core(envelope.start(MODE_LIST, Luminosity::DARKEST), secret, blind, body);
                let stem = id_of(&core);
                Ok(Parcel::List(ListCell::with(&core, stem, envelope, targets)))
            }
        }
    }

    /// Any number of regions, in as many parts as it takes for each to fit one cell; what lies close together stays together.
    pub fn fitting(regions: impl IntoIterator<Item = Prefix>) -> Vec<Vec<Prefix>> {
        let mut parts: Vec<Vec<Prefix>> = Vec::new();
        for target in disjoint(regions) {
            let longer = 1 + prefix_length(target.luminosity());
            match parts.last_mut() {
                Some(part) if list_length(part) + longer <= LIST_LENGTH_MAX => part.push(target),
                Some(_) | None => parts.push(vec![target]),
            }
        }
        parts
    }

    /// The cell that arrives in the first of its regions. In the others it says the same.
    pub fn first_part(&self) -> Cell {
        match self {
            Parcel::Cell(cell) => cell.clone(),
            Parcel::List(list) => list.part(list.targets()[0]),
        }
    }

    /// The packet's name.
    pub fn id(&self) -> PacketId {
        match self {
            Parcel::Cell(cell) => cell.id(),
            Parcel::List(list) => list.id(),
        }
    }

    /// All of it, shared.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Parcel::Cell(cell) => cell.bytes(),
            Parcel::List(list) => list.bytes(),
        }
    }

    /// The regions it has to reach; at least one.
    pub fn targets(&self) -> &[Prefix] {
        match self {
            Parcel::Cell(cell) => std::slice::from_ref(&cell.header().destination),
            Parcel::List(list) => list.targets(),
        }
    }

    /// All that it says besides its regions.
    pub fn envelope(&self) -> Envelope {
        match self {
            Parcel::Cell(cell) => cell.header().envelope(),
            Parcel::List(list) => list.envelope,
        }
    }

    /// Checks and names the bytes of a cell of any mode.
    ///
    /// # Errors
    /// See [`Cell::parse`] and [`ListCell::parse`].
    pub fn parse(bytes: Bytes) -> Result<Parcel, Fault> {
        match bytes.get(1) {
            Some(flags) if flags >> 6 == MODE_LIST => ListCell::parse(bytes).map(Parcel::List),
            _ => Cell::parse(bytes).map(Parcel::Cell),
        }
    }
}

/// A valid cell to two and more regions, none of which lies in another.
#[derive(Clone, PartialEq, Eq)]
pub struct ListCell {
    bytes: Bytes,
    /// Names this copy: what all copies have in common, and its list.
    id: PacketId,
    /// Names what all copies have in common.
    stem: PacketId,
    envelope: Envelope,
    targets: Vec<Prefix>,
}

impl ListCell {
    /// Checks and names the bytes of a list cell.
    ///
    /// # Errors
    /// `Malformed` for a length that is not its class's or a list that ends early, `UnknownVersion`, `Impossible` for reserved
    /// bits, another mode, a luminosity before the list, or a list that is not the only one of its regions; `Oversized` for a
    /// list that leaves no room for what binds it; `WrongReserve` if what follows the list does not follow from the cell.
    /// Expiry is not checked here.
    pub fn parse(bytes: Bytes) -> Result<ListCell, Fault> {
        let CoreFields { mode, luminosity, envelope, .. } = envelope::parse(&bytes)?;
        if mode != MODE_LIST || luminosity != 0 {
            return Err(Fault::Impossible);
        }
        let (core, reserve) = bytes.split_at(bytes.len() - RESERVE_LENGTH);
        let targets = read_list(reserve)?;
        let (list, rest) = reserve.split_at(list_length(&targets));
        let stem = id_of(core);
        let id = name_of(stem, list);
        if reserve_of(id)[list.len()..] != *rest {
            return Err(Fault::WrongReserve);
        }
        Ok(ListCell { id, stem, envelope, targets, bytes })
    }

    /// The name of this copy. Copies of one packet with other lists have other names.
    pub fn id(&self) -> PacketId {
        self.id
    }

    /// The regions this copy still has to reach: two or more, in order, none within another.
    pub fn targets(&self) -> &[Prefix] {
        &self.targets
    }

    /// All that it says besides its regions.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// All of it, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The copy that has to reach these of its targets only, at least one and in their order.
    ///
    /// # Panics
    /// Without a target: a bug of ours.
    pub fn only(&self, targets: Vec<Prefix>) -> Parcel {
        match targets[..] {
            [] => panic!("a copy goes somewhere"),
            [region] => self.part(region).into(),
            _ if targets.len() == self.targets.len() => Parcel::List(self.clone()),
            _ => Parcel::List(ListCell::with(self.core(), self.stem, self.envelope, targets)),
        }
    }

    /// The ordinary cell that goes to this one of its targets.
    pub fn part(&self, region: Prefix) -> Cell {
        let mut filling = [0; 80];
        filling[..32].copy_from_slice(&self.filling(&region));
        filling[32..].copy_from_slice(&self.bytes[BLIND]);
        Cell::build(self.envelope.to(region), filling, &self.core()[HEADER_LENGTH..])
    }

    /// What follows a region's bits in the cell that parts for it: the sender's secret as the key of a hash of the region.
    fn filling(&self, region: &Prefix) -> [u8; 32] {
        let secret = self.bytes[SECRET].try_into().expect("32 bytes");
        let mut hasher = blake3::Hasher::new_keyed(secret);
        hasher.update(&[region.luminosity().to_byte()]).update(&region.first_address().0);
        *hasher.finalize().as_bytes()
    }

    fn core(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - RESERVE_LENGTH]
    }

    fn with(core: &[u8], stem: PacketId, envelope: Envelope, targets: Vec<Prefix>) -> ListCell {
        let list = write_list(&targets);
        let id = name_of(stem, &list);
        let mut bytes = Vec::with_capacity(core.len() + RESERVE_LENGTH);
        bytes.extend_from_slice(core);
        bytes.extend_from_slice(&list);
        bytes.extend_from_slice(&reserve_of(id)[list.len()..]);
        ListCell { bytes: bytes.into(), id, stem, envelope, targets }
    }
}

impl std::fmt::Debug for ListCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListCell({:?} to {:?})", self.id, self.targets)
    }
}

/// A copy's name: BLAKE3(stem ‖ list)[0..16], so that copies with other lists do not cancel each other (review P17).
fn name_of(stem: PacketId, list: &[u8]) -> PacketId {
    let hash = blake3::Hasher::new().update(&stem.0).update(list).finalize();
    PacketId(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// The regions in order, without those that lie in others. In this order a region stands before all that lie in it, with
/// nothing but such between.
fn disjoint(regions: impl IntoIterator<Item = Prefix>) -> Vec<Prefix> {
    let mut targets: Vec<Prefix> = regions.into_iter().collect();
    targets.sort_unstable();
    targets.dedup_by(|inner, outer| outer.overlaps(inner));
    targets
}

/// Bytes of a region's bits.
fn prefix_length(luminosity: Luminosity) -> usize {
    usize::from(luminosity.bits().div_ceil(8))
}

fn list_length(targets: &[Prefix]) -> usize {
    1 + targets.iter().map(|target| 1 + prefix_length(target.luminosity())).sum::<usize>()
}

/// How many, then of each its luminosity and its bits, rounded up to bytes.
fn write_list(targets: &[Prefix]) -> Vec<u8> {
    let mut list = vec![u8::try_from(targets.len()).expect("a list of 184 bytes has less than 92 regions")];
    for target in targets {
        list.push(target.luminosity().to_byte());
        list.extend_from_slice(&target.first_address().0[..prefix_length(target.luminosity())]);
    }
    list
}

/// Reads what [`write_list`] wrote, and nothing else: a set of regions has one list.
fn read_list(reserve: &[u8]) -> Result<Vec<Prefix>, Fault> {
    let mut reader = Reader::new(reserve);
    let count = reader.u8()?;
    if count < 2 {
        return Err(Fault::Impossible);
    }
    let mut targets: Vec<Prefix> = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let target = read_target(&mut reader)?;
        if targets.last().is_some_and(|last| *last >= target || last.overlaps(&target)) {
            return Err(Fault::Impossible);
        }
        targets.push(target);
    }
    if list_length(&targets) > LIST_LENGTH_MAX { Err(Fault::Oversized) } else { Ok(targets) }
}

fn read_target(reader: &mut Reader<'_>) -> Result<Prefix, Fault> {
    let luminosity = Luminosity::from_byte(reader.u8()?);
    let bits = reader.bytes(prefix_length(luminosity))?;
    let mut address = Address([0; 32]);
    address.0[..bits.len()].copy_from_slice(bits);
    let target = Prefix::of(&address, luminosity);
    if target.first_address() == address { Ok(target) } else { Err(Fault::Impossible) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ExpiryBucket, HoldClass, SizeClass};
    use mainframe_base::Tag;
    use proptest::prelude::*;

    fn envelope(size_class: SizeClass) -> Envelope {
        Envelope {
            size_class,
            hold_class: HoldClass::Day,
            acknowledge: true,
            expiry: ExpiryBucket(9),
            tag: Tag([3; 16]),
            ephemeral: [4; 32],
        }
    }

    fn region(address: [u8; 32], bits: u16) -> Prefix {
        Prefix::of(&Address(address), Luminosity::at_most(bits))
    }

    /// Regions by the number of a 16-bit address each.
    fn regions(numbers: impl IntoIterator<Item = u16>, bits: u16) -> Vec<Prefix> {
        let address = |number: u16| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        numbers.into_iter().map(|number| region(address(number), bits)).collect()
    }

    fn list_of(regions: Vec<Prefix>) -> ListCell {
        let body = vec![7; SizeClass::T.body_length()];
        match Parcel::build(envelope(SizeClass::T), regions, [0x5A; 80], &body).unwrap() {
            Parcel::List(list) => list,
            Parcel::Cell(cell) => panic!("{cell:?} has one region"),
        }
    }

    fn any_regions() -> impl Strategy<Value = Vec<Prefix>> {
        let one = (any::<[u8; 32]>(), 1u16..=40).prop_map(|(address, bits)| region(address, bits));
        prop::collection::vec(one, 2..25)
            .prop_filter("two regions and more", |regions| disjoint(regions.clone()).len() > 1)
    }

    #[test]
    fn a_list_has_room_for_91_regions_of_8_bits_and_refuses_more() {
        let build = |numbers: std::ops::Range<u16>| {
            let regions = regions(numbers.map(|number| number << 8), 8);
            Parcel::build(envelope(SizeClass::T), regions, [1; 80], &[0; 1_716])
        };
        let full = build(0..91).unwrap();
        assert_eq!((full.targets().len(), list_length(full.targets())), (91, 183));
        assert_eq!(Parcel::parse(full.bytes().clone()), Ok(full));
        assert_eq!(build(0..92), Err(Refusal::TooManyTargets));
    }

    #[test]
    fn more_regions_than_fit_go_in_several_lists() {
        let parts = |count: u16, bits| -> Vec<usize> {
            let parts = Parcel::fitting(regions((0..count).map(|number| number << 6), bits));
            for part in &parts {
                assert!(Parcel::build(envelope(SizeClass::T), part.clone(), [1; 80], &[0; 1_716]).is_ok());
            }
            parts.iter().map(Vec::len).collect()
        };
        assert_eq!(parts(100, 256), [5; 20]);
        assert_eq!(parts(100, 16), [61, 39]);
        assert_eq!(parts(1, 16), [1]);
        assert_eq!(Parcel::fitting([]), [[]; 0]);
    }

    #[test]
    fn regions_within_others_go_with_them_and_one_region_makes_an_ordinary_cell() {
        let everyone = [Prefix::EVERYONE, region([0x80; 32], 1), region([0x80; 32], 256)];
        let parcel = Parcel::build(envelope(SizeClass::B), everyone, [1; 80], &vec![0; 16_052]).unwrap();
        assert!(matches!(parcel, Parcel::Cell(ref cell) if cell.destination() == Prefix::EVERYONE));
        let (half, quarter) = (region([0x80; 32], 1), region([0x40; 32], 2));
        assert_eq!(list_of(vec![half, region([0xC0; 32], 2), quarter, half]).targets(), [quarter, half]);
    }

    #[test]
    fn whoever_divides_a_list_in_whatever_way_makes_the_same_cell_for_a_region() {
        let list = list_of(regions([0x1000, 0x2000, 0x8000, 0xC000], 4));
        let [first, second, third, fourth] = list.targets()[..] else { panic!("four") };
        let Parcel::List(half) = list.only(vec![first, second]) else { panic!("two") };
        let Parcel::List(other) = list.only(vec![second, third, fourth]) else { panic!("three") };
        let cell = list.part(second);
        assert_eq!([&half.part(second), &other.part(second)], [&cell, &cell]);
        assert_eq!(Cell::parse(cell.bytes().clone()), Ok(cell.clone()));
        assert_eq!(half.only(vec![second]), cell.into());
        assert_eq!(list.only(list.targets().to_vec()), Parcel::List(list));
    }

    #[test]
    fn one_sealing_serves_the_list_and_every_region() {
        let list = list_of(regions([0x1000, 0x8000], 4));
        for target in list.targets().to_vec() {
            let cell = list.part(target);
            assert_eq!(cell.header().associated_anywhere(), list.envelope().associated());
            assert_eq!(cell.body(), &list.core()[HEADER_LENGTH..]);
            assert_eq!((cell.header().tag, cell.header().ephemeral), (list.envelope.tag, list.envelope.ephemeral));
        }
        let other = Envelope { hold_class: HoldClass::Live, ..envelope(SizeClass::T) };
        assert_ne!(other.associated(), list.envelope().associated());
    }

    /// What an ordinary cell has at random is even in parted cells: of 2,000 lists, every bit past the region's is set in half,
    /// within five standard deviations; and nothing in the cell itself tells where it came from.
    #[test]
    fn a_parted_cell_looks_like_an_ordinary_one() {
        let mut ones = [0u32; 256];
        let regions = regions([0x1000, 0x8000], 4);
        for number in 0..2_000u32 {
            let mut filling = [0; 80];
            blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut filling);
            let parcel = Parcel::build(envelope(SizeClass::T), regions.clone(), filling, &[0; 1_716]).unwrap();
            let Parcel::List(list) = parcel else { panic!("two regions") };
            let cell = list.part(list.targets()[0]);
            let address = &cell.bytes()[SECRET];
            ones.iter_mut()
                .enumerate()
                .for_each(|(bit, count)| *count += u32::from(address[bit / 8] >> (7 - bit % 8) & 1));
            assert_eq!((cell.bytes()[1] >> 6, cell.bytes()[2]), (0, 4));
        }
        assert_eq!(ones[..4], [0, 0, 0, 2_000], "the region");
        assert!(ones[4..].iter().all(|count| (888..=1_112).contains(count)), "{ones:?}");
    }

    #[test]
    fn lists_that_are_not_the_only_ones_of_their_regions_are_refused() {
        let list = list_of(regions([0x1000, 0x8000], 4));
        let forged = |targets: &[u8]| {
            let id = name_of(list.stem, targets);
            let bytes = [list.core(), targets, &reserve_of(id)[targets.len()..]].concat();
            ListCell::parse(bytes.into()).map(|list| list.targets.len())
        };
        assert_eq!(forged(&[2, 4, 0x10, 4, 0x80]), Ok(2));
        for (wrong, why) in [
            (&[0][..], "nowhere"),
            (&[1, 4, 0x10], "one region"),
            (&[2, 4, 0x80, 4, 0x10], "out of order"),
            (&[2, 4, 0x10, 4, 0x10], "twice the same"),
            (&[2, 1, 0x00, 4, 0x10], "one within the other"),
            (&[2, 0, 4, 0x10], "everyone and someone"),
            (&[2, 4, 0x11, 4, 0x80], "bits past the luminosity"),
        ] {
            assert_eq!(forged(wrong), Err(Fault::Impossible), "{why}");
        }
        let many: Vec<u8> = std::iter::once(92).chain((0..92u8).flat_map(|number| [8, number])).collect();
        assert_eq!(forged(&many), Err(Fault::Oversized));
        let long: Vec<u8> = std::iter::once(200).chain((0..99u8).flat_map(|number| [8, number])).collect();
        assert_eq!(forged(&long), Err(Fault::Malformed));
    }

    proptest! {
        #[test]
        fn a_built_list_parses_to_the_same_list(regions in any_regions(), filling: u8, big: bool) {
            let size_class = if big { SizeClass::B } else { SizeClass::T };
            let body = vec![filling; size_class.body_length()];
            let built = Parcel::build(envelope(size_class), regions.clone(), [filling; 80], &body);
            prop_assume!(built.is_ok());
            let built = built.unwrap();
            prop_assert_eq!(Parcel::parse(built.bytes().clone()).unwrap(), built.clone());
            for region in &regions {
                prop_assert_eq!(built.targets().iter().filter(|target| target.overlaps(region)).count(), 1);
            }
            prop_assert!(built.targets().windows(2).all(|pair| pair[0] < pair[1] && !pair[0].overlaps(&pair[1])));
            prop_assert_eq!(built.envelope(), envelope(size_class));
        }

        #[test]
        fn any_changed_byte_is_refused(regions in any_regions(), at: prop::sample::Index, bit in 0u8..8) {
            prop_assume!(list_length(&disjoint(regions.clone())) <= LIST_LENGTH_MAX);
            let built = list_of(regions);
            let mut bytes = built.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Parcel::parse(bytes.into()).is_err(), "the reserve binds every byte, the list's too");
        }

        #[test]
        fn every_region_gets_another_name_and_so_does_every_list(regions in any_regions()) {
            prop_assume!(list_length(&disjoint(regions.clone())) <= LIST_LENGTH_MAX);
            let list = list_of(regions);
            let cells = list.targets().iter().map(|target| list.part(*target).id());
            let lists = (2..=list.targets().len()).map(|count| list.only(list.targets()[..count].to_vec()).id());
            let names: std::collections::BTreeSet<PacketId> = cells.chain(lists).collect();
            prop_assert_eq!(names.len(), 2 * list.targets().len() - 1);
        }

        #[test]
        fn arbitrary_lists_never_panic(tail in prop::collection::vec(any::<u8>(), 200), count in 0u8..8) {
            let mut bytes = list_of(regions([0x1000, 0x8000], 4)).bytes().to_vec();
            let at = bytes.len() - RESERVE_LENGTH;
            bytes[at..].copy_from_slice(&tail);
            bytes[at] = count;
            let _ = Parcel::parse(bytes.into());
        }
    }
}
