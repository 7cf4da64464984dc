import { Alert, Card, CardBody, CardTitle, Form } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { request } from "../../api/client";
import { useSettings } from "../../api/queries";
import { queryClient } from "../../api/session";
import type { Api } from "../../api/types";
import { Field } from "../../components/field";
import { useNotice } from "../../components/notices";
import { ProblemAlert } from "../../components/problem-alert";
import { QueryView } from "../../components/query-view";
import { RestartButton } from "../../components/restart";
import { RoleButton } from "../../components/role";
import { useWords } from "../../i18n";
import { bare, isBoxName, isSyslog, isTraces } from "../../components/settings-checks";

/** What the box is called, and where it sends traces and its log. */
export function BoxSettings() {
  const { t } = useWords();
  const query = useSettings();
  return (
    <Card>
      <CardTitle component="h2">{t("settings.box")}</CardTitle>
      <CardBody>
        <QueryView query={query}>
          {(settings) => (
            <div className="dolmen-stack">
              {settings.pending && (
                <Alert
                  variant="info"
                  isInline
                  isLiveRegion
                  title={t("settings.pending")}
                  actionLinks={<RestartButton variant="link" isInline />}
                />
              )}
              {!settings.writable && (
                <Alert variant="info" isInline title={t("settings.read_only")}>
                  {t("settings.read_only_next")}
                </Alert>
              )}
              <SettingsForm key={JSON.stringify(settings)} settings={settings} />
            </div>
          )}
        </QueryView>
      </CardBody>
    </Card>
  );
}

function SettingsForm({ settings }: { settings: Api<"Settings"> }) {
  const { t } = useWords();
  const say = useNotice();
  const [name, setName] = useState(settings.name);
  const [traces, setTraces] = useState(settings.traces ?? "");
  const [syslog, setSyslog] = useState(settings.syslog ?? "");
  const [tried, setTried] = useState(false);
  const next: Api<"BoxSettings"> = {
    name: name.trim(),
    ...(bare(traces) === "" ? {} : { traces: bare(traces) }),
    ...(bare(syslog) === "" ? {} : { syslog: bare(syslog) }),
  };
  const faults = {
    name: isBoxName(next.name) ? undefined : t("settings.bad_name"),
    traces: next.traces == null || isTraces(next.traces) ? undefined : t("settings.bad_traces"),
    syslog: next.syslog == null || isSyslog(next.syslog) ? undefined : t("settings.bad_syslog"),
  };
  const save = useMutation({
    mutationFn: () => request<Api<"Settings">>("PUT", "/settings", { body: next }),
    onSuccess: (fresh) => {
      queryClient.setQueryData(["settings"], fresh);
      say(t("settings.saved"));
    },
  });
  const common = { isDisabled: !settings.writable, autoCapitalize: "off", spellCheck: "false" } as const;
  const said = (fault: string | undefined) => (tried ? fault : undefined);
  return (
    <Form
      className="dolmen-form"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (Object.values(faults).every((fault) => fault === undefined)) save.mutate();
      }}
    >
      <Field {...common} label={t("common.name")} value={name} set={setName} isRequired fault={said(faults.name)} />
      <Field
        {...common}
        label={t("settings.traces")}
        value={traces}
        set={setTraces}
        placeholder="https://collector.example:4318"
        help={t("settings.traces_help")}
        fault={said(faults.traces)}
      />
      <Field
        {...common}
        label={t("settings.syslog")}
        value={syslog}
        set={setSyslog}
        placeholder="udp://log.example:514"
        help={t("settings.syslog_help")}
        fault={said(faults.syslog)}
      />
      <p className="dolmen-note">
        {t("settings.ntp")} <Link to="/network">{t("menu.network")}</Link>
      </p>
      {save.isError && <ProblemAlert error={save.error} />}
      {settings.writable && (
        <div>
          <RoleButton needs="security-officer" type="submit" isLoading={save.isPending} isDisabled={save.isPending}>
            {t("users.save")}
          </RoleButton>
        </div>
      )}
    </Form>
  );
}
