import { Alert, Button } from "@patternfly/react-core";
import { useState } from "react";
import { saveBlob } from "../../api/client";
import type { Api } from "../../api/types";
import { BarsChart } from "../../components/bars-chart";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { SelectField } from "../../components/select-field";
import { decimal, whole } from "../../format";
import { useWords } from "../../i18n";

type Point = Api<"Point">;

/** The backend that others are compared with: the library that is used where nothing accelerates. */
const BASELINE = "off";

/** A benchmark's figures as a plot and a table, each beside the baseline of the same run. */
export function Result({ result }: { result: Api<"BenchmarkResult"> }) {
  const { t, language } = useWords();
  const batches = [...new Set(result.points.map(({ batch }) => batch))].toSorted((a, b) => a - b);
  const [batch, setBatch] = useState(String(batches.at(-1) ?? 0));
  const shown = result.points.filter((point) => String(point.batch) === batch);
  const backends = [...new Set(shown.map(({ backend }) => backend))];
  const algorithms = [...new Set(shown.map(({ algorithm }) => algorithm))];
  const find = (algorithm: string, backend: string) =>
    shown.find((one) => one.algorithm === algorithm && one.backend === backend);
  const baselineOf = ({ algorithm }: Point) => find(algorithm, BASELINE)?.verifications_per_s;
  const gainOf = (point: Point) => {
    const baseline = baselineOf(point) ?? 0;
    return baseline > 0 ? point.verifications_per_s / baseline : null;
  };
  const series = backends.map((backend) => ({
    name: backend,
    values: algorithms.map((algorithm) => {
      const point = find(algorithm, backend);
      return { x: algorithm, y: point ? (gainOf(point) ?? 0) : 0 };
    }),
  }));
  return (
    <div className="dolmen-stack">
      {result.profile === "debug" && <Alert variant="warning" isInline title={t("acceleration.debug")} />}
      <Facts>
        <Fact term={t("acceleration.baseline")}>{BASELINE}</Fact>
      </Facts>
      <div className="dolmen-short">
        <SelectField
          label={t("acceleration.batch")}
          value={batch}
          set={setBatch}
          options={batches.map((size) => ({ value: String(size), label: whole(size, language) }))}
        />
      </div>
      <h3 className="dolmen-h3">{t("acceleration.plot")}</h3>
      <BarsChart series={series} label={t("acceleration.plot_described")} />
      <DataTable
        label={t("acceleration.benchmark")}
        rows={shown}
        id={(row) => `${row.algorithm}-${row.backend}`}
        columns={[
          { label: t("acceleration.operation"), cell: (row) => row.algorithm },
          { label: t("acceleration.backend"), cell: (row) => row.backend },
          { label: t("acceleration.batch"), cell: (row) => whole(row.batch, language), align: "end" },
          { label: t("acceleration.rate"), cell: (row) => decimal(row.verifications_per_s, language), align: "end" },
          {
            label: t("acceleration.baseline_rate"),
            cell: (row) => decimal(baselineOf(row), language),
            align: "end",
          },
          {
            label: t("acceleration.gain"),
            cell: (row) => t("acceleration.times", { value: decimal(gainOf(row), language) }),
            align: "end",
          },
          { label: t("acceleration.p99"), cell: (row) => decimal(row.p99_us, language), align: "end" },
        ]}
      />
      <div>
        <Button
          variant="secondary"
          onClick={() => {
            saveBlob(new Blob([JSON.stringify(result, null, 2)], { type: "application/json" }), "benchmark.json");
          }}
        >
          {t("common.download")}
        </Button>
      </div>
    </div>
  );
}
