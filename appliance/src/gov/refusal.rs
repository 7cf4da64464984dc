//! Why the governance contract refuses something, in words with what to do about it.

use alloy_primitives::hex;
use alloy_sol_types::SolInterface as _;
use dolmen_governance::{Role, Status, contract, contract::GovernanceErrors};

use super::chain::Refusal;

/// The error of a call, with the contract's reason in words where it reverted.
pub(super) fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<Refusal>().and_then(Refusal::revert_data) {
        Some(data) => anyhow::anyhow!("the governance contract refuses this: {}", reason(&data)),
        None => error,
    }
}

/// What revert data says.
fn reason(data: &[u8]) -> String {
    match GovernanceErrors::abi_decode(data) {
        Ok(error) => sentence(&error),
        Err(_) if data.is_empty() => "it gives no reason; the data may not be that of its kind".to_owned(),
        Err(_) => format!("it answers {}, which this version does not know", hex::encode_prefixed(data)),
    }
}

fn sentence(error: &GovernanceErrors) -> String {
    match error {
        GovernanceErrors::NotSystem(_) => "only the node itself may call this".to_owned(),
        GovernanceErrors::AlreadyInitialized(_) | GovernanceErrors::NotInitialized(_) => {
            "only the node itself calls this, once".to_owned()
        }
        GovernanceErrors::NotAnOrganisation(contract::NotAnOrganisation { caller }) => format!(
            "{caller} speaks for no organisation of this chain; sign with the account of one that `dolmen gov \
             organisations` lists"
        ),
        GovernanceErrors::NotProposer(contract::NotProposer { id, .. }) => {
            format!("only the organisation that made proposal {id} may take it back; vote against it instead")
        }
        GovernanceErrors::NotOpen(contract::NotOpen { id, status }) => match Status::from_number(*status) {
            None => format!("there is no proposal {id}; `dolmen gov proposals` lists them"),
            Some(status) => format!("proposal {id} is {status} and can no longer be voted on; propose it again"),
        },
        GovernanceErrors::OutOfBounds(contract::OutOfBounds { field }) => bound(field),
        GovernanceErrors::UnknownOrganisation(contract::UnknownOrganisation { organisation }) => {
            format!("there is no active organisation number {organisation} (`dolmen gov organisations`)")
        }
        GovernanceErrors::LastOrganisation(_) => {
            "it is the last organisation, and without any nobody could change the chain; admit another first".to_owned()
        }
        GovernanceErrors::AccountTaken(contract::AccountTaken { account }) => {
            format!("{account} speaks for another organisation; each needs an account of its own")
        }
        GovernanceErrors::NameTaken(contract::NameTaken { name }) => {
            format!("another box or organisation is called {name:?}; choose another name")
        }
        GovernanceErrors::FeeRecipientTaken(contract::FeeRecipientTaken { feeRecipient }) => format!(
            "{feeRecipient} is the fee recipient of another box; each needs its own, because it tells who proposed a \
             block"
        ),
        GovernanceErrors::UnknownBox(contract::UnknownBox { key }) => {
            format!("no box has the key {}; `dolmen gov boxes` lists them", hex::encode(key))
        }
        GovernanceErrors::AlreadyKnown(contract::AlreadyKnown { key }) => format!(
            "the key {} was admitted before, and a retired key never comes back; make the box a new one",
            hex::encode(key)
        ),
        GovernanceErrors::WrongRole(contract::WrongRole { key, role }) => wrong_role(&hex::encode(key), *role),
        GovernanceErrors::NoPossession(contract::NoPossession { key }) => format!(
            "the request is not signed with the key {} for this chain; have the box write it again with `dolmen gov \
             request`",
            hex::encode(key)
        ),
        GovernanceErrors::QuorumAtRisk(contract::QuorumAtRisk { live, needed }) => format!(
            "with this change, {live} of the validators would be known to work, and a quorum of them is {needed}; \
             bring silent ones back first, or make the change in smaller steps, one an epoch"
        ),
        GovernanceErrors::TooManyLeaving(contract::TooManyLeaving { leaving, most }) => format!(
            "{leaving} validators would leave at the end of this epoch, and {most} may; wait for the next epoch with \
             this one"
        ),
    }
}

fn wrong_role(key: &str, role: u8) -> String {
    let rest = match Role::from_number(role) {
        Some(Role::Follower) => "is a follower, and this is for validators",
        Some(Role::Validator) => "is a validator, and this is for followers",
        Some(Role::Retired) => "is retired, which is for good; have it admitted with a new key",
        None => "is not known",
    };
    format!("the box with the key {key} {rest}")
}

/// The rule that a value breaks, or the list that is full.
fn bound(field: &str) -> String {
    let rule = match field {
        "name" => "a box's name has 1 to 32 letters, digits, `-`, `_` or `.`, an organisation's 1 to 128 bytes of text",
        "account" => "an organisation needs an account other than zero",
        "rootCertificate" => "a root certificate has at most 4,096 bytes",
        "organisations" => "a chain has at most 64 organisations; remove one first",
        "key" => "a box needs a key other than zero",
        "feeRecipient" => "a box needs a fee recipient other than zero",
        "endpoint" => "an endpoint is an IP address and a port, at most 64 bytes",
        "boxes" => "a chain has at most 512 boxes that are not retired; retire one first",
        "validators" => "a chain has at most 128 validators; retire or demote one first",
        "open proposals" => "an organisation has at most 32 open proposals; withdraw one first",
        "data" => "a change has at most 8,192 bytes",
        "approvals" => "at most 64 approvals can be asked for",
        "lifetime" => "proposals stay open for 60 s to 365 d",
        "own" => "alone an organisation decides at most about admission, promotion, change and end of its own boxes",
        "gasLimit" => "a block's gas limit is 1,000,000 to 1,000,000,000",
        "blockIntervalMinMs" => "the least interval is 1 ms to the longest one",
        "blockIntervalMaxMs" => "the longest interval is 60,000 ms at most",
        "silentAfterSeconds" => "a validator is silent after 5 s or more, or never (0)",
        "bits" => "permissions are to deploy and to send",
        _ => return format!("`{field}` is out of bounds"),
    };
    rule.to_owned()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};

    use super::*;

    #[test]
    fn refusals_say_what_to_do() {
        let says = |error: GovernanceErrors| reason(&error.abi_encode());
        let quorum = contract::QuorumAtRisk { live: U256::from(2), needed: U256::from(3) };
        let shown = says(GovernanceErrors::QuorumAtRisk(quorum));
        assert!(shown.contains("2 of the validators") && shown.contains("is 3; bring"), "{shown}");
        let none = contract::NotOpen { id: U256::from(9), status: 0 };
        assert!(says(GovernanceErrors::NotOpen(none)).contains("there is no proposal 9"));
        let over = contract::NotOpen { id: U256::from(9), status: 2 };
        assert!(says(GovernanceErrors::NotOpen(over)).contains("proposal 9 is executed"));
        let field = contract::OutOfBounds { field: "lifetime".to_owned() };
        assert!(says(GovernanceErrors::OutOfBounds(field)).contains("60 s to 365 d"));
        let role = contract::WrongRole { key: B256::repeat_byte(1), role: 3 };
        assert!(says(GovernanceErrors::WrongRole(role)).contains("is retired, which is for good"));
    }

    #[test]
    fn anything_else_is_shown_as_it_is() {
        assert!(reason(&[]).contains("no reason"));
        assert!(reason(&hex!("deadbeef")).contains("0xdeadbeef"));
    }
}
