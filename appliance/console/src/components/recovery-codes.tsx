import { ActionGroup, Alert, Button, Checkbox, Form } from "@patternfly/react-core";
import { useState } from "react";
import { saveBlob } from "../api/client";
import { useWords } from "../i18n";

interface Props {
  codes: string[];
  done: () => void;
}

/** The recovery codes, once; goes on when somebody says that they are kept. */
export function RecoveryCodes({ codes, done }: Props) {
  const { t } = useWords();
  const [kept, setKept] = useState(false);
  const [copied, setCopied] = useState(false);
  const text = codes.join("\n") + "\n";
  return (
    <Form
      onSubmit={(event) => {
        event.preventDefault();
        if (kept) done();
      }}
    >
      <Alert variant="warning" isInline title={t("factor.codes_once")}>
        {t("factor.codes_why")}
      </Alert>
      <ul className="dolmen-codes" aria-label={t("factor.codes")}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <ActionGroup>
        <Button
          variant="secondary"
          onClick={() => {
            saveBlob(new Blob([text], { type: "text/plain" }), "dolmen-recovery-codes.txt");
          }}
        >
          {t("common.download")}
        </Button>
        <Button
          variant="secondary"
          onClick={async () => {
            try {
              await navigator.clipboard.writeText(text);
              setCopied(true);
            } catch {
              setCopied(false);
            }
          }}
        >
          {copied ? t("common.copy_copied") : t("common.copy")}
        </Button>
      </ActionGroup>
      <Checkbox
        id="codes-kept"
        label={t("factor.codes_kept")}
        isChecked={kept}
        onChange={(_, checked) => {
          setKept(checked);
        }}
      />
      <ActionGroup>
        <Button type="submit" variant="primary" isDisabled={!kept}>
          {t("common.continue")}
        </Button>
      </ActionGroup>
    </Form>
  );
}
