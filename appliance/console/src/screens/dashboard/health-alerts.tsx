import { Alert, Button } from "@patternfly/react-core";
import { assess } from "../../api/health";
import { retryLive, type Live } from "../../api/live";
import type { Api } from "../../api/types";
import { span, time } from "../../format";
import { useWords, wordOr } from "../../i18n";

/** Whether the chain goes on, what the box raises alarms about, and whether the page still hears it. */
export function HealthAlerts({ live }: { live: Live }) {
  const { t, language } = useWords();
  const health = assess(live);
  const alarms = live.status?.alarms ?? [];
  const critical = alarms.filter(({ severity }) => severity === "critical");
  const warnings = alarms.filter(({ severity }) => severity !== "critical");
  const lost = live.phase === "lost";
  // A status that is no longer news must not look like good news.
  const shown = health && !(lost && health.level === "success") ? health : null;
  const values = shown && {
    ...shown.values,
    names: new Intl.ListFormat(language).format(shown.values.names),
    age: span(shown.values.ageMs, language),
  };
  return (
    <div className="dolmen-alerts" role="region" aria-label={t("health.label")} aria-live="polite">
      {lost && (
        <Alert
          variant="danger"
          isInline
          title={
            live.status ? t("health.lost.title_stale", { time: time(live.heardAt, language) }) : t("health.lost.title")
          }
          actionLinks={
            <Button variant="link" isInline onClick={retryLive}>
              {t("common.retry_now")}
            </Button>
          }
        >
          <p>{t("health.lost.cause")}</p>
          <p>{t("health.lost.next")}</p>
        </Alert>
      )}
      {critical.map((alarm) => (
        <AlarmAlert key={alarm.id} alarm={alarm} />
      ))}
      {shown && values && (
        <Alert variant={shown.level} isInline title={t(`health.${shown.key}.title`, values)}>
          <p>{t(`health.${shown.key}.cause`, values)}</p>
          {t(`health.${shown.key}.next`, values) !== "" && <p>{t(`health.${shown.key}.next`, values)}</p>}
        </Alert>
      )}
      {warnings.map((alarm) => (
        <AlarmAlert key={alarm.id} alarm={alarm} />
      ))}
    </div>
  );
}

function AlarmAlert({ alarm }: { alarm: Api<"Alarm"> }) {
  const { t } = useWords();
  const values = { ...alarm.values, cause: alarm.cause };
  const cause = alarm.which == null ? "cause" : `cause_${alarm.which}`;
  return (
    <Alert
      variant={alarm.severity === "critical" ? "danger" : "warning"}
      isInline
      title={wordOr("alarm", `${alarm.id}.title`, t("health.alarm", { id: alarm.id }))}
    >
      <p className="dolmen-sentence">{wordOr("alarm", `${alarm.id}.${cause}`, alarm.cause, values)}</p>
      <p className="dolmen-sentence">{wordOr("alarm", `${alarm.id}.next`, alarm.next, values)}</p>
    </Alert>
  );
}
