//! What a TPM says of itself: its endorsement key, quotes of its registers, and that a key is its own.

use std::{collections::BTreeMap, sync::Arc};

use dolmen_hsm_api::{Attestation, AttestingTpm, Endorsement, KeyError, Quote};
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    abstraction::{AsymmetricAlgorithmSelection, ek},
    attributes::ObjectAttributesBuilder,
    constants::SessionType,
    handles::{AuthHandle, KeyHandle},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        key_bits::RsaKeyBits,
        resource_handles::Hierarchy,
        session_handles::{AuthSession, PolicySession},
    },
    structures::{
        Attest, AttestInfo, Data, EccParameter, EccPoint, EccScheme, EncryptedSecret, HashScheme, IdObject, Public,
        PublicBuilder, PublicEccParametersBuilder, SignatureScheme,
    },
    traits::Marshall as _,
};
use zeroize::Zeroizing;

use crate::{
    certificates,
    connection::{Connection, Tpm},
    key::Source,
    nv::{self, EK_CHAIN},
    reason::Failure,
    sealed::{self, selection},
};

/// How often registers are quoted until a quote is of the values that were read. They change some ten times in a boot.
const QUOTES_MAX: usize = 8;
/// Certificates above an endorsement key's that are read: makers' chains have one to three, and a root.
const CHAIN_MAX: usize = 8;

/// Keys of an endorsement hierarchy, in the order in which a certificate is looked for: makers certify one or two.
const KINDS: [AsymmetricAlgorithmSelection; 3] = [
    AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP384),
    AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
    AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048),
];
/// What makes the attestation key another than other software's: it is made from the TPM's endorsement seed and this.
const ATTESTATION_KEY: &[u8; 32] = b"dolmen attestation key, version1";

/// A TPM's evidence. Its attestation key is made anew from the TPM's seed each time and is always the same; it signs
/// nothing but what the TPM itself says.
#[derive(Clone, Debug)]
pub struct Evidence(Arc<Tpm>);

impl Evidence {
    /// That of a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }
}

impl AttestingTpm for Evidence {
    fn endorsement(&self) -> Result<Endorsement, KeyError> {
        self.0.run("read the endorsement key", |connection| {
            let (kind, certificate) = endorsement_kind(connection);
            let chain = if certificate.is_some() { chain(connection)? } else { Vec::new() };
            let public = with_endorsement_key(connection, kind, |connection, ek| {
                Ok(connection.context.execute_without_session(|context| context.read_public(ek))?.0)
            })?;
            Ok(Endorsement { public: public.marshall()?, certificate, chain })
        })
    }

    fn attestation_key(&self) -> Result<Vec<u8>, KeyError> {
        self.0.run("read the attestation key", |connection| {
            with_attestation_key(connection, |_, _, public| Ok(public.marshall()?))
        })
    }

    fn quote(&self, nonce: &[u8], registers: &[u8]) -> Result<Quote, KeyError> {
        self.0.run("quote registers", |connection| {
            let nonce = Data::try_from(nonce.to_vec())?;
            with_attestation_key(connection, |connection, ak, _| {
                for _ in 0..QUOTES_MAX {
                    let values = sealed::read(connection, registers)?;
                    let (nonce, selection) = (nonce.clone(), selection(registers)?);
                    let (statement, signature) =
                        connection.context.execute_with_session(Some(AuthSession::Password), |context| {
                            context.quote(ak, nonce, SignatureScheme::Null, selection)
                        })?;
                    // Something may have been measured between the two.
                    if is_of(&statement, &values) {
                        let (statement, signature) = (statement.marshall()?, signature.marshall()?);
                        return Ok(Quote { statement, signature, registers: values });
                    }
                }
                Err(restless(registers).into())
            })
        })
    }

    fn activate(&self, id_object: &[u8], encrypted_secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.0.run("activate a credential", |connection| {
            let (id, secret) =
                (IdObject::try_from(id_object.to_vec())?, EncryptedSecret::try_from(encrypted_secret.to_vec())?);
            let (kind, _) = endorsement_kind(connection);
            with_attestation_key(connection, |connection, ak, _| {
                with_endorsement_key(connection, kind, |connection, ek| {
                    let activated = with_endorsement_auth(connection, kind, ek, |connection, session| {
                        let sessions = (Some(AuthSession::Password), Some(session), None);
                        Ok(connection.context.execute_with_sessions(sessions, |context| {
                            context.activate_credential(ak, ek, id, secret)
                        })?)
                    })?;
                    Ok(Zeroizing::new(activated.value().to_vec()))
                })
            })
        })
    }
}

/// Whether a quote is of these values: it has their digest by the hash of its signature, in the order of the registers
/// (TPM 2.0 Library, Part 3 §18.4).
fn is_of(statement: &Attest, values: &BTreeMap<u8, [u8; 32]>) -> bool {
    let AttestInfo::Quote { info } = statement.attested() else { return false };
    let digest = values.values().fold(Sha256::new(), |hash, value| hash.chain_update(value)).finalize();
    info.pcr_digest().value() == &digest[..]
}

