import { Label } from "@patternfly/react-core";
import { useConsortium } from "../../api/queries";
import type { Api } from "../../api/types";
import { AccountLink } from "../../components/chain-links";
import { Copyable } from "../../components/copyable";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { Nothing, QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { TabSet } from "../../components/tab-set";
import { time, whole } from "../../format";
import { useWords, wordOr } from "../../i18n";
import { Inbox } from "./inbox";
import { Proposals } from "./proposals";

type Data = Api<"Consortium">;

/** Who is in the consortium, what it decides, and which boxes ask to come in. */
export function Consortium() {
  const { t } = useWords();
  const query = useConsortium();
  const of = (show: (data: Data) => React.ReactNode) => <QueryView query={query}>{show}</QueryView>;
  return (
    <Screen title={t("menu.consortium")} intro={t("consortium.intro")}>
      <TabSet
        label={t("menu.consortium")}
        tabs={[
          {
            key: "organisations",
            title: t("consortium.organisations"),
            content: of((data) => <Organisations data={data} />),
          },
          { key: "boxes", title: t("consortium.boxes"), content: of((data) => <Boxes data={data} />) },
          { key: "validators", title: t("consortium.validators"), content: of((data) => <Validators data={data} />) },
          { key: "proposals", title: t("consortium.proposals"), content: of((data) => <Proposals data={data} />) },
          { key: "inbox", title: t("consortium.inbox"), content: <Inbox /> },
        ]}
      />
    </Screen>
  );
}

function Organisations({ data }: { data: Data }) {
  const { t, language } = useWords();
  return (
    <div className="dolmen-stack">
      <DataTable
        label={t("consortium.organisations")}
        rows={data.organisations}
        id={({ address }) => address}
        columns={[
          { label: t("common.name"), cell: ({ name }) => name },
          { label: t("consortium.account"), cell: ({ address }) => <AccountLink address={address} /> },
          { label: t("consortium.boxes"), cell: ({ boxes }) => whole(boxes, language), align: "end" },
        ]}
      />
      <h2 className="dolmen-h2">{t("consortium.policy")}</h2>
      <Facts>
        {Object.entries(data.policy).map(([name, value]) => (
          <Fact key={name} term={wordOr("policy", name, name)}>
            {typeof value === "number" ? whole(value, language) : String(value ?? "–")}
          </Fact>
        ))}
      </Facts>
    </div>
  );
}

function Boxes({ data }: { data: Data }) {
  const { t, language } = useWords();
  if (data.boxes.length === 0) return <Nothing title={t("consortium.no_boxes")} text={t("consortium.no_boxes_why")} />;
  return (
    <DataTable
      label={t("consortium.boxes")}
      rows={data.boxes}
      id={(box) => box.public_key}
      columns={[
        { label: t("common.name"), cell: (box) => box.name },
        { label: t("consortium.organisation"), cell: (box) => box.organisation },
        { label: t("common.role"), cell: (box) => t(`chain.${box.role}`) },
        {
          label: t("consortium.attestation"),
          cell: (box) => (
            <Label status={box.standing === "attested" ? "success" : "warning"}>
              {wordOr("consortium", `standing_${box.standing}`, box.standing)}
            </Label>
          ),
        },
        { label: t("consortium.attested_at"), cell: (box) => time(box.attested_at, language) },
        { label: t("consortium.appraisal"), cell: (box) => box.appraisal ?? "–" },
        { label: t("common.address"), cell: (box) => <code className="dolmen-code">{box.address}</code>, nowrap: true },
      ]}
    />
  );
}

function Validators({ data }: { data: Data }) {
  const { t } = useWords();
  return (
    <DataTable
      label={t("consortium.validators")}
      rows={data.validators}
      id={(validator) => validator.public_key}
      columns={[
        { label: t("common.name"), cell: (validator) => validator.name },
        {
          label: t("common.public_key"),
          cell: (validator) => <Copyable value={validator.public_key} what={t("common.public_key")} />,
        },
        {
          label: t("explorer.fee_recipient"),
          cell: ({ fee_recipient }) => (fee_recipient === undefined ? "–" : <AccountLink address={fee_recipient} />),
        },
      ]}
    />
  );
}
