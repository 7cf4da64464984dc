import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { get } from "../api/client";
import { logOut, useEnter, useSession, type Session } from "../api/session";
import { span } from "../format";
import { useWords } from "../i18n";

const WARN_BEFORE_MS = 60_000;
const CHECK_INTERVAL_MS = 1_000;
/** Use of the page is told to the box at most this often. */
const TELL_INTERVAL_MS = 60_000;
const ACTIVITY = ["pointerdown", "keydown", "wheel"] as const;

/**
 * Ends the session of a page that nobody uses, and that does nothing for somebody. Its own requests keep a session alive
 * at the box, so the page itself watches for use, warns a minute ahead, and logs out.
 */
export function IdleGuard() {
  const { t, language } = useWords();
  const session = useSession();
  const enter = useEnter();
  const client = useQueryClient();
  const [left, setLeft] = useState<number | null>(null);
  useEffect(() => {
    const idleMs = Math.max(2 * WARN_BEFORE_MS, Date.parse(session.idle_expires_at) - Date.now());
    let usedAt = Date.now();
    let toldAt = Date.now();
    let warned = false;
    const used = () => {
      // Once the warning stands, only its own button goes on.
      if (warned) return;
      usedAt = Date.now();
      if (usedAt - toldAt < TELL_INTERVAL_MS) return;
      toldAt = usedAt;
      get<Session>("/session").catch(() => undefined);
    };
    const timer = setInterval(() => {
      // Somebody waits for what the page does, such as sending a large file.
      if (client.isMutating() > 0) used();
      const rest = idleMs - (Date.now() - usedAt);
      warned = rest <= WARN_BEFORE_MS;
      setLeft(warned ? rest : null);
      if (rest <= 0) logOut().catch(() => undefined);
    }, CHECK_INTERVAL_MS);
    for (const name of ACTIVITY) window.addEventListener(name, used, { passive: true });
    return () => {
      clearInterval(timer);
      for (const name of ACTIVITY) window.removeEventListener(name, used);
    };
  }, [client, session.idle_expires_at]);
  if (left === null) return null;
  const stay = () => {
    get<Session>("/session").then(enter, () => undefined);
    setLeft(null);
  };
  return (
    <Modal isOpen variant="small" aria-labelledby="idle-title" aria-describedby="idle-body" onClose={stay}>
      <ModalHeader title={t("session.idle_title")} labelId="idle-title" titleIconVariant="warning" />
      <ModalBody id="idle-body">
        {t("session.idle_text", { left: span(Math.max(0, Math.ceil(left / 1000) * 1000), language) })}
      </ModalBody>
      <ModalFooter>
        <Button onClick={stay}>{t("session.idle_stay")}</Button>
        <Button variant="link" onClick={() => void logOut().catch(() => undefined)}>
          {t("session.log_out")}
        </Button>
      </ModalFooter>
    </Modal>
  );
}
