import { ActionGroup, Alert, Button, Form, ProgressStep, ProgressStepper, Radio } from "@patternfly/react-core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { post, request } from "../../api/client";
import { refreshSession, useEnter, type Session } from "../../api/session";
import type { Api } from "../../api/types";
import { Fact, Facts } from "../../components/facts";
import { Field } from "../../components/field";
import { isComplete, NewPassword, NO_PASSWORD } from "../../components/new-password";
import { ProblemAlert } from "../../components/problem-alert";
import { LANGUAGES, setLanguage, useWords } from "../../i18n";
import { normalClaimCode } from "./claim-code";
import { EntryLayout } from "./layout";
import { SecondFactorSteps } from "./second-factor";

const STEPS = ["language", "claim", "admin", "factor", "summary"] as const;
type Step = (typeof STEPS)[number];

/** The first run: from a box that belongs to nobody to its first security officer. */
export function Wizard({ box, finish }: { box: Api<"Box">; finish: () => void }) {
  const { t, language } = useWords();
  const enter = useEnter();
  const client = useQueryClient();
  const [step, setStep] = useState<Step>("language");
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
      setFresh(NO_PASSWORD);
      setStep("factor");
      // The language is a wish: the box is claimed without it, too.
      await request("PUT", "/me/language", { body: { language } }).catch(() => undefined);
    },
  });
  const at = STEPS.indexOf(step);
  const submit = (next: () => void) => (event: React.SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    next();
  };
  const stepper = (
    <ProgressStepper isCenterAligned aria-label={t("wizard.steps")} className="dolmen-stepper">
      {STEPS.map((id, index) => (
        <ProgressStep
          key={id}
          id={`step-${id}`}
          titleId={`step-${id}-title`}
          variant={index < at ? "success" : index === at ? "info" : "pending"}
          isCurrent={index === at}
          aria-label={t(index < at ? "wizard.step_done" : index === at ? "wizard.step_now" : "wizard.step_later")}
        >
          {t(`wizard.${id}`)}
        </ProgressStep>
      ))}
    </ProgressStepper>
  );
  return (
    <EntryLayout boxName={box.name} title={t(`wizard.${step}_title`)} step={step} wide above={stepper}>
      {step === "language" && (
        <Form
          onSubmit={submit(() => {
            setStep("claim");
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
          <ActionGroup>
            <Button type="submit">{t("common.continue")}</Button>
          </ActionGroup>
        </Form>
      )}
      {step === "claim" && (
        <Form
          onSubmit={submit(() => {
            setStep("admin");
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
            back={() => {
              setStep("language");
            }}
            next={t("common.continue")}
            disabled={normalClaimCode(code) === ""}
          />
        </Form>
      )}
      {step === "admin" && (
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
            back={() => {
              setStep("claim");
            }}
            next={t("wizard.admin_create")}
            disabled={name.trim() === "" || claim.isPending}
            busy={claim.isPending}
          />
        </Form>
      )}
      {step === "factor" && (
        <SecondFactorSteps
          box={box}
          done={() => {
            setStep("summary");
          }}
        />
      )}
      {step === "summary" && (
        <Form
          onSubmit={submit(() => {
            void refreshSession().then(finish);
          })}
        >
          <Alert variant="success" isInline title={t("wizard.done")} />
          <Facts>
            <Fact term={t("wizard.summary_box")}>{`${box.name} (${box.version})`}</Fact>
            <Fact term={t("login.name")}>{name.trim()}</Fact>
            <Fact term={t("common.role")}>{t("role.security-officer")}</Fact>
            <Fact term={t("language.label")}>{LANGUAGES.find(({ code }) => code === language)?.name ?? ""}</Fact>
          </Facts>
          <p>{t("wizard.next")}</p>
          <ActionGroup>
            <Button type="submit">{t("wizard.open")}</Button>
          </ActionGroup>
        </Form>
      )}
    </EntryLayout>
  );
}

function Buttons(props: { back: () => void; next: string; disabled: boolean; busy?: boolean }) {
  const { t } = useWords();
  return (
    <ActionGroup>
      <Button type="submit" isDisabled={props.disabled} isLoading={props.busy === true}>
        {props.next}
      </Button>
      <Button variant="link" onClick={props.back}>
        {t("common.back")}
      </Button>
    </ActionGroup>
  );
}
