import { Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import type { Status } from "../../api/live-buffer";
import { Copyable } from "../../components/copyable";
import { DataTable } from "../../components/data-table";
import { Nothing } from "../../components/query-view";
import { whole } from "../../format";
import { useWords, wordOr } from "../../i18n";

/** The boxes that this one talks to. */
export function PeersCard({ status }: { status: Status }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("dashboard.peers_title")}</CardTitle>
      <CardBody>
        {status.peers.length === 0 ? (
          <Nothing title={t("dashboard.peers_none")} text={t("dashboard.peers_none_why")} />
        ) : (
          <DataTable
            label={t("dashboard.peers_title")}
            rows={status.peers}
            id={(peer) => peer.public_key}
            columns={[
              { label: t("common.name"), cell: (peer) => peer.name || t("dashboard.unnamed") },
              {
                label: t("common.state"),
                cell: (peer) =>
                  peer.connected ? (
                    <Label status="success">{t("dashboard.connected")}</Label>
                  ) : (
                    <Label status="danger">{t("dashboard.disconnected")}</Label>
                  ),
              },
              { label: t("common.role"), cell: ({ role }) => wordOr("chain", role, role) },
              { label: t("chain.height"), cell: (peer) => whole(peer.height, language), align: "end" },
              {
                label: t("common.address"),
                cell: (peer) => <code className="dolmen-code">{peer.address}</code>,
              },
              {
                label: t("common.public_key"),
                cell: (peer) => <Copyable value={peer.public_key} what={t("common.public_key")} />,
              },
            ]}
          />
        )}
      </CardBody>
    </Card>
  );
}
