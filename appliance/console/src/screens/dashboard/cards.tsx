import { Card, CardBody, CardTitle, Label, Progress } from "@patternfly/react-core";
import { useAcceleration, useSystem } from "../../api/queries";
import type { Status } from "../../api/live-buffer";
import type { Api } from "../../api/types";
import { Copyable } from "../../components/copyable";
import { Fact, Facts } from "../../components/facts";
import { QueryView } from "../../components/query-view";
import { bytes, decimal, span, whole } from "../../format";
import { useWords, wordOr } from "../../i18n";

/** Full enough to say so. */
const DISK_WARNING_FREE = 0.15;
const HOT_CELSIUS = 85;

/** The hardware: disk, memory, temperature, TPM, acceleration. */
export function MachineCard() {
  const { t } = useWords();
  const system = useSystem();
  return (
    <Card>
      <CardTitle component="h2">{t("dashboard.machine")}</CardTitle>
      <CardBody>
        <QueryView query={system}>{(data) => <Machine system={data} />}</QueryView>
      </CardBody>
    </Card>
  );
}

function Machine({ system }: { system: Api<"Machine"> }) {
  const { t, language } = useWords();
  const { disk, memory, tpm } = system;
  const share = (all: number, free: number) => (all > 0 ? Math.round((100 * (all - free)) / all) : 0);
  const lowDisk = disk.total_bytes > 0 && disk.free_bytes / disk.total_bytes < DISK_WARNING_FREE;
  const hottest = system.temperatures.reduce<Api<"Machine">["temperatures"][number] | null>(
    (found, next) => (found === null || next.celsius > found.celsius ? next : found),
    null,
  );
  return (
    <div className="dolmen-stack">
      <Progress
        title={t("dashboard.disk", {
          free: bytes(disk.free_bytes, language),
          total: bytes(disk.total_bytes, language),
        })}
        value={share(disk.total_bytes, disk.free_bytes)}
        size="sm"
        {...(lowDisk ? { variant: "warning" as const } : {})}
      />
      <Progress
        title={t("dashboard.memory", {
          free: bytes(memory.available_bytes, language),
          total: bytes(memory.total_bytes, language),
        })}
        value={share(memory.total_bytes, memory.available_bytes)}
        size="sm"
      />
      <Facts>
        <Fact term={t("dashboard.temperature")}>
          {hottest === null ? (
            t("dashboard.no_sensor")
          ) : (
            <>
              {t("dashboard.celsius", { value: decimal(hottest.celsius, language) })}{" "}
              <span className="dolmen-note">{hottest.name}</span>{" "}
              {hottest.celsius >= HOT_CELSIUS && <Label status="warning">{t("dashboard.hot")}</Label>}
            </>
          )}
        </Fact>
        <Fact term={t("dashboard.load")}>
          {system.load.map((value) => decimal(value, language)).join(" · ")}{" "}
          <span className="dolmen-note">{t("dashboard.cpus", { count: system.cpus })}</span>
        </Fact>
        <Fact term="TPM">
          {tpm ? (
            <>
              <Label status="success">{t("dashboard.tpm_present")}</Label>{" "}
              <span className="dolmen-note">{tpm.tcti}</span>
            </>
          ) : (
            <Label status="warning">{t("dashboard.tpm_absent")}</Label>
          )}
        </Fact>
        <AccelerationItem />
      </Facts>
    </div>
  );
}

function AccelerationItem() {
  const { t } = useWords();
  const { data } = useAcceleration();
  if (!data) return <Fact term={t("menu.acceleration")}>–</Fact>;
  return (
    <Fact term={t("menu.acceleration")}>
      {data.selected}{" "}
      {data.self_test &&
        (data.self_test.passed ? (
          <Label status="success">{t("acceleration.passed")}</Label>
        ) : (
          <Label status="danger">{t("acceleration.failed")}</Label>
        ))}
    </Fact>
  );
}

/** What this box is. */
export function BoxCard({ status }: { status: Status }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("dashboard.box")}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("common.role")}>{wordOr("chain", status.role, status.role)}</Fact>
          <Fact term={t("common.version")}>{status.version}</Fact>
          <Fact term={t("dashboard.uptime")}>{span(status.uptime_s * 1000, language)}</Fact>
          <Fact term={t("chain.chain_id")}>{status.chain_id}</Fact>
          <Fact term={t("chain.epoch")}>{whole(status.epoch, language)}</Fact>
          <Fact term={t("chain.genesis")}>
            <Copyable value={status.genesis_hash} what={t("chain.genesis")} />
          </Fact>
          <Fact term={t("chain.head_hash")}>
            <Copyable value={status.head_hash} what={t("chain.head_hash")} />
          </Fact>
          <Fact term="JSON-RPC">
            <Copyable value={status.rpc_url} what="JSON-RPC" full />
          </Fact>
        </Facts>
      </CardBody>
    </Card>
  );
}
