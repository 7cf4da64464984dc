// The user's own wallet in this browser (EIP-1193). The box has no keys of users; it only passes on what they signed.

import { createWalletClient, custom, numberToHex, type Abi, type Address, type EIP1193Provider, type Hash } from "viem";
import { simulateContract } from "viem/actions";
import { ApiError } from "./problem";
import { chain } from "./rpc";

declare global {
  interface Window {
    ethereum?: EIP1193Provider;
  }
}

/** EIP-3326: the wallet does not know the chain. */
const UNKNOWN_CHAIN = 4902;

export const walletOf = (): EIP1193Provider | null => window.ethereum ?? null;

/** Asks the wallet for an account on the box's chain, which it is told of where it does not know it. */
export async function connect(chainId: number, name: string, rpcUrl: string): Promise<Address> {
  const wallet = walletOf();
  if (!wallet) throw new ApiError({ status: 0, code: "no-wallet" });
  const [account] = await wallet.request({ method: "eth_requestAccounts" });
  if (!account) throw new ApiError({ status: 0, code: "no-account" });
  const id = numberToHex(chainId);
  if (Number(await wallet.request({ method: "eth_chainId" })) === chainId) return account;
  try {
    await wallet.request({ method: "wallet_switchEthereumChain", params: [{ chainId: id }] });
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNKNOWN_CHAIN) throw error;
    const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
    const params = [{ chainId: id, chainName: `Dolmen ${name}`, nativeCurrency, rpcUrls: [rpcUrl] }] as const;
    await wallet.request({ method: "wallet_addEthereumChain", params: [params[0]] });
  }
  return account;
}

interface Call {
  abi: Abi;
  address: Address;
  functionName: string;
  args: unknown[];
  value: bigint;
  account: Address;
}

/** Tries a call on the box first, so that a refusal costs nothing, then has the wallet sign and send it. */
export async function write({ value, ...call }: Call): Promise<Hash> {
  const wallet = walletOf();
  if (!wallet) throw new ApiError({ status: 0, code: "no-wallet" });
  const { request } = await simulateContract(chain, { ...call, ...(value > 0n ? { value } : {}) } as never);
  const client = createWalletClient({ account: call.account, transport: custom(wallet) });
  return client.writeContract({ ...(request as object), chain: null } as never);
}
