//! Unsealing under a policy that asks for a counter: tss-esapi has no PolicyNV, so this one operation calls the C library.
//! With what that library writes to standard error, the only unsafe code of the crate.

use std::{
    ffi::CString,
    fmt,
    ptr::{null, null_mut},
};

use dolmen_hsm_api::KeyError;
use tss_esapi::structures::{PcrSelectionList, Private, Public};
use tss_esapi_sys::{
    ESYS_CONTEXT, ESYS_TR, ESYS_TR_NONE, ESYS_TR_PASSWORD, ESYS_TR_RH_OWNER, Esys_CreatePrimary, Esys_Finalize,
    Esys_FlushContext, Esys_Free, Esys_Initialize, Esys_Load, Esys_LoadExternal, Esys_PolicyAuthorize, Esys_PolicyNV,
    Esys_PolicyPCR, Esys_StartAuthSession, Esys_TR_FromTPMPublic, Esys_TR_GetName, Esys_TRSess_SetAttributes,
    Esys_Unseal, Esys_VerifySignature, TPM2B_DATA, TPM2B_DIGEST, TPM2B_NAME, TPM2B_OPERAND, TPM2B_PRIVATE,
    TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPM2B_SENSITIVE_DATA, TPML_PCR_SELECTION, TPMT_SIGNATURE, TPMT_SYM_DEF,
    TPMT_TK_VERIFIED, TSS2_TCTI_CONTEXT, Tss2_TctiLdr_Finalize, Tss2_TctiLdr_Initialize,
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{nv, policy::UNSIGNED_LE, sealed::Checked, template};

/// Sensitive data, attributes of a session (TPM 2.0 Library, Part 2 §8.4): it goes on, and both ways are encrypted.
const SESSION_ATTRIBUTES: u8 = 0x01 | 0x20 | 0x40;
const SE_POLICY: u8 = 0x01;
const ALG_AES: u16 = 0x0006;
const ALG_SHA256: u16 = 0x000b;
const ALG_ECDSA: u16 = 0x0018;
const ALG_CFB: u16 = 0x0043;

/// The step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Connect,
    Prepare,
    Load,
    Floor,
    Approval,
    Registers,
    Unseal,
}

/// Has libtss2 write nothing to standard error unless the environment's `TSS2_LOG` says otherwise: each failure that it
/// would report there, and each answer that is none, comes back as an error too. Does nothing once there are threads.
pub fn silence_library() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone && std::env::var_os("TSS2_LOG").is_none() {
        // SAFETY: nobody else reads or writes the environment, since this is the only thread.
        unsafe { std::env::set_var("TSS2_LOG", "all+NONE") };
    }
}

/// A step and the library's code.
#[derive(Debug)]
pub(crate) struct UnsealError {
    step: Step,
    code: u32,
}

impl UnsealError {
    /// What of the policy does not hold, where the TPM said so.
    pub(crate) fn reason(&self, pcrs: &[u8], checked: Option<&Checked>) -> Option<String> {
        // Codes of format one have the number of a handle, session or parameter in them.
        let (layer, code) = (self.code >> 16, self.code & 0xffff);
        if layer != 0 {
            return None;
        }
        let code = if code & 0x80 == 0 { code } else { code & 0xbf };
        match (self.step, code) {
            (Step::Load, 0x9f) => {
                Some("another TPM sealed it, or this one was cleared since; nothing here opens it".into())
            }
            (Step::Floor, 0x126) => checked.map(|checked| {
                format!(
                    "the approved version {} is below the floor of this box; take a newer version of the software",
                    checked.version
                )
            }),
            (Step::Floor, 0x8b | 0x14a) => {
                Some("this TPM has no version floor any more; it was cleared since the secret was sealed".into())
            }
            (Step::Approval, _) => {
                Some("the approval is not signed by the authority that the secret was sealed for".into())
            }
            (Step::Registers, 0x84) => {
                Some("what runs is not what was approved: its registers differ from the approval's".into())
            }
            (Step::Unseal, 0x9d) => Some(format!(
                "registers {pcrs:?} are not what they were when it was sealed: the firmware or its settings, Secure Boot or \
                 the software changed"
            )),
            _ => None,
        }
    }

    pub(crate) fn into_error(self, device: &str) -> KeyError {
        let (device, reason) = (format!("the TPM {device}"), self.to_string());
        if self.step == Step::Connect || self.code >> 16 != 0 {
            KeyError::Absent { device, reason }
        } else {
            KeyError::Device { device, operation: "unseal", reason }
        }
    }
}

impl fmt::Display for UnsealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {:#x} at the step {:?}", self.code, self.step)
    }
}

/// A connection, and what must be flushed before it ends.
struct Esys {
    tcti: *mut TSS2_TCTI_CONTEXT,
    context: *mut ESYS_CONTEXT,
    handles: Vec<ESYS_TR>,
}

