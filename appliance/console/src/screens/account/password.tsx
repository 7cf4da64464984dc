import { Button, Card, CardBody, CardTitle, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { request } from "../../api/client";
import { useEnter, type Session } from "../../api/session";
import { Field } from "../../components/field";
import { isComplete, NewPassword, NO_PASSWORD } from "../../components/new-password";
import { useNotice } from "../../components/notices";
import { ProblemAlert } from "../../components/problem-alert";
import { useWords } from "../../i18n";

/** Changes one's own password. */
export function PasswordCard() {
  const { t } = useWords();
  const say = useNotice();
  const enter = useEnter();
  const [old, setOld] = useState("");
  const [fresh, setFresh] = useState(NO_PASSWORD);
  const [tried, setTried] = useState(false);
  const change = useMutation({
    mutationFn: () =>
      request<Session>("PUT", "/me/password", { body: { old_password: old, new_password: fresh.password } }),
    onSuccess: (session) => {
      enter(session);
      setOld("");
      setFresh(NO_PASSWORD);
      setTried(false);
      say(t("account.password_changed"));
    },
  });
  return (
    <Card>
      <CardTitle component="h2">{t("account.password")}</CardTitle>
      <CardBody>
        <Form
          className="dolmen-form"
          onSubmit={(event) => {
            event.preventDefault();
            setTried(true);
            if (isComplete(fresh)) change.mutate();
          }}
        >
          <Field
            label={t("password.current")}
            type="password"
            autoComplete="current-password"
            isRequired
            value={old}
            set={setOld}
          />
          <NewPassword value={fresh} set={setFresh} tried={tried} />
          {change.isError && <ProblemAlert error={change.error} />}
          <div>
            <Button type="submit" isLoading={change.isPending} isDisabled={old === "" || change.isPending}>
              {t("password.change")}
            </Button>
          </div>
        </Form>
      </CardBody>
    </Card>
  );
}
