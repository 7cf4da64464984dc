//! Logs, replayed to what swtpm's registers held after the same measurements, and to values computed here.

use std::slice;

use dolmen_hsm_evidence::{Event, EventLog, EvidenceError, HashAlgorithm, MeasureLog, Pcrs, compare, verify_quote};
use openssl::sha::sha256;

use crate::support::{NONCE, pcrs, public, vector};

const EV_NO_ACTION: u32 = 3;
const EV_SEPARATOR: u32 = 4;
const EV_EFI_HCRTM_EVENT: u32 = 0x8000_0010;

/// Algorithms and lengths of digests in a log's header.
const SHA256: &[(u16, u16)] = &[(0x000b, 32)];

fn le(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The first event of a log.
fn header(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let count = u32::try_from(algorithms.len()).expect("few");
    let lengths = algorithms.iter().flat_map(|(id, length)| [id.to_le_bytes(), length.to_le_bytes()].concat());
    let version = [0, 0, 0, 0, 0, 2, 0, 2];
    let data =
        [&b"Spec ID Event03\0"[..], &version[..], &le(&[count])[..], &lengths.collect::<Vec<_>>()[..], &[0]].concat();
    [le(&[0, EV_NO_ACTION]), vec![0; 20], sized(&data)].concat()
}

/// Another event.
fn event(pcr: u32, kind: u32, digests: &[(u16, &[u8])], data: &[u8]) -> Vec<u8> {
    let count = u32::try_from(digests.len()).expect("few");
    let digests: Vec<u8> = digests.iter().flat_map(|&(id, digest)| [&id.to_le_bytes()[..], digest].concat()).collect();
    [le(&[pcr, kind, count]), digests, sized(data)].concat()
}

/// Another event whose digest is that of its data.
fn measured(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    event(pcr, kind, &[(0x000b, &sha256(data))], data)
}

fn locality(locality: u8) -> Vec<u8> {
    event(0, EV_NO_ACTION, &[(0x000b, &[0; 32])], &[&b"StartupLocality\0"[..], &[locality][..]].concat())
}

fn sized(data: &[u8]) -> Vec<u8> {
    [&le(&[u32::try_from(data.len()).expect("short")])[..], data].concat()
}

/// A log for SHA-256.
fn log(events: &[Vec<u8>]) -> Vec<u8> {
    [header(SHA256), events.concat()].concat()
}

fn replay(events: &[Vec<u8>]) -> Result<Pcrs, EvidenceError> {
    EventLog::parse(&log(events))?.replay(HashAlgorithm::Sha256)
}

/// `TPM2_PCR_Extend`.
fn extended(value: [u8; 32], digest: [u8; 32]) -> [u8; 32] {
    sha256(&[value, digest].concat())
}

/// From the logs of a box to its quote.
#[test]
fn logs_lead_to_the_quoted_registers() {
    let firmware = EventLog::parse(&vector("event_log.bin")).unwrap();
    assert_eq!(firmware.events().len(), 11);
    let mut replayed = firmware.replay(HashAlgorithm::Sha256).unwrap();
    let quote =
        verify_quote(&public("ak_p256"), &vector("quote_p256.attest"), &vector("quote_p256.sig"), NONCE, &pcrs());
    let quoted = quote.unwrap().pcrs;
    let without = compare(&replayed, &quoted).unwrap_err();
    assert!(matches!(without, EvidenceError::PcrDiffers { pcr: 11, .. }), "{without}");

    let system = MeasureLog::parse(&vector("measure_log.json")).unwrap();
    assert_eq!(system.measurements().iter().map(|measurement| measurement.pcr).collect::<Vec<_>>(), [11, 11, 15]);
    assert_eq!(system.measurements()[0].digest(HashAlgorithm::Sha256).unwrap(), sha256(b"enter-initrd"));
    system.replay(&mut replayed).unwrap();
    compare(&replayed, &quoted).unwrap();
    for pcr in [0, 1, 4, 7, 11, 14, 15] {
        assert_eq!(replayed.values()[pcr], quoted.values()[pcr], "{pcr}");
    }
    assert_eq!(replayed.selection().to_string(), "0x000b:0,1,4,7,11,14,15");
    let differs = compare(&replayed, &{
        let mut other = quoted.clone();
        other.set(14, [1; 32]).unwrap();
        other.set(15, [1; 32]).unwrap();
        other
    });
    match differs.unwrap_err() {
        EvidenceError::PcrDiffers { pcr: 14, replayed, quoted } => {
            assert_eq!((&replayed[..8], quoted), ("8f20ec39", "01".repeat(32)));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn events_extend_their_registers() {
    let separator = sha256(&[0; 4]);
    let replayed = replay(&[
        measured(4, 0x8000_0007, b"a loader"),
        measured(4, EV_SEPARATOR, &[0; 4]),
        measured(17, EV_SEPARATOR, &[0; 4]),
        measured(23, EV_SEPARATOR, &[0; 4]),
        // Nothing is extended, even into a register that is none, as newer firmware writes it.
        event(u32::MAX, EV_NO_ACTION, &[(0x000b, &[0; 32])], b"SP800-155 Event3"),
        event(4, EV_NO_ACTION, &[], b""),
    ])
    .unwrap();
    let mut expected = [None; 24];
    expected[4] = Some(extended(extended([0; 32], sha256(b"a loader")), separator));
    expected[17] = Some(extended([0xff; 32], separator));
    expected[23] = Some(extended([0; 32], separator));
    assert_eq!(replayed.values(), &expected);
}

#[test]
fn register_0_begins_with_the_locality() {
    let from = |locality: u8| {
        let mut value = [0; 32];
        value[31] = locality;
        value
    };
    let (event, digest) = (measured(0, EV_SEPARATOR, &[0; 4]), sha256(&[0; 4]));
    let value = |events: &[Vec<u8>]| replay(events).map(|pcrs| pcrs.values()[0].unwrap());
    assert_eq!(value(slice::from_ref(&event)).unwrap(), extended(from(0), digest));
    assert_eq!(value(&[locality(3)]).unwrap(), from(3));
    assert_eq!(value(&[locality(3), event.clone()]).unwrap(), extended(from(3), digest));
    assert_eq!(value(&[locality(0), event.clone()]).unwrap(), extended(from(0), digest));
    // A launch before the firmware's leaves 4, wherever the firmware's start is noted.
    let launch = measured(0, EV_EFI_HCRTM_EVENT, b"HCRTM");
    let launched = extended(from(4), sha256(b"HCRTM"));
    assert_eq!(value(&[launch.clone(), locality(3), event.clone()]).unwrap(), extended(launched, digest));
    assert_eq!(value(&[locality(3), launch.clone(), event.clone()]).unwrap(), extended(launched, digest));
    // Nobody starts a TPM after it has measured.
    for events in [[event.clone(), locality(3)], [event, launch]] {
        assert!(matches!(value(&events), Err(EvidenceError::Malformed { .. })));
    }
}

#[test]
fn banks_have_their_own_digests() {
    let algorithms = &[(0x0004, 20), (0x0012, 32), (0x000c, 48), (0x7777, 7)];
    let (sm3, sha384) = (HashAlgorithm::Sm3.digest(&[b"x"]), HashAlgorithm::Sha384.digest(&[b"x"]));
    let digests: &[(u16, &[u8])] = &[(0x7777, b"unknown"), (0x0012, &sm3), (0x000c, &sha384), (0x0004, &[1; 20])];
    let parsed = EventLog::parse(&[header(algorithms), event(5, EV_SEPARATOR, digests, b"x")].concat()).unwrap();
    let [Event { pcr: 5, kind: EV_SEPARATOR, data, .. }] = parsed.events() else { panic!("one event") };
    assert_eq!(data, b"x");
    assert_eq!(parsed.events()[0].digest(HashAlgorithm::Sha384), Some(&sha384[..]));
    let replayed = parsed.replay(HashAlgorithm::Sm3).unwrap();
    let expected = HashAlgorithm::Sm3.digest(&[&[0; 32], &sm3]);
    assert_eq!(replayed.values()[5].unwrap(), expected[..]);
    assert!(matches!(parsed.replay(HashAlgorithm::Sha256), Err(EvidenceError::Malformed { .. })));
    assert!(matches!(parsed.replay(HashAlgorithm::Sha384), Err(EvidenceError::Bank("sha384"))));
}

#[test]
fn other_logs_are_refused() {
    let refused = |bytes: &[u8]| EventLog::parse(bytes).unwrap_err();
    let good = log(&[measured(4, EV_SEPARATOR, b"data")]);
    EventLog::parse(&good).unwrap();
    EventLog::parse(&log(&[])).unwrap();
    for length in 0..good.len() {
        if length == log(&[]).len() {
            continue;
        }
        assert!(matches!(refused(&good[..length]), EvidenceError::Truncated { .. }), "{length}");
    }
    // The older form, SHA-1 only: the first event is like any other.
    let old = [le(&[0, 8]), vec![1; 20], sized(b"a version of some length")].concat();
    assert!(matches!(refused(&old), EvidenceError::Malformed { .. }));
    // SHA-256 with 20 bytes, an algorithm twice, and more of them than there are.
    assert!(matches!(refused(&header(&[(0x000b, 20)])), EvidenceError::Malformed { .. }));
    assert!(matches!(refused(&header(&[(0x0004, 20), (0x0004, 20)])), EvidenceError::Malformed { .. }));
    let many: Vec<_> = (100..109).map(|id| (id, 1)).collect();
    assert!(matches!(refused(&header(&many)), EvidenceError::TooLong { found: 9, .. }));
    // Digests that the header does not have, and more of them than it has.
    let of = |digests: &[(u16, &[u8])]| refused(&log(&[event(4, EV_SEPARATOR, digests, b"")]));
    assert!(matches!(of(&[(0x0004, &[0; 20])]), EvidenceError::Malformed { .. }));
    assert!(matches!(of(&[(0x000b, &[0; 32]), (0x000b, &[0; 32])]), EvidenceError::TooLong { .. }));
    let two = [header(&[(0x000b, 32), (0x0004, 20)]), event(4, 4, &[(0x000b, &[0; 32]), (0x000b, &[0; 32])], b"")];
    assert!(matches!(refused(&two.concat()), EvidenceError::Malformed { .. }));
    // Lengths that no log has.
    let huge = [log(&[]), le(&[4, 4, u32::MAX])].concat();
    assert!(matches!(refused(&huge), EvidenceError::TooLong { .. }));
    let huge = [log(&[]), le(&[4, 4, 0, u32::MAX])].concat();
    assert!(matches!(refused(&huge), EvidenceError::Truncated { .. }));
    assert!(matches!(refused(&vec![0; 9 << 20]), EvidenceError::TooLong { .. }));
    let many = log(&vec![event(4, EV_NO_ACTION, &[], b""); 16_385]);
    assert!(matches!(refused(&many), EvidenceError::TooLong { found: 16_385, .. }));
    // A register that no TPM has, and an event without the bank's digest.
    assert!(matches!(replay(&[measured(24, EV_SEPARATOR, b"")]), Err(EvidenceError::PcrIndex(24))));
    assert!(matches!(replay(&[event(4, EV_SEPARATOR, &[], b"")]), Err(EvidenceError::Malformed { .. })));
}

#[test]
fn measurement_logs_are_sequences_of_json() {
    let digest = "ab".repeat(32);
    let record =
        |pcr: u32| format!("\x1e{{\"pcr\":{pcr},\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{digest}\"}}]}}\n");
    for text in [String::new(), "\n".into(), "\x1e\x1e\n\x1e".into(), "\x1e{\"nv_index\":1,\"digests\":[]}\n".into()] {
        assert!(MeasureLog::parse(text.as_bytes()).unwrap().measurements().is_empty(), "{text:?}");
    }
    let mut replayed = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    let two = MeasureLog::parse((record(11) + "\x1e" + &record(15)).as_bytes()).unwrap();
    two.replay(&mut replayed).unwrap();
    assert_eq!(replayed.values()[11], Some(extended([0; 32], [0xab; 32])));
    assert_eq!(replayed.values()[11], replayed.values()[15]);

    let good = record(11);
    for bad in [
        &good[1..],
        &good[..good.len() - 3],
        "\x1e{\"pcr\":-1}",
        "\x1e{\"pcr\":4294967296}",
        "\x1e11",
        "\x1e{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"abc\"}]}",
        "\x1e{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"zz\"}]}",
        "\x1e{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\"}]}",
    ] {
        assert!(matches!(MeasureLog::parse(bad.as_bytes()), Err(EvidenceError::Malformed { .. })), "{bad:?}");
    }
    for bad in ["\x1e{\"pcr\":11}", "\x1e{\"pcr\":11,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"ab\"}]}"] {
        let bad = MeasureLog::parse(bad.as_bytes()).unwrap();
        assert!(matches!(bad.replay(&mut replayed), Err(EvidenceError::Malformed { .. })), "{bad:?}");
    }
    let nowhere = MeasureLog::parse(record(24).as_bytes()).unwrap();
    assert!(matches!(nowhere.replay(&mut replayed), Err(EvidenceError::PcrIndex(24))));
    let many = record(11).repeat(16_385);
    assert!(matches!(MeasureLog::parse(many.as_bytes()), Err(EvidenceError::TooLong { found: 16_385, .. })));
    assert!(matches!(MeasureLog::parse(&vec![b' '; 9 << 20]), Err(EvidenceError::TooLong { .. })));
}
