//! The machine's TPM, for the little that is done with it before there is a system: to measure phases of the boot, and
//! to keep the lowest version that may run.
//!
//! Commands and answers are those of the TCG's TPM 2.0 Library, Part 3, in the form in which the kernel passes them on
//! from `/dev/tpmrm0`. All authorisations are empty passwords: nobody else owns a box's TPM.

mod floor;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

pub use floor::{BitsFloor, FLOOR_INDEX, FloorError, SecurityVersion, SecurityVersionError};
use sha2::{Digest as _, Sha256};
use tpm2_protocol::{
    TpmError as ProtocolError, TpmWriter,
    basic::{TpmHandle, TpmUint16, TpmUint64},
    data::{
        Tpm2bAuth, Tpm2bNonce, Tpm2bNvPublic, TpmAlgId, TpmRc, TpmRcBase, TpmRh, TpmSt, TpmaSession, TpmlDigestValues,
        TpmsAuthCommand, TpmsNvPublic, TpmtHa, TpmuHa,
    },
    frame::{
        TpmFrame, TpmHeader, TpmNvDefineSpaceCommand, TpmNvDefineSpaceResponse, TpmNvReadCommand,
        TpmNvReadPublicCommand, TpmNvReadPublicResponse, TpmNvReadResponse, TpmNvSetBitsCommand, TpmNvSetBitsResponse,
        TpmPcrExtendCommand, TpmPcrExtendResponse, TpmResponse, TpmUnmarshalBody, tpm_marshal_command,
    },
};

use crate::limits::TPM_FRAME_BYTES;

/// The kernel's own resource manager: several programs may use the TPM at once.
const DEVICE: &str = "/dev/tpmrm0";
/// Bytes of a command's or an answer's header, which has its whole size in it from [`SIZE_AT`] on.
const HEADER_BYTES: usize = 10;
const SIZE_AT: usize = 2;

/// Why a TPM did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// There is none, or it cannot be opened.
    #[error("cannot open the TPM {path}; switch it on in the firmware's settings")]
    Open {
        /// Its device.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The way to it broke.
    #[error("cannot talk to the TPM to {operation}; the kernel's log says more")]
    Talk {
        /// What it was asked to do.
        operation: &'static str,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// An answer that is none.
    #[error("the TPM answered what cannot be read when asked to {operation} ({source:?}); start the machine again")]
    Answer {
        /// What it was asked to do.
        operation: &'static str,
        /// What is wrong with it.
        source: ProtocolError,
    },
    /// It said no.
    #[error("the TPM refused to {operation}: {code}")]
    Refused {
        /// What it was asked to do.
        operation: &'static str,
        /// Its reason, TPM 2.0 Library, Part 2 §6.6.
        code: TpmRc,
    },
}

impl TpmError {
    /// What it said no with.
    fn refusal(&self) -> Option<TpmRcBase> {
        match self {
            Self::Refused { code, .. } => Some(code.base()),
            _ => None,
        }
    }
}

/// A phase of the boot, for which register 11 is extended with a word (systemd-pcrphase.service(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The initrd runs. Register 11 is signed for this one: it is the only one in which the data can be opened.
    EnterInitrd,
    /// The initrd is about to hand over. From then on nothing opens the data any more.
    LeaveInitrd,
}

impl Phase {
    /// The register that phases are measured in.
    pub const PCR: u32 = 11;

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::EnterInitrd => "enter-initrd",
            Self::LeaveInitrd => "leave-initrd",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A TPM, over whatever passes its commands on: the kernel's device, or in tests a socket.
#[derive(Debug)]
pub struct Tpm<T = File>(T);

impl Tpm {
    /// Opens this machine's.
    ///
    /// # Errors
    ///
    /// [`TpmError::Open`].
    pub fn open() -> Result<Self, TpmError> {
        let file = OpenOptions::new().read(true).write(true).open(DEVICE);
        file.map(Self).map_err(|source| TpmError::Open { path: DEVICE.into(), source })
    }

    /// Whether the machine has one that the kernel knows.
    #[must_use]
    pub fn is_there() -> bool {
        Path::new(DEVICE).exists()
    }
}

impl<T: Read + Write> Tpm<T> {
    /// A TPM at the other end of a transport that takes a command in one write.
    pub const fn over(transport: T) -> Self {
        Self(transport)
    }

    /// Measures that a phase begins: extends register 11 of SHA-256 with its word's digest, as systemd does.
    ///
    /// # Errors
    ///
    /// [`TpmError`].
    pub fn measure(&mut self, phase: Phase) -> Result<(), TpmError> {
        self.extend(Phase::PCR, Sha256::digest(phase.word()).into())
    }

    /// Extends a register of SHA-256 with a digest. `TPM2_PCR_Extend`.
    ///
    /// # Errors
    ///
    /// [`TpmError`].
    pub fn extend(&mut self, pcr: u32, digest: [u8; 32]) -> Result<(), TpmError> {
        let operation = "extend a register";
        let protocol = |source| TpmError::Answer { operation, source };
        let digest = TpmtHa {
            hash_alg: TpmAlgId::Sha256,
            digest: TpmuHa::Digest(digest.as_slice().try_into().map_err(protocol)?),
        };
        let mut digests = TpmlDigestValues::default();
        digests.try_push(digest).map_err(protocol)?;
        let command = TpmPcrExtendCommand { handles: [TpmHandle::new(pcr)], digests };
        self.run::<_, TpmPcrExtendResponse>(operation, &command, true).map(drop)
    }

