import { Screen } from "../../components/screen";
import { TabSet } from "../../components/tab-set";
import { useWords } from "../../i18n";
import { Settings } from "./settings";
import { Tokens } from "./tokens";
import { Users as UserList } from "./users";

/** Who and what may use the box, and how the console looks. */
export function Users() {
  const { t } = useWords();
  return (
    <Screen title={t("menu.users")}>
      <TabSet
        label={t("menu.users")}
        tabs={[
          { key: "users", title: t("users.users"), content: <UserList /> },
          { key: "tokens", title: t("users.tokens"), content: <Tokens /> },
          { key: "settings", title: t("users.settings"), content: <Settings /> },
        ]}
      />
    </Screen>
  );
}
