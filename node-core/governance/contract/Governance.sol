// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Governance of a consortium chain
/// @notice Says who votes in consensus, who may follow, what a block may hold and who may send, and lets the
/// organisations of the consortium change that by proposal and vote. The audit trail is the chain.
/// @dev A system contract: its runtime code is in the genesis state at `0xd01e000000000000000000000000000000000001`, so
/// there is no constructor. The node calls `initialize` at genesis, `beforeBlock` at the start of every block and
/// `endEpoch` after the last transaction of every epoch, all as SYSTEM. It takes no ether, has no owner and calls
/// nothing but the Ed25519 precompile.
contract Governance {
    // ---------------------------------------------------------------------------------------------- types and limits

    /// @notice What a box is to the chain.
    enum Role {
        /// Not known.
        None,
        /// Takes finalized blocks, does not vote.
        Follower,
        /// Proposes and votes, from the next epoch on.
        Validator,
        /// Out for good: its key never comes back.
        Retired
    }

    /// @notice Why a box changed its role.
    enum Reason {
        /// A proposal of that very kind.
        Decision,
        /// A proposal of kind Replace.
        Replacement,
        /// The validator was silent and a standby follower took its place.
        Silence,
        /// Its organisation was removed.
        OrganisationRemoved
    }

    /// @notice Where a proposal stands.
    enum Status {
        /// There is no such proposal.
        None,
        /// May be voted on.
        Open,
        /// Approved and carried out.
        Executed,
        /// Can no longer get the approvals it needs.
        Rejected,
        /// Taken back by the organisation that made it.
        Withdrawn,
        /// Its time is over. Computed from the clock, never stored.
        Expired
    }

    /// @notice What a proposal changes. `data` of a proposal is `abi.encode` of the arguments in parentheses.
    enum Kind {
        /// (string name, address account, bytes rootCertificate)
        AdmitOrganisation,
        /// (uint32 organisation). Its boxes are retired with it.
        RemoveOrganisation,
        /// (uint32 organisation, address account, bytes rootCertificate). Both replace what was there.
        ChangeOrganisation,
        /// (Admission admission, bool standby)
        AdmitFollower,
        /// (Admission admission)
        AdmitValidator,
        /// (bytes32 key): from follower to validator.
        Promote,
        /// (bytes32 key): from validator to follower.
        Demote,
        /// (bytes32 key)
        Retire,
        /// (bytes32 retired, Admission admission): retires a validator and admits another in its place.
        Replace,
        /// (bytes32 key, address feeRecipient, string endpoint, bool standby). All three replace what was there.
        ChangeBox,
        /// (Kind kind, Policy policy)
        SetPolicy,
        /// (Parameters parameters)
        SetParameters,
        /// (bool restrictDeploy, bool restrictSend)
        SetPermissionModes,
        /// (address account, uint8 bits): 1 to deploy contracts, 2 to send transactions, 3 for both, 0 for neither.
        SetPermission
    }

    /// @notice A member of the consortium.
    struct Organisation {
        /// From 1, never used twice.
        uint32 id;
        /// Whether it may propose and vote.
        bool active;
        /// The account that proposes and votes for it; unique among active organisations.
        address account;
        /// For people, UTF-8, 1 to 128 bytes; unique among active organisations.
        string name;
        /// X.509 certificate, DER, at most 4,096 bytes; may be empty.
        bytes rootCertificate;
    }

    /// @notice A machine that takes part in the chain.
    struct Box {
        /// Ed25519 public key of its votes and of its sessions with other boxes.
        bytes32 key;
        /// The organisation it belongs to; 0 for none, at genesis only.
        uint32 organisation;
        /// What it is to be from the next epoch on.
        Role role;
        /// A follower that takes the place of a silent validator without a vote.
        bool standby;
        /// Number of the block in which it got its role.
        uint64 since;
        /// Beneficiary of the blocks it proposes, from the next epoch on; unique among boxes that are not retired,
        /// because it tells who proposed a block.
        address feeRecipient;
        /// Hash of the evidence on which it was admitted; 0 for none.
        bytes32 evidence;
        /// For people, 1 to 32 bytes of [A-Za-z0-9._-]; unique among boxes that are not retired.
        string name;
        /// IP address and port, at most 64 bytes; may be empty.
        string endpoint;
    }

    /// @notice A box as it is proposed for admission.
    struct Admission {
        /// Its Ed25519 public key, never seen on this chain before.
        bytes32 key;
        /// Id of the organisation it belongs to.
        uint32 organisation;
        /// See Box.
        string name;
        /// See Box.
        address feeRecipient;
        /// See Box.
        string endpoint;
        /// See Box.
        bytes32 evidence;
        /// Ed25519 signature, 64 bytes, with that key over
        /// `uint8(17) ‖ "dolmen-possession" ‖ uint256(chain id) ‖ address of this contract ‖ key ‖ organisation`: only
        /// the organisation that it names can admit the box with it.
        bytes possession;
    }

    /// @notice How proposals of one kind are decided.
    struct Policy {
        /// Organisations that must approve; 0 for a majority. With fewer organisations, all of them.
        uint16 approvals;
        /// Whether the proposing organisation alone decides when the box concerned is its own.
        bool own;
        /// Seconds that a proposal stays open, 60 to 365 days.
        uint64 lifetime;
    }

    /// @notice A proposal and how it went.
    struct Proposal {
        /// From 1.
        uint256 id;
        /// What it changes.
        Kind kind;
        /// Where it stands at this block's time.
        Status status;
        /// Id of the organisation that made it.
        uint32 organisation;
        /// Unix seconds.
        uint64 created;
        /// Unix seconds; it can be voted on up to and including this second.
        uint64 expires;
        /// Number of the block in which it was executed, rejected or withdrawn; 0 before.
        uint64 decided;
        /// Active organisations for it; once decided, those of then.
        uint8 approvals;
        /// Active organisations against it; once decided, those of then.
        uint8 rejections;
        /// Arguments of the change, see Kind.
        bytes data;
    }

    /// @notice Chain parameters that can change, always at the start of an epoch.
    struct Parameters {
        /// Gas a block may use, 1,000,000 to 1,000,000,000.
        uint64 gasLimit;
        /// Wei per gas, in every block.
        uint64 baseFeePerGas;
        /// Least milliseconds between two blocks, 1 to blockIntervalMaxMs.
        uint64 blockIntervalMinMs;
        /// Most milliseconds that a proposer waits for a transaction, up to 60,000.
        uint64 blockIntervalMaxMs;
        /// Seconds without a block of its own after which a validator counts as silent, at least 5; 0 for never.
        uint64 silentAfterSeconds;
    }

    /// @notice Whether accounts need a permission.
    struct PermissionModes {
        /// To deploy a contract, an account needs permission bit 1.
        bool restrictDeploy;
        /// To send a transaction, an account needs permission bit 2.
        bool restrictSend;
    }

    /// @notice A validator as consensus knows it.
    struct ValidatorInfo {
        /// Ed25519 public key.
        bytes32 key;
        /// Beneficiary of its blocks.
        address feeRecipient;
        /// The box's name.
        string name;
    }

    /// @notice A box to connect with.
    struct Peer {
        /// Ed25519 public key.
        bytes32 key;
        /// IP address and port; may be empty.
        string endpoint;
        /// What it is to be from the next epoch on.
        Role role;
    }

    /// @notice Everything that holds for one epoch.
    struct EpochRecord {
        /// From 0.
        uint64 epoch;
        /// Those who vote, by key ascending.
        ValidatorInfo[] validators;
        /// What blocks obey.
        Parameters parameters;
    }

    /// @notice An organisation at genesis; the first one gets id 1.
    struct InitOrganisation {
        /// See Organisation.
        string name;
        /// See Organisation.
        address account;
        /// See Organisation.
        bytes rootCertificate;
    }

    /// @notice A validator at genesis.
    struct InitBox {
        /// See Box.
        bytes32 key;
        /// Position in the organisations, from 1; 0 for none.
        uint32 organisation;
        /// See Box.
        string name;
        /// See Box.
        address feeRecipient;
        /// See Box.
        string endpoint;
    }

    /// @notice A vote as it was cast.
    struct Ballot {
        /// Id of the organisation.
        uint32 organisation;
        /// For the proposal or against it.
        bool approve;
    }

    /// The wanted set beside the active one; only ever in memory.
    struct Survey {
        /// The wanted set.
        bytes32[] keys;
        /// Size of the active set.
        uint256 active;
        /// Boxes in both sets.
        uint256 common;
        /// Boxes in both sets that are not silent.
        uint256 live;
        /// Boxes in both sets with the fee recipient that the active set knows.
        uint256 same;
    }

    // Permissions of an account, a bit each: to deploy contracts, to send transactions,
    uint8 private constant PERMISSION_DEPLOY = 1;
    uint8 private constant PERMISSION_SEND = 2;
    // and both at any time, for the account of an active organisation; set and cleared by this contract alone.
    uint8 private constant PERMISSION_ORGANISATION = 4;

    // Who the node is when it calls.
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    // Ed25519 verification: key ‖ signature ‖ message in, 1 or nothing out.
    address private constant ED25519VERIFY = 0xd01E000000000000000000000000000000000011;
    // One pass over all boxes must fit a transaction's 16,777,216 gas (EIP-7825) with all of them retired.
    uint256 private constant BOXES_MAX = 512;
    // A quorum certificate carries a signature of 64 bytes from two thirds of them.
    uint256 private constant VALIDATORS_MAX = 128;
    // Each may have cast a vote that every further vote counts again, at 5,000 gas.
    uint256 private constant ORGANISATIONS_MAX = 64;
    // Twice the usual certificates with RSA keys of 4,096 bits; those with post-quantum keys do not fit.
    uint256 private constant ROOT_CERTIFICATE_BYTES_MAX = 4096;
    // Room for the longest root certificate and what stands beside it; storing it costs 6 million gas.
    uint256 private constant DATA_BYTES_MAX = 8192;
    // Each proposal looks through the open ones of its organisation, at 5,000 gas.
    uint256 private constant OPEN_PROPOSALS_MAX = 32;
    // Stands for a standby follower that has been chosen.
    uint256 private constant TAKEN = type(uint256).max;
    // Bytes that a text may hold, a bit for each: letters, digits and ._- for a box's name,
    uint256 private constant NAME_BYTES = 0x07fffffe87fffffe03ff600000000000;
    // hexadecimal digits and .:[] for an IP address with port,
    uint256 private constant ENDPOINT_BYTES = 0x0000007e2800007e07ff400000000000;
    // and all but control characters for an organisation's name.
    uint256 private constant TEXT_BYTES = ~uint256(1 << 127 | type(uint32).max);

    // ------------------------------------------------------------------------------------------------------- storage

    // The node reads slots 0 and 1 directly, so these two stay first.
    // Slot 0: the bits of an account are the lowest byte of slot keccak256(account, 32 bytes ‖ 0, 32 bytes).
    mapping(address account => uint8 bits) private _permissions;
    // Slot 1, alone in it: restrictDeploy is byte 0 (the lowest), restrictSend is byte 1.
    PermissionModes private _modes;

    /// @notice Number of the epoch that runs, from 0.
    uint64 public epoch;
    /// @notice Blocks of an epoch; fixed at genesis.
    uint64 public epochBlocks;
    // Unix seconds of the last block of each member of the active set, by the fee recipient it has there, so that
    // beforeBlock needs one slot. Zero for everyone else: only the active set proposes.
    mapping(address feeRecipient => uint64 time) private _lastProposed;
    // The fee recipient that a box has in the active set; zero for boxes that are not in it.
    mapping(bytes32 key => address feeRecipient) private _activeRecipients;
    // The set that votes in this epoch, by key ascending.
    bytes32[] private _active;
    // The set that is to vote: all boxes with role Validator, in order of admission or promotion.
    bytes32[] private _wanted;

    // By key. The field `key` is stored as zero, since the mapping's key says it.
    mapping(bytes32 key => Box) private _boxes;
    // All boxes ever, in order of admission, and those of them that are not retired.
    bytes32[] private _everyKey;
    bytes32[] private _currentKeys;
    // Who last took a name or a fee recipient; it is free again once that box is retired.
    mapping(bytes32 nameHash => bytes32 key) private _nameOwners;
    mapping(address feeRecipient => bytes32 key) private _recipientOwners;

    // All organisations ever: id 1 at position 0. And the ids of the active ones.
    Organisation[] private _organisations;
    uint32[] private _members;
    /// @notice The active organisation that an account speaks for; 0 for none.
    mapping(address account => uint32 organisation) public organisationOf;
    // By hash; of active organisations.
    mapping(bytes32 nameHash => bool) private _organisationNames;

    mapping(Kind kind => Policy) private _policies;
    Parameters private _wantedParameters;
    Parameters private _activeParameters;

    /// @notice Proposals made so far, which is also the newest one's id.
    uint256 public proposalCount;
    // By id. The field `id` is stored as zero, since the mapping's key says it.
    mapping(uint256 id => Proposal) private _proposals;
    mapping(uint256 id => Ballot[]) private _ballots;
    // Proposals of an organisation that were open when it last proposed.
    mapping(uint32 organisation => uint256[] ids) private _open;

    // -------------------------------------------------------------------------------------------------------- events

    /// @notice An organisation proposed a change, which is its vote for it.
    event Proposed(
        uint256 indexed id, uint32 indexed organisation, Kind indexed kind, uint64 expires, bytes data
    );
    /// @notice An organisation voted, or changed its vote.
    event Voted(uint256 indexed id, uint32 indexed organisation, bool approve);
    /// @notice A proposal was approved and carried out.
    event Executed(uint256 indexed id);
    /// @notice A proposal can no longer be approved.
    event Rejected(uint256 indexed id);
    /// @notice A proposal was taken back.
    event Withdrawn(uint256 indexed id);
    /// @notice An organisation joined the consortium.
    event OrganisationAdmitted(uint32 indexed organisation, address indexed account, string name);
    /// @notice An organisation got another account or root certificate.
    event OrganisationChanged(uint32 indexed organisation, address indexed account);
    /// @notice An organisation left the consortium.
    event OrganisationRemoved(uint32 indexed organisation, address indexed account);
    /// @notice A box was admitted; BoxRoleChanged says as what.
    event BoxAdmitted(
        bytes32 indexed key, uint32 indexed organisation, address indexed feeRecipient, string name, bytes32 evidence
    );
    /// @notice A box has another role, in consensus from the next epoch on.
    event BoxRoleChanged(bytes32 indexed key, Role from, Role to, Reason reason);
    /// @notice A box got another fee recipient, endpoint or standby flag.
    event BoxChanged(bytes32 indexed key, address indexed feeRecipient, string endpoint, bool standby);
    /// @notice Proposals of a kind are decided otherwise from now on, open ones too.
    event PolicySet(Kind indexed kind, Policy policy);
    /// @notice These parameters hold from the next epoch on.
    event ParametersSet(Parameters parameters);
    /// @notice These restrictions hold from now on.
    event PermissionModesSet(bool restrictDeploy, bool restrictSend);
    /// @notice The permissions of an account, all bits.
    event PermissionSet(address indexed account, uint8 bits);
    /// @notice An epoch began; `validators` are the keys of those who vote in it, ascending.
    event EpochStarted(uint64 indexed epoch, bytes32[] validators);
    /// @notice The active set of epoch `epoch` goes on, though another is wanted, because that might not reach its
    /// quorum. `reason` is an encoded error: QuorumAtRisk or TooManyLeaving.
    event EpochHeld(uint64 indexed epoch, bytes reason);

    // -------------------------------------------------------------------------------------------------------- errors

    /// @notice Only the node may call this.
    error NotSystem(address caller);
    /// @notice `initialize` was called before.
    error AlreadyInitialized();
    /// @notice `initialize` was not called yet.
    error NotInitialized();
    /// @notice The caller is not the account of an active organisation.
    error NotAnOrganisation(address caller);
    /// @notice Only the organisation that made a proposal may withdraw it.
    error NotProposer(uint256 id, uint32 organisation);
    /// @notice The proposal cannot be voted on or withdrawn.
    error NotOpen(uint256 id, Status status);
    /// @notice A value is outside of its limits, or a list is full; `field` says which.
    error OutOfBounds(string field);
    /// @notice There is no active organisation with this id.
    error UnknownOrganisation(uint32 organisation);
    /// @notice The last organisation cannot be removed.
    error LastOrganisation(uint32 organisation);
    /// @notice Another active organisation has this account.
    error AccountTaken(address account);
    /// @notice Another box, or another active organisation, has this name.
    error NameTaken(string name);
    /// @notice Another box has this fee recipient.
    error FeeRecipientTaken(address feeRecipient);
    /// @notice There is no box with this key.
    error UnknownBox(bytes32 key);
    /// @notice A box with this key was admitted before; it may be retired.
    error AlreadyKnown(bytes32 key);
    /// @notice The change does not apply to a box in this role.
    error WrongRole(bytes32 key, Role role);
    /// @notice The signature does not prove possession of the box's key.
    error NoPossession(bytes32 key);
    /// @notice With this change, only `live` of the validators that would be wanted vote at present and are heard, and
    /// their quorum is `needed`.
    error QuorumAtRisk(uint256 live, uint256 needed);
    /// @notice With this change, `leaving` validators would leave at the end of the epoch, and `most` may.
    error TooManyLeaving(uint256 leaving, uint256 most);

    // --------------------------------------------------------------------------------------------------- system calls

    modifier onlySystem() {
        _requireSystem();
        _;
    }

    /// @notice Fills the contract at genesis. Only SYSTEM, once.
    /// @param organisations_ Members of the consortium, at most 64. Without any, nothing can ever be changed.
    /// @param boxes_ Validators of epoch 0, 1 to 128; no proof of possession is asked for.
    /// @param parameters_ In effect from block 1 on.
    /// @param epochBlocks_ Blocks of an epoch, at least 1; kept for readers, the node counts.
    /// @return record `abi.encode(EpochRecord)` of epoch 0.
    /// @custom:error NotSystem, AlreadyInitialized, and those of the admission of organisations and boxes
    function initialize(
        InitOrganisation[] memory organisations_,
        InitBox[] memory boxes_,
        Parameters memory parameters_,
        uint64 epochBlocks_
    ) external onlySystem returns (bytes memory record) {
        if (epochBlocks != 0) revert AlreadyInitialized();
        _bound(epochBlocks_ != 0, "epochBlocks");
        epochBlocks = epochBlocks_;
        for (uint256 kind = 0; kind <= uint256(type(Kind).max); kind++) {
            bool own = kind == uint256(Kind.AdmitFollower) || kind == uint256(Kind.Retire)
                || kind == uint256(Kind.ChangeBox);
            _policies[Kind(kind)] = Policy(0, own, 7 days);
        }
        _setParameters(parameters_);
        _activeParameters = _wantedParameters;
        for (uint256 i = 0; i < organisations_.length; i++) {
            _admitOrganisation(organisations_[i].name, organisations_[i].account, organisations_[i].rootCertificate);
        }
        _bound(boxes_.length != 0, "validators");
        for (uint256 i = 0; i < boxes_.length; i++) {
            InitBox memory box_ = boxes_[i];
            _admitBox(
                Admission(box_.key, box_.organisation, box_.name, box_.feeRecipient, box_.endpoint, 0, ""),
                Role.Validator,
                false
            );
            _want(box_.key);
        }
        _activate(_list(_wanted));
        return _record();
    }

    /// @notice Notes at the start of a block that its proposer lives. Only SYSTEM.
    /// @dev `block.coinbase` is the proposer's fee recipient. Reads one slot, and writes it once a second at most.
    /// @custom:error NotSystem
    function beforeBlock() external onlySystem {
        uint64 last = _lastProposed[block.coinbase];
        if (last != 0 && last != block.timestamp) _lastProposed[block.coinbase] = uint64(block.timestamp);
    }

    /// @notice Ends an epoch, after the transactions of its last block. Only SYSTEM. Standby followers take the places
    /// of silent validators, then the wanted set and parameters come into effect. Where the wanted set might not reach
    /// its quorum, the active one goes on and EpochHeld says why; parameters come into effect nevertheless.
    /// @return record `abi.encode(EpochRecord)` of the epoch that begins.
    /// @custom:error NotSystem, NotInitialized
    function endEpoch() external onlySystem returns (bytes memory record) {
        if (epochBlocks == 0) revert NotInitialized();
        (Survey memory survey, bytes32[] memory promoted) = _plan();
        for (uint256 i = 0; i < promoted.length; i++) {
            bytes32 key = promoted[i];
            if (key == 0) continue;
            _setRole(_wanted[i], Role.Follower, Reason.Silence);
            _setRole(key, Role.Validator, Reason.Silence);
            _wanted[i] = key;
        }
        if (_differs(survey)) {
            bytes memory reason = _risk(survey);
            if (reason.length == 0) _activate(survey.keys);
            else emit EpochHeld(epoch, reason);
        }
        _activeParameters = _wantedParameters;
        epoch++;
        emit EpochStarted(epoch, _list(_active));
        return _record();
    }

    // ----------------------------------------------------------------------------------------------- proposals, votes

    /// @notice Proposes a change, which is the caller's vote for it; it is carried out at once where that is enough.
    /// Only the account of an active organisation, which may have 32 open proposals.
    /// @param kind What to change.
    /// @param data Arguments of the change, see Kind; at most 8,192 bytes.
    /// @return id The proposal.
    /// @custom:error NotAnOrganisation, OutOfBounds, and those of the change where it is carried out at once. Data of
    /// another form than the kind's reverts without data.
    function propose(Kind kind, bytes memory data) external returns (uint256 id) {
        uint32 caller = _caller();
        _bound(data.length <= DATA_BYTES_MAX, "data");
        id = ++proposalCount;
        _noteOpen(caller, id);
        (Policy memory rule,) = _rule(kind, data, caller);
        uint64 expires = uint64(block.timestamp) + rule.lifetime;
        Proposal storage made = _proposals[id];
        made.kind = kind;
        made.status = Status.Open;
        made.organisation = caller;
        made.created = uint64(block.timestamp);
        made.expires = expires;
        made.data = data;
        emit Proposed(id, caller, kind, expires, data);
        _vote(id, caller, true);
    }

    /// @notice Votes on an open proposal, or changes or repeats a vote. The vote that is enough carries the change out;
    /// where that is impossible the vote reverts with the change's own error and the proposal stays open. Only the
    /// account of an active organisation.
    /// @param id The proposal.
    /// @param approve For it or against it.
    /// @custom:error NotAnOrganisation, NotOpen, and those of the change
    function vote(uint256 id, bool approve) external {
        uint32 caller = _caller();
        _requireOpen(id);
        _vote(id, caller, approve);
    }

    /// @notice Takes an open proposal back. Only the organisation that made it.
    /// @param id The proposal.
    /// @custom:error NotAnOrganisation, NotOpen, NotProposer
    function withdraw(uint256 id) external {
        uint32 caller = _caller();
        _requireOpen(id);
        if (_proposals[id].organisation != caller) revert NotProposer(id, caller);
        (uint8 approvals, uint8 rejections,) = _count(id);
        _close(id, Status.Withdrawn, approvals, rejections);
        emit Withdrawn(id);
    }

    // ---------------------------------------------------------------------------------------------------------- views

    /// @notice A proposal; one with status None where there is none with this id.
    function proposal(uint256 id) public view returns (Proposal memory found) {
        Proposal storage stored = _proposals[id];
        found = Proposal(
            id,
            stored.kind,
            _status(id),
            stored.organisation,
            stored.created,
            stored.expires,
            stored.decided,
            stored.approvals,
            stored.rejections,
            _load(stored.data)
        );
        if (found.decided == 0) (found.approvals, found.rejections,) = _count(id);
    }

    /// @notice Proposals from id `from` downwards, so newest first; at most `count`.
    /// @param from The first id; 0, or one that is too high, for the newest.
    /// @param count Most proposals to return.
    function proposals(uint256 from, uint256 count) external view returns (Proposal[] memory page) {
        if (from == 0 || from > proposalCount) from = proposalCount;
        page = new Proposal[](count < from ? count : from);
        for (uint256 i = 0; i < page.length; i++) {
            page[i] = proposal(from - i);
        }
    }

    /// @notice The votes on a proposal as they were cast last, in the order of first votes; those of organisations that
    /// are not active any more are listed and do not count.
    function votes(uint256 id) external view returns (Ballot[] memory) {
        return _ballots[id];
    }

    /// @notice The active organisations, in no particular order.
    function organisations() external view returns (Organisation[] memory found) {
        found = new Organisation[](_members.length);
        for (uint256 i = 0; i < found.length; i++) {
            found[i] = organisation(_members[i]);
        }
    }

    /// @notice An organisation, also one that was removed; an empty one where there never was one with this id.
    function organisation(uint32 id) public view returns (Organisation memory found) {
        if (id == 0 || id > _organisations.length) return found;
        Organisation storage stored = _organisations[id - 1];
        return Organisation(
            id, stored.active, stored.account, string(_load(bytes(stored.name))), _load(stored.rootCertificate)
        );
    }

    /// @notice A box, also a retired one; one with role None where the key is not known.
    function box(bytes32 key) public view returns (Box memory) {
        Box storage stored = _boxes[key];
        return Box(
            key,
            stored.organisation,
            stored.role,
            stored.standby,
            stored.since,
            stored.feeRecipient,
            stored.evidence,
            string(_load(bytes(stored.name))),
            string(_load(bytes(stored.endpoint)))
        );
    }

    /// @notice Boxes admitted so far, retired ones included.
    function boxCount() external view returns (uint256) {
        return _everyKey.length;
    }

    /// @notice Boxes in order of admission, retired ones included.
    /// @param from Position of the first, from 0.
    /// @param count Most boxes to return.
    function boxes(uint256 from, uint256 count) external view returns (Box[] memory page) {
        uint256 total = _everyKey.length;
        if (from > total) from = total;
        page = new Box[](count < total - from ? count : total - from);
        for (uint256 i = 0; i < page.length; i++) {
            page[i] = box(_everyKey[from + i]);
        }
    }

    /// @notice The active set: those who vote in this epoch, by key ascending.
    function validators() public view returns (ValidatorInfo[] memory) {
        return _describe(_list(_active), true);
    }

    /// @notice The wanted set: those who are to vote from the next epoch on, in order of admission or promotion.
    function wantedValidators() external view returns (ValidatorInfo[] memory) {
        return _describe(_list(_wanted), false);
    }

    /// @notice Unix seconds of the last block that a validator proposed, or of its start in the active set; 0 for a box
    /// that is not in it.
    function lastProposed(bytes32 key) public view returns (uint64) {
        return _lastProposed[_activeRecipients[key]];
    }

    /// @notice All boxes that take part: those that are not retired, and retired ones that vote until the epoch ends.
    function peers() external view returns (Peer[] memory found) {
        uint256 current = _currentKeys.length;
        uint256 active = _active.length;
        found = new Peer[](current + active);
        uint256 filled;
        for (uint256 i = 0; i < current + active; i++) {
            bytes32 key = i < current ? _currentKeys[i] : _active[i - current];
            Role role = _boxes[key].role;
            if (i >= current && role != Role.Retired) continue;
            found[filled++] = Peer(key, string(_load(bytes(_boxes[key].endpoint))), role);
        }
        assembly ("memory-safe") {
            mstore(found, filled)
        }
    }

    /// @notice How proposals of a kind are decided.
    function policy(Kind kind) external view returns (Policy memory) {
        return _policies[kind];
    }

    /// @notice The wanted parameters, in effect from the next epoch on.
    function parameters() public view returns (Parameters memory) {
        return _wantedParameters;
    }

    /// @notice The parameters of this epoch.
    function activeParameters() public view returns (Parameters memory) {
        return _activeParameters;
    }

    /// @notice Whether accounts need a permission to deploy and to send.
    function permissionModes() external view returns (PermissionModes memory) {
        return _modes;
    }

    /// @notice The permissions of an account, a bit each: 1 to deploy contracts, 2 to send transactions, and 4 for the
    /// account of an active organisation, which may always do both.
    function permissionsOf(address account) external view returns (uint8) {
        return _permissions[account];
    }

    /// @notice Whether the end of the epoch, if it were now, would change validators or parameters. On an idle chain
    /// the node hurries to it then.
    function isChangePending() external view returns (bool) {
        (Survey memory survey,) = _plan();
        return (_differs(survey) && _risk(survey).length == 0)
            || keccak256(abi.encode(parameters())) != keccak256(abi.encode(activeParameters()));
    }

    // ---------------------------------------------------------------------------------------------- deciding, private

    function _requireSystem() private view {
        if (msg.sender != SYSTEM) revert NotSystem(msg.sender);
    }

    /// Records a vote, and decides the proposal where it can be decided.
    function _vote(uint256 id, uint32 caller, bool approve) private {
        Ballot[] storage ballots = _ballots[id];
        uint256 position;
        while (position < ballots.length && ballots[position].organisation != caller) position++;
        if (position == ballots.length) ballots.push(Ballot(caller, approve));
        else ballots[position].approve = approve;
        emit Voted(id, caller, approve);

        Proposal storage open = _proposals[id];
        Kind kind = open.kind;
        bytes memory data = _load(open.data);
        // The policy and the organisations of now, not of when it was proposed: a stricter policy holds at once.
        (Policy memory rule, bool own) = _rule(kind, data, open.organisation);
        (uint8 approvals, uint8 rejections, bool proposerApproves) = _count(id);
        uint256 members = _members.length;
        uint256 needed = rule.approvals == 0 ? members / 2 + 1 : rule.approvals;
        if (needed > members) needed = members;
        if (approvals >= needed || (own && proposerApproves)) {
            _close(id, Status.Executed, approvals, rejections);
            _execute(kind, data);
            emit Executed(id);
        } else if (members - rejections < needed && !own) {
            _close(id, Status.Rejected, approvals, rejections);
            emit Rejected(id);
        }
    }

    /// The policy for a change, and whether it lets the proposing organisation decide alone.
    function _rule(Kind kind, bytes memory data, uint32 proposer) private view returns (Policy memory rule, bool own) {
        uint32 owner;
        if (kind == Kind.AdmitFollower) {
            (Admission memory admission, bool standby) = abi.decode(data, (Admission, bool));
            owner = admission.organisation;
            // A standby box becomes validator without a further vote, so it takes what a promotion takes.
            if (standby) kind = Kind.Promote;
        } else if (kind == Kind.AdmitValidator) {
            owner = abi.decode(data, (Admission)).organisation;
        } else if (kind == Kind.Replace) {
            (bytes32 retired, Admission memory admission) = abi.decode(data, (bytes32, Admission));
            if (_boxes[retired].organisation == admission.organisation) owner = admission.organisation;
        } else if (kind == Kind.ChangeBox) {
            (bytes32 key,,, bool standby) = abi.decode(data, (bytes32, address, string, bool));
            owner = _boxes[key].organisation;
            if (standby && !_boxes[key].standby) kind = Kind.Promote;
        } else if (kind == Kind.Promote || kind == Kind.Retire) {
            Box storage concerned = _boxes[abi.decode(data, (bytes32))];
            // A validator is never its organisation's alone: its leaving can cost the others their quorum.
            if (concerned.role == Role.Follower) owner = concerned.organisation;
        }
        rule = _policies[kind];
        own = rule.own && owner == proposer;
    }

    /// Votes of organisations that are active now.
    function _count(uint256 id) private view returns (uint8 approvals, uint8 rejections, bool proposerApproves) {
        Ballot[] storage ballots = _ballots[id];
        uint32 proposer = _proposals[id].organisation;
        for (uint256 i = 0; i < ballots.length; i++) {
            Ballot memory ballot = ballots[i];
            if (!_organisations[ballot.organisation - 1].active) continue;
            if (!ballot.approve) {
                rejections++;
                continue;
            }
            approvals++;
            if (ballot.organisation == proposer) proposerApproves = true;
        }
    }

    function _close(uint256 id, Status status, uint8 approvals, uint8 rejections) private {
        Proposal storage closed = _proposals[id];
        closed.status = status;
        closed.decided = uint64(block.number);
        closed.approvals = approvals;
        closed.rejections = rejections;
    }

    function _status(uint256 id) private view returns (Status status) {
        status = _proposals[id].status;
        if (status == Status.Open && block.timestamp > _proposals[id].expires) status = Status.Expired;
    }

    function _requireOpen(uint256 id) private view {
        Status status = _status(id);
        if (status != Status.Open) revert NotOpen(id, status);
    }

    /// Adds a proposal to its organisation's open ones, without those that were decided or expired since.
    function _noteOpen(uint32 proposer, uint256 id) private {
        uint256[] storage open = _open[proposer];
        uint256 position;
        while (position < open.length) {
            if (_status(open[position]) == Status.Open) {
                position++;
            } else {
                open[position] = open[open.length - 1];
                open.pop();
            }
        }
        _bound(position < OPEN_PROPOSALS_MAX, "open proposals");
        open.push(id);
    }

    function _caller() private view returns (uint32 caller) {
        caller = organisationOf[msg.sender];
        if (caller == 0) revert NotAnOrganisation(msg.sender);
    }

    // ----------------------------------------------------------------------------------------------- changes, private

    function _execute(Kind kind, bytes memory data) private {
        if (kind == Kind.AdmitOrganisation) {
            (string memory name, address account, bytes memory certificate) =
                abi.decode(data, (string, address, bytes));
            _admitOrganisation(name, account, certificate);
        } else if (kind == Kind.RemoveOrganisation) {
            _removeOrganisation(abi.decode(data, (uint32)));
        } else if (kind == Kind.ChangeOrganisation) {
            (uint32 id, address account, bytes memory certificate) = abi.decode(data, (uint32, address, bytes));
            _changeOrganisation(id, account, certificate);
        } else if (kind == Kind.AdmitFollower) {
            (Admission memory admission, bool standby) = abi.decode(data, (Admission, bool));
            _admitProven(admission, Role.Follower, standby);
        } else if (kind == Kind.ChangeBox) {
            _changeBox(data);
        } else if (kind == Kind.SetPolicy) {
            (Kind of_, Policy memory policy_) = abi.decode(data, (Kind, Policy));
            _setPolicy(of_, policy_);
        } else if (kind == Kind.SetParameters) {
            _setParameters(abi.decode(data, (Parameters)));
        } else if (kind == Kind.SetPermissionModes) {
            (bool restrictDeploy, bool restrictSend) = abi.decode(data, (bool, bool));
            _modes = PermissionModes(restrictDeploy, restrictSend);
            emit PermissionModesSet(restrictDeploy, restrictSend);
        } else if (kind == Kind.SetPermission) {
            (address account, uint8 bits) = abi.decode(data, (address, uint8));
            _bound(bits <= PERMISSION_DEPLOY | PERMISSION_SEND, "bits");
            _setPermission(account, bits | _permissions[account] & PERMISSION_ORGANISATION);
        } else {
            _changeValidators(kind, data);
        }
    }

    /// The changes that concern the wanted set, which must keep its quorum.
    function _changeValidators(Kind kind, bytes memory data) private {
        Survey memory before = _survey();
        if (kind == Kind.AdmitValidator) {
            Admission memory admission = abi.decode(data, (Admission));
            _admitProven(admission, Role.Validator, false);
            _want(admission.key);
        } else if (kind == Kind.Replace) {
            (bytes32 retired, Admission memory admission) = abi.decode(data, (bytes32, Admission));
            _requireRole(retired, Role.Validator);
            uint256 position;
            while (_wanted[position] != retired) position++;
            _setRole(retired, Role.Retired, Reason.Replacement);
            _sweep(_currentKeys, false);
            _admitProven(admission, Role.Validator, false);
            _wanted[position] = admission.key;
        } else {
            bytes32 key = abi.decode(data, (bytes32));
            if (kind == Kind.Promote) {
                _requireRole(key, Role.Follower);
                _setRole(key, Role.Validator, Reason.Decision);
                _want(key);
            } else if (kind == Kind.Demote) {
                _requireRole(key, Role.Validator);
                _setRole(key, Role.Follower, Reason.Decision);
                _sweep(_wanted, true);
            } else {
                Role role = _known(key).role;
                if (role == Role.Retired) revert WrongRole(key, role);
                _setRole(key, Role.Retired, Reason.Decision);
                _sweep(_currentKeys, false);
                if (role == Role.Follower) return;
                _sweep(_wanted, true);
            }
        }
        _keepQuorum(before);
    }

    function _admitOrganisation(string memory name, address account, bytes memory certificate) private {
        _bound(_members.length < ORGANISATIONS_MAX, "organisations");
        _text(name, 128, TEXT_BYTES, "name");
        _bound(bytes(name).length != 0, "name");
        bytes32 nameHash = keccak256(bytes(name));
        if (_organisationNames[nameHash]) revert NameTaken(name);
        _organisationNames[nameHash] = true;
        uint32 id = uint32(_organisations.length + 1);
        Organisation storage admitted = _organisations.push();
        admitted.id = id;
        admitted.active = true;
        admitted.name = name;
        _members.push(id);
        _identify(admitted, account, certificate);
        emit OrganisationAdmitted(id, account, name);
    }

    function _changeOrganisation(uint32 id, address account, bytes memory certificate) private {
        Organisation storage changed = _member(id);
        _release(changed.account);
        _identify(changed, account, certificate);
        emit OrganisationChanged(id, account);
    }

    function _removeOrganisation(uint32 id) private {
        Organisation storage removed = _member(id);
        if (_members.length == 1) revert LastOrganisation(id);
        Survey memory before = _survey();
        _release(removed.account);
        removed.active = false;
        _organisationNames[keccak256(_load(bytes(removed.name)))] = false;
        uint256 last = _members.length - 1;
        for (uint256 i = 0; i < last; i++) {
            if (_members[i] == id) _members[i] = _members[last];
        }
        _members.pop();
        emit OrganisationRemoved(id, removed.account);

        for (uint256 i = 0; i < _currentKeys.length; i++) {
            bytes32 key = _currentKeys[i];
            if (_boxes[key].organisation == id) _setRole(key, Role.Retired, Reason.OrganisationRemoved);
        }
        _sweep(_currentKeys, false);
        _sweep(_wanted, true);
        if (_wanted.length != before.keys.length) _keepQuorum(before);
    }

    /// Gives an organisation its account and certificate.
    function _identify(Organisation storage target, address account, bytes memory certificate) private {
        _bound(account != address(0), "account");
        _bound(certificate.length <= ROOT_CERTIFICATE_BYTES_MAX, "rootCertificate");
        if (organisationOf[account] != 0) revert AccountTaken(account);
        organisationOf[account] = target.id;
        target.account = account;
        target.rootCertificate = certificate;
        _setPermission(account, _permissions[account] | PERMISSION_ORGANISATION);
    }

    /// Takes its account from an organisation.
    function _release(address account) private {
        organisationOf[account] = 0;
        _setPermission(account, _permissions[account] & ~PERMISSION_ORGANISATION);
    }

    function _setPermission(address account, uint8 bits) private {
        if (_permissions[account] == bits) return;
        _permissions[account] = bits;
        emit PermissionSet(account, bits);
    }

    /// Admits a box of an active organisation whose key is proven.
    function _admitProven(Admission memory admission, Role role, bool standby) private {
        bytes32 key = admission.key;
        if (admission.organisation == 0) revert UnknownOrganisation(0);
        bool valid = admission.possession.length == 64;
        if (valid) {
            (bool done, bytes memory answer) = ED25519VERIFY.staticcall(
                abi.encodePacked(
                    key,
                    admission.possession,
                    uint8(17),
                    "dolmen-possession",
                    block.chainid,
                    address(this),
                    key,
                    admission.organisation
                )
            );
            valid = done && answer.length == 32 && bytes32(answer) == bytes32(uint256(1));
        }
        if (!valid) revert NoPossession(key);
        _admitBox(admission, role, standby);
    }

    function _admitBox(Admission memory admission, Role role, bool standby) private {
        bytes32 key = admission.key;
        string memory name = admission.name;
        Box storage admitted = _boxes[key];
        _bound(key != 0, "key");
        if (admitted.role != Role.None) revert AlreadyKnown(key);
        if (admission.organisation != 0) _member(admission.organisation);
        _bound(_currentKeys.length < BOXES_MAX, "boxes");
        _text(name, 32, NAME_BYTES, "name");
        _bound(bytes(name).length != 0, "name");
        bytes32 nameHash = keccak256(bytes(name));
        if (_takesPart(_nameOwners[nameHash])) revert NameTaken(name);
        _nameOwners[nameHash] = key;
        admitted.organisation = admission.organisation;
        admitted.evidence = admission.evidence;
        admitted.name = name;
        _reach(key, admission.feeRecipient, admission.endpoint);
        _everyKey.push(key);
        _currentKeys.push(key);
        emit BoxAdmitted(key, admission.organisation, admission.feeRecipient, name, admission.evidence);
        _setRole(key, role, Reason.Decision);
        admitted.standby = standby;
    }

    function _changeBox(bytes memory data) private {
        (bytes32 key, address feeRecipient, string memory endpoint, bool standby) =
            abi.decode(data, (bytes32, address, string, bool));
        Box storage changed = _known(key);
        if (changed.role == Role.Retired || (standby && changed.role != Role.Follower)) {
            revert WrongRole(key, changed.role);
        }
        if (feeRecipient != changed.feeRecipient) _recipientOwners[changed.feeRecipient] = 0;
        _reach(key, feeRecipient, endpoint);
        changed.standby = standby;
        emit BoxChanged(key, feeRecipient, endpoint, standby);
    }

    /// Gives a box its fee recipient and endpoint.
    function _reach(bytes32 key, address feeRecipient, string memory endpoint) private {
        _bound(feeRecipient != address(0), "feeRecipient");
        _text(endpoint, 64, ENDPOINT_BYTES, "endpoint");
        bytes32 owner = _recipientOwners[feeRecipient];
        if (owner != key && _takesPart(owner)) revert FeeRecipientTaken(feeRecipient);
        _recipientOwners[feeRecipient] = key;
        _boxes[key].feeRecipient = feeRecipient;
        _boxes[key].endpoint = endpoint;
    }

    function _setPolicy(Kind kind, Policy memory policy_) private {
        _bound(policy_.approvals <= ORGANISATIONS_MAX, "approvals");
        _bound(policy_.lifetime >= 60 && policy_.lifetime <= 365 days, "lifetime");
        // Where no box is concerned, or a validator would go, an organisation never decides alone.
        _bound(!policy_.own || (kind >= Kind.AdmitFollower && kind <= Kind.ChangeBox && kind != Kind.Demote), "own");
        _policies[kind] = policy_;
        emit PolicySet(kind, policy_);
    }

    function _setParameters(Parameters memory wanted) private {
        _bound(wanted.gasLimit >= 1_000_000 && wanted.gasLimit <= 1_000_000_000, "gasLimit");
        _bound(
            wanted.blockIntervalMinMs != 0 && wanted.blockIntervalMinMs <= wanted.blockIntervalMaxMs,
            "blockIntervalMinMs"
        );
        _bound(wanted.blockIntervalMaxMs <= 60_000, "blockIntervalMaxMs");
        _bound(wanted.silentAfterSeconds == 0 || wanted.silentAfterSeconds >= 5, "silentAfterSeconds");
        _wantedParameters = wanted;
        emit ParametersSet(wanted);
    }

    // --------------------------------------------------------------------------------------------- the sets, private

    /// Whether a key is that of a box which is not retired.
    function _takesPart(bytes32 key) private view returns (bool) {
        Role role = _boxes[key].role;
        return role == Role.Follower || role == Role.Validator;
    }

    function _known(bytes32 key) private view returns (Box storage found) {
        found = _boxes[key];
        if (found.role == Role.None) revert UnknownBox(key);
    }

    function _requireRole(bytes32 key, Role role) private view {
        Role has = _known(key).role;
        if (has != role) revert WrongRole(key, has);
    }

    function _member(uint32 id) private view returns (Organisation storage found) {
        if (id == 0 || id > _organisations.length || !_organisations[id - 1].active) revert UnknownOrganisation(id);
        found = _organisations[id - 1];
    }

    function _setRole(bytes32 key, Role role, Reason reason) private {
        Box storage changed = _boxes[key];
        emit BoxRoleChanged(key, changed.role, role, reason);
        changed.role = role;
        changed.standby = false;
        changed.since = uint64(block.number);
    }

    function _want(bytes32 key) private {
        _bound(_wanted.length < VALIDATORS_MAX, "validators");
        _wanted.push(key);
    }

    /// Takes those that left out of a list, in one pass: boxes that are not validators, else those that are retired.
    function _sweep(bytes32[] storage list, bool validatorsOnly) private {
        uint256 total = list.length;
        uint256 kept;
        for (uint256 i = 0; i < total; i++) {
            bytes32 key = list[i];
            Role role = _boxes[key].role;
            if (role == Role.Retired || (validatorsOnly && role != Role.Validator)) continue;
            if (kept != i) list[kept] = key;
            kept++;
        }
        for (; kept < total; kept++) {
            list.pop();
        }
    }

    /// Whether a member of the active set has proposed nothing for too long.
    function _isSilent(bytes32 key) private view returns (bool) {
        uint256 limit = _activeParameters.silentAfterSeconds;
        return limit != 0 && block.timestamp > lastProposed(key) + limit;
    }

    function _survey() private view returns (Survey memory survey) {
        survey.keys = _list(_wanted);
        survey.active = _active.length;
        for (uint256 i = 0; i < survey.keys.length; i++) {
            bytes32 key = survey.keys[i];
            address recipient = _activeRecipients[key];
            if (recipient == address(0)) continue;
            survey.common++;
            if (!_isSilent(key)) survey.live++;
            if (recipient == _boxes[key].feeRecipient) survey.same++;
        }
    }

    /// The wanted set as the end of the epoch would make it, and the followers that come into it, each at the position
    /// of the silent validator that it replaces.
    function _plan() private view returns (Survey memory survey, bytes32[] memory promoted) {
        survey = _survey();
        if (survey.live == survey.common) return (survey, promoted);
        (bytes32[] memory standbys, uint256[] memory ranks) = _standbys();
        promoted = new bytes32[](survey.keys.length);
        for (uint256 i = 0; i < promoted.length; i++) {
            bytes32 key = survey.keys[i];
            if (_activeRecipients[key] == address(0) || !_isSilent(key)) continue;
            uint256 chosen = _choose(ranks, _boxes[key].organisation);
            if (chosen == ranks.length) break;
            // The silent one did not count as live; none has the fee recipient of before in a set that changes.
            Survey memory changed = Survey(survey.keys, survey.active, survey.common - 1, survey.live, 0);
            if (_risk(changed).length != 0) break;
            survey = changed;
            survey.keys[i] = promoted[i] = standbys[chosen];
            ranks[chosen] = TAKEN;
        }
    }

    /// The standby followers, in order of admission, without those that were demoted in this epoch and still vote; and
    /// of each `since << 32 | organisation`, because every silent validator has to be compared with all of them.
    function _standbys() private view returns (bytes32[] memory keys, uint256[] memory ranks) {
        keys = _list(_currentKeys);
        ranks = new uint256[](keys.length);
        uint256 filled;
        for (uint256 i = 0; i < keys.length; i++) {
            bytes32 key = keys[i];
            Box storage candidate = _boxes[key];
            if (!candidate.standby || _activeRecipients[key] != address(0)) continue;
            keys[filled] = key;
            ranks[filled++] = uint256(candidate.since) << 32 | candidate.organisation;
        }
        assembly ("memory-safe") {
            mstore(ranks, filled)
        }
    }

    /// The position of the standby that has waited longest, those of the given organisation before all others; beyond
    /// the end where none is left.
    function _choose(uint256[] memory ranks, uint32 preferred) private pure returns (uint256 chosen) {
        uint256 best = TAKEN;
        chosen = ranks.length;
        for (uint256 i = 0; i < ranks.length; i++) {
            uint256 rank = ranks[i];
            if (rank == TAKEN) continue;
            // Compared by time alone; among equals the first in the list.
            rank = uint32(rank) == preferred ? rank >> 32 : rank >> 32 | 1 << 64;
            if (rank < best) (best, chosen) = (rank, i);
        }
    }

    /// Whether the wanted set is another than the active one, or has other fee recipients.
    function _differs(Survey memory survey) private pure returns (bool) {
        return survey.same != survey.keys.length || survey.same != survey.active;
    }

    function _quorum(uint256 size) private pure returns (uint256) {
        return size == 0 ? 1 : size - (size - 1) / 3;
    }

    /// How many of an active set may leave it in one epoch: as many as may fail, and always one.
    function _mayLeave(uint256 active) private pure returns (uint256) {
        return active < 7 ? 1 : (active - 1) / 3;
    }

    /// The liveness rule: empty if the wanted set may become active, else the encoded error that says why not.
    function _risk(Survey memory survey) private pure returns (bytes memory) {
        uint256 leaving = survey.active - survey.common;
        uint256 most = _mayLeave(survey.active);
        if (leaving > most) return abi.encodeWithSelector(TooManyLeaving.selector, leaving, most);
        uint256 size = survey.keys.length;
        uint256 live = survey.live;
        uint256 needed = _quorum(size);
        // Up to three validators need every one of them, so one newcomer is trusted where all others are heard: a set
        // of that size could not grow otherwise.
        if (size < 4 && live == survey.common && survey.common < size) live++;
        if (live < needed) return abi.encodeWithSelector(QuorumAtRisk.selector, live, needed);
        return "";
    }

    /// Reverts unless the wanted set keeps its quorum. One that lost it since, because validators fell silent, may be
    /// mended step by step: no change may cost a live validator or raise the quorum, and endEpoch activates no set at
    /// risk.
    function _keepQuorum(Survey memory before) private view {
        Survey memory changed = _survey();
        bytes memory reason = _risk(changed);
        if (
            reason.length == 0
                || (_risk(before).length != 0 && changed.keys.length != 0 && changed.live >= before.live
                    && _quorum(changed.keys.length) <= _quorum(before.keys.length)
                    && changed.active - changed.common <= _mayLeave(changed.active))
        ) return;
        assembly ("memory-safe") {
            revert(add(reason, 32), mload(reason))
        }
    }

    /// Makes a set of boxes the active one, sorted by key.
    function _activate(bytes32[] memory keys) private {
        for (uint256 i = 1; i < keys.length; i++) {
            bytes32 key = keys[i];
            uint256 position = i;
            for (; position > 0 && keys[position - 1] > key; position--) {
                keys[position] = keys[position - 1];
            }
            keys[position] = key;
        }
        uint64[] memory times = new uint64[](keys.length);
        for (uint256 i = 0; i < keys.length; i++) {
            times[i] = _activeRecipients[keys[i]] == address(0) ? uint64(block.timestamp) : lastProposed(keys[i]);
        }
        // All of the old before any of the new: a fee recipient may have gone from one box to another.
        for (uint256 i = 0; i < _active.length; i++) {
            bytes32 key = _active[i];
            _lastProposed[_activeRecipients[key]] = 0;
            _activeRecipients[key] = address(0);
        }
        for (uint256 i = 0; i < keys.length; i++) {
            address recipient = _boxes[keys[i]].feeRecipient;
            _activeRecipients[keys[i]] = recipient;
            _lastProposed[recipient] = times[i];
        }
        _active = keys;
    }

    /// Validators with the fee recipients that they have in the active set, or that they are to have.
    function _describe(bytes32[] memory keys, bool active) private view returns (ValidatorInfo[] memory found) {
        found = new ValidatorInfo[](keys.length);
        for (uint256 i = 0; i < keys.length; i++) {
            bytes32 key = keys[i];
            found[i] = ValidatorInfo(
                key,
                active ? _activeRecipients[key] : _boxes[key].feeRecipient,
                string(_load(bytes(_boxes[key].name)))
            );
        }
    }

    function _record() private view returns (bytes memory) {
        return abi.encode(EpochRecord(epoch, validators(), activeParameters()));
    }

    // ------------------------------------------------------------------------------------------------- texts, private

    /// Reverts unless a text is short enough and has only bytes of `allowed`, a bit for each.
    function _text(string memory text, uint256 most, uint256 allowed, bytes32 field) private pure {
        bytes memory raw = bytes(text);
        _bound(raw.length <= most, field);
        for (uint256 i = 0; i < raw.length; i++) {
            _bound(allowed >> uint8(raw[i]) & 1 == 1, field);
        }
    }

    // These two are functions so that the compiler emits their loops once, not wherever a list or text is read. It
    // counts a copy out of storage as pure.

    function _list(bytes32[] storage stored) private pure returns (bytes32[] memory) {
        return stored;
    }

    function _load(bytes storage stored) private pure returns (bytes memory) {
        return stored;
    }

    function _bound(bool within, bytes32 field) private pure {
        if (within) return;
        bytes memory name = abi.encodePacked(field);
        uint256 length;
        while (length < 32 && field[length] != 0) length++;
        assembly ("memory-safe") {
            mstore(name, length)
        }
        revert OutOfBounds(string(name));
    }
}
