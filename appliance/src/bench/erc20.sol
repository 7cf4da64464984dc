// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// The token of `dolmen bench`: OpenZeppelin's ERC20 as it is, with the supply given to the deployer.
contract BenchToken is ERC20 {
    constructor() ERC20("Dolmen Bench", "BENCH") {
        _mint(msg.sender, 10 ** 30);
    }
}
