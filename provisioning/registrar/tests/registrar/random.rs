//! Boxes that ask for anything in any order, again and again, while operators do what they like. Nothing panics, nobody
//! gets a certificate without an approval and an appraisal, and the journal always makes the same state.

use std::{collections::BTreeSet, sync::LazyLock};

use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_ca::{Certificate, PublicKey};
use dolmen_provisioning_registrar::{Call, Change, Effect, Event, Refusal, Registrar, Role, Standing};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::world::{DAY, Maker, Office, Pledge, asks, epoch, maker, nonce, organisation, voucher};

/// Two boxes of one maker, another by the name of the first, and one of an unknown maker.
struct Boxes {
    all: Vec<Pledge>,
    foreign: Certificate,
}

static BOXES: LazyLock<Boxes> = LazyLock::new(|| {
    let all = vec![
        maker().build("A", ""),
        maker().build("B", ""),
        maker().build("A", "another"),
        Maker::new("Other").build("C", ""),
    ];
    let foreign = organisation().ldevid(&all[1]);
    Boxes { all, foreign }
});

#[derive(Clone, Copy, Debug)]
enum Body {
    /// What the box would send.
    Right,
    /// What another box would send.
    Others,
    /// Something of this length.
    Noise(u8),
}

/// What the whole is for.
const WANTED: [Call; 4] = [Call::SimpleEnroll, Call::SimpleReenroll, Call::Bundle, Call::Admission];

#[derive(Clone, Copy, Debug)]
enum Act {
    /// A box asks, with its maker's certificate or the last one of the organisation.
    Ask {
        who: usize,
        member: bool,
        call: Call,
        body: Body,
    },
    Approve(usize),
    Decline(usize),
    Revoke(usize),
    Replace(usize, usize),
    Import(usize, u8),
    AllowChange(usize),
    Admitted(usize),
    TurnedAway(usize),
    AskAgain(usize),
    Retired(usize),
    /// A TPM was judged: what the tests of TPMs do for real.
    Appraised(usize),
    Tick,
    Later(u64),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    // Two of them have more to lose.
    let who = || prop_oneof![4 => 0..2_usize, 1 => 2..BOXES.all.len()];
    let body = prop_oneof![4 => Just(Body::Right), 1 => Just(Body::Others), 1 => any::<u8>().prop_map(Body::Noise)];
    let calls = prop_oneof![2 => select(&Call::ALL[..]), 3 => select(&WANTED[..])];
    let ask = (who(), any::<bool>(), calls, body);
    prop_oneof![
        20 => ask.prop_map(|(who, member, call, body)| Act::Ask { who, member, call, body }),
        3 => who().prop_map(Act::Approve),
        1 => who().prop_map(Act::Decline),
        1 => who().prop_map(Act::Revoke),
        1 => (who(), who()).prop_map(|(old, new)| Act::Replace(old, new)),
        1 => (who(), 0..4_u8).prop_map(|(who, epoch)| Act::Import(who, epoch)),
        1 => who().prop_map(Act::AllowChange),
        1 => who().prop_map(Act::Admitted),
        1 => who().prop_map(Act::TurnedAway),
        1 => who().prop_map(Act::AskAgain),
        1 => who().prop_map(Act::Retired),
        4 => who().prop_map(Act::Appraised),
        1 => Just(Act::Tick),
        2 => select(vec![1, 10, 400, DAY, 40 * DAY]).prop_map(Act::Later),
        1 => Just(Act::Restart),
    ]
}

struct Run {
    office: Office,
    held: Vec<Option<Certificate>>,
    appraised: BTreeSet<usize>,
    /// What the chain was asked to admit, and was not said to be without.
    chain: BTreeSet<(Serial, String)>,
}

