import { Card, CardBody, CardHeader, CardTitle } from "@patternfly/react-core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post } from "../api/client";
import type { Api } from "../api/types";
import { DataTable } from "../components/data-table";
import { Fact, Facts } from "../components/facts";
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
  const [job, setJob] = useState<string | null>(null);
  const start = useMutation({
    mutationFn: () => post<Api<"JobStarted">>("/backups"),
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
          <Fact term={t("backup.recipients")}>
            <ul className="dolmen-plain-list">
              {data.recipients.map((recipient) => (
                <li key={recipient}>
                  <code className="dolmen-code">{recipient}</code>
                </li>
              ))}
            </ul>
          </Fact>
        </Facts>
        {data.backups.length === 0 ? (
          <Nothing title={t("backup.none")} text={t("backup.none_why")} />
        ) : (
          <DataTable
            label={t("backup.copies")}
            rows={data.backups}
            id={({ id }) => id}
            columns={[
              { label: t("backup.at"), cell: ({ at }) => time(at, language) },
              { label: t("backup.kind"), cell: ({ kind }) => t(`backup.${kind}`) },
              {
                label: t("backup.blocks"),
                cell: ({ from, to }) => `${whole(from, language)} – ${whole(to, language)}`,
                align: "end",
              },
              { label: t("explorer.size"), cell: (copy) => bytes(copy.bytes, language), align: "end" },
            ]}
          />
        )}
      </CardBody>
    </Card>
  );
}
