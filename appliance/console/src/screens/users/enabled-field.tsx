import { Switch } from "@patternfly/react-core";
import { useWords } from "../../i18n";

/** Whether a user may log in. */
export function EnabledField({ disabled, set }: { disabled: boolean; set: (disabled: boolean) => void }) {
  const { t } = useWords();
  return (
    <Switch
      id="user-enabled"
      label={t("users.may_log_in")}
      isChecked={!disabled}
      onChange={(_, checked) => {
        set(!checked);
      }}
    />
  );
}
