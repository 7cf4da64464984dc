import { Alert, type AlertProps } from "@patternfly/react-core";
import { problemIn, type Problem } from "../api/problem";
import { useWords, wordOr } from "../i18n";
import { span } from "../format";

/**
 * A problem in the page's language where it knows its code, and else in the box's own words. Of a known code these show
 * only where its text asks for them: they are English, and mostly say the same.
 */
export function useProblemText() {
  const { t, language } = useWords();
  return (problem: Problem) => {
    const title = wordOr(
      "problem",
      `${problem.code}.title`,
      problem.title ?? t("problem.unknown", { code: problem.code }),
    );
    const detail = problem.detail ?? "";
    const cause = wordOr("problem", `${problem.code}.cause`, detail, { detail });
    const own = wordOr("problem", `${problem.code}.next`, problem.next ?? "");
    const wait =
      problem.retry_after_s === undefined
        ? ""
        : t("problem.retry", { wait: span(problem.retry_after_s * 1000, language) });
    return {
      title,
      cause: cause === title ? "" : cause,
      next: [own, wait].filter((text) => text !== "").join(" "),
    };
  };
}

/** Why something failed. */
export function ProblemAlert({ error, ...props }: { error: unknown } & Omit<AlertProps, "title" | "variant">) {
  const words = useProblemText()(problemIn(error));
  return (
    <Alert variant="danger" isInline {...props} title={words.title} role="alert">
      {words.cause !== "" && <p className="dolmen-sentence">{words.cause}</p>}
      {words.next !== "" && <p className="dolmen-sentence">{words.next}</p>}
    </Alert>
  );
}
