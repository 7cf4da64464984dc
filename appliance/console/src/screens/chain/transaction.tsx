import { Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { decodeEventLog, decodeFunctionData, type Hash, type Log, type Transaction as ChainTransaction } from "viem";
import { getTransaction, getTransactionReceipt } from "viem/actions";
import { formatValue } from "../../api/abi";
import { abiOf } from "../../api/abi-store";
import { ApiError } from "../../api/problem";
import { chain } from "../../api/rpc";
import { AccountLink, BlockLink } from "../../components/chain-links";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { Nothing, QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { ends, ether, percent, whole } from "../../format";
import { useWords } from "../../i18n";
import { BackToBlocks } from "./back";

async function load(id: string) {
  if (!/^0x[0-9a-fA-F]{64}$/.test(id)) throw new ApiError({ status: 0, code: "not-searchable" });
  const hash = id as Hash;
  const [transaction, receipt] = await Promise.all([
    getTransaction(chain, { hash }),
    // A transaction that waits has no receipt yet.
    getTransactionReceipt(chain, { hash }).catch(() => null),
  ]);
  return { transaction, receipt };
}

/** One transaction, what became of it, and what it logged. */
export function Transaction() {
  const { t, language } = useWords();
  const { hash = "" } = useParams();
  const query = useQuery({ queryKey: ["transaction", hash], queryFn: () => load(hash) });
  return (
    <Screen title={t("explorer.transaction", { hash: ends(hash) })} above={<BackToBlocks />}>
      <QueryView query={query}>
        {({ transaction, receipt }) => (
          <div className="dolmen-stack">
            <Card>
              <CardBody>
                <Facts>
                  <Fact term={t("common.state")}>
                    {receipt === null ? (
                      <Label status="info">{t("explorer.pending")}</Label>
                    ) : receipt.status === "success" ? (
                      <Label status="success">{t("explorer.succeeded")}</Label>
                    ) : (
                      <Label status="danger">{t("explorer.reverted")}</Label>
                    )}
                  </Fact>
                  <Fact term={t("explorer.hash")}>
                    <Copyable value={transaction.hash} what={t("explorer.hash")} full />
                  </Fact>
                  <Fact term={t("explorer.in_block")}>
                    {receipt === null ? "–" : <BlockLink number={receipt.blockNumber} />}
                  </Fact>
                  <Fact term={t("explorer.from")}>
                    <AccountLink address={transaction.from} full />
                  </Fact>
                  <Fact term={t("explorer.to")}>
                    {transaction.to === null ? t("explorer.creates") : <AccountLink address={transaction.to} full />}
                  </Fact>
                  {receipt?.contractAddress && (
                    <Fact term={t("explorer.created")}>
                      <AccountLink address={receipt.contractAddress} full />
                    </Fact>
                  )}
                  <Fact term={t("explorer.value")}>{ether(transaction.value)}</Fact>
                  <Fact term={t("explorer.gas_used")}>
                    {whole(receipt?.gasUsed, language)} / {whole(transaction.gas, language)}
                    {receipt && ` (${percent(Number(receipt.gasUsed), Number(transaction.gas), language)})`}
                  </Fact>
                  <Fact term="Nonce">{whole(transaction.nonce, language)}</Fact>
                  <Fact term={t("explorer.type")}>{transaction.type}</Fact>
                </Facts>
              </CardBody>
            </Card>
            <InputCard transaction={transaction} />
            <LogsCard logs={receipt?.logs ?? []} />
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

/** Calls and logs are shown by name where somebody gave this browser the contract's ABI. */
function decodedCall({ to, input }: ChainTransaction): string | null {
  const abi = to === null ? null : abiOf(to);
  if (!abi) return null;
  try {
    const { functionName, args } = decodeFunctionData({ abi, data: input });
    return `${functionName}(${(args ?? []).map(formatValue).join(", ")})`;
  } catch {
    return null;
  }
}

function InputCard({ transaction }: { transaction: ChainTransaction }) {
  const { t } = useWords();
  if (transaction.input === "0x") return null;
  const decoded = decodedCall(transaction);
  return (
    <Card>
      <CardTitle component="h2">{t("explorer.input")}</CardTitle>
      <CardBody>
        {decoded !== null && <pre className="dolmen-pre dolmen-gap">{decoded}</pre>}
        <pre className="dolmen-pre" tabIndex={0} aria-label={t("explorer.input")}>
          {transaction.input}
        </pre>
      </CardBody>
    </Card>
  );
}

function decodedLog({ address, topics, data }: Log): string | null {
  const abi = abiOf(address);
  if (!abi) return null;
  try {
    const { eventName, args } = decodeEventLog({ abi, topics, data });
    return `${eventName} ${formatValue(args)}`;
  } catch {
    return null;
  }
}

function LogsCard({ logs }: { logs: Log[] }) {
  const { t } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("explorer.events")}</CardTitle>
      <CardBody>
        {logs.length === 0 ? (
          <Nothing title={t("explorer.no_events")} text={t("explorer.no_events_why")} />
        ) : (
          <ol className="dolmen-list">
            {logs.map((log) => (
              <li key={log.logIndex}>
                <AccountLink address={log.address} full />
                <pre className="dolmen-pre">{decodedLog(log) ?? [...log.topics, log.data].join("\n")}</pre>
              </li>
            ))}
          </ol>
        )}
      </CardBody>
    </Card>
  );
}
