//! What a box signs for the chain, as far as a registrar reads it: by which consensus key it asks.
//!
//! The rest is for the chain, which looks whether the key signed it.

use serde::Deserialize;

use crate::state::{BoxState, Membership};

/// The part that is read.
#[derive(Deserialize)]
struct Keyed {
    /// Ed25519, 64 hexadecimal digits.
    public_key: String,
}

/// The consensus key that asks; none where the text is no request.
pub(crate) fn consensus_key(request: &str) -> Option<[u8; 32]> {
    const_hex::decode_to_array(serde_json::from_str::<Keyed>(request).ok()?.public_key).ok()
}

/// Whether two requests are by one key. One that names none is by no other's.
pub(crate) fn is_same_key(one: &str, other: &str) -> bool {
    let key = consensus_key(one);
    one == other || (key.is_some() && key == consensus_key(other))
}

impl Membership {
    /// Whether the chain may have the box's key.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Asked | Self::Admitted(_))
    }
}

impl BoxState {
    /// Another request takes the place of the one before. Where that is by another key which the chain may have, it is
    /// kept until the key is retired. One that waits for this is not known to the chain.
    pub(crate) fn ask(&mut self, request: &str) {
        let held = self.membership.replace((request.to_owned(), Membership::Asked));
        let held = held.filter(|(held, membership)| membership.is_open() && !is_same_key(held, request));
        self.former = self.former.take().or(held.map(|(held, _)| held));
    }

    /// The box is decommissioned: its key is retired, and nothing that it showed or was told counts any more.
    pub(crate) fn leave(&mut self) {
        let held = self.membership.take().filter(|(_, membership)| membership.is_open());
        self.former = self.former.take().or(held.map(|(held, _)| held));
        (self.appraised, self.bundle, self.asked_since, self.admitted) = (None, None, None, None);
        (self.voucher_report, self.enrolment_report, self.alarm) = (None, None, None);
        (self.shown, self.may_change) = (false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_by_their_keys() {
        let [ours, theirs] = ["ab", "cd"].map(|byte| format!("{{\"public_key\":\"{}\"}}", byte.repeat(32)));
        let elsewhere = ours.replacen('{', "{\"endpoint\":\"10.0.0.1:1\",", 1);
        assert_eq!(consensus_key(&elsewhere), Some([0xab; 32]));
        assert!(is_same_key(&ours, &elsewhere) && is_same_key("?", "?"));
        assert!(!is_same_key(&ours, &theirs) && !is_same_key("?", "!") && !is_same_key(&ours, "?"));
        for text in ["", "{}", "[]", "{\"public_key\":\"ab\"}", "{\"public_key\":7}", "{\"public_key\":null}"] {
            assert_eq!(consensus_key(text), None, "{text}");
        }
        assert_eq!(consensus_key(&format!("{ours}x")), None);
        // The same key in other letters.
        assert!(is_same_key(&ours, &ours.replace("ab", "AB")));
    }
}