impl Drop for Esys {
    fn drop(&mut self) {
        // SAFETY: each handle is this context's and is flushed once; both contexts are finalized once, in the order that
        // the library asks for, and are null where they were not made, which the finalizers take.
        unsafe {
            for handle in self.handles.drain(..).rev() {
                Esys_FlushContext(self.context, handle);
            }
            Esys_Finalize(&mut self.context);
            Tss2_TctiLdr_Finalize(&mut self.tcti);
        }
    }
}

fn check(step: Step, code: u32) -> Result<(), UnsealError> {
    if code == 0 { Ok(()) } else { Err(UnsealError { step, code }) }
}

impl Esys {
    fn connect(tcti: &str) -> Result<Self, UnsealError> {
        let name = CString::new(tcti).map_err(|_| UnsealError { step: Step::Connect, code: u32::MAX })?;
        let mut esys = Self { tcti: null_mut(), context: null_mut(), handles: Vec::new() };
        // SAFETY: the name ends with zero and outlives the call; both pointers are written by the library.
        unsafe {
            check(Step::Connect, Tss2_TctiLdr_Initialize(name.as_ptr(), &mut esys.tcti))?;
            check(Step::Connect, Esys_Initialize(&mut esys.context, esys.tcti, null_mut()))?;
        }
        Ok(esys)
    }

    fn keep(&mut self, handle: ESYS_TR) -> ESYS_TR {
        self.handles.push(handle);
        handle
    }

    fn flush(&mut self, handle: ESYS_TR) {
        self.handles.retain(|kept| *kept != handle);
        // SAFETY: the handle is this context's and was just taken off the list of those that are still to be flushed.
        unsafe { Esys_FlushContext(self.context, handle) };
    }

    fn storage_root(&mut self) -> Result<ESYS_TR, UnsealError> {
        let template = structure(Step::Prepare, template::storage_root().and_then(TPM2B_PUBLIC::try_from))?;
        let (sensitive, outside, pcrs) =
            (TPM2B_SENSITIVE_CREATE::default(), TPM2B_DATA::default(), TPML_PCR_SELECTION::default());
        let mut handle = ESYS_TR_NONE;
        // SAFETY: all structures outlive the call; the outputs that are null are not wanted.
        check(Step::Prepare, unsafe {
            Esys_CreatePrimary(
                self.context,
                ESYS_TR_RH_OWNER,
                ESYS_TR_PASSWORD,
                ESYS_TR_NONE,
                ESYS_TR_NONE,
                &sensitive,
                &template,
                &outside,
                &pcrs,
                &mut handle,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
            )
        })?;
        Ok(self.keep(handle))
    }

    fn load(&mut self, root: ESYS_TR, private: Private, public: Public) -> Result<ESYS_TR, UnsealError> {
        let private = TPM2B_PRIVATE::from(private);
        let public = structure(Step::Load, TPM2B_PUBLIC::try_from(public))?;
        let mut handle = ESYS_TR_NONE;
        // SAFETY: both structures outlive the call.
        check(Step::Load, unsafe {
            Esys_Load(self.context, root, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &private, &public, &mut handle)
        })?;
        Ok(self.keep(handle))
    }

    /// A policy session that is salted with the storage root.
    fn session(&mut self, root: ESYS_TR) -> Result<ESYS_TR, UnsealError> {
        let mut symmetric = TPMT_SYM_DEF { algorithm: ALG_AES, ..TPMT_SYM_DEF::default() };
        symmetric.keyBits.aes = 128;
        symmetric.mode.aes = ALG_CFB;
        let mut handle = ESYS_TR_NONE;
        // SAFETY: the structure outlives the call; a null nonce has the library make one.
        unsafe {
            check(
                Step::Prepare,
                Esys_StartAuthSession(
                    self.context,
                    root,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    null(),
                    SE_POLICY,
                    &symmetric,
                    ALG_SHA256,
                    &mut handle,
                ),
            )?;
        }
        let session = self.keep(handle);
        // SAFETY: the session is this context's.
        check(Step::Prepare, unsafe { Esys_TRSess_SetAttributes(self.context, session, SESSION_ATTRIBUTES, 0xff) })?;
        Ok(session)
    }

    fn policy_pcr(&mut self, session: ESYS_TR, pcrs: &PcrSelectionList) -> Result<(), UnsealError> {
        let (values, pcrs) = (TPM2B_DIGEST::default(), TPML_PCR_SELECTION::from(pcrs.clone()));
        // SAFETY: both structures outlive the call; an empty digest stands for the values that the registers have.
        check(Step::Registers, unsafe {
            Esys_PolicyPCR(self.context, session, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &values, &pcrs)
        })
    }

    fn policy_floor(&mut self, session: ESYS_TR, version: u64) -> Result<(), UnsealError> {
        let mut operand = TPM2B_OPERAND { size: 8, ..TPM2B_OPERAND::default() };
        operand.buffer[..8].copy_from_slice(&version.to_be_bytes());
        let mut index = ESYS_TR_NONE;
        // SAFETY: the operand outlives the calls; the index's handle is the library's own object and not one of the TPM.
        unsafe {
            let found =
                Esys_TR_FromTPMPublic(self.context, nv::FLOOR, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &mut index);
            check(Step::Floor, found)?;
            check(
                Step::Floor,
                Esys_PolicyNV(
                    self.context,
                    index,
                    index,
                    session,
                    ESYS_TR_PASSWORD,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    &operand,
                    0,
                    UNSIGNED_LE,
                ),
            )
        }
    }

