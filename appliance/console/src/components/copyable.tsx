import { Button, Tooltip } from "@patternfly/react-core";
import { CopyIcon } from "@patternfly/react-icons/dist/esm/icons/copy-icon";
import { useState } from "react";
import { ends } from "../format";
import { useWords } from "../i18n";

interface Props {
  value: string;
  /** What it is, for those who cannot see it. */
  what: string;
  /** Shown in full, over several lines where needed. */
  full?: boolean;
}

/** A hash, key or address that can be copied whole. */
export function Copyable({ value, what, full = false }: Props) {
  const { t } = useWords();
  const [told, setTold] = useState<"copied" | "failed" | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setTold("copied");
    } catch {
      setTold("failed");
    }
    setTimeout(() => {
      setTold(null);
    }, 2_000);
  };
  return (
    <span className="dolmen-copyable">
      <code className={full ? "dolmen-code dolmen-code-full" : "dolmen-code"} title={full ? undefined : value}>
        {full ? value : ends(value)}
      </code>
      <Tooltip content={told === null ? t("common.copy") : t(`common.copy_${told}`)} trigger="mouseenter focus click">
        <Button
          variant="plain"
          size="sm"
          hasNoPadding
          aria-label={t("common.copy_what", { what })}
          icon={<CopyIcon />}
          onClick={copy}
        />
      </Tooltip>
      <span role="status" className="pf-v6-screen-reader">
        {told !== null && t(`common.copy_${told}`)}
      </span>
    </span>
  );
}
