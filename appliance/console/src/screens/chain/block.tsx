import { Button, Card, CardBody, CardTitle, Flex } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate, useParams } from "react-router";
import type { GetBlockReturnType, Transaction } from "viem";
import { getBlock } from "viem/actions";
import { ApiError } from "../../api/problem";
import { chain } from "../../api/rpc";
import { AccountLink, BlockLink, TransactionLink } from "../../components/chain-links";
import { Copyable } from "../../components/copyable";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { Pages } from "../../components/pages";
import { Nothing, QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { bytes, ether, percent, time, whole } from "../../format";
import { useWords } from "../../i18n";
import { BackToBlocks } from "./back";

const PER_PAGE = 25;
type FullBlock = GetBlockReturnType<undefined, true>;

async function load(id: string): Promise<FullBlock> {
  if (/^0x[0-9a-fA-F]{64}$/.test(id)) {
    return getBlock(chain, { blockHash: id as `0x${string}`, includeTransactions: true });
  }
  if (!/^\d{1,15}$/.test(id)) throw new ApiError({ status: 0, code: "not-searchable" });
  return getBlock(chain, { blockNumber: BigInt(id), includeTransactions: true });
}

/** One block and its transactions. */
export function Block() {
  const { t, language } = useWords();
  const { id = "" } = useParams();
  const query = useQuery({ queryKey: ["block", id], queryFn: () => load(id), staleTime: Infinity });
  const title = query.data ? whole(query.data.number, language) : id;
  return (
    <Screen title={t("explorer.block", { number: title })} above={<BackToBlocks />}>
      <QueryView query={query}>{(block) => <BlockView key={block.hash} block={block} />}</QueryView>
    </Screen>
  );
}

function BlockView({ block }: { block: FullBlock }) {
  const { t, language } = useWords();
  const navigate = useNavigate();
  const [page, setPage] = useState(1);
  const { transactions } = block;
  const shown = transactions.slice((page - 1) * PER_PAGE, page * PER_PAGE) as Transaction[];
  return (
    <div className="dolmen-stack">
      <Card>
        <CardBody>
          <Facts>
            <Fact term={t("explorer.time")}>{time(Number(block.timestamp) * 1000, language)}</Fact>
            <Fact term={t("chain.transactions")}>{whole(transactions.length, language)}</Fact>
            <Fact term={t("explorer.gas_used")}>
              {whole(block.gasUsed, language)} / {whole(block.gasLimit, language)} (
              {percent(Number(block.gasUsed), Number(block.gasLimit), language)})
            </Fact>
            <Fact term={t("explorer.size")}>{bytes(Number(block.size), language)}</Fact>
            <Fact term={t("explorer.fee_recipient")}>
              <AccountLink address={block.miner} full />
            </Fact>
            <Fact term={t("explorer.hash")}>
              <Copyable value={block.hash} what={t("explorer.block_hash")} full />
            </Fact>
            <Fact term={t("explorer.parent")}>
              {block.number === 0n ? "–" : <BlockLink number={block.number - 1n} />}
            </Fact>
            <Fact term={t("explorer.state_root")}>
              <Copyable value={block.stateRoot} what={t("explorer.state_root")} full />
            </Fact>
          </Facts>
          <Flex className="dolmen-gap-above">
            <Button
              variant="secondary"
              isDisabled={block.number === 0n}
              onClick={() => void navigate(`/blocks/${block.number - 1n}`)}
            >
              {t("explorer.previous_block")}
            </Button>
            <Button variant="secondary" onClick={() => void navigate(`/blocks/${block.number + 1n}`)}>
              {t("explorer.next_block")}
            </Button>
          </Flex>
        </CardBody>
      </Card>
      <Card>
        <CardTitle component="h2">{t("chain.transactions")}</CardTitle>
        <CardBody>
          {transactions.length === 0 ? (
            <Nothing title={t("explorer.no_transactions")} text={t("explorer.no_transactions_why")} />
          ) : (
            <DataTable
              label={t("chain.transactions")}
              rows={shown}
              id={(transaction) => transaction.hash}
              columns={[
                {
                  label: "#",
                  cell: (transaction) => whole(transaction.transactionIndex, language),
                  align: "end",
                },
                { label: t("explorer.hash"), cell: ({ hash }) => <TransactionLink hash={hash} /> },
                { label: t("explorer.from"), cell: ({ from }) => <AccountLink address={from} /> },
                {
                  label: t("explorer.to"),
                  cell: ({ to }) => (to === null ? t("explorer.creates") : <AccountLink address={to} />),
                },
                { label: t("explorer.value"), cell: ({ value }) => ether(value), align: "end" },
              ]}
            />
          )}
          <Pages
            count={transactions.length}
            page={page}
            perPage={PER_PAGE}
            setPage={setPage}
            label={t("chain.transactions")}
          />
        </CardBody>
      </Card>
    </div>
  );
}
