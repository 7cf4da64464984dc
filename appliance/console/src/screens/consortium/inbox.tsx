import { Card, CardBody, CardTitle, Flex, Label } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../../api/client";
import type { Api } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { Fact, Facts } from "../../components/facts";
import { Field } from "../../components/field";
import { useNotice } from "../../components/notices";
import { Nothing, QueryView } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { time } from "../../format";
import { useWords, wordOr } from "../../i18n";

const REFRESH_MS = 10_000;
/** The box takes 256 bytes; a character has up to four. */
const REASON_CHARACTERS_MAX = 64;
const STANDING: Record<string, "success" | "info" | "danger"> = {
  waiting: "info",
  approved: "success",
  declined: "danger",
  revoked: "danger",
};
type Verdict = { serial: string; act: "approve" | "decline" } | null;

/** The new boxes that ask to come in. */
export function Inbox() {
  const { t } = useWords();
  const query = useQuery({
    queryKey: ["inbox"],
    queryFn: ({ signal }) => get<Api<"Candidate">[]>("/inbox", signal),
    refetchInterval: REFRESH_MS,
  });
  const client = useQueryClient();
  const say = useNotice();
  const [verdict, setVerdict] = useState<Verdict>(null);
  const [reason, setReason] = useState("");
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
          disabled={verdict.act === "decline" && reason.trim() === ""}
          act={async () => {
            const body = verdict.act === "decline" ? { reason: reason.trim() } : undefined;
            await post(`/inbox/${encodeURIComponent(verdict.serial)}/${verdict.act}`, body);
            setReason("");
            say(t(`inbox.${verdict.act}_done`, { serial: verdict.serial }));
            await client.invalidateQueries({ queryKey: ["inbox"] });
          }}
          close={() => {
            setVerdict(null);
          }}
        >
          <p>{t(`inbox.${verdict.act}_what`)}</p>
          {verdict.act === "decline" && (
            <Field
              label={t("inbox.reason")}
              value={reason}
              set={setReason}
              isRequired
              maxLength={REASON_CHARACTERS_MAX}
            />
          )}
        </Confirm>
      )}
    </>
  );
}

function EntryCard({ entry, decide }: { entry: Api<"Candidate">; decide: (verdict: Verdict) => void }) {
  const { t, language } = useWords();
  const { report } = entry;
  const facts: [string, string | null | undefined][] = [
    [t("inbox.reason"), entry.reason],
    [t("inbox.voucher"), t(report.voucher ? "inbox.voucher_here" : "inbox.voucher_none")],
    [t("inbox.image"), report.image],
    [t("inbox.judged"), report.judged_at == null ? null : time(report.judged_at, language)],
    [t("inbox.certificate_until"), report.certificate_until],
    [t("menu.chain"), report.chain],
    [t("inbox.alarm"), report.alarm],
  ];
  const known = facts.filter(([, value]) => value != null);
  return (
    <Card>
      <CardTitle component="h2">{entry.serial}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("inbox.since")}>{time(entry.since, language)}</Fact>
          <Fact term={t("inbox.standing")}>
            <Label status={STANDING[entry.standing] ?? "warning"}>
              {wordOr("inbox", `standing_${entry.standing}`, entry.standing)}
            </Label>
          </Fact>
          {known.map(([term, value]) => (
            <Fact key={term} term={term}>
              {value}
            </Fact>
          ))}
        </Facts>
        {(entry.standing === "waiting" || entry.standing === "declined") && (
          <Flex className="dolmen-gap-above">
            <RoleButton
              needs="security-officer"
              onClick={() => {
                decide({ serial: entry.serial, act: "approve" });
              }}
            >
              {t("inbox.approve")}
            </RoleButton>
            {entry.standing === "waiting" && (
              <RoleButton
                needs="security-officer"
                variant="secondary"
                onClick={() => {
                  decide({ serial: entry.serial, act: "decline" });
                }}
              >
                {t("inbox.decline")}
              </RoleButton>
            )}
          </Flex>
        )}
      </CardBody>
    </Card>
  );
}
