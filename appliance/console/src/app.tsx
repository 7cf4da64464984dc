import { Bullseye, Button, Spinner } from "@patternfly/react-core";
import { lazy, Suspense, useEffect, useState } from "react";
import { useBox } from "./api/queries";
import { useSessionQuery } from "./api/session";
import { Boundary } from "./components/boundary";
import { ProblemAlert } from "./components/problem-alert";
import { languageChosen, setLanguage, useWords } from "./i18n";
import { EntryLayout } from "./screens/entry/layout";
import { Login } from "./screens/entry/login";

const Wizard = lazy(() => import("./screens/entry/wizard").then(({ Wizard }) => ({ default: Wizard })));
const Recovery = lazy(() => import("./screens/entry/recovery").then(({ Recovery }) => ({ default: Recovery })));
const PendingPassword = lazy(() =>
  import("./screens/entry/password").then(({ PendingPassword }) => ({ default: PendingPassword })),
);
const PendingSecondFactor = lazy(() =>
  import("./screens/entry/second-factor").then(({ PendingSecondFactor }) => ({ default: PendingSecondFactor })),
);
const Shell = lazy(() => import("./shell").then(({ Shell }) => ({ default: Shell })));

/** Leads to what the box and the session allow: the first run, a login, what a login still lacks, or the console. */
export function App() {
  return (
    <Boundary place="">
      <Suspense fallback={<Waiting />}>
        <Gate />
      </Suspense>
    </Boundary>
  );
}

function Gate() {
  const { t } = useWords();
  const box = useBox();
  const session = useSessionQuery();
  const [firstRun, setFirstRun] = useState(false);
  const [recovery, setRecovery] = useState<"no" | "asked" | "done">("no");
  const language = session.data?.user.language;
  useEffect(() => {
    // What a user chose for good holds where nothing was chosen in this browser.
    if (language && !languageChosen()) void setLanguage(language, false);
  }, [language]);
  // The wizard goes on after it has claimed the box.
  if (box.data && !box.data.claimed && !firstRun) setFirstRun(true);
  const failed = (box.data === undefined ? box.error : null) ?? (session.data === undefined ? session.error : null);
  if (failed) {
    return (
      <EntryLayout boxName="" title={t("entry.failed")}>
        <ProblemAlert error={failed} />
        <Button
          className="dolmen-gap-above"
          onClick={() => {
            void box.refetch();
            void session.refetch();
          }}
        >
          {t("common.retry")}
        </Button>
      </EntryLayout>
    );
  }
  if (!box.data || session.data === undefined) return <Waiting />;
  if (firstRun) {
    return (
      <Wizard
        box={box.data}
        finish={() => {
          setFirstRun(false);
        }}
      />
    );
  }
  if (!session.data) {
    if (recovery === "asked") {
      return (
        <Recovery
          box={box.data}
          recovered={() => {
            setRecovery("done");
          }}
          back={() => {
            setRecovery("no");
          }}
        />
      );
    }
    return (
      <Login
        box={box.data}
        recover={() => {
          setRecovery("asked");
        }}
      />
    );
  }
  if (session.data.pending === "password") return <PendingPassword box={box.data} recovered={recovery === "done"} />;
  if (session.data.pending === "second-factor") return <PendingSecondFactor box={box.data} />;
  return <Shell boxName={box.data.name} />;
}

export function Waiting() {
  const { t } = useWords();
  return (
    <Bullseye>
      <Spinner aria-label={t("common.loading")} />
    </Bullseye>
  );
}
