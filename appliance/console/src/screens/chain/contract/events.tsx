import { Button } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import type { Abi, Address } from "viem";
import { getBlockNumber, getContractEvents } from "viem/actions";
import { formatValue } from "../../../api/abi";
import { chain } from "../../../api/rpc";
import { BlockLink, TransactionLink } from "../../../components/chain-links";
import { DataTable } from "../../../components/data-table";
import { Nothing, QueryView } from "../../../components/query-view";
import { whole } from "../../../format";
import { useWords } from "../../../i18n";

const BLOCKS = 1_000n;
const EVENTS_SHOWN = 200;

async function load(abi: Abi, address: Address) {
  const toBlock = await getBlockNumber(chain, { cacheTime: 0 });
  const fromBlock = toBlock > BLOCKS ? toBlock - BLOCKS + 1n : 0n;
  const events = await getContractEvents(chain, { abi, address, fromBlock, toBlock });
  return { fromBlock, toBlock, events: events.toReversed() };
}

/** What the contract logged in the latest blocks. */
export function Events({ abi, address }: { abi: Abi; address: Address }) {
  const { t, language } = useWords();
  const query = useQuery({ queryKey: ["events", address], queryFn: () => load(abi, address) });
  return (
    <div className="dolmen-stack dolmen-gap-above">
      <QueryView query={query}>
        {({ fromBlock, toBlock, events }) => (
          <>
            <p>
              {t("contract.events_range", {
                from: whole(fromBlock, language),
                to: whole(toBlock, language),
                count: events.length,
              })}{" "}
              <Button variant="link" isInline onClick={() => void query.refetch()}>
                {t("common.reload")}
              </Button>
            </p>
            {events.length === 0 ? (
              <Nothing title={t("explorer.no_events")} text={t("contract.no_events_why")} />
            ) : (
              <DataTable
                label={t("explorer.events")}
                rows={events.slice(0, EVENTS_SHOWN)}
                id={(event) => `${event.blockNumber}-${event.logIndex}`}
                columns={[
                  {
                    label: t("chain.height"),
                    cell: (event) => <BlockLink number={event.blockNumber} />,
                  },
                  {
                    label: t("explorer.transaction_column"),
                    cell: (event) => <TransactionLink hash={event.transactionHash} />,
                  },
                  { label: t("common.name"), cell: (event) => event.eventName },
                  {
                    label: t("contract.values"),
                    cell: (event) => <pre className="dolmen-pre">{formatValue(event.args)}</pre>,
                    width: 50,
                  },
                ]}
              />
            )}
          </>
        )}
      </QueryView>
    </div>
  );
}
