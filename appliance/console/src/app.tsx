import { Bullseye, Button, Spinner } from "@patternfly/react-core";
import { useQuery } from "@tanstack/react-query";
import { Suspense, useEffect, useState } from "react";
import { boxQuery } from "./api/queries";
import { queryClient, sessionQuery } from "./api/session";
import { Boundary } from "./components/boundary";
import { loadable } from "./components/loadable";
import { ProblemAlert } from "./components/problem-alert";
import { languageChosen, setLanguage, useWords } from "./i18n";
import { preload } from "./routes";
import { EntryLayout } from "./screens/entry/layout";
import { Login } from "./screens/entry/login";
import { hasBegun } from "./screens/entry/wizard/progress";

const Wizard = loadable(() => import("./screens/entry/wizard").then(({ Wizard }) => Wizard));
const Recovery = loadable(() => import("./screens/entry/recovery").then(({ Recovery }) => Recovery));
const PendingPassword = loadable(() => import("./screens/entry/password").then((m) => m.PendingPassword));
const PendingSecondFactor = loadable(() => import("./screens/entry/second-factor").then((m) => m.PendingSecondFactor));
const Shell = loadable(() => import("./shell").then(({ Shell }) => Shell));

/** Comes back once all is here that the first screen takes. */
export async function firstScreen(): Promise<void> {
  const [box, session] = await Promise.all([queryClient.query(boxQuery), queryClient.query(sessionQuery)]);
  if (!box.claimed || hasBegun()) await Wizard.load();
  else if (session?.pending === null) await Promise.all([Shell.load(), preload(window.location.pathname)]);
}

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
  const box = useQuery(boxQuery);
  const session = useQuery(sessionQuery);
  const [firstRun, setFirstRun] = useState(hasBegun);
  const [recovery, setRecovery] = useState<"no" | "asked" | "done">("no");
  const language = session.data?.user.language;
  useEffect(() => {
    // What a user chose for good holds where nothing was chosen in this browser.
    if (language && !languageChosen()) void setLanguage(language, false);
  }, [language]);
  // The wizard goes on after it has claimed the box, also where the page is loaded again.
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
      <Wizard.Shown
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
        <Recovery.Shown
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
  if (session.data.pending === "password")
    return <PendingPassword.Shown box={box.data} recovered={recovery === "done"} />;
  if (session.data.pending === "second-factor") return <PendingSecondFactor.Shown box={box.data} />;
  return <Shell.Shown boxName={box.data.name} />;
}

export function Waiting() {
  const { t } = useWords();
  return (
    <Bullseye>
      <Spinner aria-label={t("common.loading")} />
    </Bullseye>
  );
}
