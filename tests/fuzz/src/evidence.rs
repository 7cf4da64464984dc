//! What TPMs state, and the logs beside it.

use dolmen_hsm_evidence::{
    Attested, Credential, EventLog, HashAlgorithm, MeasureLog, Moment, Pcrs, Public, Signature, Statement,
    check_ek_certificate, make_credential, verify_certify, verify_quote,
};

use crate::{
    Target,
    tpm::{self, REGISTERS},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("tpm_public", publics, public).cases(1_500),
    Target::new("tpm_statement", statements, statement),
    Target::new("tpm_statement_signed", own_statements, statement_signed).cases(600),
    Target::new("tpm_signature", signatures, signature),
    Target::new("tpm_credential", credentials, credential),
    Target::new("tpm_certificate", certificates, certificate).cases(1_500),
    Target::new("tpm_event_log", event_logs, event_log),
    Target::new("tpm_measure_log", measure_logs, measure_log),
];

/// What hardware and swtpm stated, by the names in `hsm/evidence/tests/vectors`.
macro_rules! vectors {
    ($($name:literal),* $(,)?) => {
        [$(&include_bytes!(concat!("../../../hsm/evidence/tests/vectors/", $name))[..]),*].map(<[u8]>::to_vec).into()
    };
}

const NONCE: &[u8] = b"dolmen evidence test vector one!";
const ROOT: &[u8] = include_bytes!("../../../hsm/evidence/tests/vectors/root.der");
const ISSUER: &[u8] = include_bytes!("../../../hsm/evidence/tests/vectors/issuer.der");

fn publics() -> Vec<Vec<u8>> {
    let mut publics: Vec<Vec<u8>> = vectors!["ek_p256.pub", "ek_p384.pub", "ek_rsa2048.pub", "ak_rsa2048.pub"];
    publics.extend::<Vec<Vec<u8>>>(vectors!["ak_sm2.pub", "ak_p384.pub", "device_p256.pub", "loose_p256.pub"]);
    publics.push(tpm::attestation_key().as_tpmt().to_vec());
    publics
}

fn public(bytes: &[u8]) -> bool {
    let publics = [Public::from_tpm2b(bytes), Public::from_tpmt(bytes)];
    for public in publics.iter().flatten() {
        assert!(public.as_tpmt() == bytes || public.to_tpm2b() == bytes);
        assert_eq!(Public::from_tpm2b(&public.to_tpm2b()).expect("the same"), *public);
        assert_eq!(public.name().len(), 2 + public.name_algorithm().length());
        let _ = public.key().to_spki();
        if let Ok(credential) = make_credential(public, &public.name(), b"a secret") {
            assert!(public.is_endorsement_key());
            assert_eq!(Credential::from_file(&credential.to_file().expect("short")).expect("the same"), credential);
        }
    }
    publics.iter().any(Result::is_ok)
}

fn statements() -> Vec<Vec<u8>> {
    vectors!["quote_p256.attest", "quote_p384.attest", "quote_two_banks.attest", "certify_p256.attest"]
}

fn statement(bytes: &[u8]) -> bool {
    let Ok(statement) = Statement::parse(bytes) else { return false };
    let parts = statement.signer.len() + statement.nonce.len();
    let parts = parts
        + match &statement.attested {
            Attested::Certify { name, qualified_name } => name.len() + qualified_name.len(),
            Attested::Quote { selections, digest } => {
                let _ = selections.iter().map(ToString::to_string).collect::<String>();
                3 * selections.len() + digest.len()
            }
        };
    assert!(parts < bytes.len());
    true
}

fn pcrs() -> Pcrs {
    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("a bank of 32 bytes");
    for register in REGISTERS {
        pcrs.set(register.into(), [register; 32]).expect("a register");
    }
    pcrs
}

fn own_statements() -> Vec<Vec<u8>> {
    vec![tpm::quote(NONCE, &pcrs()), tpm::certify(NONCE, &tpm::device_key())]
}

