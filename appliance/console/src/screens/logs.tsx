import { Button, Card, CardBody, CardTitle, Flex, Label, Switch } from "@patternfly/react-core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { download, get } from "../api/client";
import type { Api, LogLevel } from "../api/types";
import { DataTable } from "../components/data-table";
import { useNotice } from "../components/notices";
import { ProblemAlert } from "../components/problem-alert";
import { Nothing, QueryView } from "../components/query-view";
import { RoleButton } from "../components/role";
import { Screen } from "../components/screen";
import { SelectField } from "../components/select-field";
import { time } from "../format";
import { useWords } from "../i18n";

const LEVELS: LogLevel[] = ["error", "warn", "info", "debug", "trace"];
const ENTRIES_MAX = 200;
const FOLLOW_MS = 2_000;
const BUNDLE_WAIT_MS = 300_000;
const STATUS = { error: "danger", warn: "warning", info: "info", debug: "custom", trace: "custom" } as const;

/** The box's own log, and the bundle for whoever helps. */
export function Logs() {
  const { t } = useWords();
  return (
    <Screen title={t("menu.logs")}>
      <div className="dolmen-stack">
        <Support />
        <Entries />
      </div>
    </Screen>
  );
}

function Support() {
  const { t } = useWords();
  const say = useNotice();
  const bundle = useMutation({
    mutationFn: () => download("POST", "/support-bundle", "dolmen-support.tar.zst", BUNDLE_WAIT_MS),
    onSuccess: () => {
      say(t("logs.bundle_done"));
    },
  });
  return (
    <Card>
      <CardTitle component="h2">{t("logs.bundle")}</CardTitle>
      <CardBody>
        <p className="dolmen-gap">{t("logs.bundle_what")}</p>
        {bundle.isError && <ProblemAlert error={bundle.error} className="dolmen-gap" />}
        <RoleButton
          needs="operator"
          variant="secondary"
          isLoading={bundle.isPending}
          isDisabled={bundle.isPending}
          onClick={() => {
            bundle.mutate();
          }}
        >
          {t("logs.bundle_make")}
        </RoleButton>
      </CardBody>
    </Card>
  );
}

function Entries() {
  const { t, language } = useWords();
  const [level, setLevel] = useState<LogLevel>("info");
  const [follow, setFollow] = useState(false);
  const query = useQuery({
    queryKey: ["logs", level],
    queryFn: ({ signal }) => get<Api<"LogPart">>(`/logs?level=${level}&limit=${ENTRIES_MAX}`, signal),
    refetchInterval: follow ? FOLLOW_MS : false,
  });
  return (
    <Card>
      <CardTitle component="h2">{t("logs.title")}</CardTitle>
      <CardBody>
        <Flex className="dolmen-gap" alignItems={{ default: "alignItemsFlexEnd" }}>
          <SelectField
            label={t("logs.level")}
            value={level}
            set={setLevel}
            options={LEVELS.map((value) => ({ value, label: t(`logs.${value}`) }))}
          />
          <Button variant="secondary" onClick={() => void query.refetch()}>
            {t("common.reload")}
          </Button>
          <Switch
            id="follow"
            label={t("logs.follow")}
            isChecked={follow}
            onChange={(_, checked) => {
              setFollow(checked);
            }}
          />
        </Flex>
        <QueryView query={query}>
          {({ lines }) =>
            lines.length === 0 ? (
              <Nothing title={t("logs.none")} text={t("logs.none_why")} />
            ) : (
              <DataTable
                label={t("logs.title")}
                rows={lines.slice(-ENTRIES_MAX).toReversed()}
                id={({ seq }) => seq}
                columns={[
                  { label: t("explorer.time"), cell: ({ at_ms }) => time(at_ms, language), width: 15 },
                  {
                    label: t("logs.level"),
                    cell: (entry) => <Label status={STATUS[entry.level]}>{t(`logs.${entry.level}`)}</Label>,
                  },
                  {
                    label: t("logs.message"),
                    cell: (entry) => (
                      <>
                        {entry.message} <span className="dolmen-note dolmen-code">{fieldsOf(entry)}</span>
                      </>
                    ),
                    width: 50,
                  },
                  { label: t("logs.target"), cell: ({ target }) => <code className="dolmen-code">{target}</code> },
                ]}
              />
            )
          }
        </QueryView>
      </CardBody>
    </Card>
  );
}

const fieldsOf = ({ fields }: Api<"LogLine">) =>
  Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
