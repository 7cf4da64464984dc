import { Card, CardBody, CardHeader, CardTitle } from "@patternfly/react-core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import type { Api } from "../api/types";
import { DataTable } from "../components/data-table";
import { Fact, Facts } from "../components/facts";
import { Field } from "../components/field";
import { JobProgress } from "../components/job-progress";
import { useNotice } from "../components/notices";
import { ProblemAlert } from "../components/problem-alert";
import { Nothing, QueryView } from "../components/query-view";
import { RoleButton } from "../components/role";
import { Screen } from "../components/screen";
import { bytes, time, whole } from "../format";
import { useWords } from "../i18n";

/** The chain's encrypted copies. */
export function Backup() {
  const { t } = useWords();
  const query = useQuery({ queryKey: ["backups"], queryFn: ({ signal }) => get<Api<"Backups">>("/backups", signal) });
  return (
    <Screen title={t("menu.backup")} intro={t("backup.intro")}>
      <QueryView query={query}>{(data) => <Copies data={data} />}</QueryView>
    </Screen>
  );
}

function Copies({ data }: { data: Api<"Backups"> }) {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [job, setJob] = useState<number | null>(null);
  const [recipients, setRecipients] = useState("");
  const given = recipients.split(/[\s,]+/).filter((one) => one !== "");
  const start = useMutation({
    mutationFn: () => post<Api<"JobStarted">>("/backups", { recipients: given }),
    onSuccess: (started) => {
      setJob(started.job);
    },
  });
  return (
    <Card>
      <CardHeader
        actions={{
          actions: (
            <RoleButton
              needs="operator"
              isLoading={start.isPending}
              isDisabled={start.isPending || job !== null}
              onClick={() => {
                start.mutate();
              }}
            >
              {t("backup.start")}
            </RoleButton>
          ),
        }}
      >
        <CardTitle component="h2">{t("backup.copies")}</CardTitle>
      </CardHeader>
      <CardBody>
        {start.isError && <ProblemAlert error={start.error} />}
        {job !== null && (
          <JobProgress
            key={job}
            job={job}
            title={t("backup.running")}
            done={() => {
              setJob(null);
              say(t("backup.done"));
              void client.invalidateQueries({ queryKey: ["backups"] });
            }}
          />
        )}
        <Facts>
          <Fact term={t("backup.directory")}>
            <code className="dolmen-code">{data.directory}</code>
          </Fact>
        </Facts>
        <div className="dolmen-form dolmen-gap-above dolmen-gap">
          <Field
            label={t("backup.recipients")}
            value={recipients}
            set={setRecipients}
            spellCheck="false"
            autoCapitalize="off"
            placeholder="age1"
            help={t("backup.recipients_help")}
          />
        </div>
        {data.backups.length === 0 ? (
          <Nothing title={t("backup.none")} text={t("backup.none_why")} />
        ) : (
          <DataTable
            label={t("backup.copies")}
            rows={data.backups}
            id={({ number }) => number}
            columns={[
              { label: t("backup.at"), cell: ({ created_at }) => time(created_at, language) },
              { label: t("backup.kind"), cell: ({ kind }) => t(`backup.${kind}`) },
              {
                label: t("backup.blocks"),
                cell: ({ from, to }) => `${whole(from, language)} – ${whole(to, language)}`,
                align: "end",
              },
              {
                label: t("backup.recipients"),
                cell: (copy) => <code className="dolmen-code">{copy.recipients.join(" ")}</code>,
                width: 40,
              },
              { label: t("explorer.size"), cell: (copy) => bytes(copy.bytes, language), align: "end" },
            ]}
          />
        )}
      </CardBody>
    </Card>
  );
}
