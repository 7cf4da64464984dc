//! An owner's box that is one of its chain's: what the record of a member makes, and what another certificate changes.

use dolmen_provisioning_bundle::Bundle;
use dolmen_provisioning_ca::Certificate;

use crate::{
    Identity, Record, ResumeError, Role,
    owner::{Bundled, Enrolled, Owner},
    trust::{CertificateRefusal, ldevid_chain},
};

/// A member of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Without what came of it.
    owner: Owner,
    /// Without the bundle.
    enrolled: Enrolled,
    certificate: Certificate,
    bundled: Bundled,
    role: Role,
}

impl Member {
    /// Goes on where a record ends, if all of it holds.
    pub(crate) fn restore(record: Record, identity: &Identity) -> Result<Self, ResumeError> {
        let mut owner = Owner::restore(record, identity)?;
        let mut enrolled = owner.enrolled.take().ok_or(ResumeError::NotMember)?;
        let bundled = enrolled.bundled.take().ok_or(ResumeError::NotMember)?;
        let role = bundled.role.ok_or(ResumeError::NotMember)?;
        let certificate = enrolled.chain.first().cloned().ok_or(ResumeError::NotMember)?;
        Ok(Self { owner, enrolled, certificate, bundled, role })
    }

    /// What is to be stored.
    pub(crate) fn record(&self) -> Record {
        let enrolled = Enrolled { bundled: Some(self.bundled.clone()), ..self.enrolled.clone() };
        Owner { enrolled: Some(enrolled), ..self.owner.clone() }.record()
    }

    /// The box's certificate.
    pub(crate) const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// It, and those that vouch for it but for the root.
    pub(crate) fn ldevid(&self) -> &[Certificate] {
        &self.enrolled.chain
    }

    /// The owner's root.
    pub(crate) const fn root(&self) -> &Certificate {
        &self.enrolled.root
    }

    /// Its chain, and as what it was admitted there.
    pub(crate) const fn chain(&self) -> (&Bundle, Role) {
        (&self.bundled.bundle, self.role)
    }

    /// Whether one of the authorities that are known issued a certificate.
    pub(crate) fn knows_issuer(&self, certificate: &Certificate) -> bool {
        let mut known = self.enrolled.authorities.iter().chain([self.root()]);
        known.any(|authority| certificate.is_issued_by(authority).is_ok_and(|issued| issued))
    }

    /// The same box with another certificate of its key, if that is its owner's for it. `authorities` are those that the
    /// registrar named for it, if it had to.
    pub(crate) fn renewed(
        &self,
        ldevid: &Certificate,
        authorities: Option<Vec<Certificate>>,
        identity: &Identity,
    ) -> Result<Self, CertificateRefusal> {
        let begins = |certificate: &Certificate| certificate.validity().not_before();
        if *ldevid == self.certificate || begins(ldevid) < begins(&self.certificate) {
            return Err(CertificateRefusal::Stale);
        }
        let authorities = match authorities {
            None => self.enrolled.authorities.clone(),
            Some(new) => self.with_authorities(new)?,
        };
        let chain = ldevid_chain(ldevid, &authorities, self.root(), identity.serial_number())?;
        let enrolled = Enrolled { chain, authorities, ..self.enrolled.clone() };
        // What is stored now is what the next start checks.
        self.owner.check_root(&enrolled)?;
        Ok(Self { enrolled, certificate: ldevid.clone(), ..self.clone() })
    }

    /// The new authorities' certificates behind those by which the voucher's registrar leads to the root: these are
    /// checked at each start. Others of before are of no use any more.
    fn with_authorities(&self, new: Vec<Certificate>) -> Result<Vec<Certificate>, CertificateRefusal> {
        let kept = self.owner.server.authorities(&self.enrolled.authorities, self.root());
        let mut all = kept.map_err(CertificateRefusal::Untrusted)?;
        for one in new {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        Ok(all)
    }
}
