import type { ReactNode } from "react";
import type { Live } from "../../api/live";
import type { Status } from "../../api/live-buffer";
import { bytes, decimal, span, whole } from "../../format";
import { useWords } from "../../i18n";

/** The figures that one looks for first. */
export function Figures({ live, status }: { live: Live; status: Status }) {
  const { t, language } = useWords();
  const up = status.peers.filter((peer) => peer.connected).length;
  const ms = (value: number | null | undefined) =>
    value == null ? "–" : t("dashboard.ms", { value: decimal(value, language) });
  const { p50, p99, samples } = status.finality_ms;
  return (
    <dl className="dolmen-figures">
      <Figure
        name={t("dashboard.height")}
        value={whole(live.blocks[0]?.number ?? status.height, language)}
        note={t("dashboard.ago", { age: span(live.headAgeMs, language) })}
      />
      <Figure
        name={t("dashboard.finality")}
        value={ms(p50)}
        note={t("dashboard.finality_note", { p99: ms(p99), count: samples, samples: whole(samples, language) })}
      />
      <Figure
        name={t("dashboard.tps")}
        value={decimal(live.rates?.transactions, language)}
        note={t("dashboard.tps_note", { blocks: decimal(live.rates?.blocks, language) })}
      />
      <Figure
        name={t("dashboard.peers")}
        value={`${whole(up, language)} / ${whole(status.peers.length, language)}`}
        note={t("dashboard.quorum", { quorum: status.quorum, validators: status.validators })}
      />
      <Figure
        name={t("dashboard.pool")}
        value={whole(status.pool.pending, language)}
        note={t("dashboard.pool_note", {
          queued: whole(status.pool.queued, language),
          size: bytes(status.pool.bytes, language),
        })}
      />
    </dl>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="dolmen-figure">{value}</dd>
      <dd className="dolmen-note">{note}</dd>
    </div>
  );
}
