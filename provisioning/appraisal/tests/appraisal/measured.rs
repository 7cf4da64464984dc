//! What a boot measures, and the logs of it.

use dolmen_hsm_evidence::{HashAlgorithm, Pcrs};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Bytes, Logs};

const EV_NO_ACTION: u32 = 3;
const EV_IPL: u32 = 13;

/// What firmware and stub measured, and the phases after them.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) firmware: Vec<(u8, &'static str)>,
    pub(crate) phases: Vec<&'static str>,
}

/// A boot as it should be.
pub(crate) fn boot() -> Measured {
    let firmware = vec![
        (0, "firmware"),
        (1, "settings"),
        (2, "a network card's program"),
        (3, "its settings"),
        (7, "the Secure Boot keys"),
        (4, "the boot loader"),
        (5, "the partitions"),
        (6, "the machine"),
        (4, "the kernel image"),
        (11, ".linux"),
        (11, ".osrel"),
    ];
    Measured { firmware, phases: vec!["enter-initrd", "leave-initrd"] }
}

impl Measured {
    /// All digests in their order.
    pub(crate) fn digests(&self) -> Vec<(u8, [u8; 32])> {
        let phases = self.phases.iter().map(|word| (11, *word));
        let all = self.firmware.iter().copied().chain(phases);
        all.map(|(register, what)| (register, digest(what))).collect()
    }

    /// What a register holds afterwards.
    pub(crate) fn value(&self, register: u8) -> Hash {
        let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("a bank of 32 bytes");
        for (register, digest) in self.digests() {
            pcrs.extend(register.into(), &digest).expect("a register");
        }
        Hash::from_bytes(pcrs.values()[usize::from(register)].unwrap_or_default())
    }

    /// As the firmware and the kernel have it, with systemd's log or without.
    pub(crate) fn logs(&self, userspace: bool) -> Logs {
        let log = bytes(self.userspace());
        Logs { firmware: bytes(self.firmware()), userspace: userspace.then_some(log) }
    }

    fn firmware(&self) -> Vec<u8> {
        let spec = [
            &b"Spec ID Event03\0"[..],
            &[0, 0, 0, 0, 0, 2, 0, 2],
            &1_u32.to_le_bytes(),
            &0x000b_u16.to_le_bytes(),
            &32_u16.to_le_bytes(),
            &[0],
        ];
        let mut log = [le(0), le(EV_NO_ACTION), vec![0; 20], sized(&spec.concat())].concat();
        for (register, what) in &self.firmware {
            let head = [le((*register).into()), le(EV_IPL), le(1), 0x000b_u16.to_le_bytes().to_vec()].concat();
            log.extend([head, digest(what).to_vec(), sized(what.as_bytes())].concat());
        }
        log
    }

    fn userspace(&self) -> Vec<u8> {
        let record = |word: &&str| {
            let digest = const_hex::encode(digest(word));
            format!("\x1e{{\"pcr\":11,\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{digest}\"}}]}}\n")
        };
        self.phases.iter().map(record).collect::<String>().into_bytes()
    }
}

fn digest(what: &str) -> [u8; 32] {
    *Hash::of(what.as_bytes()).as_bytes()
}

fn le(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn sized(data: &[u8]) -> Vec<u8> {
    [le(u32::try_from(data.len()).expect("short")), data.to_vec()].concat()
}

/// A part of a message.
pub(crate) fn bytes<const MAX: usize>(bytes: Vec<u8>) -> Bytes<MAX> {
    Bytes::new(bytes).expect("it is short enough")
}
