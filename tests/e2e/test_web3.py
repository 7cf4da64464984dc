"""web3.py against the devnet: sends to box 0, reads the receipt on box 1, listens and asks on box 2 over WebSocket,
filters on box 3. Pending transactions are looked for on box 0: another box may hear of one with its block only.

The account is row `web3py` of the table in lib/devnet.mjs.
"""

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import rlp
from eth_account import Account
from eth_utils import keccak
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError
from web3.middleware import SignAndSendRawMiddlewareBuilder

HERE = Path(__file__).parent
ACCOUNT_INDEX = 2
WAIT_S = 30
SUPPLY = 10**24


def load_devnet():
    path = os.environ.get("DOLMEN_DEVNET")
    assert path, "DOLMEN_DEVNET is not set: point it at the devnet.json of a running devnet"
    return json.loads(Path(path).read_text())


DEVNET = load_devnet()
CHAIN_ID = DEVNET["chain_id"]
OWNER = Account.from_key(DEVNET["accounts"][ACCOUNT_INDEX]["private_key"])


def over(index):
    """A client of one box."""
    return Web3(HTTPProvider(DEVNET["boxes"][index]["rpc"], request_kwargs={"timeout": 30}))


SENDING, READER, FILTERING = over(0), over(1), over(3)


def until(what, probe, seconds=WAIT_S):
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < deadline, f"gave up after {seconds} s waiting for {what}"
        time.sleep(0.05)


def stranger():
    return Account.create()


def rpc(w3, method, *params):
    """One call without web3.py's formatters; the whole reply."""
    return w3.provider.make_request(method, list(params))


def mined(tx_hash):
    """The receipt as box 1 has it, once every box has reached its block."""
    receipt = READER.eth.wait_for_transaction_receipt(tx_hash, timeout=WAIT_S, poll_latency=0.05)
    for index in range(4):
        w3 = over(index)
        until(f"box {index} to reach {receipt.blockNumber}", lambda: w3.eth.block_number >= receipt.blockNumber)
    return receipt


def send(fields, gas=None):
    """Signs with the owner's key and sends to box 0; web3.py fills in what is missing."""
    tx = {"from": OWNER.address, "chainId": CHAIN_ID, "value": 0, **fields}
    tx["nonce"] = SENDING.eth.get_transaction_count(OWNER.address)
    if "gasPrice" not in tx and "maxFeePerGas" not in tx:
        tip = SENDING.eth.max_priority_fee
        base = SENDING.eth.get_block("latest")["baseFeePerGas"]
        tx |= {"maxPriorityFeePerGas": tip, "maxFeePerGas": 2 * base + tip}
    tx["gas"] = gas or SENDING.eth.estimate_gas(tx)
    signed = OWNER.sign_transaction({key: value for key, value in tx.items() if key != "from"})
    return mined(SENDING.eth.send_raw_transaction(signed.raw_transaction))


@pytest.fixture(scope="session")
def artifacts():
    command = ["node", str(HERE / "contracts" / "compile.mjs")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=300).stdout)


def deploy(artifact, *args):
    factory = SENDING.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
    receipt = send({"data": factory.constructor(*args).data_in_transaction})
    assert receipt.status == 1
    return receipt.contractAddress


@pytest.fixture(scope="session")
def token(artifacts):
    address = deploy(artifacts["Token"], "Web3 Token", "WEB3", SUPPLY)
    return READER.eth.contract(address=address, abi=artifacts["Token"]["abi"])


@pytest.fixture(scope="session")
def probe(artifacts):
    return READER.eth.contract(address=deploy(artifacts["Probe"]), abi=artifacts["Probe"]["abi"])


def invoke(contract, name, *args, **fields):
    return send({"to": contract.address, "data": contract.encode_abi(name, args=list(args)), **fields})


def test_the_chain_is_the_one_asked_for():
    assert READER.is_connected()
    assert READER.eth.chain_id == CHAIN_ID
    assert READER.eth.syncing is False
    assert READER.client_version


