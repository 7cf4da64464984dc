//! What a proposal changes.

use std::{fmt, str::FromStr};

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use dolmen_types::PublicKey;

use crate::{Modes, Parameters, abi};

/// The kind of a change, by its number in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is a Change, which has the documentation")]
pub enum Kind {
    AdmitOrganisation,
    RemoveOrganisation,
    ChangeOrganisation,
    AdmitFollower,
    AdmitValidator,
    Promote,
    Demote,
    Retire,
    Replace,
    ChangeBox,
    SetPolicy,
    SetParameters,
    SetPermissionModes,
    SetPermission,
}

impl Kind {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 14] = [
        Self::AdmitOrganisation,
        Self::RemoveOrganisation,
        Self::ChangeOrganisation,
        Self::AdmitFollower,
        Self::AdmitValidator,
        Self::Promote,
        Self::Demote,
        Self::Retire,
        Self::Replace,
        Self::ChangeBox,
        Self::SetPolicy,
        Self::SetParameters,
        Self::SetPermissionModes,
        Self::SetPermission,
    ];

    /// The kind with a number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdmitOrganisation => "admit-organisation",
            Self::RemoveOrganisation => "remove-organisation",
            Self::ChangeOrganisation => "change-organisation",
            Self::AdmitFollower => "admit-follower",
            Self::AdmitValidator => "admit-validator",
            Self::Promote => "promote",
            Self::Demote => "demote",
            Self::Retire => "retire",
            Self::Replace => "replace",
            Self::ChangeBox => "change-box",
            Self::SetPolicy => "set-policy",
            Self::SetParameters => "set-parameters",
            Self::SetPermissionModes => "set-permission-modes",
            Self::SetPermission => "set-permission",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("{name:?} is no kind of change; it may be {}", names()))
    }
}

/// A box that asks to be admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Its consensus key.
    pub key: PublicKey,
    /// The organisation that it belongs to, by number.
    pub organisation: u32,
    /// Its name: 1 to 32 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// Where its fees go when it proposes.
    pub fee_recipient: Address,
    /// `IP:PORT` where other boxes reach it; empty where it only calls others.
    pub endpoint: String,
    /// Hash of the evidence on which it is admitted, zero where there is none.
    pub evidence: B256,
    /// Its signature over [`possession_message`](crate::possession_message).
    pub possession: Bytes,
}

/// How changes of a kind are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Organisations that must approve; 0 for a majority.
    pub approvals: u16,
    /// Whether the proposing organisation alone decides about its own boxes.
    pub own: bool,
    /// Seconds that a proposal stays open.
    pub lifetime_s: u64,
}

impl Policy {
    /// Organisations that must approve where there are so many: never more than all of them.
    pub fn needed(&self, organisations: usize) -> usize {
        match usize::from(self.approvals) {
            0 => (organisations / 2 + 1).min(organisations),
            approvals => approvals.min(organisations),
        }
    }
}

/// What a proposal changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the contract's names")]
#[expect(missing_docs, reason = "the fields are those of the contract's kinds, or of the types here")]
pub enum Change {
    /// A new member of the consortium.
    AdmitOrganisation { name: String, account: Address, root_certificate: Bytes },
    /// A member leaves, with all of its boxes.
    RemoveOrganisation { organisation: u32 },
    /// A member votes by another account, or has another certificate.
    ChangeOrganisation { organisation: u32, account: Address, root_certificate: Bytes },
    /// A box that takes finalized blocks and does not vote.
    AdmitFollower { admission: Admission, standby: bool },
    /// A box that votes.
    AdmitValidator { admission: Admission },
    /// A follower votes.
    Promote { key: PublicKey },
    /// A validator follows.
    Demote { key: PublicKey },
    /// A box leaves; its key never comes back.
    Retire { key: PublicKey },
    /// A box takes a validator's place, which leaves.
    Replace { retired: PublicKey, admission: Admission },
    /// A box is found elsewhere, is paid elsewhere, or stands by or not.
    ChangeBox { key: PublicKey, fee_recipient: Address, endpoint: String, standby: bool },
    /// Changes of a kind are decided in another way.
    SetPolicy { kind: Kind, policy: Policy },
    /// The chain's parameters.
    SetParameters(Parameters),
    /// Which permissions accounts need.
    SetPermissionModes(Modes),
    /// What an account may: bit 0 to deploy, bit 1 to send.
    SetPermission { account: Address, bits: u8 },
}

