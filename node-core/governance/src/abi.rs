//! What the contract's ABI says, in Rust.

#![expect(missing_docs, reason = "generated from the contract, which has the documentation")]

alloy_sol_types::sol!(
    #[derive(Debug, PartialEq, Eq)]
    Governance,
    "contract/Governance.json"
);

// What the contract encodes by itself, which its ABI therefore does not list.
alloy_sol_types::sol! {
    struct RecordValidator {
        bytes32 key;
        address feeRecipient;
        string name;
    }

    struct RecordParameters {
        uint64 gasLimit;
        uint64 baseFeePerGas;
        uint64 blockIntervalMinMs;
        uint64 blockIntervalMaxMs;
        uint64 silentAfterSeconds;
    }

    struct EpochRecord {
        uint64 epoch;
        RecordValidator[] validators;
        RecordParameters parameters;
    }

    // The arguments of each kind of change, as the data of a proposal encodes them: what a call of these would carry.

    struct Admission {
        bytes32 key;
        uint32 organisation;
        string name;
        address feeRecipient;
        string endpoint;
        bytes32 evidence;
        bytes possession;
    }

    struct Policy {
        uint16 approvals;
        bool own;
        uint64 lifetime;
    }

    function admitOrganisation(string name, address account, bytes rootCertificate);
    function removeOrganisation(uint32 organisation);
    function changeOrganisation(uint32 organisation, address account, bytes rootCertificate);
    function admitFollower(Admission admission, bool standby);
    function admitValidator(Admission admission);
    function promote(bytes32 key);
    function demote(bytes32 key);
    function retire(bytes32 key);
    function replace(bytes32 retired, Admission admission);
    function changeBox(bytes32 key, address feeRecipient, string endpoint, bool standby);
    function setPolicy(uint8 kind, Policy policy);
    function setParameters(RecordParameters parameters);
    function setPermissionModes(bool restrictDeploy, bool restrictSend);
    function setPermission(address account, uint8 bits);
}
