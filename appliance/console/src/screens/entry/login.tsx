import { ActionGroup, Button, Divider, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "../../api/client";
import { problemIn } from "../../api/problem";
import { useEnter, type Session } from "../../api/session";
import type { Api } from "../../api/types";
import { browserHasPasskeys, logInWithPasskey } from "../../api/webauthn";
import { Field } from "../../components/field";
import { ProblemAlert } from "../../components/problem-alert";
import { useWords } from "../../i18n";
import { EntryLayout } from "./layout";

const CODE_CHARACTERS_MAX = 32;

/** Logs in with a password and a second factor, or with a passkey. */
export function Login({ box, recover }: { box: Api<"Identity">; recover: () => void }) {
  const { t } = useWords();
  const enter = useEnter();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [asksCode, setAsksCode] = useState(false);
  const withPassword = useMutation({
    mutationFn: () =>
      post<Session>("/session", { name: name.trim(), password, ...(asksCode ? { totp: code.trim() } : {}) }),
    onSuccess: enter,
    onError: (error) => {
      const { code } = problemIn(error);
      if (code === "second-factor-required") setAsksCode(true);
      if (code === "wrong-credentials") setCode("");
    },
  });
  const withPasskey = useMutation({ mutationFn: () => logInWithPasskey(name.trim()), onSuccess: enter });
  // To be asked for the second factor is no failure.
  const wasAsked = withPassword.isError && problemIn(withPassword.error).code === "second-factor-required";
  const submit = (event: React.SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    withPasskey.reset();
    withPassword.mutate();
  };
  if (asksCode) {
    return (
      <EntryLayout boxName={box.name} title={t("login.code_title")} step="code">
        <Form onSubmit={submit}>
          <Field
            label={t("login.code")}
            value={code}
            set={(value) => {
              setCode(value.slice(0, CODE_CHARACTERS_MAX));
            }}
            autoComplete="one-time-code"
            autoCapitalize="off"
            spellCheck="false"
            isRequired
            help={t("login.code_help")}
          />
          {withPassword.isError && !wasAsked && <ProblemAlert error={withPassword.error} />}
          <ActionGroup>
            <Button type="submit" isLoading={withPassword.isPending} isDisabled={code === "" || withPassword.isPending}>
              {t("login.log_in")}
            </Button>
            <Button
              variant="link"
              onClick={() => {
                setAsksCode(false);
                setCode("");
                withPassword.reset();
              }}
            >
              {t("common.back")}
            </Button>
          </ActionGroup>
        </Form>
      </EntryLayout>
    );
  }
  return (
    <EntryLayout boxName={box.name} title={t("login.title")} step="password">
      <Form onSubmit={submit}>
        <Field
          label={t("login.name")}
          value={name}
          set={setName}
          autoComplete="username"
          autoCapitalize="off"
          isRequired
        />
        <Field
          label={t("login.password")}
          type="password"
          value={password}
          set={setPassword}
          autoComplete="current-password"
          isRequired
        />
        {withPassword.isError && !wasAsked && <ProblemAlert error={withPassword.error} />}
        <ActionGroup>
          <Button
            type="submit"
            isBlock
            isLoading={withPassword.isPending}
            isDisabled={name.trim() === "" || password === "" || withPassword.isPending}
          >
            {t("login.log_in")}
          </Button>
        </ActionGroup>
      </Form>
      {box.passkeys && browserHasPasskeys() && (
        <>
          <Divider className="dolmen-divider" />
          <Button
            variant="secondary"
            isBlock
            isLoading={withPasskey.isPending}
            isDisabled={withPasskey.isPending}
            onClick={() => {
              withPassword.reset();
              withPasskey.mutate();
            }}
          >
            {t("login.passkey")}
          </Button>
          {withPasskey.isError && <ProblemAlert error={withPasskey.error} className="dolmen-gap-above" />}
        </>
      )}
      <Button variant="link" isInline className="dolmen-aside" onClick={recover}>
        {t("login.lost")}
      </Button>
    </EntryLayout>
  );
}
