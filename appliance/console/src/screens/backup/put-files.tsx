import { Button, Card, CardBody, CardTitle, Progress } from "@patternfly/react-core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { upload } from "../../api/client";
import { DataTable } from "../../components/data-table";
import { useNotice } from "../../components/notices";
import { ProblemAlert } from "../../components/problem-alert";
import { RoleButton } from "../../components/role";
import { bytes } from "../../format";
import { useWords } from "../../i18n";
import { inOrder } from "./order";

/** The file that is being sent, and how much of all has gone. */
interface Sending {
  name: string;
  bytes: number;
}

/** Puts the files of a backup that was kept elsewhere onto the box. */
export function PutFiles() {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const chooser = useRef<HTMLInputElement>(null);
  const stop = useRef<AbortController>(null);
  // What is still to be sent: a file that the box took is none of them any more.
  const [files, setFiles] = useState<File[]>([]);
  const [sending, setSending] = useState<Sending | null>(null);
  const [total, setTotal] = useState(0);
  const [error, setError] = useState<unknown>(null);
  useEffect(
    () => () => {
      stop.current?.abort();
    },
    [],
  );
  const { mutate: send } = useMutation({ mutationFn: () => sendAll() });
  const sendAll = async () => {
    const stopped = new AbortController();
    stop.current = stopped;
    setTotal(files.reduce((sum, { size }) => sum + size, 0));
    setError(null);
    let sent = 0;
    try {
      for (const file of files) {
        const told = (gone: number) => {
          setSending({ name: file.name, bytes: sent + gone });
        };
        told(0);
        await upload(`/backups/${encodeURIComponent(file.name)}`, file, told, stopped.signal);
        sent += file.size;
        setFiles((left) => left.filter((one) => one !== file));
      }
      say(t("put.done"));
    } catch (thrown) {
      if (!stopped.signal.aborted) setError(thrown);
    } finally {
      setSending(null);
      await client.invalidateQueries({ queryKey: ["backups"] });
    }
  };
  return (
    <Card>
      <CardTitle component="h2">{t("put.title")}</CardTitle>
      <CardBody className="dolmen-stack">
        <p className="dolmen-intro">{t("put.what")}</p>
        <input
          ref={chooser}
          type="file"
          multiple
          hidden
          aria-label={t("put.choose")}
          onChange={({ target }) => {
            const chosen = [...(target.files ?? [])];
            setFiles((before) => inOrder([...before, ...chosen]));
            setError(null);
            // The same file may be chosen again.
            target.value = "";
          }}
        />
        {files.length > 0 && (
          <DataTable
            label={t("put.files")}
            rows={files}
            id={({ name }) => name}
            columns={[
              { label: t("common.name"), cell: ({ name }) => <code className="dolmen-code">{name}</code> },
              { label: t("explorer.size"), cell: ({ size }) => bytes(size, language), align: "end" },
              {
                label: t("users.actions"),
                cell: (file) => (
                  <Button
                    variant="link"
                    isInline
                    isDisabled={sending !== null}
                    aria-label={t("users.act_on", { act: t("put.remove"), name: file.name })}
                    onClick={() => {
                      setFiles(files.filter((one) => one !== file));
                    }}
                  >
                    {t("put.remove")}
                  </Button>
                ),
              },
            ]}
          />
        )}
        {sending && (
          <Progress
            title={t("put.sending", { name: sending.name })}
            value={total === 0 ? 100 : Math.round((100 * sending.bytes) / total)}
          />
        )}
        {error !== null && <ProblemAlert error={error} />}
        <div className="dolmen-radios">
          <RoleButton
            needs="security-officer"
            variant="secondary"
            isDisabled={sending !== null}
            onClick={() => {
              chooser.current?.click();
            }}
          >
            {t("put.choose")}
          </RoleButton>
          {files.length > 0 && (
            <RoleButton
              needs="security-officer"
              isLoading={sending !== null}
              isDisabled={sending !== null}
              onClick={() => {
                send();
              }}
            >
              {t("put.send")}
            </RoleButton>
          )}
          {sending && (
            <Button variant="link" onClick={() => stop.current?.abort()}>
              {t("put.stop")}
            </Button>
          )}
        </div>
      </CardBody>
    </Card>
  );
}
