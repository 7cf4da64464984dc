import { Button } from "@patternfly/react-core";
import { useState } from "react";
import { saveBlob } from "../../api/client";
import type { Api } from "../../api/types";
import { BarsChart } from "../../components/bars-chart";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { SelectField } from "../../components/select-field";
import { decimal, time, whole } from "../../format";
import { useWords } from "../../i18n";

type Row = Api<"BenchmarkRow">;

const gainOf = ({ per_second, baseline_per_second }: Row) =>
  baseline_per_second > 0 ? per_second / baseline_per_second : null;

/** A benchmark's figures as a plot and a table, each beside the baseline of the same run. */
export function Result({ result }: { result: Api<"BenchmarkResult"> }) {
  const { t, language } = useWords();
  const batches = [...new Set(result.rows.map(({ batch }) => batch))].toSorted((a, b) => a - b);
  const [batch, setBatch] = useState(String(batches.at(-1) ?? 0));
  const shown = result.rows.filter((row) => String(row.batch) === batch);
  const backends = [...new Set(shown.map(({ backend }) => backend))];
  const operations = [...new Set(shown.map(({ operation }) => operation))];
  const series = backends.map((backend) => ({
    name: backend,
    values: operations.map((operation) => {
      const row = shown.find((one) => one.operation === operation && one.backend === backend);
      return { x: operation, y: row ? (gainOf(row) ?? 0) : 0 };
    }),
  }));
  return (
    <div className="dolmen-stack">
      <Facts>
        <Fact term={t("acceleration.at")}>{time(result.at, language)}</Fact>
        <Fact term={t("acceleration.hardware")}>{result.hardware}</Fact>
        <Fact term={t("acceleration.baseline")}>{result.baseline}</Fact>
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
        id={(row) => `${row.operation}-${row.backend}`}
        columns={[
          { label: t("acceleration.operation"), cell: (row) => row.operation },
          { label: t("acceleration.backend"), cell: (row) => row.backend },
          { label: t("acceleration.batch"), cell: (row) => whole(row.batch, language), align: "end" },
          { label: t("acceleration.rate"), cell: (row) => decimal(row.per_second, language), align: "end" },
          {
            label: t("acceleration.baseline_rate"),
            cell: (row) => decimal(row.baseline_per_second, language),
            align: "end",
          },
          {
            label: t("acceleration.gain"),
            cell: (row) => t("acceleration.times", { value: decimal(gainOf(row), language) }),
            align: "end",
          },
          { label: t("acceleration.errors"), cell: (row) => whole(row.errors, language), align: "end" },
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
