//! The chip that keeps a firmware's variables, as EDK II lays it out.
//!
//! ```text
//! firmware volume     its header has a length, `_FVH`, and the GUID of a volume for variables
//!   store header      GUID of an authenticated store, size, 0x5a (formatted), 0xfe (healthy)
//!   variables         each 60 bytes of header, name in UTF-16 with its NUL, data; padded to 4 with 0xff
//!   0xff              up to the store's size
//!   what follows      room in which EDK II rewrites the store; left as it is
//! ```
//!
//! Secure Boot's own variables may be written here without a signature: it guards the running firmware's interface, and
//! whoever has the chip in hand is past that. Sources: EDK II's `MdeModulePkg/Include/Guid/VariableFormat.h`, and the
//! UEFI Platform Initialization specification 1.8, volume 3 §3.2.1, for the volume.

use uuid::Uuid;

/// `EFI_SYSTEM_NV_DATA_FV_GUID`.
const VOLUME: Uuid = Uuid::from_u128(0xfff1_2b8d_7696_4c8b_a985_2747_075b_4f50);
/// `EFI_AUTHENTICATED_VARIABLE_GUID`.
const STORE: Uuid = Uuid::from_u128(0xaaf3_2c78_947b_439a_a180_2e14_4ec3_7792);
const VOLUME_GUID: usize = 16;
const VOLUME_SIGNATURE: usize = 40;
const VOLUME_HEADER_LENGTH: usize = 48;
/// Bytes of the store's header.
const STORE_HEADER: usize = 28;
/// Formatted and healthy.
const STORE_STATE: [u8; 2] = [0x5a, 0xfe];
/// What each variable begins with.
const START: u16 = 0x55aa;
/// Bytes of a variable's header.
const HEADER: usize = 60;
/// Of a variable that counts.
const ADDED: u8 = 0x3f;
/// Of one that counts unless there is another of its name: its successor was not yet written.
const BEING_REPLACED: u8 = 0x3e;
/// Bytes of a time stamp, `EFI_TIME`.
const TIME: usize = 16;

/// Why a file is no store of variables.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A file of another kind.
    #[error("it is no store of authenticated variables: {0}")]
    Format(&'static str),
    /// A variable that does not fit.
    #[error("the variable at byte {at} goes beyond the store's end")]
    Damaged {
        /// Where it begins.
        at: usize,
    },
    /// A file that no firmware has.
    #[error("it is larger than any firmware's")]
    TooLarge,
    /// More than the chip holds.
    #[error("the variables need {needed} bytes and the store has {room}")]
    Full {
        /// What they need.
        needed: usize,
        /// What there is.
        room: usize,
    },
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whose name it is.
    pub vendor: Uuid,
    /// Who may do what with it (UEFI 2.10 §8.2).
    pub attributes: u32,
    /// When it was signed, an `EFI_TIME`; zeros where it was not.
    pub time: [u8; TIME],
    /// What it holds.
    pub data: Vec<u8>,
}

/// The variables of a firmware.
///
/// Holding one says that they could be read from a store of EDK II, and not that they fit it: they may have been
/// changed since.
#[derive(Clone, Debug)]
pub struct VariableStore {
    /// The chip.
    bytes: Vec<u8>,
    /// Where its variables may be.
    begin: usize,
    end: usize,
    variables: Vec<Variable>,
}

