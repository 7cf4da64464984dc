import { Alert } from "@patternfly/react-core";
import { useKeys, useNextFingerprint, useStatus } from "../../api/queries";
import type { Api } from "../../api/types";
import { Copyable } from "../../components/copyable";
import { QueryView } from "../../components/query-view";
import { RestartButton } from "../../components/restart";
import { Screen } from "../../components/screen";
import { useWords, wordOr } from "../../i18n";
import { KeyCard } from "./key-card";
import { RegistrarCard } from "./registrar-card";

/** How a renewal goes on is seen soon. */
const REFRESH_MS = 5_000;

/** The box's keys: where they are held, the certificates about them, and new ones. */
export function Keys() {
  const { t } = useWords();
  const query = useKeys();
  const status = useStatus(REFRESH_MS);
  return (
    <Screen title={t("menu.keys")} intro={t("keys.intro")}>
      <QueryView query={query}>
        {(keys) => (
          <div className="dolmen-stack">
            <Rotated keys={keys.filter(({ rotated }) => rotated)} />
            {keys.some((key) => key.in !== "device") && (
              <Alert variant="warning" isInline title={t("keys.in_memory")}>
                {t("keys.in_memory_next")}
              </Alert>
            )}
            <div className="dolmen-cards">
              {keys.map((key) => (
                <KeyCard key={key.use} box={key} />
              ))}
              {status.data?.provisioning && <RegistrarCard provisioning={status.data.provisioning} />}
            </div>
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

/** Keys that wait for the next start. */
function Rotated({ keys }: { keys: Api<"Key">[] }) {
  const { t } = useWords();
  const fingerprint = useNextFingerprint();
  if (keys.length === 0) return null;
  return (
    <Alert
      variant="info"
      isInline
      isLiveRegion
      title={t("keys.rotated")}
      actionLinks={<RestartButton variant="link" isInline />}
    >
      <ul className="dolmen-plain-list">
        {keys.map(({ use }) => (
          <li key={use}>{wordOr("keys", `use_${use}`, use)}</li>
        ))}
      </ul>
      {fingerprint !== undefined && keys.some(({ use }) => use === "tls") && (
        <p className="dolmen-gap-above">
          {t("keys.fingerprint_next")} <Copyable value={fingerprint} what={t("keys.fingerprint")} full />
        </p>
      )}
    </Alert>
  );
}
