//! Who asks: whose certificate TLS showed. That its holder has the key is what TLS showed, too.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{
    Certificate, Subject, UnixTime,
    chain::{self, ChainError, Purpose, Rules, When},
};

use crate::{
    Refusal, Setup,
    call::{Asker, Call},
    limits::PEER_CERTIFICATES_MAX,
};

/// Whoever is connected.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The certificates that TLS showed, DER, its own first; none where it showed none.
    pub certificates: &'a [Vec<u8>],
    /// From where, for records.
    pub address: &'a str,
}

/// A box by its maker: IDevID.
#[derive(Clone, Debug)]
pub(crate) struct Pledge {
    pub(crate) serial: Serial,
    pub(crate) certificate: Certificate,
    /// SHA-256 of it.
    pub(crate) fingerprint: Hash,
    /// SHA-256 of the maker's certificate that is trusted.
    pub(crate) maker: Hash,
}

/// A box by its organisation: LDevID. Whether the certificate still counts is for the state to say.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) serial: Serial,
    pub(crate) certificate: Certificate,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    Anybody,
    Pledge(Pledge),
    Member(Member),
}

impl Identity {
    pub(crate) const fn serial(&self) -> Option<&Serial> {
        match self {
            Self::Anybody => None,
            Self::Pledge(pledge) => Some(&pledge.serial),
            Self::Member(member) => Some(&member.serial),
        }
    }

    /// By what its requests are counted.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        match self {
            Self::Anybody => None,
            Self::Pledge(pledge) => Some(*pledge.fingerprint.as_bytes()),
            // A box has many of them, one after the other.
            Self::Member(member) => Some(*Hash::of(member.serial.as_str().as_bytes()).as_bytes()),
        }
    }
}

/// Who asks for this, if he may.
pub(crate) fn identify(setup: &Setup, call: Call, peer: Peer<'_>, now: UnixTime) -> Result<Identity, Refusal> {
    let asker = call.asker();
    if asker == Asker::Anybody {
        return Ok(Identity::Anybody);
    }
    let (certificate, others) = read(peer.certificates)?;
    let is_member = match asker {
        Asker::Either => certificate.box_serial().is_some(),
        _ => asker == Asker::Member,
    };
    if is_member {
        // What has expired can be renewed, as long as it is not revoked.
        let when = if asker == Asker::Either { When::Never } else { When::At(now) };
        member(setup, certificate, when).map(Identity::Member)
    } else {
        pledge(setup, certificate, &others).map(Identity::Pledge)
    }
}

fn read(ders: &[Vec<u8>]) -> Result<(Certificate, Vec<Certificate>), Refusal> {
    if ders.len() > PEER_CERTIFICATES_MAX {
        return Err(Refusal::Certificates(ders.len()));
    }
    let mut certificates = Vec::new();
    for der in ders {
        certificates.push(Certificate::from_der(der).map_err(Refusal::Certificate)?);
    }
    if certificates.is_empty() {
        return Err(Refusal::NoCertificate);
    }
    Ok((certificates.remove(0), certificates))
}

fn pledge(setup: &Setup, certificate: Certificate, others: &[Certificate]) -> Result<Pledge, Refusal> {
    // A maker's certificates have no end, and those above them are as old as the box.
    let rules = Rules { when: When::Never, purpose: Purpose::IDevId, crls: &[] };
    let path = chain::verify(&certificate, others, &setup.makers.0, &rules).map_err(Refusal::Maker)?;
    let maker = path.root().map_or([0; 32], Certificate::fingerprint);
    let serial = certificate.machine_serial().and_then(|serial| serial.parse().ok()).ok_or(Refusal::NoSerial)?;
    // Its certificate here will have to name it, too.
    let subject = Subject::new(&setup.organisation.name, Serial::as_str(&serial));
    subject.and_then(|subject| subject.with_machine_serial(serial.as_str())).map_err(|_| Refusal::NoSerial)?;
    let fingerprint = Hash::from_bytes(certificate.fingerprint());
    Ok(Pledge { serial, certificate, fingerprint, maker: Hash::from_bytes(maker) })
}

fn member(setup: &Setup, certificate: Certificate, when: When) -> Result<Member, Refusal> {
    let rules = Rules { when, purpose: Purpose::Client, crls: &[] };
    let authority = std::slice::from_ref(setup.authority.certificate());
    chain::verify(&certificate, &[], authority, &rules).map_err(|error| match error {
        ChainError::Expired { .. } | ChainError::NotYetValid { .. } => Refusal::Expired(error),
        _ => Refusal::Organisation(error),
    })?;
    let serial = certificate.box_serial().and_then(|serial| serial.parse().ok()).ok_or(Refusal::NoSerial)?;
    Ok(Member { serial, certificate })
}