impl VariableStore {
    /// Reads a chip.
    ///
    /// # Errors
    ///
    /// [`StoreError::Format`] and [`StoreError::Damaged`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, StoreError> {
        let format = StoreError::Format;
        let volume = array(&bytes, VOLUME_GUID).ok_or(format("it ends within the volume's header"))?;
        if Uuid::from_bytes_le(volume) != VOLUME || array(&bytes, VOLUME_SIGNATURE) != Some(*b"_FVH") {
            return Err(format("it does not begin with a volume for variables"));
        }
        let start = usize::from(u16::from_le_bytes(array(&bytes, VOLUME_HEADER_LENGTH).unwrap_or_default()));
        let header: [u8; STORE_HEADER] = array(&bytes, start).ok_or(format("it ends within the store's header"))?;
        if array(&header, 0).map(Uuid::from_bytes_le) != Some(STORE) || array(&header, 20) != Some(STORE_STATE) {
            return Err(format("the volume holds no healthy store"));
        }
        let end = start.saturating_add(length(&header, 16));
        let begin = start + STORE_HEADER;
        if end < begin || bytes.len() < end {
            return Err(format("the store is larger than the file"));
        }
        let variables = variables(&bytes[..end], begin)?;
        Ok(Self { bytes, begin, end, variables })
    }

    /// All variables.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The variable of this name.
    #[must_use]
    pub fn get(&self, name: &str, vendor: Uuid) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name && variable.vendor == vendor)
    }

    /// Adds a variable, or replaces the one of its name.
    pub fn set(&mut self, variable: Variable) {
        self.remove(&variable.name, variable.vendor);
        self.variables.push(variable);
    }

    /// Removes the variable of this name, if there is one.
    pub fn remove(&mut self, name: &str, vendor: Uuid) {
        self.variables.retain(|variable| variable.name != name || variable.vendor != vendor);
    }

    /// The chip with these variables.
    ///
    /// # Errors
    ///
    /// [`StoreError::Full`] where they do not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let room = self.end - self.begin;
        let mut encoded = Vec::with_capacity(room);
        for variable in &self.variables {
            variable.encode(&mut encoded).ok_or(StoreError::Full { needed: usize::MAX, room })?;
        }
        if encoded.len() > room {
            return Err(StoreError::Full { needed: encoded.len(), room });
        }
        encoded.resize(room, 0xff);
        let mut bytes = self.bytes.clone();
        bytes[self.begin..self.end].copy_from_slice(&encoded);
        Ok(bytes)
    }
}

impl Variable {
    /// Appends it; `None` where it is too large for its fields.
    fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let name: Vec<u8> = self.name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let (name_length, data_length) = (u32::try_from(name.len()).ok()?, u32::try_from(self.data.len()).ok()?);
        out.extend(START.to_le_bytes());
        out.extend([ADDED, 0]);
        out.extend(self.attributes.to_le_bytes());
        // A count of an older kind of authentication.
        out.extend([0; 8]);
        out.extend(self.time);
        // The index of a key, of the same kind.
        out.extend([0; 4]);
        out.extend(name_length.to_le_bytes());
        out.extend(data_length.to_le_bytes());
        out.extend(self.vendor.to_bytes_le());
        out.extend(name);
        out.extend(&self.data);
        out.resize(out.len().next_multiple_of(4), 0xff);
        Some(())
    }
}

/// The variables that count.
fn variables(store: &[u8], mut at: usize) -> Result<Vec<Variable>, StoreError> {
    let (mut found, mut replaced) = (Vec::new(), Vec::new());
    while array(store, at) == Some(START.to_le_bytes()) {
        let damaged = StoreError::Damaged { at };
        let Some(header) = array::<HEADER>(store, at) else { return Err(damaged) };
        let (name_length, data_length) = (length(&header, 36), length(&header, 40));
        let name_at = at + HEADER;
        let data_at = name_at.saturating_add(name_length);
        let end = data_at.saturating_add(data_length);
        let (Some(name), Some(data)) = (store.get(name_at..data_at), store.get(data_at..end)) else {
            return Err(damaged);
        };
        let variable = Variable {
            name: text(name),
            vendor: Uuid::from_bytes_le(array(&header, 44).unwrap_or_default()),
            attributes: u32::from_le_bytes(array(&header, 4).unwrap_or_default()),
            time: array(&header, 16).unwrap_or_default(),
            data: data.to_vec(),
        };
        match header[2] {
            ADDED => found.push(variable),
            BEING_REPLACED => replaced.push(variable),
            _ => {}
        }
        at = end.next_multiple_of(4);
    }
    for old in replaced {
        if !found.iter().any(|new: &Variable| new.name == old.name && new.vendor == old.vendor) {
            found.push(old);
        }
    }
    Ok(found)
}

