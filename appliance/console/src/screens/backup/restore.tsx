import { Alert, Card, CardBody, CardTitle } from "@patternfly/react-core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, request } from "../../api/client";
import type { Api } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { Field } from "../../components/field";
import { JobProgress } from "../../components/job-progress";
import { useNotice } from "../../components/notices";
import { RestartButton } from "../../components/restart";
import { RoleButton } from "../../components/role";
import { whole } from "../../format";
import { useWords } from "../../i18n";
import { identityIn } from "./identity";

/** Makes the chain of the backups the box's own, with its next start. */
export function Restore({ data }: { data: Api<"Backups"> }) {
  const { t } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [asks, setAsks] = useState(false);
  const [job, setJob] = useState<number | null>(null);
  const [runs, setRuns] = useState(false);
  const hasNone = data.backups.length === 0;
  return (
    <Card>
      <CardTitle component="h2">{t("restore.title")}</CardTitle>
      <CardBody className="dolmen-stack">
        <p className="dolmen-intro">{t("restore.what")}</p>
        {data.restored && <Restored restored={data.restored} />}
        {job !== null && (
          <JobProgress
            key={job}
            job={job}
            title={t("restore.running")}
            done={() => {
              setJob(null);
              setRuns(false);
              say(t("restore.done"));
              void client.invalidateQueries({ queryKey: ["backups"] });
            }}
            failed={() => {
              setRuns(false);
            }}
          />
        )}
        {hasNone && <p>{t("restore.no_files")}</p>}
        <div>
          <RoleButton
            needs="security-officer"
            variant="secondary"
            isDisabled={runs || hasNone}
            onClick={() => {
              setAsks(true);
            }}
          >
            {t("restore.act")}
          </RoleButton>
        </div>
      </CardBody>
      {asks && (
        <AskIdentity
          started={(started) => {
            setJob(started);
            setRuns(true);
          }}
          close={() => {
            setAsks(false);
          }}
        />
      )}
    </Card>
  );
}

/** Asks for the secret key, which lives in this dialog alone and goes with it. */
function AskIdentity({ started, close }: { started: (job: number) => void; close: () => void }) {
  const { t } = useWords();
  const [text, setText] = useState("");
  const identity = identityIn(text);
  return (
    <Confirm
      danger
      title={t("restore.ask")}
      confirm={t("restore.act")}
      disabled={identity === null}
      close={close}
      act={async () => {
        // No mutation of the query client: that would remember what was sent.
        const { job } = await post<Api<"JobStarted">>("/restore", { identity });
        started(job);
      }}
    >
      <p>{t("restore.ask_what")}</p>
      <Field
        className="dolmen-secret"
        label={t("restore.identity")}
        value={text}
        set={setText}
        isRequired
        autoComplete="off"
        autoCapitalize="off"
        spellCheck="false"
        placeholder="AGE-SECRET-KEY-1…"
        help={t("restore.identity_help")}
        fault={text.trim() === "" || identity !== null ? undefined : t("restore.bad_identity")}
      />
    </Confirm>
  );
}

/** A chain that waits for the next start. */
function Restored({ restored }: { restored: { head: number; hash: string } }) {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [drops, setDrops] = useState(false);
  return (
    <>
      <Alert
        variant="info"
        isInline
        isLiveRegion
        title={t("restore.waits")}
        actionLinks={
          <>
            <RestartButton variant="link" isInline />
            <RoleButton
              needs="security-officer"
              variant="link"
              isInline
              isDanger
              onClick={() => {
                setDrops(true);
              }}
            >
              {t("restore.drop")}
            </RoleButton>
          </>
        }
      >
        <Facts>
          <Fact term={t("restore.head")}>{whole(restored.head, language)}</Fact>
          <Fact term={t("explorer.hash")}>
            <Copyable value={restored.hash} what={t("explorer.hash")} />
          </Fact>
        </Facts>
      </Alert>
      {drops && (
        <Confirm
          danger
          title={t("restore.drop_title")}
          confirm={t("restore.drop")}
          close={() => {
            setDrops(false);
          }}
          act={async () => {
            await request("DELETE", "/restore");
            say(t("restore.dropped"));
            await client.invalidateQueries({ queryKey: ["backups"] });
          }}
        >
          <p>{t("restore.drop_what")}</p>
        </Confirm>
      )}
    </>
  );
}
