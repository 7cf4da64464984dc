import { Alert, Card, CardBody, CardTitle, Label } from "@patternfly/react-core";
import { useKeys } from "../api/queries";
import type { Api } from "../api/types";
import { Copyable } from "../components/copyable";
import { Fact, Facts } from "../components/facts";
import { QueryView } from "../components/query-view";
import { Screen } from "../components/screen";
import { time } from "../format";
import { useWords, wordOr } from "../i18n";

const STANDING: Record<string, "success" | "warning" | "danger"> = {
  good: "success",
  due: "success",
  "30-days": "warning",
  "7-days": "warning",
  "1-day": "danger",
  expired: "danger",
  "clock-behind": "danger",
};

/** The box's keys: where they are held, and the certificates about them. */
export function Keys() {
  const { t } = useWords();
  const query = useKeys();
  return (
    <Screen title={t("menu.keys")} intro={t("keys.intro")}>
      <QueryView query={query}>
        {(keys) => (
          <div className="dolmen-stack">
            {keys.some((key) => key.in !== "device") && (
              <Alert variant="warning" isInline title={t("keys.in_memory")}>
                {t("keys.in_memory_next")}
              </Alert>
            )}
            <div className="dolmen-cards">
              {keys.map((key) => (
                <KeyCard key={key.use} box={key} />
              ))}
            </div>
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

function KeyCard({ box: key }: { box: Api<"Key"> }) {
  const { t, language } = useWords();
  const { certificate } = key;
  return (
    <Card>
      <CardTitle component="h2">{wordOr("keys", `use_${key.use}`, key.use)}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("keys.algorithm")}>{key.algorithm}</Fact>
          <Fact term={t("keys.held")}>
            <Label status={key.in === "device" ? "success" : "warning"}>
              {t(key.in === "device" ? "keys.in_device" : "keys.in_memory_place")}
            </Label>
          </Fact>
          <Fact term={t("keys.uri")}>
            <code className="dolmen-code">{key.uri}</code>
          </Fact>
          <Fact term={t("common.public_key")}>
            <Copyable value={key.public_key} what={t("common.public_key")} full />
          </Fact>
          {certificate ? (
            <>
              <Fact term={t("keys.certificate")}>
                <Label status={STANDING[certificate.standing] ?? "info"}>
                  {wordOr("keys", `standing_${certificate.standing}`, certificate.standing)}
                </Label>
              </Fact>
              <Fact term={t("keys.subject")}>{certificate.subject}</Fact>
              <Fact term={t("keys.issuer")}>{certificate.issuer}</Fact>
              <Fact term={t("keys.valid")}>
                {time(certificate.not_before, language)} – {time(certificate.not_after, language)}
              </Fact>
            </>
          ) : (
            <Fact term={t("keys.certificate")}>{t("keys.no_certificate")}</Fact>
          )}
        </Facts>
      </CardBody>
    </Card>
  );
}