def test_a_transfer_shows_in_receipt_logs_and_calls(token):
    to = stranger().address
    receipt = invoke(token, "transfer", to, 5)
    assert receipt.status == 1
    logs = token.events.Transfer.get_logs(
        from_block=receipt.blockNumber, to_block=receipt.blockNumber, argument_filters={"to": to}
    )
    assert [log.transactionHash for log in logs] == [receipt.transactionHash]
    assert logs[0].args.value == 5
    assert token.functions.balanceOf(to).call() == 5
    by_hash = READER.eth.get_logs({"address": token.address, "blockHash": receipt.blockHash})
    assert [log.logIndex for log in by_hash] == [log.logIndex for log in logs]


def over_websocket(index, use):
    """Runs the coroutine function `use` with a WebSocket client of one box, and returns its result."""

    async def run():
        async with AsyncWeb3(WebSocketProvider(DEVNET["boxes"][index]["ws"])) as w3:
            return await use(w3)

    return asyncio.run(asyncio.wait_for(run(), WAIT_S * 2))


def heard_while(index, subscriptions, act, is_complete):
    """Subscribes on one box and runs `act` beside it, until `is_complete(result of act, what was heard)`."""
    heard = {name: [] for name in subscriptions}

    async def listen(w3):
        names = {await w3.eth.subscribe(*arguments): name for name, arguments in subscriptions.items()}
        acting = asyncio.create_task(asyncio.to_thread(act))
        async for message in w3.socket.process_subscriptions():
            heard[names[message["subscription"]]].append(message["result"])
            if acting.done() and is_complete(acting.result(), heard):
                break
        for subscription in names:
            assert await w3.eth.unsubscribe(subscription)
        return acting.result()

    return over_websocket(index, listen), heard


def test_websocket_subscriptions_see_a_transfer(token):
    to = stranger().address
    topic = "0x" + keccak(text="Transfer(address,address,uint256)").hex()

    def is_complete(receipt, heard):
        return any(head["number"] >= receipt.blockNumber for head in heard["heads"]) and any(
            log["transactionHash"] == receipt.transactionHash for log in heard["logs"]
        )

    subscriptions = {"heads": ["newHeads"], "logs": ["logs", {"address": token.address, "topics": [topic]}]}
    receipt, heard = heard_while(2, subscriptions, lambda: invoke(token, "transfer", to, 6), is_complete)
    own = [log for log in heard["logs"] if log["transactionHash"] == receipt.transactionHash]
    assert len(own) == 1
    assert own[0]["blockNumber"] == receipt.blockNumber


def test_a_websocket_subscription_sees_a_pending_transaction():
    # The heads see to it that something is heard after the receipt, which may come last.
    subscriptions = {"pending": ["newPendingTransactions"], "heads": ["newHeads"]}

    def is_complete(receipt, heard):
        return any(bytes(pending) == bytes(receipt.transactionHash) for pending in heard["pending"])

    heard_while(0, subscriptions, lambda: send({"to": stranger().address, "value": 1}), is_complete)


def test_receipt_and_logs_over_websocket_are_those_of_another_box_over_http(token):
    receipt = invoke(token, "transfer", stranger().address, 13)
    wanted = {"address": token.address, "fromBlock": receipt.blockNumber, "toBlock": receipt.blockNumber}

    async def ask(w3):
        return await w3.eth.get_transaction_receipt(receipt.transactionHash), await w3.eth.get_logs(wanted)

    own_receipt, logs = over_websocket(2, ask)
    assert own_receipt == receipt
    assert [log.transactionHash for log in logs] == [receipt.transactionHash]
    assert logs == READER.eth.get_logs(wanted)


