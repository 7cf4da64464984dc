import { Alert, Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../api/client";
import { networkQuery } from "../api/queries";
import type { Api } from "../api/types";
import { Confirm } from "../components/confirm";
import { DataTable } from "../components/data-table";
import { Fact, Facts } from "../components/facts";
import { NetworkForm } from "../components/network-form";
import { useNotice } from "../components/notices";
import { Nothing, QueryView } from "../components/query-view";
import { Screen } from "../components/screen";
import { whole } from "../format";
import { useWords } from "../i18n";

type Config = Api<"NetworkConfig">;

/** The box's interfaces and address. */
export function Network() {
  const { t } = useWords();
  const query = useQuery(networkQuery);
  return (
    <Screen title={t("menu.network")}>
      <QueryView query={query}>
        {(network) => (
          <div className="dolmen-stack">
            <Interfaces network={network} />
            {network.pending && (
              <Alert variant="info" isInline title={t("network.pending")}>
                {t("network.pending_how")}
              </Alert>
            )}
            {network.config ? (
              <Settings key={JSON.stringify(network.config)} network={network} config={network.config} />
            ) : (
              <Nothing title={t("network.not_image")} text={t("network.not_image_why")} />
            )}
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

function Interfaces({ network }: { network: Api<"Network"> }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("network.interfaces")}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("network.tier")}>
            {network.tier} <span className="dolmen-note">{network.tier_why}</span>
          </Fact>
        </Facts>
        <DataTable
          label={t("network.interfaces")}
          rows={network.interfaces}
          id={({ name }) => name}
          columns={[
            { label: t("common.name"), cell: ({ name }) => name },
            {
              label: t("common.state"),
              cell: ({ up }) => (
                <Label status={up ? "success" : "warning"}>{t(up ? "network.up" : "network.down")}</Label>
              ),
            },
            {
              label: t("network.speed"),
              cell: ({ speed_mbps }) =>
                speed_mbps === undefined ? "–" : t("network.mbps", { value: whole(speed_mbps, language) }),
              align: "end",
            },
            { label: t("network.addresses"), cell: ({ addresses }) => addresses.join(", ") || "–" },
            { label: "MAC", cell: ({ mac }) => <code className="dolmen-code">{mac}</code> },
          ]}
        />
      </CardBody>
    </Card>
  );
}

function Settings({ network, config }: { network: Api<"Network">; config: Config }) {
  const { t } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [next, setNext] = useState<Config | null>(null);
  return (
    <Card>
      <CardTitle component="h2">{t("network.settings")}</CardTitle>
      <CardBody>
        <NetworkForm config={config} interfaces={network.interfaces} submit={setNext} label={t("network.change")} />
      </CardBody>
      {next && (
        <Confirm
          danger
          title={t("network.confirm")}
          confirm={t("network.change")}
          act={async () => {
            await request("PUT", "/network", { body: next });
            say(t("network.changed"));
            await client.invalidateQueries({ queryKey: networkQuery.queryKey });
          }}
          close={() => {
            setNext(null);
          }}
        >
          <p>{t("network.confirm_what")}</p>
        </Confirm>
      )}
    </Card>
  );
}