impl Run {
    fn body(&self, who: usize, call: Call, body: Body) -> Vec<u8> {
        let who = match body {
            Body::Noise(length) => return vec![length; length.into()],
            Body::Others => (who + 1) % BOXES.all.len(),
            Body::Right => who,
        };
        let pledge = &BOXES.all[who];
        let ldevid = self.held[who].as_ref().unwrap_or(&BOXES.foreign);
        match call {
            Call::RequestVoucher => {
                let byte = u8::try_from(self.office.journal.len() % 250).expect("below 250");
                pledge.request(nonce(byte), |_| ())
            }
            Call::VoucherStatus | Call::EnrollStatus => b"{\"version\":\"1\",\"status\":true}".to_vec(),
            Call::SimpleEnroll => pledge.csr(),
            Call::SimpleReenroll => {
                let builder = dolmen_provisioning_ca::RequestBuilder::renewal(ldevid);
                crate::world::csr(&*pledge.ldevid, &builder)
            }
            Call::Admission => {
                let state = self.office.registrar.state().boxes().get(&pledge.serial);
                let hash = state.and_then(|one| one.appraised.as_ref()).map(|one| one.appraisal.hash());
                // Whoever has no certificate of its own signs with its key under another's: that is no message.
                match ldevid.public_key() {
                    Ok(found) if found == key_of(pledge) => {
                        let hash = hash.unwrap_or_else(|| crate::support::claim().root_hash);
                        // It loses its disk now and then.
                        let name = format!("{} {}", pledge.serial, self.office.journal.len() % 3);
                        pledge.admission(ldevid, hash, |one| one.request = asks(&name))
                    }
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        }
    }

    fn ask(&mut self, who: usize, member: bool, call: Call, body: Body) {
        let pledge = &BOXES.all[who];
        let body = self.body(who, call, body);
        let certificate = if member { self.held[who].as_ref().unwrap_or(&BOXES.foreign) } else { &pledge.idevid };
        let certificate = certificate.clone();
        let issued = self.office.journal.len();
        let answer = self.office.ask(call, &certificate, &body);
        assert!((200..600).contains(&answer.status));
        assert!(answer.retry_after.is_none_or(|seconds| (1..=3600).contains(&seconds)));
        for (_, record) in &self.office.journal[issued..] {
            let Event::Issued { serial, certificate } = &record.what else { continue };
            let one = &self.office.registrar.state().boxes()[serial];
            assert_eq!(one.standing, Standing::Approved, "a certificate without an approval");
            assert!(one.appraised.is_some(), "a certificate without an appraisal");
            let owner = BOXES.all.iter().position(|one| certificate.public_key() == Ok(key_of(one)));
            let owner = owner.filter(|owner| self.appraised.contains(owner) && BOXES.all[*owner].serial == *serial);
            self.held[owner.expect("a certificate for a key that was not appraised")] = Some(certificate.clone());
        }
    }

    fn change(&mut self, act: impl FnOnce(&mut Registrar, u64) -> Result<Change, Refusal>) {
        let now = self.office.now;
        if let Ok(change) = act(&mut self.office.registrar, now) {
            let _ = self.office.keep(Ok::<_, Refusal>(change));
        }
    }

    /// What the chain is asked for now, for a box: the key that goes first, or that of the last request.
    fn request(&self, who: usize) -> String {
        let one = self.office.registrar.state().boxes().get(&BOXES.all[who].serial);
        let present = || one.and_then(|one| Some(one.membership.as_ref()?.0.clone()));
        one.and_then(|one| one.former.clone()).or_else(present).unwrap_or_default()
    }

    /// No key of a box is to be admitted while the chain may have another.
    fn check_effects(&mut self) {
        for effect in self.office.registrar.effects() {
            let Effect::Admit { serial, request, .. } = effect else { continue };
            let mut keys = self.chain.iter().filter(|(held, _)| *held == serial);
            assert!(keys.all(|(_, held)| *held == request), "{serial} would have two keys: {:?}", self.chain);
            self.chain.insert((serial, request));
        }
    }

    /// The chain says that it does not have a key.
    fn without(&mut self, who: usize, act: impl FnOnce(&mut Registrar, &str, u64) -> Result<Change, Refusal>) {
        let (request, records) = (self.request(who), self.office.journal.len());
        self.change(|registrar, now| act(registrar, &request, now));
        if self.office.journal.len() > records {
            self.chain.remove(&(BOXES.all[who].serial.clone(), request));
        }
    }

    fn act(&mut self, act: Act) {
        let serial = |who: usize| -> &'static Serial { &BOXES.all[who].serial };
        match act {
            Act::Ask { who, member, call, body } => self.ask(who, member, call, body),
            Act::Approve(who) => self.change(|registrar, now| registrar.approve(serial(who), "Ada", now)),
            Act::Decline(who) => self.change(|registrar, now| registrar.decline(serial(who), "Ada", "no", now)),
            Act::Revoke(who) => self.change(|registrar, now| registrar.revoke(serial(who), "Ada", "no", now)),
            Act::Replace(old, new) => {
                self.change(|registrar, now| registrar.replace(serial(old), serial(new), "Ada", now));
            }
            Act::Import(who, number) => {
                let voucher = voucher(serial(who).as_str(), organisation().root(), epoch(number.into()));
                let message = maker().sign(&voucher);
                self.change(|registrar, now| registrar.import(&message, "Ada", now));
            }
            Act::AllowChange(who) => self.change(|registrar, now| registrar.allow_change(serial(who), "Ada", now)),
            Act::Admitted(who) => {
                let request = self.request(who);
                self.change(|registrar, now| registrar.admitted(serial(who), &request, Role::Follower, now));
            }
            Act::TurnedAway(who) => {
                self.without(who, |registrar, request, now| registrar.turned_away(serial(who), request, "no", now));
            }
            Act::AskAgain(who) => self.change(|registrar, now| registrar.ask_again(serial(who), "Ada", now)),
            Act::Retired(who) => {
                self.without(who, |registrar, request, now| registrar.retired(serial(who), request, now));
            }
            Act::Appraised(who) => {
                let pledge = &BOXES.all[who];
                let boxes = self.office.registrar.state().boxes();
                // Whatever its standing is: being appraised is not enough.
                let known = boxes.get(&pledge.serial).map(|one| *one.idevid.as_bytes());
                if known == Some(pledge.idevid.fingerprint()) {
                    self.appraised.insert(who);
                    self.office.happened(pledge.appraised(u8::try_from(who).expect("few") + 1));
                }
            }
            Act::Tick => self.change(|registrar, now| registrar.tick(now)),
            Act::Later(seconds) => self.office.now += seconds,
            Act::Restart => self.office.restart(),
        }
        self.check_effects();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_order_is_survived(known in [0..6_usize, 0..6_usize], acts in vec(act(), 1..60)) {
        let office = Office::new("waiting-max = 2\nappraisal-hours-max = 9000");
        let mut run = Run { office, held: vec![None; BOXES.all.len()], appraised: BTreeSet::new(), chain: BTreeSet::new() };
        // Boxes that have come so far already: met, approved, appraised, certified, on their way to the chain.
        for (who, steps) in known.into_iter().enumerate() {
            let ask = |call, member| Act::Ask { who, member, call, body: Body::Right };
            let [meet, enrol] = [Call::RequestVoucher, Call::SimpleEnroll].map(|call| ask(call, false));
            let join = ask(Call::Admission, true);
            [meet, Act::Approve(who), Act::Appraised(who), enrol, join].into_iter().take(steps).for_each(|act| run.act(act));
        }
        for act in acts {
            run.act(act);
        }
        // What is replayed is what lived.
        run.office.restart();
        let state = run.office.registrar.state();
        prop_assert!(!state.boxes().contains_key(serial_of_stranger()));
        for one in state.boxes().values() {
            prop_assert!(one.certificates.is_empty() || one.standing == Standing::Approved);
        }
        // And the records are what a journal keeps.
        for (_, record) in &run.office.journal {
            let text = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<dolmen_provisioning_registrar::Record>(&text).unwrap(), record);
        }
    }
}

fn key_of(pledge: &Pledge) -> PublicKey {
    PublicKey::of(&*pledge.ldevid).expect("a key")
}

fn serial_of_stranger() -> &'static Serial {
    &BOXES.all[3].serial
}
