import { Alert, Card, CardBody, CardTitle, FileUpload, Form, FormGroup } from "@patternfly/react-core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, request } from "../api/client";
import type { Api } from "../api/types";
import { Confirm } from "../components/confirm";
import { Fact, Facts } from "../components/facts";
import { Field } from "../components/field";
import { useNotice } from "../components/notices";
import { ProblemAlert } from "../components/problem-alert";
import { QueryView } from "../components/query-view";
import { RoleButton } from "../components/role";
import { Screen } from "../components/screen";
import { bytes } from "../format";
import { useWords } from "../i18n";

const UPLOAD_WAIT_MS = 3_600_000;
const REFRESH_MS = 5_000;

/** The image's two slots, a new bundle, and the way back. */
export function Updates() {
  const { t } = useWords();
  const query = useQuery({
    queryKey: ["update"],
    queryFn: ({ signal }) => get<Api<"Slots">>("/update", signal),
    refetchInterval: REFRESH_MS,
  });
  return (
    <Screen title={t("menu.updates")} intro={t("updates.intro")}>
      <QueryView query={query}>
        {(update) => (
          <div className="dolmen-stack">
            <Slots update={update} />
            <NewBundle />
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

function Slots({ update }: { update: Api<"Slots"> }) {
  const { t } = useWords();
  const say = useNotice();
  const [asks, setAsks] = useState(false);
  const left = (tries: number | null | undefined) =>
    tries == null ? "" : ` (${t("updates.tries", { count: tries })})`;
  return (
    <Card>
      <CardTitle component="h2">{t("updates.slots")}</CardTitle>
      <CardBody>
        {update.refused != null && (
          <Alert variant="danger" isInline title={t("updates.refused")} className="dolmen-gap">
            <p className="dolmen-sentence">{update.refused}</p>
          </Alert>
        )}
        <Facts>
          <Fact term={t("updates.running")}>{update.running + left(update.tries_left)}</Fact>
          <Fact term={t("updates.other")}>
            {update.other == null ? t("updates.no_other") : update.other + left(update.other_tries_left)}
          </Fact>
        </Facts>
        <RoleButton
          needs="operator"
          variant="secondary"
          className="dolmen-gap-above"
          isDisabled={update.other == null}
          onClick={() => {
            setAsks(true);
          }}
        >
          {t("updates.roll_back")}
        </RoleButton>
      </CardBody>
      {asks && (
        <Confirm
          danger
          title={t("updates.roll_back_title", { version: update.other })}
          confirm={t("updates.roll_back")}
          act={async () => {
            await post("/update/rollback");
            say(t("updates.rolling_back"));
          }}
          close={() => {
            setAsks(false);
          }}
        >
          <p>{t("updates.restarts")}</p>
        </Confirm>
      )}
    </Card>
  );
}

function NewBundle() {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [file, setFile] = useState<File | null>(null);
  const [url, setUrl] = useState("");
  const take = useMutation({
    mutationFn: () =>
      request<Api<"UpdateTaken">>("POST", "/update", {
        ...(file === null ? { body: { url: url.trim() } } : { file }),
        waitMs: UPLOAD_WAIT_MS,
      }),
    onSuccess: async ({ version }) => {
      say(t("updates.taken", { version }));
      setFile(null);
      setUrl("");
      await client.invalidateQueries({ queryKey: ["update"] });
    },
  });
  return (
    <Card>
      <CardTitle component="h2">{t("updates.new")}</CardTitle>
      <CardBody>
        <Form
          className="dolmen-form"
          onSubmit={(event) => {
            event.preventDefault();
            take.mutate();
          }}
        >
          <p>{t("updates.checked")}</p>
          <FormGroup label={t("updates.file")} fieldId="bundle">
            <FileUpload
              id="bundle"
              filename={file === null ? "" : `${file.name} (${bytes(file.size, language)})`}
              filenamePlaceholder={t("updates.drop")}
              browseButtonText={t("common.choose_file")}
              clearButtonText={t("common.clear")}
              hideDefaultPreview
              onFileInputChange={(_, chosen) => {
                setFile(chosen);
              }}
              onClearClick={() => {
                setFile(null);
              }}
            />
          </FormGroup>
          <Field
            label={t("updates.url")}
            type="url"
            value={url}
            set={setUrl}
            isDisabled={file !== null}
            placeholder="https://"
            help={t("updates.url_help")}
          />
          {take.isError && <ProblemAlert error={take.error} />}
          <div>
            <RoleButton
              needs="operator"
              type="submit"
              isLoading={take.isPending}
              isDisabled={take.isPending || (file === null && url.trim() === "")}
            >
              {t(take.isPending ? "updates.sending" : "updates.take")}
            </RoleButton>
          </div>
        </Form>
      </CardBody>
    </Card>
  );
}