    /// What an index of its memory is. `TPM2_NV_ReadPublic`.
    fn nv_public(&mut self, index: u32) -> Result<TpmsNvPublic, TpmError> {
        let command = TpmNvReadPublicCommand { handles: [TpmHandle::new(index)] };
        let answer: TpmNvReadPublicResponse = self.run("read what an index is", &command, false)?;
        Ok(answer.nv_public.inner)
    }

    /// Makes an index. `TPM2_NV_DefineSpace`, by the owner.
    fn nv_define(&mut self, public: TpmsNvPublic) -> Result<(), TpmError> {
        let command = TpmNvDefineSpaceCommand {
            handles: [owner()],
            auth: Tpm2bAuth::default(),
            public_info: Tpm2bNvPublic { inner: public },
        };
        self.run::<_, TpmNvDefineSpaceResponse>("define an index", &command, true).map(drop)
    }

    /// The 64 bits of an index. `TPM2_NV_Read`, by the index's own authorisation.
    fn nv_read_bits(&mut self, index: u32) -> Result<u64, TpmError> {
        let operation = "read an index";
        let size = TpmUint16::from(u16::try_from(size_of::<u64>()).unwrap_or(u16::MAX));
        let handles = [TpmHandle::new(index), TpmHandle::new(index)];
        let command = TpmNvReadCommand { handles, size, offset: TpmUint16::from(0) };
        let answer: TpmNvReadResponse = self.run(operation, &command, true)?;
        let bytes = (*answer.data).try_into();
        let short =
            |_| ProtocolError::UnexpectedEnd { offset: 0, needed: size_of::<u64>(), available: answer.data.len() };
        bytes.map(u64::from_be_bytes).map_err(|error| TpmError::Answer { operation, source: short(error) })
    }

    /// Sets those of an index's bits that are set here. `TPM2_NV_SetBits`, by the owner.
    fn nv_set_bits(&mut self, index: u32, bits: u64) -> Result<(), TpmError> {
        let command = TpmNvSetBitsCommand { handles: [owner(), TpmHandle::new(index)], bits: TpmUint64::from(bits) };
        self.run::<_, TpmNvSetBitsResponse>("set bits of an index", &command, true).map(drop)
    }

    fn run<C, R>(&mut self, operation: &'static str, command: &C, authorised: bool) -> Result<R, TpmError>
    where
        C: TpmFrame,
        R: TpmHeader + TpmUnmarshalBody,
    {
        let protocol = |source| TpmError::Answer { operation, source };
        let talk = |source| TpmError::Talk { operation, source };
        let mut buffer = [0; TPM_FRAME_BYTES];
        let mut writer = TpmWriter::new(&mut buffer);
        let (tag, sessions): (_, &[_]) =
            if authorised { (TpmSt::Sessions, &[empty_password()]) } else { (TpmSt::NoSessions, &[]) };
        tpm_marshal_command(command, tag, sessions, &mut writer).map_err(protocol)?;
        self.0.write_all(writer.as_bytes()).map_err(talk)?;
        let answer = read_answer(&mut self.0, &mut buffer).map_err(talk)?;
        let answer = TpmResponse::cast(answer).map_err(protocol)?;
        let code = answer.rc().map_err(protocol)?;
        if code != TpmRc::Fmt0(TpmRcBase::Success) {
            return Err(TpmError::Refused { operation, code });
        }
        let answered = answer.tag().map_err(protocol)?;
        if answered != tag {
            return Err(protocol(ProtocolError::InvalidTag { offset: 0, value: u64::from(answered as u16) }));
        }
        answer.unmarshal().map_err(protocol)
    }
}

/// Whole answers: the kernel gives one with a single read, a socket maybe not.
fn read_answer<'a>(from: &mut impl Read, buffer: &'a mut [u8; TPM_FRAME_BYTES]) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    loop {
        let wanted = match buffer[..filled].get(SIZE_AT..SIZE_AT + 4) {
            Some(size) if filled >= HEADER_BYTES => {
                let size = size.iter().fold(0_u32, |size, byte| size << 8 | u32::from(*byte));
                usize::try_from(size).unwrap_or(usize::MAX)
            }
            _ => HEADER_BYTES,
        };
        if wanted > buffer.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {wanted} bytes")));
        }
        if filled >= wanted.max(HEADER_BYTES) {
            return Ok(&buffer[..filled]);
        }
        match from.read(&mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
}

fn owner() -> TpmHandle {
    TpmHandle::new(TpmRh::Owner as u32)
}

fn empty_password() -> TpmsAuthCommand {
    TpmsAuthCommand {
        session_handle: TpmHandle::new(TpmRh::Pw as u32),
        nonce: Tpm2bNonce::default(),
        session_attributes: TpmaSession::empty(),
        hmac: Tpm2bAuth::default(),
    }
}
