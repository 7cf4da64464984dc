//! Numbers for a monitoring system.

use std::collections::BTreeMap;

use crate::{Call, State, state::Standing};

/// What happened since the registrar was opened, and how many there are of what now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Requests that were answered, by [`Call::name`].
    pub answered: BTreeMap<&'static str, u64>,
    /// Requests that were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Boxes by how they stand: `waiting`, `approved`, `declined`, `revoked`, `replaced`.
    pub boxes: BTreeMap<&'static str, u64>,
    /// Boxes with an alarm.
    pub alarms: u64,
    /// Boxes that wait for a voucher.
    pub wanted: u64,
    /// Vouchers that are kept.
    pub vouchers: u64,
    /// Challenges that are not answered.
    pub challenges: u64,
    /// Certificates that were taken back.
    pub revoked: u64,
    /// Seconds that the certificates hold by which the registrar works, by the names of
    /// [`Registrar::standing`](crate::Registrar::standing): 0 where one is over.
    pub certificate_seconds: BTreeMap<&'static str, u64>,
}

impl Metrics {
    pub(crate) fn count(&mut self, call: Call, refused: Option<&'static str>) {
        let number = match refused {
            Some(code) => self.refused.entry(code).or_default(),
            None => self.answered.entry(call.name()).or_default(),
        };
        *number = number.saturating_add(1);
    }

    pub(crate) fn with(&self, state: &State, challenges: usize) -> Self {
        let mut boxes = BTreeMap::new();
        for one in state.boxes().values() {
            let name = match one.standing {
                Standing::Waiting => "waiting",
                Standing::Approved => "approved",
                Standing::Declined(_) => "declined",
                Standing::Revoked(_) => "revoked",
                Standing::Replaced(_) => "replaced",
            };
            *boxes.entry(name).or_default() += 1;
        }
        Self {
            boxes,
            alarms: state.boxes().values().filter(|one| one.alarm.is_some()).count() as u64,
            wanted: state.wanted().count() as u64,
            vouchers: state.vouchers().len() as u64,
            challenges: challenges as u64,
            revoked: state.revoked().len() as u64,
            ..self.clone()
        }
    }
}
