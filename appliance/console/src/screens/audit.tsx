import { Button, Card, CardBody, Label } from "@patternfly/react-core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { get } from "../api/client";
import { useSession } from "../api/session";
import type { Api } from "../api/types";
import { DataTable } from "../components/data-table";
import { Nothing } from "../components/query-view";
import { ProblemAlert } from "../components/problem-alert";
import { Screen } from "../components/screen";
import { Waiting } from "../app";
import { time } from "../format";
import { useWords, wordOr } from "../i18n";

const PAGE = 50;

/** Who did what, and what was refused. */
export function Audit() {
  const { t, language } = useWords();
  const { user } = useSession();
  const query = useInfiniteQuery({
    queryKey: ["audit"],
    initialPageParam: null as number | null,
    queryFn: ({ pageParam, signal }) =>
      get<Api<"AuditPage">>(`/audit?limit=${PAGE}${pageParam === null ? "" : `&before=${pageParam}`}`, signal),
    getNextPageParam: ({ entries, more }) => (more ? (entries.at(-1)?.seq ?? null) : null),
  });
  const entries = query.data?.pages.flatMap((page) => page.entries) ?? [];
  return (
    <Screen
      title={t("menu.audit")}
      intro={t(user.role === "security-officer" ? "audit.intro" : "audit.intro_own")}
      actions={
        <Button variant="secondary" onClick={() => void query.refetch()}>
          {t("common.reload")}
        </Button>
      }
    >
      <Card>
        <CardBody>
          {query.isPending && <Waiting />}
          {query.isError && <ProblemAlert error={query.error} />}
          {query.isSuccess && entries.length === 0 && <Nothing title={t("audit.none")} text={t("audit.none_why")} />}
          {entries.length > 0 && (
            <DataTable
              label={t("menu.audit")}
              rows={entries}
              id={({ seq }) => seq}
              columns={[
                { label: "#", cell: ({ seq }) => seq, align: "end" },
                { label: t("explorer.time"), cell: ({ at }) => time(at, language) },
                { label: t("audit.who"), cell: ({ who }) => who },
                {
                  label: t("audit.from"),
                  cell: ({ from }) => <code className="dolmen-code">{from}</code>,
                  nowrap: true,
                },
                {
                  label: t("audit.action"),
                  cell: ({ action, target }) => (
                    <>
                      {wordOr("action", action, action)} <span className="dolmen-note">{target}</span>
                    </>
                  ),
                },
                {
                  label: t("audit.outcome"),
                  cell: ({ outcome, code, detail }) => (
                    <>
                      <Label status={outcome === "done" ? "success" : "danger"}>{t(`audit.${outcome}`)}</Label>{" "}
                      <span className="dolmen-note">
                        {detail ?? (code == null ? "" : wordOr("problem", `${code}.title`, code))}
                      </span>
                    </>
                  ),
                },
              ]}
            />
          )}
          {query.hasNextPage && (
            <Button
              variant="secondary"
              className="dolmen-gap-above"
              isLoading={query.isFetchingNextPage}
              isDisabled={query.isFetchingNextPage}
              onClick={() => void query.fetchNextPage()}
            >
              {t("audit.older")}
            </Button>
          )}
        </CardBody>
      </Card>
    </Screen>
  );
}
