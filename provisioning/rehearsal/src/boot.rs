//! What a boot measures, and the logs of it.

use dolmen_image_bundle::Hash;

/// Types of events (PC Client Platform Firmware Profile 1.05 §10.4.1).
const EV_NO_ACTION: u32 = 3;
const EV_IPL: u32 = 13;
/// `TPM_ALG_SHA256`.
const SHA256: u16 = 0x000b;
/// The register of the image's content and of the phases after it.
const PHASES: u8 = 11;

/// What firmware and stub measured, and the phases after them. Each is a word, whose SHA-256 is what is extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Registers and words, in the order of the events.
    pub firmware: Vec<(u8, &'static str)>,
    /// Words of systemd-pcrphase.service(8), for register 11.
    pub phases: Vec<&'static str>,
}

/// A boot as it should be, up to where a box's services run.
impl Default for Boot {
    fn default() -> Self {
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
            (PHASES, ".linux"),
            (PHASES, ".osrel"),
        ];
        Self { firmware, phases: vec!["enter-initrd", "leave-initrd"] }
    }
}

impl Boot {
    /// All digests in their order, with the registers that they extend.
    #[must_use]
    pub fn digests(&self) -> Vec<(u8, [u8; 32])> {
        let phases = self.phases.iter().map(|word| (PHASES, *word));
        let all = self.firmware.iter().copied().chain(phases);
        all.map(|(register, word)| (register, digest(word))).collect()
    }

    /// What a register of SHA-256 holds afterwards.
    #[must_use]
    pub fn value(&self, register: u8) -> Hash {
        let mut value = [0; 32];
        for (_, digest) in self.digests().into_iter().filter(|(extended, _)| *extended == register) {
            value = *Hash::of(&[value, digest].concat()).as_bytes();
        }
        Hash::from_bytes(value)
    }

    /// The firmware's log (`TCG_PCR_EVENT2`, in the same profile, §10.2).
    #[must_use]
    pub fn firmware_log(&self) -> Vec<u8> {
        let spec = [
            &b"Spec ID Event03\0"[..],
            &[0, 0, 0, 0, 0, 2, 0, 2],
            &1_u32.to_le_bytes(),
            &SHA256.to_le_bytes(),
            &32_u16.to_le_bytes(),
            &[0],
        ];
        let mut log = [&le(0)[..], &le(EV_NO_ACTION), &[0; 20], &sized(&spec.concat())].concat();
        for (register, word) in &self.firmware {
            let head = [&le((*register).into())[..], &le(EV_IPL), &le(1), &SHA256.to_le_bytes()].concat();
            log.extend([head, digest(word).to_vec(), sized(word.as_bytes())].concat());
        }
        log
    }

    /// The log of user space, as systemd writes it (RFC 7464).
    #[must_use]
    pub fn userspace_log(&self) -> Vec<u8> {
        let record = |word: &&str| {
            let digest = const_hex::encode(digest(word));
            format!("\x1e{{\"pcr\":{PHASES},\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{digest}\"}}]}}\n")
        };
        self.phases.iter().map(record).collect::<String>().into_bytes()
    }
}

fn digest(word: &str) -> [u8; 32] {
    *Hash::of(word.as_bytes()).as_bytes()
}

const fn le(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn sized(data: &[u8]) -> Vec<u8> {
    // Words are short.
    [&le(u32::try_from(data.len()).unwrap_or(u32::MAX))[..], data].concat()
}

#[cfg(test)]
mod tests {
    use dolmen_hsm_evidence::{EventLog, HashAlgorithm, MeasureLog};

    use super::*;

    #[test]
    fn the_logs_replay_to_the_values() {
        let boot = Boot::default();
        let mut pcrs = EventLog::parse(&boot.firmware_log()).unwrap().replay(HashAlgorithm::Sha256).unwrap();
        let before = pcrs.values()[11];
        MeasureLog::parse(&boot.userspace_log()).unwrap().replay(&mut pcrs).unwrap();
        for register in (0..8).chain([11]) {
            assert_eq!(pcrs.values()[usize::from(register)], Some(*boot.value(register).as_bytes()), "{register}");
        }
        assert_eq!(before, Some(*Boot { phases: Vec::new(), ..boot }.value(11).as_bytes()));
    }
}
