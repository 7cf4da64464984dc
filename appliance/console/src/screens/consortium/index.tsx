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

const STANDING: Record<string, "success" | "warning"> = { votes: "success", leaves: "warning", retired: "warning" };

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
            {value.text}
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
        { label: t("consortium.organisation"), cell: (box) => box.organisation ?? "–" },
        { label: t("common.role"), cell: (box) => wordOr("chain", box.role, box.role) },
        {
          label: t("common.state"),
          cell: (box) => (
            <Label status={STANDING[box.standing] ?? "info"}>
              {wordOr("consortium", `standing_${box.standing}`, box.standing)}
            </Label>
          ),
        },
        { label: t("consortium.last_proposed"), cell: (box) => time(box.last_proposed_at, language) },
        {
          label: t("consortium.appraisal"),
          cell: (box) => (box.appraisal ? <Copyable value={box.appraisal} what={t("consortium.appraisal")} /> : "–"),
        },
        {
          label: t("common.address"),
          cell: (box) => <code className="dolmen-code">{box.address ?? "–"}</code>,
          nowrap: true,
        },
      ]}
    />
  );
}

function Validators({ data }: { data: Data }) {
  const { t } = useWords();
  return (
    <DataTable
      label={t("consortium.validators")}
      rows={data.validators.map((name) => ({ name, box: data.boxes.find((box) => box.name === name) }))}
      id={({ name }) => name}
      columns={[
        { label: t("common.name"), cell: ({ name }) => name },
        {
          label: t("common.public_key"),
          cell: ({ box }) => (box ? <Copyable value={box.public_key} what={t("common.public_key")} /> : "–"),
        },
        { label: t("consortium.organisation"), cell: ({ box }) => box?.organisation ?? "–" },
      ]}
    />
  );
}
