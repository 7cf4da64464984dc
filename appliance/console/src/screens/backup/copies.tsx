import { Card, CardBody, CardHeader, CardTitle, Checkbox } from "@patternfly/react-core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client";
import type { Api } from "../../api/types";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { Field } from "../../components/field";
import { JobProgress } from "../../components/job-progress";
import { useNotice } from "../../components/notices";
import { ProblemAlert } from "../../components/problem-alert";
import { Nothing } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { bytes, time, whole } from "../../format";
import { useWords, wordOr } from "../../i18n";

/** Names the others; a copy is nothing without it. */
const MANIFEST = "manifest.json";

/** The copies that are on this box, and another one. */
export function Copies({ data }: { data: Api<"Backups"> }) {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [job, setJob] = useState<number | null>(null);
  const [runs, setRuns] = useState(false);
  const [recipients, setRecipients] = useState("");
  const [full, setFull] = useState(false);
  const given = recipients.split(/[\s,]+/).filter((one) => one !== "");
  const start = useMutation({
    mutationFn: () => post<Api<"JobStarted">>("/backups", { recipients: given, full }),
    onSuccess: (started) => {
      setJob(started.job);
      setRuns(true);
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
              isDisabled={start.isPending || runs}
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
            done={(made) => {
              setJob(null);
              setRuns(false);
              setFull(false);
              say(t(made === null ? "backup.nothing_new" : "backup.done"));
              void client.invalidateQueries({ queryKey: ["backups"] });
            }}
            failed={() => {
              setRuns(false);
            }}
          />
        )}
        <Facts>
          <Fact term={t("backup.directory")}>
            <code className="dolmen-code">{data.directory}</code>
          </Fact>
          {data.backups.length > 0 && (
            <Fact term={t("backup.manifest")}>
              <FileLink name={MANIFEST} />
            </Fact>
          )}
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
          <Checkbox
            id="full"
            label={t("backup.start_full")}
            description={t("backup.start_full_why")}
            isChecked={full}
            onChange={(_, checked) => {
              setFull(checked);
            }}
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
              { label: t("backup.kind"), cell: ({ kind }) => wordOr("backup", kind, kind) },
              {
                label: t("backup.blocks"),
                cell: ({ from, to }) => `${whole(from, language)} – ${whole(to, language)}`,
                align: "end",
              },
              {
                label: t("backup.recipients"),
                cell: (copy) => <code className="dolmen-code">{copy.recipients.join(" ")}</code>,
                width: 25,
              },
              {
                label: t("backup.files"),
                cell: ({ files }) =>
                  files.map(({ name }) => (
                    <div key={name}>
                      <FileLink name={name} />
                    </div>
                  )),
                width: 25,
              },
              { label: t("explorer.size"), cell: (copy) => bytes(copy.bytes, language), align: "end" },
            ]}
          />
        )}
      </CardBody>
    </Card>
  );
}

/** A link and no button: files are long, and the browser writes them to its disk as they come. */
function FileLink({ name }: { name: string }) {
  return (
    <a className="dolmen-code dolmen-target" href={`/api/v1/backups/${encodeURIComponent(name)}`} download={name}>
      {name}
    </a>
  );
}
