// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Small surfaces that tools decode: indexed events of several kinds, a mapping, reverts and a gas burner.
contract Probe {
    error Refused(address who, uint256 wanted, uint256 available);

    event NoIndex(uint256 value, string text);
    event OneIndex(address indexed who, uint256 value);
    event ThreeIndex(address indexed who, uint256 indexed key, bytes32 indexed tag, bytes payload);
    event IndexedDynamic(string indexed text, bytes indexed blob, uint256[] values);
    event Anonymous(uint256 indexed value) anonymous;

    mapping(uint256 key => uint256 value) public slots;
    uint256 public counter;

    function set(uint256 key, uint256 value) external {
        slots[key] = value;
        counter += 1;
        emit ThreeIndex(msg.sender, key, bytes32(value), abi.encode(key, value));
    }

    function clear(uint256 key) external {
        delete slots[key];
        counter += 1;
        emit OneIndex(msg.sender, key);
    }

    function emitAll(string calldata text, bytes calldata blob, uint256[] calldata values) external {
        emit NoIndex(values.length, text);
        emit OneIndex(msg.sender, values.length);
        emit IndexedDynamic(text, blob, values);
        emit Anonymous(values.length);
    }

    function failWithReason() external pure {
        revert("probe: told to fail");
    }

    function failWithError(uint256 wanted) external view {
        revert Refused(msg.sender, wanted, counter);
    }

    function failWithPanic(uint256 divisor) external pure returns (uint256) {
        return 1 / divisor;
    }

    function burn(uint256 rounds) external returns (uint256 sum) {
        for (uint256 i = 0; i < rounds; i++) {
            sum = uint256(keccak256(abi.encode(sum, i)));
        }
        slots[type(uint256).max] = sum;
    }
}
