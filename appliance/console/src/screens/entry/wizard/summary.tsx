import { Alert, Form } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { networkQuery, useSettings } from "../../../api/queries";
import type { Api } from "../../../api/types";
import { Fact, Facts } from "../../../components/facts";
import { RestartButton } from "../../../components/restart";
import { LANGUAGES, useWords } from "../../../i18n";
import { Buttons, submit } from "./steps";

interface Props {
  box: Api<"Identity">;
  user: string;
  /** Whether recovery codes were shown. */
  hasCodes: boolean;
  next: () => void;
  back: () => void;
}

/** What was set up, and what is still to be done. */
export function Summary({ box, user, hasCodes, next, back }: Props) {
  const { t, language } = useWords();
  const settings = useSettings();
  const network = useQuery(networkQuery);
  return (
    <div className="dolmen-stack">
      <Alert variant="success" isInline title={t("wizard.done")} />
      <Facts>
        <Fact term={t("wizard.summary_box")}>{`${settings.data?.name ?? box.name} (${box.version})`}</Fact>
        <Fact term={t("login.name")}>{user}</Fact>
        <Fact term={t("common.role")}>{t("role.security-officer")}</Fact>
        <Fact term={t("language.label")}>{LANGUAGES.find(({ code }) => code === language)?.name ?? ""}</Fact>
        <Fact term={t("factor.codes")}>{t(hasCodes ? "wizard.codes_kept" : "wizard.codes_none")}</Fact>
      </Facts>
      {settings.data?.pending === true && (
        <Alert
          variant="info"
          isInline
          title={t("settings.pending")}
          actionLinks={<RestartButton variant="link" isInline />}
        />
      )}
      {network.data?.pending === true && (
        <Alert variant="info" isInline title={t("network.pending")}>
          {t("network.pending_how")}
        </Alert>
      )}
      <p>{t("wizard.next")}</p>
      {/* The question before a restart is a form of its own. */}
      <Form onSubmit={submit(next)}>
        <Buttons next={t("wizard.open")} back={back} />
      </Form>
    </div>
  );
}
