import { useBackups } from "../../api/queries";
import { QueryView } from "../../components/query-view";
import { Screen } from "../../components/screen";
import { useWords } from "../../i18n";
import { Copies } from "./copies";
import { PutFiles } from "./put-files";
import { Restore } from "./restore";

/** The chain's encrypted copies, and the way back from one. */
export function Backup() {
  const { t } = useWords();
  const query = useBackups();
  return (
    <Screen title={t("menu.backup")} intro={t("backup.intro")}>
      <QueryView query={query}>
        {(data) => (
          <div className="dolmen-stack">
            <Copies data={data} />
            <PutFiles />
            <Restore data={data} />
          </div>
        )}
      </QueryView>
    </Screen>
  );
}