def test_filters(token):
    to = stranger().address
    watched = FILTERING.eth.contract(address=token.address, abi=token.abi)
    logs = watched.events.Transfer.create_filter(from_block="latest", argument_filters={"to": to})
    blocks = FILTERING.eth.filter("latest")
    pending = SENDING.eth.filter("pending")
    receipt = invoke(token, "transfer", to, 7)
    entries = until("the log in the filter", logs.get_new_entries)
    assert [entry.transactionHash for entry in entries] == [receipt.transactionHash]
    assert logs.get_new_entries() == []
    assert len(logs.get_all_entries()) == 1
    assert receipt.blockHash in blocks.get_new_entries()
    assert receipt.transactionHash in pending.get_new_entries()
    for w3, entry in ((FILTERING, logs), (FILTERING, blocks), (SENDING, pending)):
        assert w3.eth.uninstall_filter(entry.filter_id) is True
        assert w3.eth.uninstall_filter(entry.filter_id) is False


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_transaction_types(kind, token):
    base = READER.eth.get_block("latest")["baseFeePerGas"]
    price = 2 * base + 2 * 10**9
    tip = READER.eth.max_priority_fee
    keys = ["0x" + "00" * 32, "0x" + "00" * 31 + "01"]
    access = [{"address": token.address, "storageKeys": keys}]
    fields = {
        0: {"gasPrice": price},
        1: {"gasPrice": price, "accessList": access, "type": 1},
        2: {"maxFeePerGas": price + tip, "maxPriorityFeePerGas": tip, "accessList": access, "type": 2},
    }[kind]
    to = stranger().address
    receipt = send({"to": to, "value": 3, **fields})
    assert receipt.type == kind
    assert receipt.status == 1
    assert receipt.gasUsed == 21_000 + (0 if kind == 0 else 2_400 + 2 * 1_900)
    sent = READER.eth.get_transaction(receipt.transactionHash)
    assert sent["type"] == kind
    assert sent["from"] == OWNER.address
    assert READER.eth.get_balance(to) == 3


def test_eip_7702_delegation(probe):
    authority = stranger()
    authorization = authority.sign_authorization({"chainId": CHAIN_ID, "address": probe.address, "nonce": 0})
    data = probe.encode_abi("set", args=[3, 4])
    receipt = send({"to": authority.address, "data": data, "authorizationList": [authorization], "type": 4}, 300_000)
    assert receipt.type == 4
    assert receipt.status == 1
    assert READER.eth.get_code(authority.address) == bytes.fromhex("ef0100" + probe.address[2:])
    delegated = READER.eth.contract(address=authority.address, abi=probe.abi)
    assert delegated.functions.slots(3).call() == 4


def test_fees_that_web3_estimates():
    tx = {"from": OWNER.address, "to": stranger().address, "value": 1, "chainId": CHAIN_ID}
    w3 = over(0)
    w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(OWNER), layer=0)
    receipt = mined(w3.eth.send_transaction(tx))
    assert receipt.status == 1
    assert receipt.gasUsed == 21_000
    history = READER.eth.fee_history(4, "latest", [10, 50])
    assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1
    assert len(history["reward"]) == len(history["gasUsedRatio"])
    assert READER.eth.gas_price > 0


def test_create_access_list(probe):
    data = probe.encode_abi("set", args=[1, 2])
    result = READER.eth.create_access_list({"from": OWNER.address, "to": probe.address, "data": data})
    entry = next(entry for entry in result["accessList"] if entry["address"] == probe.address)
    assert len(entry["storageKeys"]) == 2
    assert result["gasUsed"] > 21_000


def test_call_with_state_overrides(probe):
    slot = "0x" + "00" * 31 + "01"
    value = "0x" + (4321).to_bytes(32, "big").hex()
    override = {probe.address: {"stateDiff": {slot: value}}}
    assert probe.functions.counter().call(state_override=override) == 4321
    assert probe.functions.counter().call() != 4321


def test_historical_calls(probe):
    first = invoke(probe, "set", 42, 1)
    second = invoke(probe, "set", 42, 2)
    slots = probe.functions.slots(42)
    assert slots.call(block_identifier=first.blockNumber - 1) == 0
    assert slots.call(block_identifier=first.blockNumber) == 1
    assert slots.call(block_identifier=second.blockNumber) == 2
    assert slots.call(block_identifier=first.blockHash) == 1


