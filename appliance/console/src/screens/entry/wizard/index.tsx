import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { networkQuery } from "../../../api/queries";
import { refreshSession, sessionQuery, type Session } from "../../../api/session";
import type { Api } from "../../../api/types";
import { RecoveryCodes } from "../../../components/recovery-codes";
import { useWords } from "../../../i18n";
import { EntryLayout } from "../layout";
import { SecondFactorSteps } from "../second-factor";
import { BoxStep } from "./box";
import { ClaimSteps } from "./claim";
import { NetworkStep } from "./network";
import { OrganisationStep } from "./organisation";
import { begun, forgetProgress, keepProgress, type Progress } from "./progress";
import { STEPS, Stepper, type Step } from "./steps";
import { Summary } from "./summary";

function start(box: Api<"Identity">, session: Session | null | undefined): Progress {
  const kept = box.claimed ? begun() : null;
  if (!kept) return { step: "language", user: "", hasCodes: false };
  const isFactorDone = session?.pending !== "second-factor";
  return kept.step === "factor" && isFactorDone ? { ...kept, step: "box" } : kept;
}

/** The first run: from a box that belongs to nobody to its first security officer, and to a box that is set up. */
export function Wizard({ box, finish }: { box: Api<"Identity">; finish: () => void }) {
  const { t } = useWords();
  const client = useQueryClient();
  const session = useQuery(sessionQuery);
  const [progress, setProgress] = useState(() => start(box, session.data));
  const { step, user, hasCodes } = progress;
  // Empty once they are kept.
  const [codes, setCodes] = useState<string[]>([]);
  const isBeyond = (other: Step) => STEPS.indexOf(step) > STEPS.indexOf(other);
  const isIn = isBeyond("recovery");
  const network = useQuery({ ...networkQuery, enabled: isIn });
  const hasNetwork = network.data?.config != null;
  const skipped: Partial<Record<Step, boolean>> = {
    recovery: isIn && !hasCodes,
    network: network.data !== undefined && !hasNetwork,
  };
  // A session that has ended, as it may with a restart, leads to the login.
  const isOut = isBeyond("admin") && session.data === null;
  useEffect(() => {
    keepProgress(progress);
  }, [progress]);
  useEffect(() => {
    if (isOut) {
      forgetProgress();
      finish();
    }
  }, [isOut, finish]);
  if (isOut) return null;
  const begin = async () => {
    // What comes now needs the session that has its second factor.
    await refreshSession();
    setCodes([]);
    // Who pressed twice may be further.
    setProgress((now) => (now.step === "factor" || now.step === "recovery" ? { ...now, step: "box" } : now));
  };
  const leaveBox = async () => {
    const found = await client.query({ ...networkQuery, staleTime: "static" }).catch(() => undefined);
    setStep(found?.config == null ? "organisation" : "network");
  };
  const setStep = (next: Step) => {
    setProgress((now) => ({ ...now, step: next }));
  };
  const to = (next: Step) => () => {
    setStep(next);
  };
  return (
    <EntryLayout
      boxName={box.name}
      title={t(`wizard.${step}_title`)}
      step={step}
      wide
      above={<Stepper steps={STEPS.filter((one) => skipped[one] !== true)} step={step} />}
    >
      {(step === "language" || step === "claim" || step === "admin") && (
        <ClaimSteps
          box={box}
          step={step}
          go={setStep}
          claimed={(name) => {
            setProgress({ step: "factor", user: name, hasCodes: false });
          }}
        />
      )}
      {step === "factor" && (
        <SecondFactorSteps
          box={box}
          done={(given) => {
            if (given === null) {
              void begin();
              return;
            }
            setCodes(given);
            setProgress((now) => ({ ...now, step: "recovery", hasCodes: true }));
          }}
        />
      )}
      {step === "recovery" && <RecoveryCodes codes={codes} done={() => void begin()} />}
      {step === "box" && <BoxStep next={() => void leaveBox()} />}
      {step === "network" && <NetworkStep next={to("organisation")} back={to("box")} />}
      {step === "organisation" && <OrganisationStep next={to("summary")} back={to(hasNetwork ? "network" : "box")} />}
      {step === "summary" && (
        <Summary
          box={box}
          user={user}
          hasCodes={hasCodes}
          next={() => {
            forgetProgress();
            void refreshSession().then(finish);
          }}
          back={to("organisation")}
        />
      )}
    </EntryLayout>
  );
}