fn text(name: &[u8]) -> String {
    let units = name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A length of 32 bits, which a `usize` of this machine holds.
fn length(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(array(bytes, at).unwrap_or_default())).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR: Uuid = Uuid::from_u128(0x8be4_df61_93ca_11d2_aa0d_00e0_9803_2b8c);
    /// Bytes of a volume's header with the map of one kind of blocks.
    const VOLUME_HEADER: u8 = 72;

    fn empty(room: usize) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(VOLUME_HEADER)];
        bytes[VOLUME_GUID..][..16].copy_from_slice(&VOLUME.to_bytes_le());
        bytes[VOLUME_SIGNATURE..][..4].copy_from_slice(b"_FVH");
        bytes[VOLUME_HEADER_LENGTH] = VOLUME_HEADER;
        bytes.extend(STORE.to_bytes_le());
        bytes.extend(u32::try_from(room + STORE_HEADER).unwrap().to_le_bytes());
        bytes.extend(STORE_STATE);
        bytes.extend([0; 6]);
        bytes.resize(bytes.len() + room, 0xff);
        // What follows the store.
        bytes.extend([7; 100]);
        bytes
    }

    fn variable(name: &str, data: &[u8]) -> Variable {
        Variable { name: name.to_owned(), vendor: VENDOR, attributes: 7, time: [1; TIME], data: data.to_vec() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut store = VariableStore::parse(empty(1000)).unwrap();
        assert!(store.variables().is_empty());
        store.set(variable("BootNext", &[1, 0]));
        store.set(variable("Größe", b"five!"));
        store.set(variable("BootNext", &[2, 0]));
        let bytes = store.to_bytes().unwrap();
        assert_eq!((bytes.len(), &bytes[bytes.len() - 100..]), (empty(1000).len(), &[7; 100][..]));
        let mut read = VariableStore::parse(bytes).unwrap();
        assert_eq!(read.variables(), store.variables());
        assert_eq!(read.get("BootNext", VENDOR).unwrap().data, [2, 0]);
        assert_eq!(read.get("BootNext", VOLUME), None);
        read.remove("BootNext", VENDOR);
        assert_eq!(read.variables(), [variable("Größe", b"five!")]);
    }

    #[test]
    fn a_variable_is_as_edk2_has_it() {
        let mut bytes = Vec::new();
        variable("PK", &[9]).encode(&mut bytes).unwrap();
        let mut expected = vec![0xaa, 0x55, 0x3f, 0, 7, 0, 0, 0];
        expected.extend([0; 8]);
        expected.extend([1; 16]);
        expected.extend([0, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0, 0xe0, 0x98, 0x03, 0x2b, 0x8c]);
        expected.extend([b'P', 0, b'K', 0, 0, 0, 9, 0xff]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn of_two_with_one_name_the_newer_counts() {
        let mut store = VariableStore::parse(empty(1000)).unwrap();
        for (name, data) in [("old", 1), ("other", 2), ("gone", 3)] {
            store.variables.push(variable(name, &[data]));
        }
        store.variables.push(variable("other", &[4]));
        let mut bytes = store.to_bytes().unwrap();
        let mut at = store.begin;
        for state in [BEING_REPLACED, BEING_REPLACED, 0x3c] {
            bytes[at + 2] = state;
            let lengths = length(&bytes, at + 36) + length(&bytes, at + 40);
            at = (at + HEADER + lengths).next_multiple_of(4);
        }
        let read = VariableStore::parse(bytes).unwrap();
        assert_eq!(read.variables(), [variable("other", &[4]), variable("old", &[1])]);
    }

    #[test]
    fn a_full_store_says_so() {
        let mut store = VariableStore::parse(empty(100)).unwrap();
        store.set(variable("db", &[0; 34]));
        assert!(store.to_bytes().is_ok());
        store.set(variable("db", &[0; 35]));
        assert_eq!(store.to_bytes().unwrap_err(), StoreError::Full { needed: 104, room: 100 });
    }

    #[test]
    fn no_bytes_panic() {
        let mut store = VariableStore::parse(empty(200)).unwrap();
        store.set(variable("db", &[0; 34]));
        let whole = store.to_bytes().unwrap();
        for cut in 0..whole.len() {
            let _ = VariableStore::parse(whole[..cut].to_vec());
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let _ = VariableStore::parse(bytes);
            }
        }
        let mut bytes = whole;
        bytes[store.begin + 40..store.begin + 44].fill(0xff);
        assert_eq!(VariableStore::parse(bytes).unwrap_err(), StoreError::Damaged { at: store.begin });
    }
}
