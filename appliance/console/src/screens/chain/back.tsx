import { Breadcrumb, BreadcrumbItem } from "@patternfly/react-core";
import { Link } from "react-router";
import { useWords } from "../../i18n";

/** The way back from a block, transaction or account. */
export function BackToBlocks() {
  const { t } = useWords();
  return (
    <Breadcrumb aria-label={t("explorer.back")} className="dolmen-gap">
      <BreadcrumbItem
        render={({ className }) => (
          <Link className={className} to="/blocks">
            {t("menu.blocks")}
          </Link>
        )}
      />
    </Breadcrumb>
  );
}
