import { ActionGroup, Alert, Button, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client";
import { refreshSession } from "../../api/session";
import type { Api } from "../../api/types";
import { Field } from "../../components/field";
import { ProblemAlert } from "../../components/problem-alert";
import { useWords } from "../../i18n";
import { normalClaimCode } from "./claim-code";
import { EntryLayout } from "./layout";

interface Props {
  box: Api<"Identity">;
  recovered: () => void;
  back: () => void;
}

/** Lets whoever stands at the box give a user a new password. */
export function Recovery({ box, recovered, back }: Props) {
  const { t } = useWords();
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const reset = useMutation({
    mutationFn: () => post<Api<"SessionView">>("/recovery", { claim_code: normalClaimCode(code), name: name.trim() }),
    onSuccess: async () => {
      recovered();
      await refreshSession();
    },
  });
  return (
    <EntryLayout boxName={box.name} title={t("recovery.title")} step="recovery">
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          reset.mutate();
        }}
      >
        <Alert variant="warning" isInline title={t("recovery.what")}>
          {t("recovery.audit")}
        </Alert>
        <Field
          label={t("claim.code")}
          value={code}
          set={setCode}
          isRequired
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck="false"
          help={t("recovery.code_help")}
        />
        <Field
          label={t("login.name")}
          value={name}
          set={setName}
          isRequired
          autoComplete="username"
          autoCapitalize="off"
        />
        {reset.isError && <ProblemAlert error={reset.error} />}
        <ActionGroup>
          <Button
            type="submit"
            variant="danger"
            isLoading={reset.isPending}
            isDisabled={code.trim() === "" || name.trim() === "" || reset.isPending}
          >
            {t("recovery.reset")}
          </Button>
          <Button variant="link" onClick={back}>
            {t("common.back")}
          </Button>
        </ActionGroup>
      </Form>
    </EntryLayout>
  );
}
