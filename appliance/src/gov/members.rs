//! The organisations and boxes of a chain, by the names that people give them.

use alloy_primitives::{B256, U256, hex};
use anyhow::{bail, ensure};
use dolmen_governance::contract;

use super::{chain::Chain, text};

/// Boxes that one question asks for: reading one takes some 25,000 of the 50,000,000 gas that a call may use.
const BOXES_PAGE: usize = 256;
/// Digits of a key that tell boxes apart well enough to be typed.
const KEY_DIGITS_MIN: usize = 4;

/// Who is there.
pub(super) struct Members {
    /// The active organisations by number.
    pub(super) organisations: Vec<contract::Organisation>,
    /// All boxes that ever were, in order of admission.
    boxes: Vec<contract::Box>,
}

impl Members {
    /// Asks the contract.
    pub(super) async fn load(chain: &Chain) -> anyhow::Result<Self> {
        let mut organisations = chain.ask(&contract::organisationsCall {}).await?;
        organisations.sort_unstable_by_key(|organisation| organisation.id);
        let mut boxes = Vec::new();
        loop {
            let (from, count) = (U256::from(boxes.len()), U256::from(BOXES_PAGE));
            let page = chain.ask(&contract::boxesCall { from, count }).await?;
            let is_last = page.len() < BOXES_PAGE;
            boxes.extend(page);
            if is_last {
                return Ok(Self { organisations, boxes });
            }
        }
    }

    /// The organisation with a name or number.
    pub(super) fn organisation(&self, wanted: &str) -> anyhow::Result<&contract::Organisation> {
        let named = self.organisations.iter().find(|known| known.name == wanted);
        let id: Option<u32> = wanted.parse().ok();
        let found = named.or_else(|| self.organisations.iter().find(|known| Some(known.id) == id));
        let Some(found) = found else {
            let names: Vec<_> = self.organisations.iter().map(|known| format!("{:?}", known.name)).collect();
            bail!("no organisation is called {wanted:?}; there are {}", text::list(&names));
        };
        Ok(found)
    }

    /// The box with a name, or with a public key that begins with these digits.
    pub(super) fn find_box(&self, wanted: &str) -> anyhow::Result<&contract::Box> {
        // A name is free again once its box is retired: the last to take it has it.
        if let Some(found) = self.boxes.iter().rfind(|known| known.name == wanted) {
            return Ok(found);
        }
        let digits = wanted.strip_prefix("0x").unwrap_or(wanted).to_ascii_lowercase();
        ensure!(
            digits.len() >= KEY_DIGITS_MIN,
            "no box is called {wanted:?}; give its name, or {KEY_DIGITS_MIN} or more digits of its public key \
             (`dolmen gov boxes`)"
        );
        let matching: Vec<_> = self.boxes.iter().filter(|known| hex::encode(known.key).starts_with(&digits)).collect();
        match matching[..] {
            [found] => Ok(found),
            [] => bail!(
                "no box is called {wanted:?} or has a public key that begins so; `dolmen gov boxes --all` lists them"
            ),
            _ => bail!("the public keys of {} boxes begin with {digits}; give more digits", matching.len()),
        }
    }

    /// All boxes that ever were.
    pub(super) fn boxes(&self) -> &[contract::Box] {
        &self.boxes
    }

    /// What people call an organisation.
    pub(super) fn organisation_name(&self, id: u32) -> String {
        let known = self.organisations.iter().find(|known| known.id == id);
        known.map_or_else(|| format!("organisation number {id}"), |known| known.name.clone())
    }

    /// What people call a box.
    pub(super) fn box_name(&self, key: &B256) -> String {
        let known = self.boxes.iter().find(|known| known.key == *key);
        known.map_or_else(|| short(key), |known| known.name.clone())
    }
}

/// The first digits of a key, for tables.
pub(super) fn short(key: &B256) -> String {
    format!("{}…", hex::encode(&key[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Members {
        let organisation = |id, name: &str| contract::Organisation {
            id,
            active: true,
            account: Default::default(),
            name: name.to_owned(),
            rootCertificate: Default::default(),
        };
        let known = |name: &str, byte: u8, role| contract::Box {
            key: B256::repeat_byte(byte),
            organisation: 1,
            role,
            standby: false,
            since: 0,
            feeRecipient: Default::default(),
            evidence: B256::ZERO,
            name: name.to_owned(),
            endpoint: String::new(),
        };
        Members {
            organisations: vec![organisation(1, "alpha"), organisation(3, "1")],
            boxes: vec![known("box-0", 0xa0, 3), known("box-1", 0xa1, 2), known("box-0", 0xb0, 1)],
        }
    }

    #[test]
    fn boxes_are_found_by_name_and_by_key() {
        let members = members();
        let found = |text| members.find_box(text).map(|found| found.key[0]).map_err(|error| error.to_string());
        assert_eq!(found("box-1"), Ok(0xa1));
        assert_eq!(found("box-0"), Ok(0xb0), "the one before it is retired");
        assert_eq!(found("a0a0"), Ok(0xa0));
        assert_eq!(found("0xA1A1A1"), Ok(0xa1));
        assert!(found("a0a").unwrap_err().contains("4 or more digits"));
        assert!(found("cafe").unwrap_err().contains("no box is called"));
        assert_eq!(members.box_name(&B256::repeat_byte(0xa1)), "box-1");
        assert_eq!(members.box_name(&B256::repeat_byte(7)), "07070707…");
    }

    #[test]
    fn organisations_are_found_by_name_before_number() {
        let members = members();
        let found = |text| members.organisation(text).map(|found| found.id).map_err(|error| error.to_string());
        assert_eq!([found("alpha"), found("1"), found("3")], [Ok(1), Ok(3), Ok(3)]);
        assert!(found("gamma").unwrap_err().contains("\"alpha\" and \"1\""));
        assert_eq!(members.organisation_name(2), "organisation number 2");
    }
}