/// Why a proposal's data is not that of a change.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A kind that this program does not know.
    #[error("{0} is not the number of a kind of change that this version knows")]
    Kind(u8),
    /// Not the arguments of its kind.
    #[error("the data is not that of a change of kind {kind}")]
    Data {
        /// The kind.
        kind: Kind,
        /// What is wrong.
        #[source]
        source: alloy_sol_types::Error,
    },
}

impl Change {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::AdmitOrganisation { .. } => Kind::AdmitOrganisation,
            Self::RemoveOrganisation { .. } => Kind::RemoveOrganisation,
            Self::ChangeOrganisation { .. } => Kind::ChangeOrganisation,
            Self::AdmitFollower { .. } => Kind::AdmitFollower,
            Self::AdmitValidator { .. } => Kind::AdmitValidator,
            Self::Promote { .. } => Kind::Promote,
            Self::Demote { .. } => Kind::Demote,
            Self::Retire { .. } => Kind::Retire,
            Self::Replace { .. } => Kind::Replace,
            Self::ChangeBox { .. } => Kind::ChangeBox,
            Self::SetPolicy { .. } => Kind::SetPolicy,
            Self::SetParameters(_) => Kind::SetParameters,
            Self::SetPermissionModes(_) => Kind::SetPermissionModes,
            Self::SetPermission { .. } => Kind::SetPermission,
        }
    }

    /// The kind whose policy decides about it: a box that is to stand by takes what a promotion takes, because it may
    /// become a validator without another vote. `stands_by` says whether the box of a [`Change::ChangeBox`] does so
    /// already.
    pub const fn decided_as(&self, stands_by: bool) -> Kind {
        match self {
            Self::AdmitFollower { standby: true, .. } => Kind::Promote,
            Self::ChangeBox { standby: true, .. } if !stands_by => Kind::Promote,
            _ => self.kind(),
        }
    }

    /// The call that proposes it.
    pub fn propose(&self) -> Bytes {
        let (kind, data) = (self.kind().number(), self.data());
        abi::Governance::proposeCall { kind, data }.abi_encode().into()
    }

    /// The data of its proposal.
    pub fn data(&self) -> Bytes {
        let key = |key: &PublicKey| B256::from(key.0);
        match self.clone() {
            Self::AdmitOrganisation { name, account, root_certificate } => {
                arguments(abi::admitOrganisationCall { name, account, rootCertificate: root_certificate })
            }
            Self::RemoveOrganisation { organisation } => arguments(abi::removeOrganisationCall { organisation }),
            Self::ChangeOrganisation { organisation, account, root_certificate } => {
                arguments(abi::changeOrganisationCall { organisation, account, rootCertificate: root_certificate })
            }
            Self::AdmitFollower { admission, standby } => {
                arguments(abi::admitFollowerCall { admission: admission.into(), standby })
            }
            Self::AdmitValidator { admission } => arguments(abi::admitValidatorCall { admission: admission.into() }),
            Self::Promote { key: of } => arguments(abi::promoteCall { key: key(&of) }),
            Self::Demote { key: of } => arguments(abi::demoteCall { key: key(&of) }),
            Self::Retire { key: of } => arguments(abi::retireCall { key: key(&of) }),
            Self::Replace { retired, admission } => {
                arguments(abi::replaceCall { retired: key(&retired), admission: admission.into() })
            }
            Self::ChangeBox { key: of, fee_recipient, endpoint, standby } => {
                arguments(abi::changeBoxCall { key: key(&of), feeRecipient: fee_recipient, endpoint, standby })
            }
            Self::SetPolicy { kind, policy } => {
                let Policy { approvals, own, lifetime_s: lifetime } = policy;
                let policy = abi::Policy { approvals, own, lifetime };
                arguments(abi::setPolicyCall { kind: kind.number(), policy })
            }
            Self::SetParameters(parameters) => arguments(abi::setParametersCall { parameters: parameters.into() }),
            Self::SetPermissionModes(Modes { restrict_deploy, restrict_send }) => {
                arguments(abi::setPermissionModesCall { restrictDeploy: restrict_deploy, restrictSend: restrict_send })
            }
            Self::SetPermission { account, bits } => arguments(abi::setPermissionCall { account, bits }),
        }
    }

    /// Reads a proposal's data.
    pub fn decode(kind: u8, data: &[u8]) -> Result<Self, ChangeError> {
        let kind = Kind::from_number(kind).ok_or(ChangeError::Kind(kind))?;
        let key = |key: B256| PublicKey(key.0);
        Ok(match kind {
            Kind::AdmitOrganisation => {
                let abi::admitOrganisationCall { name, account, rootCertificate } = read(kind, data)?;
                Self::AdmitOrganisation { name, account, root_certificate: rootCertificate }
            }
            Kind::RemoveOrganisation => {
                let abi::removeOrganisationCall { organisation } = read(kind, data)?;
                Self::RemoveOrganisation { organisation }
            }
            Kind::ChangeOrganisation => {
                let abi::changeOrganisationCall { organisation, account, rootCertificate } = read(kind, data)?;
                Self::ChangeOrganisation { organisation, account, root_certificate: rootCertificate }
            }
            Kind::AdmitFollower => {
                let abi::admitFollowerCall { admission, standby } = read(kind, data)?;
                Self::AdmitFollower { admission: admission.into(), standby }
            }
            Kind::AdmitValidator => {
                let abi::admitValidatorCall { admission } = read(kind, data)?;
                Self::AdmitValidator { admission: admission.into() }
            }
            Kind::Promote => Self::Promote { key: key(read::<abi::promoteCall>(kind, data)?.key) },
            Kind::Demote => Self::Demote { key: key(read::<abi::demoteCall>(kind, data)?.key) },
            Kind::Retire => Self::Retire { key: key(read::<abi::retireCall>(kind, data)?.key) },
            Kind::Replace => {
                let abi::replaceCall { retired, admission } = read(kind, data)?;
                Self::Replace { retired: key(retired), admission: admission.into() }
            }
            Kind::ChangeBox => {
                let abi::changeBoxCall { key: of, feeRecipient, endpoint, standby } = read(kind, data)?;
                Self::ChangeBox { key: key(of), fee_recipient: feeRecipient, endpoint, standby }
            }
            Kind::SetPolicy => {
                let abi::setPolicyCall { kind: of, policy } = read(kind, data)?;
                let abi::Policy { approvals, own, lifetime: lifetime_s } = policy;
                let of = Kind::from_number(of).ok_or(ChangeError::Kind(of))?;
                Self::SetPolicy { kind: of, policy: Policy { approvals, own, lifetime_s } }
            }
            Kind::SetParameters => Self::SetParameters(read::<abi::setParametersCall>(kind, data)?.parameters.into()),
            Kind::SetPermissionModes => {
                let abi::setPermissionModesCall { restrictDeploy, restrictSend } = read(kind, data)?;
                Self::SetPermissionModes(Modes { restrict_deploy: restrictDeploy, restrict_send: restrictSend })
            }
            Kind::SetPermission => {
                let abi::setPermissionCall { account, bits } = read(kind, data)?;
                Self::SetPermission { account, bits }
            }
        })
    }
}

/// The arguments of a call, without what names its function.
fn arguments(call: impl SolCall) -> Bytes {
    call.abi_encode().split_off(4).into()
}

fn read<C: SolCall>(kind: Kind, data: &[u8]) -> Result<C, ChangeError> {
    C::abi_decode_raw_validate(data).map_err(|source| ChangeError::Data { kind, source })
}

impl From<Admission> for abi::Admission {
    fn from(admission: Admission) -> Self {
        Self {
            key: admission.key.0.into(),
            organisation: admission.organisation,
            name: admission.name,
            feeRecipient: admission.fee_recipient,
            endpoint: admission.endpoint,
            evidence: admission.evidence,
            possession: admission.possession,
        }
    }
}

impl From<abi::Admission> for Admission {
    fn from(admission: abi::Admission) -> Self {
        Self {
            key: PublicKey(admission.key.0),
            organisation: admission.organisation,
            name: admission.name,
            fee_recipient: admission.feeRecipient,
            endpoint: admission.endpoint,
            evidence: admission.evidence,
            possession: admission.possession,
        }
    }
}
