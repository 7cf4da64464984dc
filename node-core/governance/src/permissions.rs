//! Who may send transactions and deploy contracts, read from the contract's storage: a call for each transaction would cost
//! more than most transactions.

use alloy_primitives::{Address, B256, U256, keccak256};

/// The slot of the modes.
pub const MODES_SLOT: U256 = U256::ONE;

/// Which permissions a chain asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// To deploy a contract, an account needs [`Permission::Deploy`].
    pub restrict_deploy: bool,
    /// To send a transaction, an account needs [`Permission::Send`].
    pub restrict_send: bool,
}

impl Modes {
    /// As the slot says.
    pub fn from_slot(value: U256) -> Self {
        Self { restrict_deploy: value.byte(0) != 0, restrict_send: value.byte(1) != 0 }
    }
}

/// What an account may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To deploy contracts.
    Deploy,
    /// To send transactions.
    Send,
}

impl Permission {
    /// Whether an account's slot has it. Accounts of organisations have all of them.
    pub fn is_in(self, value: U256) -> bool {
        const ORGANISATION: u8 = 4;
        let bit = match self {
            Self::Deploy => 1,
            Self::Send => 2,
        };
        value.byte(0) & (bit | ORGANISATION) != 0
    }
}

/// The slot of an account's permissions: those of a mapping in slot 0.
pub fn permission_slot(account: &Address) -> U256 {
    let mut key = [0; 64];
    key[12..32].copy_from_slice(account.as_slice());
    B256::from(keccak256(key)).into()
}
