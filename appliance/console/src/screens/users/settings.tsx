import { Card, CardBody, CardTitle, FormGroup, Radio } from "@patternfly/react-core";
import { useBox } from "../../api/queries";
import { ThemeGroup } from "../../components/choices";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { QueryView } from "../../components/query-view";
import { LANGUAGES, setLanguage, useWords } from "../../i18n";
import { BoxSettings } from "./box-settings";

/** The box, what it tells others, and how this browser shows it. */
export function Settings() {
  const { t } = useWords();
  const box = useBox();
  return (
    <div className="dolmen-stack">
      <Card>
        <CardTitle component="h2">{t("dashboard.box")}</CardTitle>
        <CardBody>
          <QueryView query={box}>
            {({ name, version, host_names, passkeys }) => (
              <Facts>
                <Fact term={t("common.name")}>{name}</Fact>
                <Fact term={t("common.version")}>{version}</Fact>
                <Fact term={t("settings.host_names")}>{host_names.join(", ") || "–"}</Fact>
                <Fact term={t("settings.passkeys")}>
                  {t(passkeys ? "settings.passkeys_yes" : "settings.passkeys_no")}
                </Fact>
              </Facts>
            )}
          </QueryView>
        </CardBody>
      </Card>
      <BoxSettings />
      <Metrics />
      <Appearance />
    </div>
  );
}

/** Where Prometheus collects the box's numbers. */
function Metrics() {
  const { t } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("settings.metrics")}</CardTitle>
      <CardBody>
        <p className="dolmen-intro dolmen-gap">{t("settings.metrics_what")}</p>
        <Facts>
          <Fact term={t("common.address")}>
            <Copyable value={`${window.location.origin}/metrics`} what={t("settings.metrics")} full />
          </Fact>
        </Facts>
      </CardBody>
    </Card>
  );
}

/** Language and theme in this browser. */
export function Appearance({ chosen }: { chosen?: (language: "en" | "zh") => void }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("settings.appearance")}</CardTitle>
      <CardBody className="dolmen-stack">
        <FormGroup role="radiogroup" fieldId="language" label={t("language.label")}>
          <div className="dolmen-radios">
            {LANGUAGES.map(({ code, name }) => (
              <Radio
                key={code}
                id={`language-${code}`}
                name="language"
                label={<span lang={code === "zh" ? "zh-CN" : "en"}>{name}</span>}
                isChecked={language === code}
                onChange={() => {
                  void setLanguage(code);
                  chosen?.(code);
                }}
              />
            ))}
          </div>
        </FormGroup>
        <ThemeGroup />
      </CardBody>
    </Card>
  );
}
