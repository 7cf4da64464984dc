//! Any bytes, for any call, by any kind of peer: nothing panics, and what is refused leaves its refusal behind and no more.

use std::{collections::BTreeMap, sync::LazyLock};

use dolmen_provisioning_appraisal::{
    Bytes, Enrolment, Fixed, Logs, Message as _, Reattestation, Response, SignedQuote, SignedStatement,
};
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_registrar::{Call, Event, Record, Setup};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    member::admit,
    support::claim,
    world::{Firm, Maker, NOW, Office, Pledge, chain, csr, maker, nonce, organisation},
};

/// A registrar with a member, a box that waits, and one that was cast out; and what peers may show it.
struct Scene {
    setup: Setup,
    journal: Vec<(u64, Record)>,
    member: Pledge,
    ldevid: Certificate,
    waiting: Pledge,
    peers: Vec<Vec<Vec<u8>>>,
    /// What a box would send.
    messages: BTreeMap<Call, Vec<u8>>,
}

static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let mut office = Office::new("waiting-max = 1");
    let [member, gone, waiting] = ["A", "B", "C"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&member, 1);
    let out = office.enrol(&gone, 2);
    admit(&mut office, &member, &ldevid);
    let change = office.registrar.revoke(&gone.serial, "Ada", "stolen", NOW);
    office.keep(change);
    office.ask(Call::RequestVoucher, &waiting.idevid, &waiting.request(nonce(3), |_| ()));
    let foreign = Maker::new("Other").build("A", "");
    let twin = maker().build("A", "another");
    let stray = organisation().ldevid(&waiting);
    let others = Firm::new("Example 2").ldevid(&member);
    let (root, firm) = (maker().root.certificate().clone(), organisation());
    let shown = [
        vec![],
        vec![&member.idevid],
        vec![&member.idevid, &root],
        vec![&ldevid],
        vec![&ldevid, firm.authority.certificate()],
        vec![&waiting.idevid],
        vec![&gone.idevid],
        vec![&out],
        vec![&twin.idevid],
        vec![&foreign.idevid],
        vec![&stray],
        vec![&others],
        vec![&firm.registrar],
        vec![firm.root()],
        vec![&member.idevid; 6],
    ];
    let der = |one: &&Certificate| one.der().to_vec();
    let peers = shown.iter().map(|certificates| certificates.iter().map(der).collect()).collect();
    let setup = office.registrar.setup().clone();
    let scene = Scene { setup, journal: office.journal, member, ldevid, waiting, peers, messages: BTreeMap::new() };
    let messages = Call::ALL.map(|call| (call, scene.message(call))).into();
    Scene { messages, ..scene }
});

impl Scene {
    fn office(&self) -> Office {
        Office::of(self.setup.clone(), self.journal.clone())
    }

    /// What a box would send, as far as a box without a TPM can.
    fn message(&self, call: Call) -> Vec<u8> {
        let statement = || SignedStatement { statement: bytes(vec![1; 9]), signature: bytes(vec![2; 9]) };
        let quote = || SignedQuote { quote: statement(), registers: [(4, claim().root_hash)].into() };
        let logs = || Logs { firmware: bytes(vec![3; 9]), userspace: None };
        let json = match call {
            Call::RequestVoucher => Ok(self.waiting.request(nonce(4), |_| ())),
            Call::VoucherStatus | Call::EnrollStatus => Ok(b"{\"version\":\"1\",\"status\":true}".to_vec()),
            Call::Enrolment => Enrolment {
                ek_certificate: None,
                ek_chain: Vec::new(),
                ek_public: bytes(vec![4; 9]),
                ak_public: bytes(vec![5; 9]),
                ldevid_public: bytes(vec![6; 9]),
                certification: statement(),
                logs: logs(),
                claim: claim(),
            }
            .to_json(),
            Call::Response => Response { proof: Fixed([7; 32]), quote: quote() }.to_json(),
            Call::SimpleEnroll => Ok(self.member.csr()),
            Call::SimpleReenroll => {
                let builder = dolmen_provisioning_ca::RequestBuilder::renewal(&self.ldevid);
                Ok(csr(&*self.member.ldevid, &builder))
            }
            Call::Admission => {
                let hash = self.office().appraisal(&self.member);
                Ok(self.member.admission(&self.ldevid, hash, |_| ()))
            }
            Call::Attestation => {
                Reattestation { ak_public: bytes(vec![8; 9]), quote: quote(), logs: logs(), claim: claim() }.to_json()
            }
            Call::Departure => Ok(b"{}".to_vec()),
            Call::CaCerts | Call::Bundle | Call::AskQuote => Ok(Vec::new()),
        };
        json.expect("a message")
    }
}

