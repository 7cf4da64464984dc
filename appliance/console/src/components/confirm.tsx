import { Button, Form, Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core";
import { useId, useState, type ReactNode } from "react";
import { useWords } from "../i18n";
import { ProblemAlert } from "./problem-alert";

interface Props {
  title: string;
  children: ReactNode;
  confirm: string;
  danger?: boolean;
  /** What was entered will not do yet. */
  disabled?: boolean;
  act: () => Promise<unknown>;
  close: () => void;
}

/** Asks before something, or for what it needs; stays open with the reason where it fails. */
export function Confirm({ title, children, confirm, danger = false, disabled = false, act, close }: Props) {
  const { t } = useWords();
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const go = async (event: React.SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy || disabled) return;
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  return (
    <Modal isOpen variant="small" onClose={close} aria-labelledby={`${id}-title`} aria-describedby={`${id}-body`}>
      <ModalHeader
        title={title}
        labelId={`${id}-title`}
        {...(danger ? { titleIconVariant: "warning" as const } : {})}
      />
      <ModalBody id={`${id}-body`}>
        <Form id={`${id}-form`} onSubmit={go}>
          {children}
          {error !== null && <ProblemAlert error={error} />}
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button
          type="submit"
          form={`${id}-form`}
          variant={danger ? "danger" : "primary"}
          isLoading={busy}
          isDisabled={busy || disabled}
        >
          {confirm}
        </Button>
        <Button variant="link" onClick={close}>
          {t("common.cancel")}
        </Button>
      </ModalFooter>
    </Modal>
  );
}

/** Shows a secret that is shown only once. */
export function Once({ title, children, close }: { title: string; children: ReactNode; close: () => void }) {
  const { t } = useWords();
  const id = useId();
  return (
    <Modal isOpen variant="small" aria-labelledby={id}>
      <ModalHeader title={title} labelId={id} />
      <ModalBody>{children}</ModalBody>
      <ModalFooter>
        <Button onClick={close}>{t("common.stored")}</Button>
      </ModalFooter>
    </Modal>
  );
}