def test_reverts_decode_to_reason_and_custom_error(probe, artifacts):
    with pytest.raises(ContractLogicError, match="probe: told to fail"):
        probe.functions.failWithReason().estimate_gas({"from": OWNER.address})
    with pytest.raises(ContractCustomError) as caught:
        probe.functions.failWithError(9).estimate_gas({"from": OWNER.address})
    selector = keccak(text="Refused(address,uint256,uint256)")[:4].hex()
    assert caught.value.data.startswith("0x" + selector)
    call = {"from": OWNER.address, "to": probe.address, "data": probe.encode_abi("failWithError", args=[9])}
    error = rpc(READER, "eth_estimateGas", call)["error"]
    assert error["code"] == 3
    assert error["message"].startswith("execution reverted")
    assert error["data"].startswith("0x" + selector)


def test_block_tags():
    numbers = [READER.eth.get_block(tag)["number"] for tag in ("finalized", "safe", "latest")]
    assert numbers == sorted(numbers)
    assert READER.eth.get_block("earliest")["number"] == 0
    for tag in ("latest", "safe", "finalized", "pending"):
        assert READER.eth.get_balance(OWNER.address, tag) > 0


def test_batch_requests():
    with READER.batch_requests() as batch:
        for number in (0, 1, 0):
            batch.add(READER.eth.get_block(number))
        blocks = batch.execute()
    assert [block["number"] for block in blocks] == [0, 1, 0]


def test_block_receipts_and_pool_status():
    receipt = send({"to": stranger().address, "value": 1})
    receipts = READER.eth.get_block_receipts(receipt.blockNumber)
    assert receipt.transactionHash in [one["transactionHash"] for one in receipts]
    assert set(READER.geth.txpool.status()) == {"pending", "queued"}


def nibbles_of(path):
    """Hex-prefix encoding (Yellow Paper, appendix C): the nibbles and whether they end in a value."""
    nibbles = path.hex()
    odd = int(nibbles[0]) & 1
    return nibbles[1 if odd else 2 :], bool(int(nibbles[0], 16) & 2)


def walk(root, key, proof):
    """Follows a Merkle Patricia proof from `root` along keccak(key): the value, or None where it proves absence."""
    nodes = {keccak(node): bytes(node) for node in proof}
    path = keccak(key).hex()
    if not proof:
        assert root == keccak(rlp.encode(b"")), "only an empty trie has an empty proof"
        return None
    node = rlp.decode(nodes[root])
    while True:
        if len(node) == 17:
            child, path = node[int(path[0], 16)], path[1:]
        else:
            part, leaf = nibbles_of(node[0])
            if not path.startswith(part):
                return None
            child, path = node[1], path[len(part) :]
            if leaf:
                assert path == ""
                return child
        if child == b"":
            return None
        node = child if isinstance(child, list) else rlp.decode(nodes[child])


def test_proofs_with_short_storage_keys(token):
    receipt = invoke(token, "transfer", stranger().address, 8)
    number = receipt.blockNumber
    balance_slot = int.from_bytes(keccak(bytes.fromhex(OWNER.address[2:]).rjust(32, b"\0") + bytes(32)), "big")
    # web3.py sends these integers as short hex: 2 is the total supply, 99 is an absent slot.
    proof = READER.eth.get_proof(token.address, [2, 99, balance_slot], number)
    root = bytes(READER.eth.get_block(number)["stateRoot"])
    leaf = rlp.decode(walk(root, bytes.fromhex(token.address[2:]), proof["accountProof"]))
    assert leaf[2] == bytes(proof["storageHash"])
    assert leaf[3] == bytes(proof["codeHash"])
    values = []
    for slot, entry in zip([2, 99, balance_slot], proof["storageProof"], strict=True):
        assert int.from_bytes(bytes(entry["key"]), "big") == slot
        stored = walk(bytes(proof["storageHash"]), slot.to_bytes(32, "big"), entry["proof"])
        values.append(0 if stored is None else int.from_bytes(rlp.decode(stored), "big"))
        assert values[-1] == int.from_bytes(bytes(entry["value"]), "big")
    assert values == [SUPPLY, 0, token.functions.balanceOf(OWNER.address).call(block_identifier=number)]


def test_proof_of_an_absent_account():
    block = READER.eth.get_block("latest")
    address = stranger().address
    proof = READER.eth.get_proof(address, [], block["number"])
    assert walk(bytes(block["stateRoot"]), bytes.fromhex(address[2:]), proof["accountProof"]) is None
    assert proof["balance"] == 0
