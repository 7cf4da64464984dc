import { ActionGroup, Button, ProgressStep, ProgressStepper } from "@patternfly/react-core";
import { useWords } from "../../../i18n";

export const STEPS = [
  "language",
  "claim",
  "admin",
  "factor",
  "recovery",
  "box",
  "network",
  "organisation",
  "summary",
] as const;
export type Step = (typeof STEPS)[number];

/** Which steps there are, and which one this is. */
export function Stepper({ steps, step }: { steps: readonly Step[]; step: Step }) {
  const { t } = useWords();
  const at = steps.indexOf(step);
  return (
    <>
      <ProgressStepper isCenterAligned aria-label={t("wizard.steps")} className="dolmen-stepper">
        {steps.map((id, index) => (
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
      <p className="dolmen-narrow dolmen-note dolmen-gap">
        {t("wizard.step_of", { step: at + 1, count: steps.length })}
      </p>
    </>
  );
}

interface ButtonsProps {
  next: string;
  disabled?: boolean;
  busy?: boolean;
  skip?: () => void;
  back?: (() => void) | undefined;
}

/** What leads out of a step. */
export function Buttons({ next, disabled = false, busy = false, skip, back }: ButtonsProps) {
  const { t } = useWords();
  return (
    <ActionGroup>
      <Button type="submit" isDisabled={disabled || busy} isLoading={busy}>
        {next}
      </Button>
      {skip && (
        <Button variant="secondary" onClick={skip}>
          {t("wizard.skip")}
        </Button>
      )}
      {back && (
        <Button variant="link" onClick={back}>
          {t("common.back")}
        </Button>
      )}
    </ActionGroup>
  );
}

/** Has a form lead on instead of loading a page. */
export const submit = (next: () => void) => (event: React.SubmitEvent<HTMLFormElement>) => {
  event.preventDefault();
  next();
};
