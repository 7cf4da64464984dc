import { Button, Card, CardBody, CardHeader, CardTitle } from "@patternfly/react-core";
import { useState } from "react";
import { Link } from "react-router";
import { useLive } from "../../api/live";
import type { Block } from "../../api/live-buffer";
import { DataTable } from "../../components/data-table";
import { Nothing } from "../../components/query-view";
import { decimal, percent, whole } from "../../format";
import { useWords } from "../../i18n";

const ROWS = 8;

/** The newest blocks as they come, which a reader can hold still. */
export function RecentBlocks() {
  const { t, language } = useWords();
  const { blocks } = useLive();
  const [held, setHeld] = useState<Block[] | null>(null);
  const rows = held ?? blocks.slice(0, ROWS);
  return (
    <Card>
      <CardHeader
        actions={{
          actions: (
            <Button
              variant="secondary"
              size="sm"
              aria-pressed={held !== null}
              onClick={() => {
                setHeld(held === null ? rows : null);
              }}
            >
              {t(held === null ? "dashboard.pause" : "dashboard.resume")}
            </Button>
          ),
        }}
      >
        <CardTitle component="h2">{t("dashboard.blocks")}</CardTitle>
      </CardHeader>
      <CardBody>
        {rows.length === 0 ? (
          <Nothing title={t("dashboard.blocks_none")} text={t("dashboard.blocks_none_why")} />
        ) : (
          <DataTable
            label={t("dashboard.blocks")}
            rows={rows}
            id={(block) => block.number}
            columns={[
              {
                label: t("chain.height"),
                cell: (block) => <Link to={`/blocks/${block.number}`}>{whole(block.number, language)}</Link>,
              },
              {
                label: t("chain.transactions"),
                cell: (block) => whole(block.transactions, language),
                align: "end",
              },
              {
                label: "Gas",
                cell: (block) => percent(block.gas_used, block.gas_limit, language),
                align: "end",
              },
              {
                label: t("chain.finality"),
                cell: (block) =>
                  block.finality_ms == null ? "–" : t("dashboard.ms", { value: decimal(block.finality_ms, language) }),
                align: "end",
              },
              { label: t("chain.proposer"), cell: (block) => block.proposer, wideOnly: true },
            ]}
          />
        )}
      </CardBody>
    </Card>
  );
}
