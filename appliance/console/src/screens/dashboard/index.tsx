import { Card, CardBody, CardTitle } from "@patternfly/react-core";
import { lazy, Suspense } from "react";
import { useLive } from "../../api/live";
import { Waiting } from "../../app";
import { Screen } from "../../components/screen";
import { decimal } from "../../format";
import { useWords } from "../../i18n";
import { BoxCard, MachineCard } from "./cards";
import { Figures } from "./figures";
import { HealthAlerts } from "./health-alerts";
import { PeersCard } from "./peers";
import { RecentBlocks } from "./recent-blocks";

const SeriesChart = lazy(() => import("../../components/series-chart").then((m) => ({ default: m.SeriesChart })));

/** The box and its chain at a glance. */
export function Dashboard() {
  const { t } = useWords();
  const live = useLive();
  return (
    <Screen title={t("menu.dashboard")}>
      <div className="dolmen-stack">
        <HealthAlerts live={live} />
        {live.status === null ? (
          <Waiting />
        ) : (
          <>
            <Figures live={live} status={live.status} />
            <div className="dolmen-columns">
              <Throughput />
              <MachineCard />
              <RecentBlocks />
              <BoxCard status={live.status} />
            </div>
            <PeersCard status={live.status} />
          </>
        )}
      </div>
    </Screen>
  );
}

function Throughput() {
  const { t, language } = useWords();
  const { transactions, rates } = useLive();
  return (
    <Card>
      <CardTitle component="h2">{t("dashboard.tps_chart")}</CardTitle>
      <CardBody>
        <Suspense fallback={<Waiting />}>
          <SeriesChart
            values={transactions}
            label={t("dashboard.tps_described", {
              mean: decimal(rates?.transactions, language),
              seconds: transactions.length,
            })}
          />
        </Suspense>
      </CardBody>
    </Card>
  );
}
