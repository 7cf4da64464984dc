//! Where a part of a trie begins: the nibbles that all its keys begin with.

use std::fmt;

use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, Header};

use super::nibbles::{KEY_NIBBLES, first_difference, nibble};

/// The nibbles that some keys begin with: none for all keys, 64 for one.
///
/// In ascending order a prefix comes before those that it covers, and these come before all others behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    /// The nibbles, then zeros: the lowest key.
    path: B256,
    /// How many nibbles; at most 64.
    nibbles: u8,
}

impl Prefix {
    /// That of all keys.
    pub const ROOT: Self = Self { path: B256::ZERO, nibbles: 0 };

    /// The first nibbles of a key; all of them where it does not have so many.
    pub fn of(key: &B256, nibbles: u8) -> Self {
        let nibbles = nibbles.min(KEY_NIBBLES);
        let mut path = *key;
        let whole = usize::from(nibbles / 2);
        if nibbles.is_multiple_of(2) {
            path[whole..].fill(0);
        } else {
            path[whole] &= 0xf0;
            path[whole + 1..].fill(0);
        }
        Self { path, nibbles }
    }

    /// How many nibbles there are, at most 64.
    pub const fn nibbles(&self) -> u8 {
        self.nibbles
    }

    /// The lowest key that begins with these nibbles.
    pub const fn first(&self) -> &B256 {
        &self.path
    }

    /// The first key behind all that begin with these nibbles; `None` where those are the last ones.
    pub fn end(&self) -> Option<B256> {
        let mut path = self.path;
        for at in (0..self.nibbles).rev() {
            let value = nibble(&path, at);
            if value < 0x0f {
                set_nibble(&mut path, at, value + 1);
                return Some(path);
            }
            set_nibble(&mut path, at, 0);
        }
        None
    }

    /// The key, where these are all its nibbles.
    pub fn key(&self) -> Option<B256> {
        (self.nibbles == KEY_NIBBLES).then_some(self.path)
    }

    /// These nibbles and another one; `None` where there is no room for one, or it is none.
    pub fn child(&self, nibble: u8) -> Option<Self> {
        self.extended(&[nibble])
    }

    /// These nibbles and others; `None` where there is no room for them, or one is none.
    pub fn extended(&self, others: &[u8]) -> Option<Self> {
        let mut longer = *self;
        for &nibble in others {
            if longer.nibbles == KEY_NIBBLES || nibble > 0x0f {
                return None;
            }
            set_nibble(&mut longer.path, longer.nibbles, nibble);
            longer.nibbles += 1;
        }
        Some(longer)
    }

    /// Whether a key begins with these nibbles.
    pub fn contains(&self, key: &B256) -> bool {
        first_difference(&self.path, key) >= self.nibbles
    }

    /// Whether another prefix begins with these nibbles, or is this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.nibbles <= other.nibbles && self.contains(&other.path)
    }

    /// Those that cover this one and are not this one, the longest first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        let Self { path, nibbles } = *self;
        (0..nibbles).rev().map(move |nibbles| Self::of(&path, nibbles))
    }

    /// The number of nibbles in a byte, then the nibbles, two a byte; a last half byte is zero.
    pub(crate) fn packed(&self) -> Vec<u8> {
        let bytes = usize::from(self.nibbles.div_ceil(2));
        let mut packed = Vec::with_capacity(1 + bytes);
        packed.push(self.nibbles);
        packed.extend_from_slice(&self.path[..bytes]);
        packed
    }

    /// Reads what [`Self::packed`] wrote, and nothing else.
    pub(crate) fn unpacked(packed: &[u8]) -> Option<Self> {
        let (&nibbles, bytes) = packed.split_first()?;
        if nibbles > KEY_NIBBLES || bytes.len() != usize::from(nibbles.div_ceil(2)) {
            return None;
        }
        let path = B256::right_padding_from(bytes);
        let prefix = Self::of(&path, nibbles);
        (prefix.path == path).then_some(prefix)
    }
}

impl Encodable for Prefix {
    fn encode(&self, out: &mut dyn BufMut) {
        self.packed().as_slice().encode(out);
    }

    fn length(&self) -> usize {
        self.packed().as_slice().length()
    }
}

impl Decodable for Prefix {
    fn decode(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let packed = Header::decode_bytes(bytes, false)?;
        Self::unpacked(packed).ok_or(alloy_rlp::Error::Custom("not the nibbles that a key begins with"))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nibbles == 0 {
            return f.write_str("the root");
        }
        f.write_str("0x")?;
        (0..self.nibbles).try_for_each(|at| write!(f, "{:x}", nibble(&self.path, at)))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn set_nibble(key: &mut B256, at: u8, value: u8) {
    let byte = &mut key[usize::from(at / 2)];
    *byte = if at.is_multiple_of(2) { (*byte & 0x0f) | (value << 4) } else { (*byte & 0xf0) | value };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_prefix() -> impl Strategy<Value = Prefix> {
        let byte = prop::sample::select(vec![0x00_u8, 0x0f, 0xf0, 0xff, 0x3a]);
        (prop::collection::vec(byte, 32), 0..=64_u8)
            .prop_map(|(key, nibbles)| Prefix::of(&B256::from_slice(&key), nibbles))
    }

    #[test]
    fn what_a_prefix_is_called() {
        let key = B256::repeat_byte(0x3a);
        assert_eq!(Prefix::of(&key, 3).to_string(), "0x3a3");
        assert_eq!(Prefix::ROOT.to_string(), "the root");
        assert_eq!(Prefix::of(&key, 200).key(), Some(key));
        assert_eq!(Prefix::of(&B256::repeat_byte(0xff), 5).end(), None);
        assert_eq!(Prefix::of(&B256::ZERO, 64).child(1), None);
        assert_eq!(Prefix::ROOT.child(16), None);
    }

    proptest! {
        #[test]
        fn the_keys_below_are_those_between_first_and_end(prefix in any_prefix(), other in any_prefix()) {
            let between = |key: &B256| prefix.first() <= key && prefix.end().is_none_or(|end| *key < end);
            prop_assert_eq!(prefix.contains(other.first()), between(other.first()));
            prop_assert!(prefix.contains(prefix.first()));
            prop_assert_eq!(prefix.covers(&other), prefix == other || other.ancestors().any(|above| above == prefix));
        }

        #[test]
        fn a_prefix_comes_right_before_those_that_it_covers(mut all in prop::collection::vec(any_prefix(), 0..30)) {
            all.sort_unstable();
            for (at, prefix) in all.iter().enumerate() {
                let covered = all[at..].iter().take_while(|other| prefix.covers(other)).count();
                prop_assert_eq!(covered, all.iter().filter(|other| prefix.covers(other)).count()
                    - all[..at].iter().filter(|other| *other == prefix).count());
            }
        }

        #[test]
        fn encodings_are_read_back(prefix in any_prefix(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let encoded = alloy_rlp::encode(prefix);
            prop_assert_eq!(encoded.len(), prefix.length());
            prop_assert_eq!(alloy_rlp::decode_exact::<Prefix>(&encoded), Ok(prefix));
            if let Some(read) = Prefix::unpacked(&bytes) {
                prop_assert_eq!(read.packed(), bytes, "one encoding for each");
            }
        }
    }
}
