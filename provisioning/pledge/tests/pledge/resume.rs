//! Records: what a box finds on its disk.

use dolmen_provisioning_pledge::{Identity, IdentityError, Phase, Pledge, Record, RecordError, Step, Who};
use dolmen_provisioning_voucher::OwnershipEpoch;

use crate::{
    machine::{Machine, Trouble},
    registrar::{Registrar, Stock},
    support::{hint, identity, resume, world},
};

/// A record of each kind, and the box with the last one.
pub(crate) fn records(stock: Stock) -> (Vec<Vec<u8>>, Machine) {
    let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, stock))]);
    machine.epoch = 7;
    let mut pledge = machine.start();
    let mut records: Vec<Vec<u8>> = Vec::new();
    while !matches!(pledge.next(), Step::Joined { .. }) {
        machine.step(&mut pledge, None);
        if machine.disk.is_some() && machine.disk.as_ref() != records.last() {
            records.extend(machine.disk.clone());
        }
    }
    (records, machine)
}

#[test]
fn each_kind_goes_on_where_it_ends() {
    for stock in [Stock::Epoch(8), Stock::Nonce, Stock::Pinned(8)] {
        let (records, mut machine) = records(stock);
        let phases = [Phase::TakingOwnership, Phase::FetchingBundle, Phase::AwaitingAdmission, Phase::Member];
        assert_eq!(records.len(), phases.len());
        for (record, phase) in records.into_iter().zip(phases) {
            assert_eq!(Record::from_bytes(&record).unwrap().phase(), phase);
            machine.disk = Some(record);
            let mut pledge = machine.start();
            assert!(machine.run(&mut pledge, 100));
            machine.check_joined(&pledge, 0);
        }
    }
}

#[test]
fn damaged_records_are_refused() {
    let (records, _) = records(Stock::Epoch(8));
    for record in records {
        for at in 0..record.len() {
            let mut damaged = record.clone();
            damaged[at] ^= 1;
            assert!(Record::from_bytes(&damaged).is_err(), "{at}");
        }
        for length in 0..record.len() {
            assert!(Record::from_bytes(&record[..length]).is_err(), "{length}");
        }
        assert!(matches!(Record::from_bytes(&[&record[..], b"\n"].concat()), Err(RecordError::Checksum)));
        let other = [&b"dolmen-pledge-record-v2"[..], &record[23..]].concat();
        assert!(matches!(Record::from_bytes(&other), Err(RecordError::Format)));
    }
    assert!(matches!(Record::from_bytes(&vec![0; 64 << 20]), Err(RecordError::Bytes { .. })));
}

/// With a checksum that fits: whatever the record says has to hold.
#[test]
fn forged_records_are_refused() {
    let (records, _) = records(Stock::Epoch(8));
    let last = String::from_utf8(records[3].clone()).unwrap();
    let (other, _) = self::records(Stock::Nonce);
    let other = String::from_utf8(other[3].clone()).unwrap();
    let read = |text: &str| -> serde_json::Value { serde_json::from_str(text.lines().nth(2).unwrap()).unwrap() };
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json = read(&last);
        change(&mut json);
        let record = Record::from_bytes(&sealed(&json.to_string())).unwrap();
        Pledge::resume(Some(record), identity()).unwrap_err().code()
    };
    assert_eq!(refused(&|json| json["held"] = "8".into()), "record-voucher");
    // One that answers a request of this box, and the box did not ask.
    let unasked = |json: &mut serde_json::Value| {
        json["voucher"] = read(&other)["voucher"].clone();
        json["nonce"] = serde_json::Value::Null;
    };
    assert_eq!(refused(&unasked), "record-voucher");
    assert_eq!(refused(&|json| json["registrar"] = serde_json::json!([])), "record-registrar");
    assert_eq!(refused(&|json| json["registrar"][0] = "AAAA".into()), "record-registrar");
    assert_eq!(refused(&|json| json["enrolled"]["ldevid"] = "AAAA".into()), "record-certificate");
    assert_eq!(refused(&|json| json["enrolled"]["authorities"] = serde_json::json!([])), "record-ldevid");
    assert_eq!(refused(&|json| json["enrolled"]["ldevid"] = json["registrar"][0].clone()), "record-ldevid");
    assert_eq!(refused(&|json| json["enrolled"]["bundled"]["bundle"] = json["voucher"].clone()), "record-bundle");
    // An authority of another organisation, which would be trusted from then on.
    let stranger = serde_json::to_value(world().organisations[1].root.certificate()).unwrap();
    assert_eq!(refused(&|json| json["enrolled"]["root"] = stranger.clone()), "record-ldevid");
    let stranger = serde_json::to_value(world().organisations[0].issuing.certificate()).unwrap();
    assert_eq!(refused(&|json| json["enrolled"]["root"] = stranger.clone()), "record-ldevid");
    for text in ["{}", "null", "{\"role\":1}", "[]"] {
        assert!(matches!(Record::from_bytes(&sealed(text)), Err(RecordError::Json(_))), "{text}");
    }
}

