//! A box with a certificate of its owner's: it asks for its chain, and to be one of the chain's.

use dolmen_provisioning_bundle::{Admission, limits::ADMISSION_MESSAGE_BYTES_MAX};
use dolmen_provisioning_ca::cms::Unsigned;
use serde::Deserialize;

use super::{At, Pledge};
use crate::{
    Role,
    exchange::Exchange,
    fault::Fault,
    owner::{Bundled, Enrolled},
};

/// What a box knows that asks to be admitted. Nothing of it is stored: each step can be done again.
#[derive(Debug, Default)]
pub(super) struct Admitting {
    pub(super) unsigned: Option<Unsigned>,
    pub(super) message: Option<Vec<u8>>,
}

/// The answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Admitted {
    role: Role,
}

impl Admitting {
    pub(super) const fn at(&self, enrolled: &Enrolled) -> At {
        if enrolled.bundled.is_none() {
            return At::Send(Exchange::Bundle);
        }
        match self {
            Self { message: Some(_), .. } => At::Send(Exchange::Admission),
            Self { unsigned: Some(_), .. } => At::SignAdmission,
            Self { .. } => At::MakeAdmission,
        }
    }
}

impl Pledge {
    pub(super) fn bundle_is(&mut self, message: &[u8]) {
        let Some(enrolled) = self.owner.as_mut().and_then(|owner| owner.enrolled.as_mut()) else { return };
        match enrolled.check_bundle(message, &self.identity) {
            Ok(bundle) => {
                enrolled.bundled = Some(Bundled { message: message.to_vec(), bundle, role: None });
                self.unsaved = true;
                self.has_served();
            }
            Err(refusal) => self.refuse(refusal.code(), &refusal),
        }
    }

    pub(super) fn admission_is(&mut self, request: String) {
        let Some(enrolled) = self.owner.as_ref().and_then(|owner| owner.enrolled.as_ref()) else { return };
        let Some(bundle) = enrolled.bundled.as_ref().map(|bundled| bundled.bundle.content()) else { return };
        let admission = Admission {
            serial_number: self.identity.serial_number().clone(),
            chain_id: bundle.chain_id,
            genesis_hash: bundle.genesis_hash,
            request,
            appraisal: bundle.appraisal,
        };
        match admission.to_sign(&enrolled.chain) {
            Ok(unsigned) => self.admitting.unsigned = Some(unsigned),
            Err(refusal) => self.fault(Fault::AdmissionRequest, &refusal.to_string()),
        }
    }

    pub(super) fn signed_admission_is(&mut self, message: Vec<u8>) {
        if message.is_empty() || message.len() > ADMISSION_MESSAGE_BYTES_MAX {
            return self.fault(Fault::Signature, "the signed admission is no message");
        }
        self.admitting.message = Some(message);
    }

    pub(super) fn role_is(&mut self, body: &[u8]) {
        match serde_json::from_slice::<Admitted>(body) {
            Ok(Admitted { role }) => {
                let enrolled = self.owner.as_mut().and_then(|owner| owner.enrolled.as_mut());
                if let Some(bundled) = enrolled.and_then(|enrolled| enrolled.bundled.as_mut()) {
                    (bundled.role, self.unsaved) = (Some(role), true);
                }
                self.has_served();
            }
            Err(error) => self.refuse(Fault::Role.code(), &error),
        }
    }

    fn has_served(&mut self) {
        if let Some(connection) = &self.connection {
            self.route.served(&connection.hint);
        }
    }
}
