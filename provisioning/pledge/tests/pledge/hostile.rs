//! Whatever bytes come in, the machine goes on.

use dolmen_provisioning_pledge::{Outcome, Pledge, Record, Step};
use proptest::{collection::vec, prelude::*};

use crate::{
    machine::Machine,
    registrar::{Registrar, Stock},
    resume::{records, sealed},
    support::{hint, identity, resume, world},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_are_no_record(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Record::from_bytes(&bytes).is_err());
        prop_assert!(Record::from_bytes(&[&b"dolmen-pledge-record-v1\n"[..], &bytes].concat()).is_err());
    }

    #[test]
    fn texts_are_no_record(text in "[\\[\\]{}\":,a-z0-9]{0,80}") {
        prop_assert!(Record::from_bytes(&sealed(&text)).is_err());
    }

    /// Certificates of a server that are changed a little, or none.
    #[test]
    fn no_certificates_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        count in 0..8_usize,
        owned in any::<bool>(),
    ) {
        let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
        let mut pledge = machine.start();
        if owned {
            while machine.disk.is_none() {
                machine.step(&mut pledge, None);
            }
            pledge = machine.crash();
        }
        while !matches!(pledge.next(), Step::Connect(_)) {
            machine.step(&mut pledge, None);
        }
        let mut chain: Vec<_> = world().organisations[0].registrars[0].ders();
        chain.resize(count, b"\x30\x80".to_vec());
        if let Some(first) = chain.first_mut() {
            let at = at.index(first.len());
            first[at] = byte;
        }
        pledge.done(Outcome::Connected(chain)).unwrap();
        prop_assert!(machine_goes_on(&mut machine, pledge));
    }

    #[test]
    fn no_offer_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), length in any::<prop::sample::Index>()) {
        let mut pledge = resume(None);
        let root = world().organisations[0].root.certificate();
        let ticket = crate::support::Ticket { serial: "SN-0042", pinned: root, nonce: None, epoch: Some(8) };
        let mut voucher = ticket.voucher();
        let before = voucher.clone();
        let at = at.index(voucher.len());
        voucher[at] = byte;
        voucher.truncate(length.index(voucher.len()).max(at + 1));
        prop_assert!(pledge.offer_voucher(&voucher).is_err() || voucher == before);
    }
}

fn machine_goes_on(machine: &mut Machine, mut pledge: Pledge) -> bool {
    // Whoever it was connected to, it is not any more.
    if !matches!(pledge.next(), Step::Connect(_) | Step::Discover | Step::Wait { .. }) {
        pledge = machine.crash();
    }
    machine.run(&mut pledge, 200)
}

/// Records whose checksum fits and whose values were changed are refused, or lead where they did.
#[test]
fn changed_values_change_no_owner() {
    let (records, _) = records(Stock::Epoch(8));
    for record in &records {
        let text = std::str::from_utf8(record).unwrap();
        let unchanged = resume(Some(record)).phase();
        let json = text.lines().nth(2).unwrap();
        for at in (0..json.len()).step_by(37) {
            let mut changed = json.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let Ok(record) = Record::from_bytes(&sealed(&changed)) else { continue };
            if let Ok(pledge) = Pledge::resume(Some(record), identity()) {
                assert!(matches!(pledge.next(), Step::ReadEpoch));
                assert_eq!(pledge.phase(), unchanged, "{at}");
            }
        }
    }
}
