import { Card, CardBody, CardHeader, CardTitle, Label } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { post } from "../../api/client";
import { useAcceleration } from "../../api/queries";
import { queryClient } from "../../api/session";
import type { Api } from "../../api/types";
import { Waiting } from "../../app";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { JobProgress } from "../../components/job-progress";
import { ProblemAlert } from "../../components/problem-alert";
import { Nothing, QueryView } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { Screen } from "../../components/screen";
import { time } from "../../format";
import { useWords, wordOr } from "../../i18n";

const Result = lazy(() => import("./result").then((m) => ({ default: m.Result })));

const STATE: Record<string, "success" | "warning" | "danger" | "info"> = {
  selected: "success",
  available: "info",
  unavailable: "warning",
};

/** What computes signatures and hashes, whether it is right, and how fast it is. */
export function Acceleration() {
  const { t, language } = useWords();
  const query = useAcceleration();
  return (
    <Screen title={t("menu.acceleration")} intro={t("acceleration.intro")}>
      <div className="dolmen-stack">
        <QueryView query={query}>
          {(data) => (
            <Card>
              <CardTitle component="h2">{t("acceleration.backends")}</CardTitle>
              <CardBody>
                <Facts>
                  <Fact term={t("acceleration.selected")}>{data.selected}</Fact>
                  <Fact term={t("acceleration.self_test")}>
                    {data.self_test == null ? (
                      "–"
                    ) : (
                      <>
                        <Label status={data.self_test.passed ? "success" : "danger"}>
                          {t(data.self_test.passed ? "acceleration.passed" : "acceleration.failed")}
                        </Label>{" "}
                        {time(data.self_test.at, language)}
                      </>
                    )}
                  </Fact>
                </Facts>
                <DataTable
                  label={t("acceleration.backends")}
                  rows={data.backends}
                  id={({ name }) => name}
                  columns={[
                    { label: t("common.name"), cell: ({ name }) => name },
                    {
                      label: t("common.state"),
                      cell: ({ state }) => (
                        <Label status={STATE[state] ?? "warning"}>
                          {wordOr("acceleration", `state_${state}`, state)}
                        </Label>
                      ),
                    },
                    { label: t("acceleration.why"), cell: ({ why }) => why || "–" },
                    { label: t("acceleration.algorithms"), cell: ({ algorithms }) => algorithms.join(", ") },
                  ]}
                />
              </CardBody>
            </Card>
          )}
        </QueryView>
        <Benchmark />
      </div>
    </Screen>
  );
}

const KEPT = ["benchmark"];

/** Takes a job's result for one of a benchmark only where it has the shape of one. */
function resultIn(value: unknown): Api<"BenchmarkResult"> | null {
  const result = value as Api<"BenchmarkResult"> | null | undefined;
  return Array.isArray(result?.points) ? result : null;
}

function Benchmark() {
  const { t } = useWords();
  const [job, setJob] = useState<number | null>(null);
  const [runs, setRuns] = useState(false);
  // The last result stays while the page is open, wherever one goes on it.
  const [result, setResult] = useState(() => queryClient.getQueryData<Api<"BenchmarkResult">>(KEPT) ?? null);
  const start = useMutation({
    mutationFn: () => post<Api<"JobStarted">>("/acceleration/benchmark"),
    onSuccess: (started) => {
      setJob(started.job);
      setRuns(true);
    },
  });
  return (
    <Card>
      <CardHeader
        actions={{
          actions: (
            <RoleButton
              needs="operator"
              isLoading={start.isPending}
              isDisabled={start.isPending || runs}
              onClick={() => {
                start.mutate();
              }}
            >
              {t("acceleration.run")}
            </RoleButton>
          ),
        }}
      >
        <CardTitle component="h2">{t("acceleration.benchmark")}</CardTitle>
      </CardHeader>
      <CardBody>
        {start.isError && <ProblemAlert error={start.error} />}
        {job !== null && (
          <JobProgress
            key={job}
            job={job}
            title={t("acceleration.running")}
            done={(value) => {
              const found = resultIn(value);
              queryClient.setQueryData(KEPT, found);
              setResult(found);
              setJob(null);
              setRuns(false);
            }}
            failed={() => {
              setRuns(false);
            }}
          />
        )}
        {job === null && result === null && (
          <Nothing title={t("acceleration.no_result")} text={t("acceleration.no_result_why")} />
        )}
        {job === null && result !== null && (
          <Suspense fallback={<Waiting />}>
            <Result result={result} />
          </Suspense>
        )}
      </CardBody>
    </Card>
  );
}
