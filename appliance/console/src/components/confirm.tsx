import { Button, Modal, ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core";
import { useId, useState, type ReactNode } from "react";
import { useWords } from "../i18n";
import { ProblemAlert } from "./problem-alert";

interface Props {
    title: string;
    children: ReactNode;
    confirm: string;
    danger?: boolean;
    act: () => Promise<unknown>;
    close: () => void;
}

/** Asks before something that is hard to undo, does it, and stays open with the reason where it fails. */
export function Confirm({ title, children, confirm, danger = false, act, close }: Props) {
    const { t } = useWords();
    const id = useId();
    const [busy, setBusy] = useState(false);
    const [error, setError] = useState<unknown>(null);
    const go = async () => {
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
                {children}
                {error !== null && <ProblemAlert error={error} />}
            </ModalBody>
            <ModalFooter>
                <Button variant={danger ? "danger" : "primary"} onClick={go} isLoading={busy} isDisabled={busy}>
                    {confirm}
                </Button>
                <Button variant="link" onClick={close}>
                    {t("common.cancel")}
                </Button>
            </ModalFooter>
        </Modal>
    );
}