fn bytes<const MAX: usize>(bytes: Vec<u8>) -> Bytes<MAX> {
    Bytes::new(bytes).expect("short")
}

/// One request.
#[derive(Clone, Debug)]
struct Ask {
    call: Call,
    peer: usize,
    /// Of which request the body is, where it is of any.
    of: Option<Call>,
    bytes: Vec<u8>,
    /// Where it is damaged, by what.
    damage: Vec<(usize, u8)>,
    cut: Option<usize>,
    /// Whether its certificate is damaged as well.
    certificate: Option<(usize, u8)>,
    chain: bool,
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let call = || select(&Call::ALL[..]);
    let bytes = prop_oneof![vec(any::<u8>(), 0..64), vec(any::<u8>(), 0..2048), "[ -~]{0,200}".prop_map(Into::into)];
    let of = prop_oneof![1 => Just(None), 3 => call().prop_map(Some)];
    let damage = prop_oneof![1 => Just(Vec::new()), 3 => vec((any::<usize>(), 1..=255_u8), 1..4)];
    let certificate = prop_oneof![9 => Just(None), 1 => (any::<usize>(), 1..=255_u8).prop_map(Some)];
    let cut = prop_oneof![3 => Just(None), 1 => any::<usize>().prop_map(Some)];
    let parts = (call(), 0..SCENE.peers.len(), of, bytes, damage, cut, certificate, any::<bool>());
    parts.prop_map(|(call, peer, of, bytes, damage, cut, certificate, chain)| {
        // Most bodies are for what is asked.
        let of = of.map(|other| if chain { call } else { other });
        Ask { call, peer, of, bytes, damage, cut, certificate, chain: chain || peer % 2 == 0 }
    })
}

impl Ask {
    fn body(&self) -> Vec<u8> {
        let Some(of) = self.of else { return self.bytes.clone() };
        let mut body = SCENE.messages[&of].clone();
        damage(&mut body, &self.damage);
        body.truncate(self.cut.map_or(body.len(), |cut| cut % (body.len() + 1)));
        body
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        let mut certificates = SCENE.peers[self.peer].clone();
        if let (Some(first), Some(damaged)) = (certificates.first_mut(), self.certificate) {
            damage(first, &[damaged]);
        }
        certificates
    }
}

fn damage(bytes: &mut [u8], places: &[(usize, u8)]) {
    for (at, by) in places {
        let length = bytes.len();
        if let Some(byte) = bytes.get_mut(at.checked_rem(length).unwrap_or_default()) {
            *byte ^= by;
        }
    }
}

/// What a refused request may leave: that it was refused. A box that shows a known maker's certificate and a message that
/// can be read is known from then on, whatever becomes of it.
fn is_trace(event: &Event, call: Call) -> bool {
    match event {
        Event::Refused { .. } => true,
        Event::Seen { .. } => matches!(call, Call::Enrolment | Call::RequestVoucher),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_refused_changes_nothing(asks in vec(any_ask(), 1..6)) {
        let mut office = SCENE.office();
        for ask in &asks {
            let (before, records) = (office.registrar.state().clone(), office.journal.len());
            let (body, known) = (ask.body(), chain());
            office.effects.clear();
            let answer = office.send(ask.call, &ask.certificates(), &body, Some(&known).filter(|_| ask.chain));
            let new = &office.journal[records..];
            prop_assert!((200..600).contains(&answer.status));
            if answer.status < 300 {
                // Only what a box sends, or what says the same in other bytes, is answered.
                prop_assert!(ask.of.is_some() || body.is_empty() || answer.status == 202, "{ask:?}");
                continue;
            }
            for (_, record) in new {
                prop_assert!(is_trace(&record.what, ask.call), "{record:?}");
            }
            if new.iter().all(|(_, record)| matches!(record.what, Event::Refused { .. })) {
                prop_assert!(*office.registrar.state() == before, "{ask:?}");
            }
            prop_assert!(office.effects.is_empty());
            prop_assert!(new.len() <= 2);
        }
    }
}