/// A text with the checksum that fits.
pub(crate) fn sealed(json: &str) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let sum = const_hex::encode(Sha256::digest(json));
    format!("dolmen-pledge-record-v1\n{sum}\n{json}\n").into_bytes()
}

/// A disk of before, as from a backup: the box belongs to somebody else now.
#[test]
fn a_former_owners_record_is_passed_over() {
    let (records, _) = records(Stock::Epoch(8));
    for record in records {
        let mut machine = Machine::new(vec![(hint("b"), Registrar::new(1, 0, Stock::Epoch(10)))]);
        (machine.epoch, machine.disk) = (9, Some(record));
        let mut pledge = machine.start();
        machine.step(&mut pledge, None);
        let report = pledge.last_refusal().unwrap();
        assert_eq!((report.who(), report.code()), (Who::Pledge, "record-superseded"));
        assert_eq!(pledge.phase(), Phase::Discovering);
        // The record is replaced when there is a new owner.
        machine.disk = None;
        assert!(machine.run(&mut pledge, 100));
        machine.check_joined(&pledge, 1);
    }
}

/// The TPM says that it is as low as before: the box does not go on.
#[test]
fn an_epoch_that_is_not_raised_stops_the_box() {
    let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
    let mut pledge = machine.start();
    while !matches!(pledge.next(), Step::RaiseEpoch(_)) {
        machine.step(&mut pledge, None);
    }
    for _ in 0..5 {
        let epoch = OwnershipEpoch::new(3);
        pledge.done(dolmen_provisioning_pledge::Outcome::Epoch(epoch)).unwrap();
        assert_eq!(pledge.last_failure().unwrap().code(), "epoch-not-raised");
        assert!(matches!(pledge.next(), Step::Wait { .. }));
        pledge.done(dolmen_provisioning_pledge::Outcome::Waited).unwrap();
        assert!(matches!(pledge.next(), Step::RaiseEpoch(to) if to == OwnershipEpoch::new(8)));
    }
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
}

/// A TPM counts one by one: power may go in between.
#[test]
fn an_epoch_that_is_raised_by_half_is_raised_on() {
    let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
    let mut pledge = machine.start();
    while !matches!(pledge.next(), Step::RaiseEpoch(_)) {
        machine.step(&mut pledge, None);
    }
    machine.epoch = 5;
    let mut pledge = machine.crash();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    assert_eq!(machine.epoch, 8);
}

#[test]
fn a_full_disk_stops_the_box_before_the_epoch_is_raised() {
    let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
    let mut pledge = machine.start();
    while !matches!(pledge.next(), Step::Store(_)) {
        machine.step(&mut pledge, None);
    }
    for _ in 0..5 {
        machine.step(&mut pledge, Some(&Trouble::Undone));
        assert_eq!(pledge.last_failure().unwrap().code(), "record-not-stored");
        machine.step(&mut pledge, None);
        assert!(matches!(pledge.next(), Step::Store(_)));
    }
    assert!(machine.raised.is_empty() && machine.waited >= 2 + 4 + 8 + 16 + 32);
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
}

#[test]
fn an_identity_is_one_boxs() {
    let masa = || identity_masa();
    assert!(matches!(Identity::new(Vec::new(), masa()), Err(IdentityError::None)));
    let registrar = world().organisations[0].registrars[0].chain.clone();
    assert!(matches!(Identity::new(registrar, masa()), Err(IdentityError::Serial)));
    let long = vec![world().machine.certificate().clone(); 6];
    assert!(matches!(Identity::new(long, masa()), Err(IdentityError::Chain(_))));
    assert_eq!(identity().serial_number().as_str(), "SN-0042");
    assert_eq!(resume(None).phase(), Phase::Discovering);
}

fn identity_masa() -> dolmen_provisioning_voucher::MasaRoots {
    let roots = vec![world().organisations[0].root.certificate().clone()];
    dolmen_provisioning_voucher::MasaRoots(dolmen_provisioning_ca::chain::Roots::new(roots).expect("a root"))
}
