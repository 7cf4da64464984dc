import { ActionGroup, Alert, Button, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { logOut, useEnter, type Session } from "../../api/session";
import type { Api } from "../../api/types";
import { Field } from "../../components/field";
import { isComplete, NewPassword, NO_PASSWORD } from "../../components/new-password";
import { ProblemAlert } from "../../components/problem-alert";
import { useWords } from "../../i18n";
import { EntryLayout } from "./layout";

/** What a user whose password is not of their own choosing meets before the console. */
export function PendingPassword({ box, recovered }: { box: Api<"Identity">; recovered: boolean }) {
  const { t } = useWords();
  const enter = useEnter();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState(NO_PASSWORD);
  const [tried, setTried] = useState(false);
  const change = useMutation({
    mutationFn: () =>
      request<Session>("PUT", "/me/password", {
        body: { ...(recovered ? {} : { old_password: old }), new_password: fresh.password },
      }),
    onSuccess: enter,
  });
  return (
    <EntryLayout boxName={box.name} title={t("password.title")}>
      <Form
        onSubmit={(event) => {
          event.preventDefault();
          setTried(true);
          if (isComplete(fresh)) change.mutate();
        }}
      >
        <Alert variant="info" isInline isPlain title={t(recovered ? "password.recovered" : "password.forced")} />
        {!recovered && (
          <Field
            label={t("password.one_time")}
            type="password"
            autoComplete="current-password"
            isRequired
            value={old}
            set={setOld}
          />
        )}
        <NewPassword value={fresh} set={setFresh} tried={tried} />
        {change.isError && <ProblemAlert error={change.error} />}
        <ActionGroup>
          <Button type="submit" isLoading={change.isPending} isDisabled={change.isPending}>
            {t("password.change")}
          </Button>
          <Button variant="link" onClick={() => void logOut()}>
            {t("session.log_out")}
          </Button>
        </ActionGroup>
      </Form>
    </EntryLayout>
  );
}
