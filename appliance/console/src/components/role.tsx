import { Button, Tooltip, type ButtonProps } from "@patternfly/react-core";
import { useMay } from "../api/session";
import type { Role } from "../api/types";
import { useWords } from "../i18n";

/** A button for those of a role; others can reach it and are told who may. */
export function RoleButton({ needs, ...props }: { needs: Role } & ButtonProps) {
  const may = useMay(needs);
  const { t } = useWords();
  if (may) return <Button {...props} />;
  return (
    <Tooltip content={t("role.needed", { role: t(`role.${needs}`) })}>
      <Button {...props} isDanger={false} onClick={undefined} isAriaDisabled />
    </Tooltip>
  );
}