fn restless(registers: &[u8]) -> KeyError {
    KeyError::Policy {
        what: "the TPM".into(),
        reason: format!(
            "registers {registers:?} changed while they were quoted, {QUOTES_MAX} times in a row; try again when the box \
             has started"
        ),
    }
}

/// Certificates above those of endorsement keys. They are one after the other, and go on in the next index where one is
/// too small (EK Credential Profile 2.5, §2.2.1.5); what is no certificate ends them, since nobody here can mend what a
/// maker wrote.
fn chain(connection: &mut Connection) -> Result<Vec<Vec<u8>>, Failure> {
    let mut content = Vec::new();
    for index in nv::list(connection, &EK_CHAIN)? {
        content.extend(nv::read(connection, &index)?);
    }
    Ok(certificates::split(&content, CHAIN_MAX).into_iter().map(<[u8]>::to_vec).collect())
}

/// The TPM's statement that a key is its own.
pub(crate) fn certify(tpm: &Tpm, source: &Source, nonce: &[u8]) -> Result<Attestation, KeyError> {
    tpm.run("certify a key", |connection| {
        let (_, certificate) = endorsement_kind(connection);
        connection.make_room()?;
        let object = source.load(connection)?;
        with_attestation_key_beside(connection, |connection, ak, public| {
            let nonce = Data::try_from(nonce.to_vec())?;
            let sessions = (Some(AuthSession::Password), Some(AuthSession::Password), None);
            let (statement, signature) = connection.context.execute_with_sessions(sessions, |context| {
                context.certify(object.into(), ak, nonce, SignatureScheme::Null)
            })?;
            Ok(Attestation {
                format: "tpm2-certify",
                statement: statement.marshall()?,
                signature: signature.marshall()?,
                subject: source.public().marshall()?,
                attester: public.marshall()?,
                certificate: certificate.clone(),
            })
        })
    })
}

/// The first kind of endorsement key that has a certificate, or the most common kind.
fn endorsement_kind(connection: &mut Connection) -> (AsymmetricAlgorithmSelection, Option<Vec<u8>>) {
    let certified = |kind| Some((kind, ek::retrieve_ek_pubcert(&mut connection.context, kind).ok()?));
    match KINDS.into_iter().find_map(certified) {
        Some((kind, certificate)) => (kind, Some(certificate)),
        None => (AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256), None),
    }
}

fn with_endorsement_key<T>(
    connection: &mut Connection,
    kind: AsymmetricAlgorithmSelection,
    commands: impl FnOnce(&mut Connection, KeyHandle) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let ek = ek::create_ek_object_2(&mut connection.context, kind, None)?;
    let result = commands(connection, ek);
    connection.flush(ek.into())?;
    result
}

/// A session that may use the endorsement key (TCG EK Credential Profile 2.5, Annex B.3 and B.4: keys of the low range
/// take the endorsement hierarchy's authorisation through a policy, those of the high range their own, which is empty).
fn with_endorsement_auth<T>(
    connection: &mut Connection,
    kind: AsymmetricAlgorithmSelection,
    ek: KeyHandle,
    commands: impl FnOnce(&mut Connection, AuthSession) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if kind == AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP384) {
        return commands(connection, AuthSession::Password);
    }
    connection.with_session(SessionType::Policy, Some(ek), |connection, session| {
        let policy = PolicySession::try_from(session)?;
        connection.context.execute_with_nullauth_session(|context| {
            let none = Default::default;
            context.policy_secret(policy, AuthHandle::Endorsement, none(), Default::default(), none(), None)
        })?;
        commands(connection, session)
    })
}

fn with_attestation_key<T>(
    connection: &mut Connection,
    commands: impl FnOnce(&mut Connection, KeyHandle, &Public) -> Result<T, Failure>,
) -> Result<T, Failure> {
    connection.make_room()?;
    with_attestation_key_beside(connection, commands)
}

/// As [`with_attestation_key`], with what is loaded left in place.
fn with_attestation_key_beside<T>(
    connection: &mut Connection,
    commands: impl FnOnce(&mut Connection, KeyHandle, &Public) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let template = attestation_template()?;
    let ak = connection.context.execute_with_nullauth_session(|context| {
        context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
    })?;
    let result = commands(connection, ak.key_handle, &ak.out_public);
    connection.flush(ak.key_handle.into())?;
    result
}

/// Restricted: it signs what begins as the TPM's own statements do and nothing else.
fn attestation_template() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_sign_encrypt(true)
        .build()?;
    let scheme = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    let parameters = PublicEccParametersBuilder::new()
        .with_ecc_scheme(scheme)
        .with_curve(EccCurve::NistP256)
        .with_is_signing_key(true)
        .with_is_decryption_key(false)
        .with_restricted(true)
        .with_key_derivation_function_scheme(tss_esapi::structures::KeyDerivationFunctionScheme::Null)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::new(
            EccParameter::try_from(&ATTESTATION_KEY[..])?,
            EccParameter::try_from(&[0_u8; 32][..])?,
        ))
        .build()
}
