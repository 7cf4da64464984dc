//! The `dolmen` namespace: who governs the chain and how, and the certificates that prove its blocks.
//!
//! Numbers are quantities, and keys, hashes and signatures are data, as everywhere in Ethereum's JSON-RPC. Questions to
//! the contract may name a past block, as calls may.

mod pending;
mod proposals;
mod view;

use std::{collections::HashSet, sync::Arc};

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, U64, U256};
use dolmen_governance::{Kind, Permission, Policy, Role, contract};

use self::view::{AccountJson, BoxJson, CertificateJson, EpochJson, OrganisationJson, PermissionsJson, PolicyJson};
use crate::{Backend, GovernanceState, RpcError, methods::Methods};

/// Boxes that one question asks for: reading one takes some 25,000 gas.
const BOXES_PAGE: usize = 256;

pub(crate) fn register(methods: &mut Methods) {
    methods.add("dolmen_epoch", 1, async |backend: Arc<Backend>, args| {
        let number: Option<U64> = args.optional(0)?;
        let query = move |backend: &Backend| {
            let found = backend.epoch(number.map(|number| number.to::<u64>()))?;
            Ok(found.map(EpochJson::from))
        };
        backend.read(query).await
    });
    methods.add("dolmen_certificate", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.optional(0)?.unwrap_or_default();
        backend.read(move |backend| Ok(backend.certificate(id)?.map(CertificateJson::from))).await
    });
    methods.add("dolmen_organisations", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.optional(0)?.unwrap_or_default();
        backend.compute(move |backend| organisations(&backend.governance(id)?)).await
    });
    methods.add("dolmen_boxes", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.optional(0)?.unwrap_or_default();
        backend.compute(move |backend| boxes(&backend.governance(id)?)).await
    });
    methods.add("dolmen_policies", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.optional(0)?.unwrap_or_default();
        backend.compute(move |backend| policies(&backend.governance(id)?)).await
    });
    methods.add("dolmen_permissions", 2, async |backend: Arc<Backend>, args| {
        let (account, id): (Option<Address>, BlockId) = (args.optional(0)?, args.optional(1)?.unwrap_or_default());
        backend.compute(move |backend| permissions(&backend.governance(id)?, account)).await
    });
    proposals::register(methods);
    pending::register(methods);
}

/// The active organisations by number.
fn organisations(governance: &GovernanceState<'_>) -> Result<Vec<OrganisationJson>, RpcError> {
    let mut found = governance.ask(&contract::organisationsCall {})?;
    found.sort_unstable_by_key(|organisation| organisation.id);
    let view = |organisation: contract::Organisation| OrganisationJson {
        id: U64::from(organisation.id),
        name: organisation.name,
        account: organisation.account,
        root_certificate: organisation.rootCertificate,
    };
    Ok(found.into_iter().map(view).collect())
}

/// All boxes that ever were, in order of admission.
fn boxes(governance: &GovernanceState<'_>) -> Result<Vec<BoxJson>, RpcError> {
    let active: HashSet<B256> =
        governance.ask(&contract::validatorsCall {})?.into_iter().map(|validator| validator.key).collect();
    let mut all: Vec<BoxJson> = Vec::new();
    loop {
        let (from, count) = (U256::from(all.len()), U256::from(BOXES_PAGE));
        let page = governance.ask(&contract::boxesCall { from, count })?;
        let is_last = page.len() < BOXES_PAGE;
        for found in page {
            let votes = active.contains(&found.key);
            all.push(box_json(governance, found, votes)?);
        }
        if is_last {
            return Ok(all);
        }
    }
}

fn box_json(governance: &GovernanceState<'_>, found: contract::Box, votes: bool) -> Result<BoxJson, RpcError> {
    let last_proposed = votes.then(|| governance.ask(&contract::lastProposedCall { key: found.key })).transpose()?;
    Ok(BoxJson {
        public_key: found.key,
        name: found.name,
        organisation: (found.organisation != 0).then(|| U64::from(found.organisation)),
        role: Role::from_number(found.role).map(Role::name),
        votes,
        standby: found.standby,
        since: U64::from(found.since),
        fee_recipient: found.feeRecipient,
        endpoint: found.endpoint,
        evidence: found.evidence,
        last_proposed: last_proposed.map(U64::from),
    })
}

/// How changes of each kind are decided.
fn policies(governance: &GovernanceState<'_>) -> Result<Vec<PolicyJson>, RpcError> {
    let organisations = governance.ask(&contract::organisationsCall {})?.len();
    let view = |kind: Kind| {
        let policy = policy(governance, kind)?;
        Ok::<_, RpcError>(PolicyJson {
            kind: kind.name(),
            approvals: U64::from(policy.approvals),
            needed: U64::from(policy.needed(organisations)),
            own: policy.own,
            lifetime_seconds: U64::from(policy.lifetime_s),
        })
    };
    Kind::ALL.into_iter().map(view).collect()
}

/// How changes of a kind are decided.
fn policy(governance: &GovernanceState<'_>, kind: Kind) -> Result<Policy, RpcError> {
    let contract::Policy { approvals, own, lifetime } =
        governance.ask(&contract::policyCall { kind: kind.number() })?;
    Ok(Policy { approvals, own, lifetime_s: lifetime })
}

/// Which permissions the chain asks for, and those of an account.
fn permissions(governance: &GovernanceState<'_>, account: Option<Address>) -> Result<PermissionsJson, RpcError> {
    let contract::PermissionModes { restrictDeploy: restrict_deploy, restrictSend: restrict_send } =
        governance.ask(&contract::permissionModesCall {})?;
    let view = |address: Address| {
        let bits = governance.ask(&contract::permissionsOfCall { account: address })?;
        let has = |permission: Permission| permission.is_in(U256::from(bits));
        let may_send = !restrict_send || has(Permission::Send);
        Ok::<_, RpcError>(AccountJson {
            address,
            deploy: bits & 1 != 0,
            send: bits & 2 != 0,
            organisation: bits & 4 != 0,
            // Whoever deploys sends a transaction with it.
            may_deploy: may_send && (!restrict_deploy || has(Permission::Deploy)),
            may_send,
        })
    };
    Ok(PermissionsJson { restrict_deploy, restrict_send, account: account.map(view).transpose()? })
}