    fn policy_authorize(&mut self, session: ESYS_TR, approval: &Checked) -> Result<(), UnsealError> {
        let key = structure(Step::Approval, TPM2B_PUBLIC::try_from(approval.key.clone()))?;
        let (digest, policy, reference) =
            (sized(&approval.digest), sized(&approval.policy), sized(&approval.reference));
        let signature = ecdsa(&approval.signature);
        let mut handle = ESYS_TR_NONE;
        // SAFETY: all structures outlive the calls; what the library allocates is freed once, after its last use.
        unsafe {
            let loaded = Esys_LoadExternal(
                self.context,
                ESYS_TR_NONE,
                ESYS_TR_NONE,
                ESYS_TR_NONE,
                null(),
                &key,
                ESYS_TR_RH_OWNER,
                &mut handle,
            );
            check(Step::Approval, loaded)?;
            let key = self.keep(handle);
            let mut name: *mut TPM2B_NAME = null_mut();
            check(Step::Approval, Esys_TR_GetName(self.context, key, &mut name))?;
            let mut ticket: *mut TPMT_TK_VERIFIED = null_mut();
            let verified = Esys_VerifySignature(
                self.context,
                key,
                ESYS_TR_NONE,
                ESYS_TR_NONE,
                ESYS_TR_NONE,
                &digest,
                &signature,
                &mut ticket,
            );
            let result = check(Step::Approval, verified).and_then(|()| {
                let authorized = Esys_PolicyAuthorize(
                    self.context,
                    session,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    ESYS_TR_NONE,
                    &policy,
                    &reference,
                    name,
                    ticket,
                );
                check(Step::Registers, authorized)
            });
            Esys_Free(name.cast());
            Esys_Free(ticket.cast());
            self.flush(key);
            result
        }
    }

    fn unseal(&mut self, object: ESYS_TR, session: ESYS_TR) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
        let mut data: *mut TPM2B_SENSITIVE_DATA = null_mut();
        // SAFETY: the library writes a pointer to a structure of its own where it succeeds; it is read within its size,
        // wiped and freed once.
        unsafe {
            let unsealed = Esys_Unseal(self.context, object, session, ESYS_TR_NONE, ESYS_TR_NONE, &mut data);
            check(Step::Unseal, unsealed)?;
            let size = usize::from((*data).size).min((*data).buffer.len());
            let secret = Zeroizing::new((&(*data).buffer)[..size].to_vec());
            (*data).buffer.zeroize();
            Esys_Free(data.cast());
            Ok(secret)
        }
    }
}

/// Unseals a secret, after the steps of its policy: first what the authority approves, then the registers.
pub(crate) fn unseal(
    tcti: &str,
    private: Private,
    public: Public,
    approval: Option<&Checked>,
    pcrs: Option<&PcrSelectionList>,
) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let mut esys = Esys::connect(tcti)?;
    let root = esys.storage_root()?;
    let object = esys.load(root, private, public)?;
    let session = esys.session(root)?;
    // A TPM without resource manager has three places for objects.
    esys.flush(root);
    if let Some(approval) = approval {
        esys.policy_pcr(session, &approval.pcrs)?;
        esys.policy_floor(session, approval.version)?;
        esys.policy_authorize(session, approval)?;
    }
    if let Some(pcrs) = pcrs {
        esys.policy_pcr(session, pcrs)?;
    }
    esys.unseal(object, session)
}

fn structure<T>(step: Step, made: tss_esapi::Result<T>) -> Result<T, UnsealError> {
    made.map_err(|_| UnsealError { step, code: u32::MAX })
}

/// Bytes in a structure with their length; longer ones are cut, and then fit nothing.
fn sized(bytes: &[u8]) -> TPM2B_DIGEST {
    let mut digest = TPM2B_DIGEST::default();
    let length = bytes.len().min(digest.buffer.len());
    digest.buffer[..length].copy_from_slice(&bytes[..length]);
    digest.size = u16::try_from(length).expect("at most 64");
    digest
}

fn ecdsa(pair: &[u8; 64]) -> TPMT_SIGNATURE {
    let mut signature = TPMT_SIGNATURE { sigAlg: ALG_ECDSA, ..TPMT_SIGNATURE::default() };
    // SAFETY: the algorithm just written says that this is the member of the union that counts.
    let ecdsa = unsafe { &mut signature.signature.ecdsa };
    ecdsa.hash = ALG_SHA256;
    for (number, bytes) in [(&mut ecdsa.signatureR, &pair[..32]), (&mut ecdsa.signatureS, &pair[32..])] {
        number.size = 32;
        number.buffer[..32].copy_from_slice(bytes);
    }
    signature
}
