//! Who makes TPMs: the TCG's "TPM Vendor ID Registry" (1.06), and what software calls itself.

/// What is known of a TPM's maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// It makes chips, or firmware in a processor.
    Hardware,
    /// Its TPMs are programs on somebody's machine.
    Software(&'static str),
    /// It is in no list.
    Unknown,
}

/// Four characters as a number, the first one highest.
const HARDWARE: [&[u8; 4]; 20] = [
    b"AMD\0", b"ATML", b"BRCM", b"CSCO", b"FLYS", b"ROCC", b"HPE\0", b"HISI", b"IFX\0", b"INTC", b"LEN\0", b"NSM ",
    b"NTZ\0", b"NTC\0", b"QCOM", b"SMSN", b"SNS\0", b"SMSC", b"STM ", b"WEC\0",
];

/// Programs, and machines that are programs. swtpm has IBM's number of the PCI registry.
const SOFTWARE: [([u8; 4], &str); 7] = [
    ([0x00, 0x00, 0x10, 0x14], "swtpm"),
    (*b"IBM\0", "IBM's simulator or a virtual machine of IBM"),
    (*b"IBM ", "the TPM reference simulator"),
    (*b"GOOG", "a virtual machine of Google Cloud"),
    (*b"MSFT", "a virtual machine of Hyper-V or Azure"),
    (*b"AMZN", "a virtual machine of AWS"),
    (*b"VMW\0", "a virtual machine of VMware"),
];

impl Maker {
    /// By the number in an endorsement certificate.
    pub(crate) fn of(id: u32) -> Self {
        let characters = id.to_be_bytes();
        match SOFTWARE.iter().find(|(software, _)| *software == characters) {
            Some((_, name)) => Self::Software(name),
            None if HARDWARE.contains(&&characters) => Self::Hardware,
            None => Self::Unknown,
        }
    }
}

/// Reads the attribute of a certificate: `id:` and 8 hexadecimal digits (EK Credential Profile §3.1.2).
pub(crate) fn parse(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("id:")?;
    let plain = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u32::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_known_by_their_number() {
        for (text, maker) in [
            ("id:00001014", Maker::Software("swtpm")),
            ("id:49465800", Maker::Hardware),
            ("id:53544D20", Maker::Hardware),
            ("id:53544d20", Maker::Hardware),
            ("id:474F4F47", Maker::Software("a virtual machine of Google Cloud")),
            ("id:00000000", Maker::Unknown),
        ] {
            assert_eq!(parse(text).map(Maker::of), Some(maker), "{text}");
        }
        for text in ["", "id:", "49465800", "id:4946580", "id:494658000", "id:+9465800", "ID:49465800"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
