import { Button, Card, CardBody, CardHeader, CardTitle, Flex } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { useLive } from "../../api/live";
import { blocksOf } from "../../api/rpc";
import { AccountLink, BlockLink } from "../../components/chain-links";
import { DataTable } from "../../components/data-table";
import { Nothing, QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { bytes, clock, decimal, ends, percent, time, whole } from "../../format";
import { useWords } from "../../i18n";
import { ChainSearch } from "./search";

const ROWS = 25;

interface Row {
  number: number;
  hash: string;
  timeMs: number;
  transactions: number;
  gasUsed: number;
  gasLimit: number;
  size: number;
  proposer: string | null;
  miner: string | null;
  finalityMs: number | null;
}

/** The blocks, live at the head and page by page before it. */
export function Blocks() {
  const { t } = useWords();
  const [parameters] = useSearchParams();
  const before = Number(parameters.get("before") ?? Number.NaN);
  return (
    <Screen title={t("menu.blocks")} intro={t("explorer.intro")}>
      <ChainSearch />
      {Number.isSafeInteger(before) && before >= 0 ? <Older before={before} /> : <Newest />}
    </Screen>
  );
}

function Newest() {
  const { t } = useWords();
  const { blocks } = useLive();
  const [held, setHeld] = useState<typeof blocks | null>(null);
  const shown = held ?? blocks.slice(0, ROWS);
  const rows = shown.map((block) => ({
    ...block,
    timeMs: block.timestamp_ms,
    gasUsed: block.gas_used,
    gasLimit: block.gas_limit,
    miner: null,
    finalityMs: block.finality_ms ?? null,
  }));
  return (
    <Listing
      title={t("dashboard.blocks")}
      rows={rows}
      action={
        <Button
          variant="secondary"
          size="sm"
          aria-pressed={held !== null}
          onClick={() => {
            setHeld(held === null ? shown : null);
          }}
        >
          {t(held === null ? "dashboard.pause" : "dashboard.resume")}
        </Button>
      }
    />
  );
}

function Older({ before }: { before: number }) {
  const { t, language } = useWords();
  const numbers = Array.from({ length: ROWS }, (_, index) => before - 1 - index).filter((number) => number >= 0);
  const query = useQuery({ queryKey: ["blocks", before], queryFn: () => blocksOf(numbers) });
  return (
    <QueryView query={query}>
      {(blocks) => (
        <Listing
          title={t("explorer.before", { number: whole(before, language) })}
          rows={blocks.map((block) => ({
            number: Number(block.number),
            hash: block.hash ?? "",
            timeMs: Number(block.timestamp) * 1000,
            transactions: block.transactions.length,
            gasUsed: Number(block.gasUsed),
            gasLimit: Number(block.gasLimit),
            size: Number(block.size),
            proposer: null,
            miner: block.miner,
            finalityMs: null,
          }))}
        />
      )}
    </QueryView>
  );
}

function Listing({ title, rows, action }: { title: string; rows: Row[]; action?: React.ReactNode }) {
  const { t, language } = useWords();
  const [, setParameters] = useSearchParams();
  const last = rows.at(-1)?.number ?? 0;
  return (
    <Card>
      <CardHeader {...(action === undefined ? {} : { actions: { actions: action } })}>
        <CardTitle component="h2">{title}</CardTitle>
      </CardHeader>
      <CardBody>
        {rows.length === 0 ? (
          <Nothing title={t("dashboard.blocks_none")} text={t("dashboard.blocks_none_why")} />
        ) : (
          <DataTable
            label={title}
            rows={rows}
            id={(row) => row.number}
            columns={[
              { label: t("chain.height"), cell: (row) => <BlockLink number={row.number} />, nowrap: true },
              {
                label: t("explorer.time"),
                cell: (row) => (row.proposer === null ? time(row.timeMs, language) : clock(row.timeMs, language)),
              },
              {
                label: t("chain.transactions"),
                cell: (row) => whole(row.transactions, language),
                align: "end",
              },
              { label: "Gas", cell: (row) => percent(row.gasUsed, row.gasLimit, language), align: "end", nowrap: true },
              {
                label: t("explorer.size"),
                cell: (row) => bytes(row.size, language),
                align: "end",
                wideOnly: true,
                nowrap: true,
              },
              {
                label: t("chain.finality"),
                cell: (row) =>
                  row.finalityMs === null ? "–" : t("dashboard.ms", { value: decimal(row.finalityMs, language) }),
                align: "end",
                wideOnly: true,
                nowrap: true,
              },
              {
                label: t("chain.proposer"),
                cell: (row) => row.proposer ?? (row.miner === null ? "–" : <AccountLink address={row.miner} />),
              },
              {
                label: t("explorer.hash"),
                cell: (row) => (
                  <code className="dolmen-code" title={row.hash}>
                    {ends(row.hash, 8, 4)}
                  </code>
                ),
                nowrap: true,
                wideOnly: true,
              },
            ]}
          />
        )}
        <Flex className="dolmen-gap-above">
          <Button
            variant="secondary"
            isDisabled={last === 0}
            onClick={() => {
              setParameters({ before: String(last) });
            }}
          >
            {t("explorer.older")}
          </Button>
          <Button
            variant="link"
            onClick={() => {
              setParameters({});
            }}
          >
            {t("explorer.newest")}
          </Button>
        </Flex>
      </CardBody>
    </Card>
  );
}
