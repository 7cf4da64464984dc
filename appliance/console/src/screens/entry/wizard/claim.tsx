import { Form, Radio } from "@patternfly/react-core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, request } from "../../../api/client";
import { useEnter, type Session } from "../../../api/session";
import type { Api } from "../../../api/types";
import { Field } from "../../../components/field";
import { isComplete, NewPassword, NO_PASSWORD } from "../../../components/new-password";
import { ProblemAlert } from "../../../components/problem-alert";
import { LANGUAGES, setLanguage, useWords } from "../../../i18n";
import { normalClaimCode } from "../claim-code";
import { Buttons, submit } from "./steps";

interface Props {
  box: Api<"Identity">;
  step: "language" | "claim" | "admin";
  go: (step: "language" | "claim" | "admin") => void;
  /** The box has its first security officer, of this name. */
  claimed: (name: string) => void;
}

/** The steps up to a claimed box. What was entered stays while one goes to and fro. */
export function ClaimSteps({ box, step, go, claimed }: Props) {
  const { t, language } = useWords();
  const enter = useEnter();
  const client = useQueryClient();
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [fresh, setFresh] = useState(NO_PASSWORD);
  const [tried, setTried] = useState(false);
  const claim = useMutation({
    mutationFn: () =>
      post<Session>("/claim", { claim_code: normalClaimCode(code), name: name.trim(), password: fresh.password }),
    onSuccess: async (session) => {
      enter(session);
      client.setQueryData(["box"], { ...box, claimed: true });
      claimed(name.trim());
      // The language is a wish: the box is claimed without it, too.
      await request("PUT", "/me/language", { body: { language } }).catch(() => undefined);
    },
  });
  if (step === "language") {
    return (
      <Form
        onSubmit={submit(() => {
          go("claim");
        })}
      >
        <p>{t("wizard.welcome", { name: box.name })}</p>
        {LANGUAGES.map(({ code, name }) => (
          <Radio
            key={code}
            id={`language-${code}`}
            name="language"
            label={<span lang={code === "zh" ? "zh-CN" : "en"}>{name}</span>}
            isChecked={language === code}
            onChange={() => void setLanguage(code)}
          />
        ))}
        <Buttons next={t("common.continue")} />
      </Form>
    );
  }
  if (step === "claim") {
    return (
      <Form
        onSubmit={submit(() => {
          go("admin");
        })}
      >
        <p>{t("claim.what")}</p>
        <Field
          label={t("claim.code")}
          value={code}
          set={setCode}
          isRequired
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck="false"
          placeholder="XXXX-XXXX-XXXX"
          help={t("claim.code_help")}
        />
        {claim.isError && <ProblemAlert error={claim.error} />}
        <Buttons
          next={t("common.continue")}
          disabled={normalClaimCode(code) === ""}
          back={() => {
            go("language");
          }}
        />
      </Form>
    );
  }
  return (
    <Form
      onSubmit={submit(() => {
        setTried(true);
        if (isComplete(fresh)) claim.mutate();
      })}
    >
      <p>{t("wizard.admin_what")}</p>
      <Field
        label={t("login.name")}
        value={name}
        set={setName}
        isRequired
        autoComplete="username"
        autoCapitalize="off"
      />
      <NewPassword value={fresh} set={setFresh} tried={tried} />
      {claim.isError && <ProblemAlert error={claim.error} />}
      <Buttons
        next={t("wizard.admin_create")}
        disabled={name.trim() === ""}
        busy={claim.isPending}
        back={() => {
          go("claim");
        }}
      />
    </Form>
  );
}
