//! Statements that a TPM's attestation key signed.
//!
//! Each check has its error. The order is: the key's attributes, the signature, and only then what is signed, so that
//! an error about the statement is one about what the key's owner stated.

use crate::{Attested, Clock, EvidenceError, PcrSelection, Pcrs, Public, Signature, Statement};

/// What a TPM's registers held at the time of a nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The values. None is there that was not quoted.
    pub pcrs: Pcrs,
    /// When, by the TPM's clock.
    pub clock: Clock,
    /// The version of the TPM's firmware.
    pub firmware: u64,
}

/// That a key is in the TPM of an attestation key, was made there, and never leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The key's name.
    pub name: Vec<u8>,
    /// Its qualified name: a hash over its ancestors' names, so that it says under which parent the key is.
    pub qualified_name: Vec<u8>,
    /// When, by the TPM's clock.
    pub clock: Clock,
    /// The version of the TPM's firmware.
    pub firmware: u64,
}

/// Says that the TPM of `ak` had the values `expected` in its registers after `nonce` was known: all of those
/// registers, no others, and of that bank.
///
/// `statement` is `TPMS_ATTEST` and `signature` is `TPMT_SIGNATURE`. Where the box sends the values, the caller first
/// sees to it that they are the registers that it asked for ([`Pcrs::selection`]): a quote of others proves as little
/// about those as none. That `ak` is a TPM's is for [`make_credential`](crate::make_credential) to prove.
///
/// # Errors
///
/// One for each thing that does not hold: [`MissingAttribute`](EvidenceError::MissingAttribute),
/// [`UnwantedAttribute`](EvidenceError::UnwantedAttribute), [`SignatureScheme`](EvidenceError::SignatureScheme),
/// [`Signature`](EvidenceError::Signature), [`Magic`](EvidenceError::Magic),
/// [`StatementType`](EvidenceError::StatementType), [`Nonce`](EvidenceError::Nonce),
/// [`PcrSelection`](EvidenceError::PcrSelection), [`PcrDigest`](EvidenceError::PcrDigest); and whatever is wrong with
/// the bytes.
pub fn verify_quote(
    ak: &Public,
    statement: &[u8],
    signature: &[u8],
    nonce: &[u8],
    expected: &Pcrs,
) -> Result<Quote, EvidenceError> {
    let (statement, signature) = verify(ak, statement, signature, nonce)?;
    let found = statement.kind();
    let Attested::Quote { selections, digest } = statement.attested else {
        return Err(EvidenceError::StatementType { expected: "quote", found });
    };
    let wanted = expected.selection();
    // Some TPMs name their other banks too, with no register.
    let found: Vec<_> = selections.into_iter().filter(|selection| selection.registers != 0).collect();
    if found != [wanted] {
        let found = found.iter().map(PcrSelection::to_string).collect::<Vec<_>>().join("+");
        return Err(EvidenceError::PcrSelection { expected: wanted.to_string(), found });
    }
    // Part 3 §18.4: by the hash of the signature's scheme, not of the bank.
    if digest != expected.digest(signature.scheme().hash) {
        return Err(EvidenceError::PcrDigest);
    }
    Ok(Quote { pcrs: expected.clone(), clock: statement.clock, firmware: statement.firmware })
}

/// Says that the TPM of `ak` held the key `subject` after `nonce` was known, and that this key cannot leave it.
///
/// `statement` is `TPMS_ATTEST` and `signature` is `TPMT_SIGNATURE`. That `ak` is a TPM's is for
/// [`make_credential`](crate::make_credential) to prove.
///
/// # Errors
///
/// As [`verify_quote`], but with [`Name`](EvidenceError::Name) for a statement about another key, and
/// [`MissingAttribute`](EvidenceError::MissingAttribute) also for a subject that is no
/// [device key](Public::is_device_key).
pub fn verify_certify(
    ak: &Public,
    statement: &[u8],
    signature: &[u8],
    nonce: &[u8],
    subject: &Public,
) -> Result<Certified, EvidenceError> {
    let (statement, _) = verify(ak, statement, signature, nonce)?;
    let found = statement.kind();
    let Attested::Certify { name, qualified_name } = statement.attested else {
        return Err(EvidenceError::StatementType { expected: "certify", found });
    };
    let expected = subject.name();
    if name != expected {
        let [expected, found] = [expected, name].map(const_hex::encode);
        return Err(EvidenceError::Name { expected, found });
    }
    subject.require_device_key()?;
    Ok(Certified { name, qualified_name, clock: statement.clock, firmware: statement.firmware })
}

/// What all statements have in common.
fn verify(
    ak: &Public,
    statement: &[u8],
    signature: &[u8],
    nonce: &[u8],
) -> Result<(Statement, Signature), EvidenceError> {
    ak.require_attestation_key()?;
    let signature = Signature::parse(signature)?;
    signature.verify(ak, statement)?;
    let statement = Statement::parse(statement)?;
    if statement.nonce != nonce {
        return Err(EvidenceError::Nonce);
    }
    Ok((statement, signature))
}
