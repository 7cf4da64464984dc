//! Which token is meant, and which one it is.

use std::fmt;

use cryptoki::slot::{Slot, TokenInfo};
use dolmen_hsm_api::Pkcs11Key;

/// A token, wherever it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    label: String,
    manufacturer: String,
    model: String,
    serial: String,
    /// Where a token has no serial number, its slot must tell it from its twins.
    slot: Option<u64>,
}

impl Identity {
    pub(crate) fn of(slot: Slot, info: &TokenInfo) -> Self {
        Self {
            label: info.label().to_owned(),
            manufacturer: info.manufacturer_id().to_owned(),
            model: info.model().to_owned(),
            serial: info.serial_number().to_owned(),
            slot: info.serial_number().is_empty().then(|| slot.id()),
        }
    }

    /// What finds this token again, and no other.
    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            label: Some(&self.label),
            manufacturer: Some(&self.manufacturer),
            serial: Some(&self.serial),
            model: Some(&self.model),
            slot: self.slot,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token {:?}", self.label)?;
        match self.slot {
            Some(slot) => write!(f, " (slot {slot})"),
            None => write!(f, " (serial {})", self.serial),
        }
    }
}

/// A token as a key's name describes it. What is not there fits any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    label: Option<&'a str>,
    manufacturer: Option<&'a str>,
    serial: Option<&'a str>,
    model: Option<&'a str>,
    slot: Option<u64>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn by(key: &'a Pkcs11Key) -> Self {
        Self {
            label: key.token.as_deref(),
            manufacturer: key.manufacturer.as_deref(),
            serial: key.serial.as_deref(),
            model: key.model.as_deref(),
            slot: key.slot_id,
        }
    }

    pub(crate) fn fits(&self, slot: Slot, info: &TokenInfo) -> bool {
        let fits = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
        fits(self.label, info.label())
            && fits(self.manufacturer, info.manufacturer_id())
            && fits(self.serial, info.serial_number())
            && fits(self.model, info.model())
            && self.slot.is_none_or(|wanted| wanted == slot.id())
    }
}

impl fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a PKCS#11 token")?;
        let mut separator = " with ";
        let attributes = [
            ("token", self.label),
            ("manufacturer", self.manufacturer),
            ("serial", self.serial),
            ("model", self.model),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = ", ";
            }
        }
        self.slot.map_or(Ok(()), |slot| write!(f, "{separator}slot-id={slot}"))
    }
}
