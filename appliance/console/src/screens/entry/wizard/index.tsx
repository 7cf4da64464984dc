import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { networkQuery } from "../../../api/queries";
import { refreshSession, sessionQuery } from "../../../api/session";
import type { Api } from "../../../api/types";
import { RecoveryCodes } from "../../../components/recovery-codes";
import { useWords } from "../../../i18n";
import { EntryLayout } from "../layout";
import { SecondFactorSteps } from "../second-factor";
import { BoxStep } from "./box";
import { ClaimSteps } from "./claim";
import { NetworkStep } from "./network";
import { OrganisationStep } from "./organisation";
import { STEPS, Stepper, type Step } from "./steps";
import { Summary } from "./summary";

/** The first run: from a box that belongs to nobody to its first security officer, and to a box that is set up. */
export function Wizard({ box, finish }: { box: Api<"Identity">; finish: () => void }) {
  const { t } = useWords();
  const client = useQueryClient();
  const session = useQuery(sessionQuery);
  const [step, setStep] = useState<Step>("language");
  const [user, setUser] = useState("");
  // Only an authenticator app comes with them; empty once they are kept.
  const [codes, setCodes] = useState<string[] | null>(null);
  const isIn = STEPS.indexOf(step) > STEPS.indexOf("recovery");
  const network = useQuery({ ...networkQuery, enabled: isIn });
  const hasNetwork = network.data?.config != null;
  const skipped: Partial<Record<Step, boolean>> = {
    recovery: isIn && codes === null,
    network: network.data !== undefined && !hasNetwork,
  };
  // A session that has ended, as it may with a restart, leads to the login.
  const isOut = isIn && session.data === null;
  useEffect(() => {
    if (isOut) finish();
  }, [isOut, finish]);
  if (isOut) return null;
  const begin = async () => {
    // What comes now needs the session that has its second factor.
    await refreshSession();
    setCodes((kept) => kept && []);
    // Who pressed twice may be further.
    setStep((now) => (now === "factor" || now === "recovery" ? "box" : now));
  };
  const leaveBox = async () => {
    const found = await client.query({ ...networkQuery, staleTime: "static" }).catch(() => undefined);
    setStep(found?.config == null ? "organisation" : "network");
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
            setUser(name);
            setStep("factor");
          }}
        />
      )}
      {step === "factor" && (
        <SecondFactorSteps
          box={box}
          done={(given) => {
            setCodes(given);
            if (given === null) void begin();
            else setStep("recovery");
          }}
        />
      )}
      {step === "recovery" && <RecoveryCodes codes={codes ?? []} done={() => void begin()} />}
      {step === "box" && <BoxStep next={() => void leaveBox()} />}
      {step === "network" && <NetworkStep next={to("organisation")} back={to("box")} />}
      {step === "organisation" && <OrganisationStep next={to("summary")} back={to(hasNetwork ? "network" : "box")} />}
      {step === "summary" && (
        <Summary
          box={box}
          user={user}
          hasCodes={codes !== null}
          next={() => void refreshSession().then(finish)}
          back={to("organisation")}
        />
      )}
    </EntryLayout>
  );
}
