import type { Role } from "../../api/types";
import { SelectField } from "../../components/select-field";
import { useWords } from "../../i18n";

const ROLES: Role[] = ["viewer", "operator", "security-officer"];

/** A role, and what it may do. */
export function RoleField({ value, set }: { value: Role; set: (role: Role) => void }) {
  const { t } = useWords();
  return (
    <SelectField
      label={t("common.role")}
      value={value}
      set={set}
      options={ROLES.map((role) => ({ value: role, label: t(`role.${role}`) }))}
      help={t(`users.may_${value}`)}
    />
  );
}
