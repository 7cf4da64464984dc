import { ActionGroup, Alert, Button, ExpandableSection, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { parseEther, type Abi, type AbiFunction, type Address } from "viem";
import { waitForTransactionReceipt } from "viem/actions";
import { useLive } from "../../../api/live";
import { chain } from "../../../api/rpc";
import { connect, walletOf, write } from "../../../api/wallet";
import { TransactionLink } from "../../../components/chain-links";
import { Copyable } from "../../../components/copyable";
import { Field } from "../../../components/field";
import { ProblemAlert } from "../../../components/problem-alert";
import { Nothing } from "../../../components/query-view";
import { useWords } from "../../../i18n";
import { ArgumentFields, argumentsOf, functionsOf, signatureOf } from "./arguments";

const RECEIPT_WAIT_MS = 60_000;

interface Props {
  abi: Abi;
  address: Address;
}

/** What a contract does for a transaction, which the user's own wallet signs. */
export function WriteFunctions({ abi, address }: Props) {
  const { t } = useWords();
  const { status } = useLive();
  const [account, setAccount] = useState<Address | null>(null);
  const link = useMutation({
    mutationFn: async () => {
      if (status) setAccount(await connect(status.chain_id, status.name, status.rpc_url));
    },
  });
  const functions = functionsOf(abi, false);
  if (functions.length === 0) return <Nothing title={t("contract.no_writes")} text={t("contract.no_writes_why")} />;
  if (!walletOf()) {
    return (
      <Alert variant="info" isInline className="dolmen-gap-above" title={t("contract.no_wallet")}>
        <p>{t("contract.no_wallet_why")}</p>
        <p>{t("contract.no_wallet_next")}</p>
      </Alert>
    );
  }
  if (account === null) {
    return (
      <div className="dolmen-stack dolmen-gap-above">
        <p>{t("contract.connect_why")}</p>
        <div>
          <Button
            isLoading={link.isPending}
            isDisabled={status === null || link.isPending}
            onClick={() => {
              link.mutate();
            }}
          >
            {t("contract.connect")}
          </Button>
        </div>
        {link.isError && <ProblemAlert error={link.error} />}
      </div>
    );
  }
  return (
    <>
      <p className="dolmen-gap-above">
        {t("contract.account")} <Copyable value={account} what={t("contract.account")} full />
      </p>
      {functions.map((entry) => (
        <WriteFunction key={signatureOf(entry)} entry={entry} address={address} account={account} />
      ))}
    </>
  );
}

function WriteFunction({ entry, address, account }: { entry: AbiFunction; address: Address; account: Address }) {
  const { t } = useWords();
  const [typed, setTyped] = useState<string[]>([]);
  const [amount, setAmount] = useState("");
  const [tried, setTried] = useState(false);
  const payable = entry.stateMutability === "payable";
  const badAmount = payable && amount !== "" && !/^\d+(\.\d{1,18})?$/.test(amount);
  const send = useMutation({
    mutationFn: (args: unknown[]) => {
      const value = payable && amount !== "" ? parseEther(amount) : 0n;
      return write({ abi: [entry], address, functionName: entry.name, args, value, account });
    },
  });
  const receipt = useMutation({
    mutationFn: (hash: `0x${string}`) => waitForTransactionReceipt(chain, { hash, timeout: RECEIPT_WAIT_MS }),
  });
  return (
    <ExpandableSection toggleText={signatureOf(entry)} isIndented className="dolmen-function">
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          const { values, hold } = argumentsOf(entry.inputs, typed);
          if (!hold || badAmount) return;
          receipt.reset();
          send.mutate(values, {
            onSuccess: (hash) => {
              receipt.mutate(hash);
            },
          });
        }}
      >
        <ArgumentFields inputs={entry.inputs} typed={typed} set={setTyped} tried={tried} />
        {payable && (
          <Field
            label={t("explorer.value")}
            value={amount}
            set={setAmount}
            inputMode="decimal"
            fault={badAmount ? t("contract.bad_amount") : undefined}
          />
        )}
        <ActionGroup>
          <Button type="submit" isLoading={send.isPending} isDisabled={send.isPending}>
            {t("contract.sign")}
          </Button>
        </ActionGroup>
        <div aria-live="polite" className="dolmen-stack">
          {send.isError && <ProblemAlert error={send.error} />}
          {send.isSuccess && (
            <p>
              {t(receipt.isPending ? "contract.waits" : "contract.sent")} <TransactionLink hash={send.data} />
            </p>
          )}
          {receipt.isError && <ProblemAlert error={receipt.error} />}
          {receipt.isSuccess && (
            <Alert
              isInline
              variant={receipt.data.status === "success" ? "success" : "danger"}
              title={t(receipt.data.status === "success" ? "explorer.succeeded" : "explorer.reverted")}
            />
          )}
        </div>
      </Form>
    </ExpandableSection>
  );
}
