//! Whatever goes wrong for some time, the box is one of its chain's in the end, of one owner, with one raise of the epoch.

use dolmen_provisioning_pledge::{Answer, Step};
use proptest::{collection::vec, prelude::*};

use crate::{
    machine::{Machine, Trouble},
    registrar::{Registrar, Stock, ok, refused},
    support::hint,
};

pub(crate) fn any_answer() -> impl Strategy<Value = Answer> {
    let content_type = prop_oneof![
        Just(""),
        Just("text/html"),
        Just("application/json"),
        Just("application/voucher-cms+json"),
        Just("application/pkcs7-mime"),
        Just("application/cms"),
        Just("application/problem+json"),
    ];
    let body = prop_oneof![
        vec(any::<u8>(), 0..64),
        Just(b"{\"role\":\"validator\"}".to_vec()),
        Just(b"{}".to_vec()),
        Just(vec![b'x'; 20 << 10]),
        Just(b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02".to_vec()),
    ];
    let retry_after = prop_oneof![Just(None), Just(Some("0")), Just(Some("7")), Just(Some("99999")), Just(Some("x"))];
    let status = prop_oneof![4 => Just(200_u16), 2 => Just(202), 1 => any::<u16>(), 1 => Just(503)];
    prop_oneof![
        3 => (status, content_type, retry_after, body).prop_map(|(status, content_type, retry_after, body)| Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            ..ok(content_type, body)
        }),
        1 => (400..500_u16, "[a-z-]{0,9}", any::<bool>()).prop_map(|(status, code, retry)| refused(status, &code, retry)),
    ]
}

pub(crate) fn any_trouble() -> impl Strategy<Value = Option<Trouble>> {
    prop_oneof![
        8 => Just(None),
        2 => Just(Some(Trouble::Undone)),
        2 => Just(Some(Trouble::Unsaid)),
        2 => Just(Some(Trouble::Twice)),
        2 => any::<usize>().prop_map(|at| Some(Trouble::Old(at))),
        2 => any_answer().prop_map(|answer| Some(Trouble::Answer(answer))),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Some(Trouble::Changed(at, byte))),
        1 => any::<usize>().prop_map(|length| Some(Trouble::Cut(length))),
        1 => Just(Some(Trouble::CrashBefore)),
        1 => Just(Some(Trouble::CrashAfter)),
    ]
}

/// Registrars besides the owner's, which get a box nowhere.
fn any_others() -> impl Strategy<Value = Vec<Stock>> {
    let stock = prop_oneof![Just(Stock::Refused), Just(Stock::OtherBox), Just(Stock::OtherOwner)];
    vec(stock, 0..3)
}

fn any_stock() -> impl Strategy<Value = Stock> {
    prop_oneof![Just(Stock::Nonce), (8..20_u64).prop_map(Stock::Epoch), (8..20_u64).prop_map(Stock::Pinned)]
}

/// Makes troubles, one a step, then none.
fn endure(machine: &mut Machine, troubles: &[Option<Trouble>]) -> dolmen_provisioning_pledge::Pledge {
    let mut pledge = machine.start();
    for trouble in troubles {
        machine.step(&mut pledge, trouble.as_ref());
    }
    assert!(machine.run(&mut pledge, 1000), "{:?}", &machine.steps[machine.steps.len() - 60..]);
    pledge
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_owner_in_the_end(
        stock in any_stock(),
        others in any_others(),
        place in 0..3_usize,
        waits in [0..4_u32, 0..4_u32, 0..4_u32],
        troubles in vec(any_trouble(), 0..80),
    ) {
        let others = others.into_iter().map(|stock| Registrar::new(1, 0, stock));
        let mut registrars: Vec<_> = others.collect();
        let mut owner = Registrar::new(0, 0, stock);
        owner.waits = waits;
        registrars.insert(place.min(registrars.len()), owner);
        let named = registrars.into_iter().zip(["a", "b", "c"]).map(|(registrar, host)| (hint(host), registrar));
        let mut machine = Machine::new(named.collect());
        machine.epoch = 7;
        let pledge = endure(&mut machine, &troubles);
        machine.check_joined(&pledge, 0);
        prop_assert_eq!(machine.raised.len(), 1);
    }

    /// Two organisations have vouchers that hold. Which of them it is, chance says; it is the same from then on.
    #[test]
    fn the_first_voucher_wins(
        stocks in [any_stock(), any_stock()],
        troubles in vec(any_trouble(), 0..60),
    ) {
        let [a, b] = stocks;
        let (first, second) = (Registrar::new(0, 0, a), Registrar::new(1, 1, b));
        let mut machine = Machine::new(vec![(hint("a"), first), (hint("b"), second)]);
        machine.epoch = 7;
        let pledge = endure(&mut machine, &troubles);
        let organisation = match pledge.next() {
            Step::Joined { bundle, .. } if bundle.content() == &machine.registrars[0].1.content() => 0,
            _ => 1,
        };
        machine.check_joined(&pledge, organisation);
        // The other's voucher is not followed any more, not even by a box that has lost its record.
        machine.disk = None;
        let epoch = machine.epoch;
        machine.registrars.remove(organisation);
        let mut pledge = machine.start();
        if matches!(machine.registrars[0].1.stock, Stock::Epoch(other) | Stock::Pinned(other) if other <= epoch) {
            for _ in 0..60 {
                machine.step(&mut pledge, None);
            }
            prop_assert!(machine.disk.is_none());
            prop_assert_eq!(pledge.last_refusal().map(|report| report.code()), Some("voucher-replayed"));
        }
    }

    /// A registrar that answers anything at all.
    #[test]
    fn no_answer_panics(answers in vec(any_answer(), 1..40), stock in any_stock()) {
        let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, stock))]);
        machine.epoch = 7;
        let mut pledge = machine.start();
        for answer in &answers {
            while !matches!(pledge.next(), Step::Send(_) | Step::Joined { .. }) {
                machine.step(&mut pledge, None);
            }
            machine.step(&mut pledge, Some(&Trouble::Answer(answer.clone())));
        }
        prop_assert!(machine.run(&mut pledge, 1000));
        machine.check_joined(&pledge, 0);
    }
}
