import { Pagination } from "@patternfly/react-core";
import { useWords } from "../i18n";

interface Props {
  count: number;
  page: number;
  perPage: number;
  setPage: (page: number) => void;
  label: string;
}

/** Goes through a long list page by page; nothing where one page holds all. */
export function Pages({ count, page, perPage, setPage, label }: Props) {
  const { t } = useWords();
  if (count <= perPage) return null;
  const first = (page - 1) * perPage + 1;
  const last = Math.min(count, page * perPage);
  return (
    <Pagination
      toggleTemplate={() => <>{t("pages.range", { first, last, count })}</>}
      itemCount={count}
      page={page}
      perPage={perPage}
      perPageOptions={[]}
      isCompact
      onSetPage={(_, next) => {
        setPage(next);
      }}
      titles={{
        paginationAriaLabel: label,
        toPreviousPageAriaLabel: t("pages.previous"),
        toNextPageAriaLabel: t("pages.next"),
        ofWord: "/",
      }}
    />
  );
}
