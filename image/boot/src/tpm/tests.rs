//! With a TPM of software for each test.

use std::{
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use dolmen_hsm_swtpm::Swtpm;
use proptest::prelude::*;

use super::*;

/// One client at a time.
fn with<R>(swtpm: &Swtpm, run: impl FnOnce(&mut Tpm<TcpStream>) -> R) -> R {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, swtpm.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    run(&mut Tpm::over(stream))
}

fn tool(swtpm: &Swtpm, program: &str, arguments: &[&str]) -> String {
    swtpm.tool(program, arguments, &std::env::temp_dir())
}

fn version(number: u8) -> SecurityVersion {
    number.try_into().unwrap()
}

#[test]
fn phases_are_measured_as_systemd_does() {
    let swtpm = Swtpm::new();
    with(&swtpm, |tpm| {
        tpm.measure(Phase::EnterInitrd).unwrap();
        tpm.measure(Phase::LeaveInitrd).unwrap();
    });
    let mut expected = [0; 32];
    for word in ["enter-initrd", "leave-initrd"] {
        expected = Sha256::digest([expected, Sha256::digest(word).into()].concat()).into();
    }
    let registers = tool(&swtpm, "tpm2_pcrread", &["sha256:11,12"]).to_lowercase();
    assert!(registers.contains(&const_hex::encode(expected)), "{registers}");
    assert!(registers.contains(&format!("12: 0x{}", "0".repeat(64))), "{registers}");
}

#[test]
fn the_floor_only_rises() {
    let swtpm = Swtpm::new();
    with(&swtpm, |tpm| {
        let mut floor = BitsFloor::new(tpm);
        assert_eq!(floor.read().unwrap(), None);
        assert_eq!(floor.raise(version(3)).unwrap(), version(3));
        assert_eq!(floor.read().unwrap(), Some(version(3)));
        assert_eq!(floor.raise(version(2)).unwrap(), version(3));
        assert_eq!(floor.raise(version(64)).unwrap(), version(64));
        assert_eq!(floor.read().unwrap(), Some(version(64)));
    });
    let public = tool(&swtpm, "tpm2_nvreadpublic", &["0x1800d02"]);
    // Written; NO_DA; AUTHREAD and OWNERREAD; bits that get set, and OWNERWRITE.
    assert!(public.contains("value: 0x22060022"), "{public}");
}

#[test]
fn an_index_that_nobody_wrote_is_no_floor() {
    let swtpm = Swtpm::new();
    with(&swtpm, |tpm| {
        tpm.nv_define(floor::public()).unwrap();
        let mut floor = BitsFloor::new(tpm);
        assert_eq!(floor.read().unwrap(), None);
        // As when the power failed before the first bit was set.
        assert_eq!(floor.raise(version(1)).unwrap(), version(1));
        assert_eq!(floor.read().unwrap(), Some(version(1)));
    });
}

#[test]
fn somebody_elses_index_is_no_floor() {
    for attributes in ["ownerwrite|ownerread|authread|no_da", "ownerwrite|authwrite|ownerread|authread|no_da|nt=bits"] {
        let swtpm = Swtpm::new();
        tool(&swtpm, "tpm2_nvdefine", &["0x1800d02", "-C", "o", "-s", "8", "-a", attributes]);
        with(&swtpm, |tpm| {
            let mut floor = BitsFloor::new(tpm);
            for error in [floor.read().unwrap_err(), floor.raise(version(1)).unwrap_err()] {
                assert!(matches!(error, FloorError::Foreign { bytes: 8, .. }), "{error}");
            }
        });
    }
}

#[test]
fn what_the_tpm_says_no_with_is_told() {
    let swtpm = Swtpm::new();
    with(&swtpm, |tpm| {
        let error = tpm.extend(24, [0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "the TPM refused to extend a register: [TPM_RC_VALUE, handle[1]]");
        // Its answers go on fitting the commands.
        tpm.extend(23, [0; 32]).unwrap();
    });
    tool(&swtpm, "tpm2_changeauth", &["-c", "owner", "password"]);
    with(&swtpm, |tpm| {
        let error = BitsFloor::new(tpm).raise(version(1)).unwrap_err();
        assert!(error.to_string().contains("TPM_RC_BAD_AUTH"), "{error}");
        assert_eq!(BitsFloor::new(tpm).read().unwrap(), None);
    });
}

/// A TPM that gives these answers, a byte at a time.
struct Answers<'a>(std::slice::Iter<'a, u8>);

impl Read for Answers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(buffer.iter_mut().take(1).zip(&mut self.0).map(|(to, from)| *to = *from).count())
    }
}

impl Write for Answers<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answered(answer: &[u8]) -> TpmError {
    Tpm::over(Answers(answer.iter())).measure(Phase::EnterInitrd).unwrap_err()
}

#[test]
fn answers_that_are_none_are_errors() {
    let talk = |answer: &[u8]| matches!(answered(answer), TpmError::Talk { .. });
    assert!(talk(&[]) && talk(&[0x80, 1, 0, 0, 0]));
    assert!(talk(&[0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0]), "cut short");
    assert!(talk(&[0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "too long");
    for answer in [
        &[0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0][..],
        &[0, 0, 0, 0, 0, 10, 0, 0, 0, 0],
        // Success, but without the session that was asked for.
        &[0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0],
        &[0x80, 2, 0, 0, 0, 10, 0, 0, 0, 0],
    ] {
        let error = answered(answer);
        assert!(matches!(error, TpmError::Answer { .. }), "{answer:?} {error}");
    }
    let error = answered(&[0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1]);
    assert!(matches!(error, TpmError::Refused { .. }), "{error}");
}

proptest! {
    #[test]
    fn whatever_it_answers_is_an_answer_or_an_error(
        tag in 1..3_u8,
        code in prop_oneof![Just(0), any::<u32>()],
        rest in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let size = u32::try_from(HEADER_BYTES + rest.len()).unwrap();
        let header = [&[0x80, tag][..], &size.to_be_bytes(), &code.to_be_bytes()].concat();
        let answer = [header, rest].concat();
        let mut tpm = Tpm::over(Answers(answer.iter()));
        let read = tpm.nv_read_bits(FLOOR_INDEX);
        prop_assert!(code == 0 || read.is_err());
        // And to the other shape of an answer.
        let public = Tpm::over(Answers(answer.iter())).nv_public(FLOOR_INDEX);
        prop_assert!(code == 0 || public.is_err());
    }
}
