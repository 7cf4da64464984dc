import {
  Bullseye,
  Button,
  EmptyState,
  EmptyStateActions,
  EmptyStateBody,
  EmptyStateFooter,
  Spinner,
} from "@patternfly/react-core";
import { CubesIcon } from "@patternfly/react-icons/dist/esm/icons/cubes-icon";
import { LockIcon } from "@patternfly/react-icons/dist/esm/icons/lock-icon";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { isAbsent, problemIn } from "../api/problem";
import { useWords } from "../i18n";
import { ProblemAlert, useProblemText } from "./problem-alert";

interface Props<T> {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}

/** What a query brought, or why it brought nothing. */
export function QueryView<T>({ query, children }: Props<T>) {
  const { t } = useWords();
  if (query.isPending) {
    return (
      <Bullseye>
        <Spinner aria-label={t("common.loading")} />
      </Bullseye>
    );
  }
  if (query.isError && query.data === undefined) {
    if (isAbsent(query.error)) return <Absent error={query.error} />;
    if (problemIn(query.error).status === 403) return <Forbidden error={query.error} />;
    return (
      <ProblemAlert
        error={query.error}
        actionLinks={
          <Button variant="link" isInline onClick={() => void query.refetch()}>
            {t("common.retry")}
          </Button>
        }
      />
    );
  }
  return (
    <>
      {query.isError && <ProblemAlert error={query.error} className="dolmen-gap" />}
      {children(query.data as T)}
    </>
  );
}

/** A feature that this box does not have: why, and what to do. */
export function Absent({ error }: { error: unknown }) {
  const { t } = useWords();
  const words = useProblemText()(problemIn(error));
  return (
    <EmptyState titleText={words.title} headingLevel="h2" icon={CubesIcon} variant="lg">
      <EmptyStateBody>
        <p className="dolmen-sentence">{words.cause || t("problem.not-here.cause")}</p>
        <p className="dolmen-sentence">{words.next || t("problem.not-here.next")}</p>
      </EmptyStateBody>
    </EmptyState>
  );
}

function Forbidden({ error }: { error: unknown }) {
  const words = useProblemText()(problemIn(error));
  return (
    <EmptyState titleText={words.title} headingLevel="h2" icon={LockIcon} variant="lg">
      <EmptyStateBody>
        <p className="dolmen-sentence">{words.cause}</p>
        <p className="dolmen-sentence">{words.next}</p>
      </EmptyStateBody>
    </EmptyState>
  );
}

/** Nothing there yet, which is no fault. */
export function Nothing({ title, text, action }: { title: string; text: string; action?: ReactNode }) {
  return (
    <EmptyState titleText={title} headingLevel="h3" icon={CubesIcon} variant="sm">
      <EmptyStateBody>{text}</EmptyStateBody>
      {action !== undefined && (
        <EmptyStateFooter>
          <EmptyStateActions>{action}</EmptyStateActions>
        </EmptyStateFooter>
      )}
    </EmptyState>
  );
}
