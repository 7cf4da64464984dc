import { Card, CardBody, CardTitle, Flex, Label } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../../api/client";
import type { Api } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { useNotice } from "../../components/notices";
import { Nothing, QueryView } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { time } from "../../format";
import { useWords } from "../../i18n";

const REFRESH_MS = 10_000;
type Verdict = { serial: string; act: "approve" | "decline" } | null;

/** The new boxes that ask to come in. */
export function Inbox() {
  const { t } = useWords();
  const query = useQuery({
    queryKey: ["inbox"],
    queryFn: ({ signal }) => get<Api<"InboxEntry">[]>("/inbox", signal),
    refetchInterval: REFRESH_MS,
  });
  const client = useQueryClient();
  const say = useNotice();
  const [verdict, setVerdict] = useState<Verdict>(null);
  return (
    <>
      <QueryView query={query}>
        {(entries) =>
          entries.length === 0 ? (
            <Nothing title={t("inbox.empty")} text={t("inbox.empty_why")} />
          ) : (
            <div className="dolmen-cards">
              {entries.map((entry) => (
                <EntryCard key={entry.serial} entry={entry} decide={setVerdict} />
              ))}
            </div>
          )
        }
      </QueryView>
      {verdict && (
        <Confirm
          title={t(`inbox.${verdict.act}_title`, { serial: verdict.serial })}
          confirm={t(`inbox.${verdict.act}`)}
          danger={verdict.act === "decline"}
          act={async () => {
            await post(`/inbox/${encodeURIComponent(verdict.serial)}/${verdict.act}`);
            say(t(`inbox.${verdict.act}_done`, { serial: verdict.serial }));
            await client.invalidateQueries({ queryKey: ["inbox"] });
          }}
          close={() => {
            setVerdict(null);
          }}
        >
          <p>{t(`inbox.${verdict.act}_what`)}</p>
        </Confirm>
      )}
    </>
  );
}

function EntryCard({ entry, decide }: { entry: Api<"InboxEntry">; decide: (verdict: Verdict) => void }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{entry.serial}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("inbox.since")}>{time(entry.since, language)}</Fact>
          <Fact term={t("inbox.subject")}>{entry.subject}</Fact>
          <Fact term={t("inbox.standing")}>
            <Label status={entry.standing === "measured" ? "success" : "warning"}>{entry.standing}</Label>
          </Fact>
          <Fact term={t("inbox.report")}>{entry.report}</Fact>
          <Fact term={t("inbox.ek")}>
            <Copyable value={entry.ek} what={t("inbox.ek")} />
          </Fact>
        </Facts>
        <Flex className="dolmen-gap-above">
          <RoleButton
            needs="security-officer"
            onClick={() => {
              decide({ serial: entry.serial, act: "approve" });
            }}
          >
            {t("inbox.approve")}
          </RoleButton>
          <RoleButton
            needs="security-officer"
            variant="secondary"
            onClick={() => {
              decide({ serial: entry.serial, act: "decline" });
            }}
          >
            {t("inbox.decline")}
          </RoleButton>
        </Flex>
      </CardBody>
    </Card>
  );
}
