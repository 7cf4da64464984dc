//! No bytes panic a decoder, random or changed, and what is taken has one form. proptest makes what fails small. That
//! nothing which was changed is followed is for `hostile.rs` to say.

use std::{fmt::Debug, sync::OnceLock};

use dolmen_provisioning_ca::chain::Roots;
use dolmen_provisioning_voucher::{
    IdevidRoots, KeyIdentifier, MasaRoots, Nonce, OrganisationRoots, OwnershipEpoch, PledgeRequest, Registrar,
    SerialNumber, Voucher, VoucherRequest, accept, check_request,
};
use proptest::{collection, prelude::*, sample};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    fixed,
    support::{expectation, nonce, serial},
};

/// One of each kind.
fn files() -> &'static [(&'static str, Vec<u8>)] {
    static FILES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let voucher = fixed::voucher().to_json().expect("JSON");
        let request = fixed::registrar_request().to_json().expect("JSON");
        vec![
            ("signed voucher", fixed::signed(&voucher)),
            ("voucher", voucher),
            ("signed request", fixed::passed_on(&request)),
            ("request", request),
            ("signed request of a box", fixed::asked()),
            ("request of a box", fixed::pledge_request().to_json().expect("JSON")),
            ("registrar's certificate", fixed::tls().certificate().der().to_vec()),
            ("epoch", b"\"18446744073709551615\"".to_vec()),
            ("nonce", b"\"paWlpaWlpaWlpaWlpaWlpQ==\"".to_vec()),
        ]
    })
}

fn roots(pem: &[u8]) -> Roots {
    Roots::from_pem(pem).expect("roots")
}

/// Values that are read from JSON, and then have one text.
fn read_value<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return false };
    let text = serde_json::to_vec(&value).expect("JSON");
    assert_eq!(serde_json::from_slice::<T>(&text).expect("the same"), value);
    true
}

/// Everything that reads bytes of others. Says how many take them.
fn decode(bytes: &[u8]) -> usize {
    let mut taken = 0;
    let mut count = |ok: bool| taken += usize::from(ok);
    if let Ok(voucher) = Voucher::from_json(bytes) {
        let text = voucher.to_json().expect("JSON");
        assert_eq!(Voucher::from_json(&text).expect("the same"), voucher);
        assert_eq!(Voucher::from_json(&text).and_then(|again| again.to_json()).expect("JSON"), text);
        count(true);
    }
    if let Ok(request) = VoucherRequest::from_json(bytes) {
        let text = request.to_json().expect("JSON");
        assert_eq!(VoucherRequest::from_json(&text).expect("the same"), request);
        assert_eq!(VoucherRequest::from_json(&text).and_then(|again| again.to_json()).expect("JSON"), text);
        count(true);
    }
    count(read_value::<SerialNumber>(bytes));
    count(read_value::<OwnershipEpoch>(bytes));
    count(read_value::<Nonce>(bytes));
    count(read_value::<KeyIdentifier>(bytes));
    let makers = IdevidRoots(roots(fixed::MAKER_ROOT));
    if let Ok(request) = PledgeRequest::verify(bytes, &makers) {
        assert_eq!(request.message(), bytes);
        assert!(request.of_registrar(crate::support::time()).to_json().is_ok());
        count(true);
    }
    let organisations = OrganisationRoots(roots(fixed::ORGANISATION));
    count(check_request(bytes, &organisations, &makers).is_ok());
    let (serial, maker, nonce, tls) = (serial(), fixed::maker_key(), nonce(), fixed::tls());
    let masa = MasaRoots(roots(fixed::MASA_ROOT));
    count(accept(bytes, &masa, &expectation(&serial, &maker, &nonce, &tls)).is_ok());
    // Somebody else at the other end, with a voucher that holds.
    if let Ok(shown) = Registrar::from_tls([bytes]) {
        let voucher = fixed::signed(&fixed::voucher().to_json().expect("JSON"));
        let verdict = accept(&voucher, &masa, &expectation(&serial, &maker, &nonce, &shown));
        assert!(verdict.is_err() || shown == tls);
        count(true);
    }
    taken
}

/// Otherwise the tests below would change files that nothing reads.
#[test]
fn every_file_is_read_by_something() {
    for (name, file) in files() {
        assert!(decode(file) > 0, "{name}");
    }
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    sample::select((0..files().len()).collect::<Vec<_>>()).prop_map(|at| files()[at].1.clone())
}

proptest! {
    #[test]
    fn random_bytes(bytes in collection::vec(any::<u8>(), 0..600)) {
        decode(&bytes);
    }

    #[test]
    fn random_texts(text in "\\PC{0,80}") {
        decode(text.as_bytes());
        decode(format!("{text:?}").as_bytes());
    }

    #[test]
    fn changed_files(
        mut bytes in file(),
        flips in collection::vec((any::<sample::Index>(), 0_u8..8), 0..4),
        keep in any::<sample::Index>(),
        cut in any::<bool>(),
    ) {
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        decode(&bytes);
    }

    /// Parts of one within another.
    #[test]
    fn spliced_files(
        mut bytes in file(),
        other in file(),
        (at, from, to) in any::<(sample::Index, sample::Index, sample::Index)>(),
    ) {
        let (from, to) = (from.index(other.len()), to.index(other.len()));
        let at = at.index(bytes.len());
        drop(bytes.splice(at..at, other[from.min(to)..from.max(to)].iter().copied()));
        decode(&bytes);
    }
}
