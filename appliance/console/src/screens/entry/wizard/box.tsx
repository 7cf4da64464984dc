import { Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../../api/client";
import { useSettings } from "../../../api/queries";
import { queryClient } from "../../../api/session";
import type { Api } from "../../../api/types";
import { Fact, Facts } from "../../../components/facts";
import { Field } from "../../../components/field";
import { ProblemAlert } from "../../../components/problem-alert";
import { QueryView } from "../../../components/query-view";
import { isBoxName } from "../../../components/settings-checks";
import { useWords } from "../../../i18n";
import { Buttons, submit } from "./steps";

/** Names the box, where its settings may be written. */
export function BoxStep({ next }: { next: () => void }) {
  const { t } = useWords();
  const query = useSettings();
  if (query.data?.writable === true) return <NameForm settings={query.data} next={next} />;
  return (
    <Form onSubmit={submit(next)}>
      <QueryView query={query}>
        {({ name }) => (
          <>
            <Facts>
              <Fact term={t("common.name")}>{name}</Fact>
            </Facts>
            <p>{t("wizard.box_fixed")}</p>
          </>
        )}
      </QueryView>
      <Buttons next={t("common.continue")} disabled={query.isPending} />
    </Form>
  );
}

function NameForm({ settings, next }: { settings: Api<"Settings">; next: () => void }) {
  const { t } = useWords();
  const [name, setName] = useState(settings.name);
  const [tried, setTried] = useState(false);
  const holds = isBoxName(name.trim());
  const save = useMutation({
    mutationFn: () => {
      const { traces, syslog } = settings;
      const body: Api<"BoxSettings"> = {
        name: name.trim(),
        ...(traces == null ? {} : { traces }),
        ...(syslog == null ? {} : { syslog }),
      };
      return request<Api<"Settings">>("PUT", "/settings", { body });
    },
    onSuccess: (fresh) => {
      queryClient.setQueryData(["settings"], fresh);
      next();
    },
  });
  return (
    <Form
      className="dolmen-form"
      onSubmit={submit(() => {
        setTried(true);
        if (!holds) return;
        if (name.trim() === settings.name) next();
        else save.mutate();
      })}
    >
      <p>{t("wizard.box_what")}</p>
      <Field
        label={t("wizard.box_name")}
        value={name}
        set={setName}
        isRequired
        autoComplete="off"
        spellCheck="false"
        help={t("wizard.box_help")}
        fault={tried && !holds ? t("settings.bad_name") : undefined}
      />
      {save.isError && <ProblemAlert error={save.error} />}
      <Buttons next={t("common.continue")} busy={save.isPending} {...(save.isError ? { skip: next } : {})} />
    </Form>
  );
}