/// What is believed of a statement is what it says.
fn statement_signed(bytes: &[u8]) -> bool {
    let (ak, signature) = (tpm::attestation_key(), tpm::sign(bytes));
    let says = || Statement::parse(bytes).expect("what is believed can be read");
    let quote = verify_quote(&ak, bytes, &signature, NONCE, &pcrs());
    if let Ok(quote) = &quote {
        assert_eq!((&says().nonce[..], says().clock, &quote.pcrs), (NONCE, quote.clock, &pcrs()));
    }
    let certified = verify_certify(&ak, bytes, &signature, NONCE, &tpm::device_key());
    if let Ok(certified) = &certified {
        assert_eq!((&says().nonce[..], &certified.name), (NONCE, &tpm::device_key().name()));
    }
    quote.is_ok() || certified.is_ok()
}

fn signatures() -> Vec<Vec<u8>> {
    vectors!["quote_p256.sig", "quote_p384.sig", "quote_rsa2048.sig", "quote_sm2.sig", "certify_p256.sig"]
}

fn signature(bytes: &[u8]) -> bool {
    let statement = include_bytes!("../../../hsm/evidence/tests/vectors/quote_p256.attest");
    for key in ["p256", "rsa2048"] {
        let key: &[u8] = match key {
            "p256" => include_bytes!("../../../hsm/evidence/tests/vectors/ak_p256.pub"),
            _ => include_bytes!("../../../hsm/evidence/tests/vectors/ak_rsa2048.pub"),
        };
        let key = Public::from_tpm2b(key).expect("a public area");
        // The statement is about other registers: none of these is believed.
        assert!(verify_quote(&key, statement, bytes, NONCE, &pcrs()).is_err());
    }
    Signature::parse(bytes).is_ok_and(|signature| !signature.scheme().to_string().is_empty())
}

fn credentials() -> Vec<Vec<u8>> {
    vectors!["known_p256.cred", "known_p384.cred", "known_rsa2048.cred"]
}

fn credential(bytes: &[u8]) -> bool {
    let Ok(credential) = Credential::from_file(bytes) else { return false };
    assert_eq!(credential.to_file().expect("short"), bytes);
    true
}

fn certificates() -> Vec<Vec<u8>> {
    vectors!["ek_p384.der", "ek_rsa2048.der"]
}

/// A maker vouches for no certificate that was changed.
fn certificate(bytes: &[u8]) -> bool {
    let Ok(checked) = check_ek_certificate(bytes, &[ROOT], &[ISSUER], Moment::Any) else {
        // As its own root, and as one above another.
        let _ = check_ek_certificate(bytes, &[bytes], &[], Moment::At(2_000_000_000));
        let _ = check_ek_certificate(&certificates()[0], &[bytes], &[bytes], Moment::Any);
        return false;
    };
    assert!(bytes.starts_with(&checked.der) && bytes.len() <= 16 << 10);
    let keys = publics().into_iter().filter_map(|public| Public::from_tpm2b(&public).ok());
    assert!(keys.filter(|key| checked.matches(key).is_ok()).count() == 1);
    true
}

fn event_logs() -> Vec<Vec<u8>> {
    let mut logs: Vec<Vec<u8>> = vectors!["event_log.bin"];
    logs.push(dolmen_provisioning_rehearsal::Boot::default().firmware_log());
    logs
}

fn event_log(bytes: &[u8]) -> bool {
    let Ok(log) = EventLog::parse(bytes) else { return false };
    let digests =
        |event: &dolmen_hsm_evidence::Event| event.digests.iter().map(|digest| digest.digest.len()).sum::<usize>();
    assert!(log.events().iter().map(|event| event.data.len() + digests(event) + 16).sum::<usize>() < bytes.len());
    for bank in HashAlgorithm::ALL {
        for event in log.events() {
            assert!(event.digest(bank).is_none_or(|digest| digest.len() == bank.length()));
        }
        let _ = log.replay(bank);
    }
    true
}

fn measure_logs() -> Vec<Vec<u8>> {
    let mut logs: Vec<Vec<u8>> = vectors!["measure_log.json"];
    logs.push(dolmen_provisioning_rehearsal::Boot::default().userspace_log());
    logs
}

fn measure_log(bytes: &[u8]) -> bool {
    let Ok(log) = MeasureLog::parse(bytes) else { return false };
    assert!(log.measurements().len() <= bytes.len());
    let mut pcrs = pcrs();
    let _ = log.replay(&mut pcrs);
    !log.measurements().is_empty()
}
