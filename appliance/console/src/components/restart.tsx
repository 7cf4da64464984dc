import { Alert, Button, Modal, ModalBody, ModalFooter, ModalHeader, Spinner } from "@patternfly/react-core";
import type { ButtonProps } from "@patternfly/react-core";
import { useEffect, useEffectEvent, useId, useState } from "react";
import { post } from "../api/client";
import { useKeys, useNextFingerprint } from "../api/queries";
import { waitForRestart, type RestartPhase } from "../api/restart";
import { queryClient, refreshSession } from "../api/session";
import { span } from "../format";
import { useWords } from "../i18n";
import { Confirm } from "./confirm";
import { Copyable } from "./copyable";
import { useNotice } from "./notices";
import { RoleButton } from "./role";

const TICK_MS = 1_000;

/** Restarts the box after a question, and waits until it is back. */
export function RestartButton(props: Pick<ButtonProps, "variant" | "isInline">) {
  const { t } = useWords();
  const [stage, setStage] = useState<"none" | "asks" | "waits">("none");
  const close = () => {
    // The question closes itself once the box restarts.
    setStage((now) => (now === "asks" ? "none" : now));
  };
  return (
    <>
      <RoleButton
        {...props}
        needs="operator"
        onClick={() => {
          setStage("asks");
        }}
      >
        {t("restart.act")}
      </RoleButton>
      {stage === "asks" && (
        <Confirm
          title={t("restart.title")}
          confirm={t("restart.act")}
          act={async () => {
            await post("/restart");
            setStage("waits");
          }}
          close={close}
        >
          <p>{t("restart.what")}</p>
          <NextCertificate />
        </Confirm>
      )}
      {stage === "waits" && (
        <Waiting
          close={() => {
            setStage("none");
          }}
        />
      )}
    </>
  );
}

/** What a browser does when the console's key is another one after the start, if it is. */
function NextCertificate() {
  const { t } = useWords();
  const keys = useKeys();
  const fingerprint = useNextFingerprint();
  if (!keys.data?.some(({ use, rotated }) => use === "tls" && rotated)) return null;
  return (
    <Alert variant="warning" isInline title={t("restart.certificate")} className="dolmen-gap-above">
      <p>{t("restart.certificate_how")}</p>
      {fingerprint !== undefined && <Copyable value={fingerprint} what={t("keys.fingerprint")} full />}
    </Alert>
  );
}

function Waiting({ close }: { close: () => void }) {
  const { t, language } = useWords();
  const id = useId();
  const say = useNotice();
  const [phase, setPhase] = useState<RestartPhase | "late">("ends");
  const [round, setRound] = useState(0);
  const [waited, setWaited] = useState(0);
  const onBack = useEffectEvent(async () => {
    // With another session, or none, the page shows what that may see.
    await refreshSession();
    await queryClient.invalidateQueries();
    say(t("restart.done"));
    close();
  });
  useEffect(() => {
    const gone = new AbortController();
    const begun = Date.now();
    const timer = setInterval(() => {
      setWaited(Date.now() - begun);
    }, TICK_MS);
    void waitForRestart(gone.signal, setPhase).then((back) => {
      clearInterval(timer);
      if (gone.signal.aborted) return;
      if (back) void onBack();
      else setPhase("late");
    });
    return () => {
      clearInterval(timer);
      gone.abort();
    };
  }, [round]);
  const isLate = phase === "late";
  return (
    <Modal isOpen variant="small" aria-labelledby={`${id}-title`} aria-describedby={`${id}-body`}>
      <ModalHeader title={t(isLate ? "restart.late" : "restart.restarts")} labelId={`${id}-title`} />
      <ModalBody id={`${id}-body`}>
        <div className="dolmen-stack">
          {isLate ? (
            <p role="alert">{t("restart.late_next")}</p>
          ) : (
            <div className="dolmen-waits">
              <Spinner size="lg" aria-label={t("restart.restarts")} />
              <span role="status">{t(`restart.${phase}`)}</span>
              {waited >= TICK_MS && <span className="dolmen-note">{span(waited, language)}</span>}
            </div>
          )}
          <NextCertificate />
        </div>
      </ModalBody>
      <ModalFooter>
        {isLate && (
          <Button
            onClick={() => {
              setRound(round + 1);
            }}
          >
            {t("restart.wait")}
          </Button>
        )}
        <Button
          variant={isLate ? "secondary" : "link"}
          onClick={() => {
            window.location.reload();
          }}
        >
          {t("shell.reload")}
        </Button>
        {isLate && (
          <Button variant="link" onClick={close}>
            {t("restart.close")}
          </Button>
        )}
      </ModalFooter>
    </Modal>
  );
}
