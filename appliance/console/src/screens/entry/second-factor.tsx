import { ActionGroup, Alert, Button, Form, Radio } from "@patternfly/react-core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { Api } from "../../api/types";
import { logOut, refreshSession } from "../../api/session";
import { addPasskey, browserHasPasskeys } from "../../api/webauthn";
import { Field } from "../../components/field";
import { ProblemAlert } from "../../components/problem-alert";
import { RecoveryCodes } from "../../components/recovery-codes";
import { TotpSetup } from "../../components/totp-setup";
import { useWords } from "../../i18n";
import { EntryLayout } from "./layout";

type Stage = "choose" | "totp" | "passkey";

interface StepsProps {
  box: Api<"Identity">;
  /** With the recovery codes that came with it, if any did. */
  done: (codes: string[] | null) => void;
}

/** Chooses a second factor and sets it up. */
export function SecondFactorSteps({ box, done }: StepsProps) {
  const { t } = useWords();
  const hasPasskeys = box.passkeys && browserHasPasskeys();
  const [kind, setKind] = useState<"totp" | "passkey">(hasPasskeys ? "passkey" : "totp");
  const [stage, setStage] = useState<Stage>("choose");
  const back = () => {
    setStage("choose");
  };
  if (stage === "totp") return <TotpSetup back={back} confirmed={done} />;
  if (stage === "passkey") {
    return (
      <PasskeySetup
        back={back}
        done={() => {
          done(null);
        }}
      />
    );
  }
  return (
    <Form
      onSubmit={(event) => {
        event.preventDefault();
        setStage(kind);
      }}
    >
      <p>{t("factor.why")}</p>
      <Radio
        id="factor-totp"
        name="factor"
        label={t("factor.totp")}
        description={t("factor.totp_what")}
        isChecked={kind === "totp"}
        onChange={() => {
          setKind("totp");
        }}
      />
      <Radio
        id="factor-passkey"
        name="factor"
        label={t("factor.passkey")}
        description={t("factor.passkey_what")}
        isChecked={kind === "passkey"}
        isDisabled={!hasPasskeys}
        onChange={() => {
          setKind("passkey");
        }}
      />
      {!hasPasskeys && (
        <Alert variant="info" isInline isPlain title={t("factor.no_passkeys")}>
          {box.passkeys
            ? t("factor.no_passkeys_browser")
            : t("factor.no_passkeys_address", { names: box.host_names.join(", ") || "–" })}
        </Alert>
      )}
      <ActionGroup>
        <Button type="submit">{t("common.continue")}</Button>
      </ActionGroup>
    </Form>
  );
}

function PasskeySetup({ done, back }: { done: () => void; back: () => void }) {
  const { t } = useWords();
  const [name, setName] = useState("");
  const add = useMutation({ mutationFn: () => addPasskey(name.trim()), onSuccess: done });
  return (
    <Form
      onSubmit={(event) => {
        event.preventDefault();
        add.mutate();
      }}
    >
      <p>{t("factor.passkey_how")}</p>
      <Field
        label={t("factor.passkey_name")}
        value={name}
        set={setName}
        isRequired
        help={t("factor.passkey_name_help")}
      />
      {add.isError && <ProblemAlert error={add.error} />}
      <ActionGroup>
        <Button type="submit" isLoading={add.isPending} isDisabled={name.trim() === "" || add.isPending}>
          {t("factor.passkey_add")}
        </Button>
        <Button variant="link" onClick={back}>
          {t("common.back")}
        </Button>
      </ActionGroup>
    </Form>
  );
}

/** What a user without a second factor meets before the console. */
export function PendingSecondFactor({ box }: { box: Api<"Identity"> }) {
  const { t } = useWords();
  const [codes, setCodes] = useState<string[] | null>(null);
  return (
    <EntryLayout boxName={box.name} title={t("factor.title")}>
      {codes === null ? (
        <SecondFactorSteps
          box={box}
          done={(given) => {
            if (given === null) void refreshSession();
            else setCodes(given);
          }}
        />
      ) : (
        <RecoveryCodes codes={codes} done={() => void refreshSession()} />
      )}
      <Button variant="link" isInline className="dolmen-aside" onClick={() => void logOut()}>
        {t("session.log_out")}
      </Button>
    </EntryLayout>
  );
}
