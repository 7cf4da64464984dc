import { Alert, Label } from "@patternfly/react-core";
import type { Api } from "../api/types";
import { time } from "../format";
import { useWords, wordOr } from "../i18n";
import { Fact, Facts } from "./facts";

const STANDING: Record<string, "success" | "warning" | "danger"> = {
  good: "success",
  due: "success",
  "30-days": "warning",
  "7-days": "warning",
  "1-day": "danger",
  expired: "danger",
  "clock-behind": "danger",
};

/** How a certificate stands. */
export function CertificateStanding({ standing }: { standing: string }) {
  return <Label status={STANDING[standing] ?? "info"}>{wordOr("keys", `standing_${standing}`, standing)}</Label>;
}

interface Props {
  provisioning: Api<"Provisioning">;
  /** Where it is known. */
  organisation?: string | undefined;
}

/** How the box stands with its organisation's registrar. */
export function ProvisioningFacts({ provisioning, organisation }: Props) {
  const { t, language } = useWords();
  const { serial_number, phase, refusal, failure } = provisioning;
  const [certificate, attested] = [provisioning.certificate ?? null, provisioning.attested ?? null];
  return (
    <div className="dolmen-stack">
      <Facts>
        {organisation !== undefined && <Fact term={t("consortium.organisation")}>{organisation}</Fact>}
        <Fact term={t("provisioning.serial")}>{serial_number}</Fact>
        <Fact term={t("provisioning.phase")}>{wordOr("provisioning", `phase_${phase}`, phase)}</Fact>
        <Fact term={t("keys.certificate")}>
          {certificate === null ? t("provisioning.none") : <CertificateStanding standing={certificate.standing} />}
        </Fact>
        {certificate !== null && (
          <Fact term={t("inbox.certificate_until")}>{time(certificate.until * 1_000, language)}</Fact>
        )}
        <Fact term={t("provisioning.attested")}>
          {attested === null ? t("provisioning.not_attested") : time(attested * 1_000, language)}
        </Fact>
      </Facts>
      {refusal && <Trouble trouble={refusal} title={t("provisioning.refused")} />}
      {failure && <Trouble trouble={failure} title={t("provisioning.failed")} />}
    </div>
  );
}

function Trouble({ trouble, title }: { trouble: Api<"Trouble">; title: string }) {
  return (
    <Alert variant="warning" isInline title={title}>
      <p className="dolmen-sentence">
        {trouble.message} ({trouble.code}
        {typeof trouble.at === "string" ? `, ${trouble.at}` : ""})
      </p>
    </Alert>
  );
}
