import { Alert, Button, Card, CardBody, CardTitle, Label, Modal, ModalBody, ModalHeader } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, request } from "../../api/client";
import { useBox } from "../../api/queries";
import { refreshSession, useEnter } from "../../api/session";
import type { Api } from "../../api/types";
import { addPasskey, browserHasPasskeys } from "../../api/webauthn";
import { Confirm } from "../../components/confirm";
import { DataTable } from "../../components/data-table";
import { Fact, Facts } from "../../components/facts";
import { Field } from "../../components/field";
import { useNotice } from "../../components/notices";
import { Nothing, QueryView } from "../../components/query-view";
import { RecoveryCodes } from "../../components/recovery-codes";
import { TotpSetup } from "../../components/totp-setup";
import { time } from "../../format";
import { useWords } from "../../i18n";

const CODES_FEW = 3;
type Factors = Api<"Factors">;
type Act =
  | { kind: "totp"; codes: string[] | null }
  | { kind: "remove-totp" }
  | { kind: "add-passkey" }
  | { kind: "remove-passkey"; id: string; name: string };

/** What one logs in with besides the password. */
export function Factors() {
  const { t } = useWords();
  const query = useQuery({ queryKey: ["factors"], queryFn: ({ signal }) => get<Factors>("/me/factors", signal) });
  return (
    <Card>
      <CardTitle component="h2">{t("account.factors")}</CardTitle>
      <CardBody>
        <QueryView query={query}>{(factors) => <FactorList factors={factors} />}</QueryView>
      </CardBody>
    </Card>
  );
}

function FactorList({ factors }: { factors: Factors }) {
  const { t, language } = useWords();
  const box = useBox();
  const [act, setAct] = useState<Act | null>(null);
  const canAdd = box.data?.passkeys === true && browserHasPasskeys();
  const few = factors.totp && factors.recovery_codes_left < CODES_FEW;
  return (
    <div className="dolmen-stack">
      {few && (
        <Alert variant="warning" isInline title={t("account.few_codes", { count: factors.recovery_codes_left })}>
          {t("account.few_codes_next")}
        </Alert>
      )}
      <Facts>
        <Fact term={t("factor.totp")}>
          <Label status={factors.totp ? "success" : "info"}>{t(factors.totp ? "account.set_up" : "account.not")}</Label>{" "}
          <Button
            variant="link"
            isInline
            onClick={() => {
              setAct({ kind: "totp", codes: null });
            }}
          >
            {t(factors.totp ? "account.replace" : "account.set_it_up")}
          </Button>{" "}
          {factors.totp && factors.passkeys.length > 0 && (
            <Button
              variant="link"
              isInline
              isDanger
              onClick={() => {
                setAct({ kind: "remove-totp" });
              }}
            >
              {t("account.remove")}
            </Button>
          )}
        </Fact>
        <Fact term={t("factor.codes")}>{t("account.codes_left", { count: factors.recovery_codes_left })}</Fact>
      </Facts>
      {factors.passkeys.length === 0 ? (
        <Nothing
          title={t("account.no_passkeys")}
          text={t(canAdd ? "account.no_passkeys_why" : "account.no_passkeys_here")}
        />
      ) : (
        <DataTable
          label={t("account.passkeys")}
          rows={factors.passkeys}
          id={({ id }) => id}
          columns={[
            { label: t("factor.passkey"), cell: ({ name }) => name },
            { label: t("account.added"), cell: ({ created_at }) => time(created_at, language) },
            { label: t("tokens.last_used"), cell: ({ last_used_at }) => time(last_used_at, language) },
            {
              label: t("users.actions"),
              cell: ({ id, name }) => (
                <Button
                  variant="link"
                  isInline
                  isDanger
                  isDisabled={!factors.totp && factors.passkeys.length === 1}
                  aria-label={t("users.act_on", { act: t("account.remove"), name })}
                  onClick={() => {
                    setAct({ kind: "remove-passkey", id, name });
                  }}
                >
                  {t("account.remove")}
                </Button>
              ),
            },
          ]}
        />
      )}
      {canAdd && (
        <div>
          <Button
            variant="secondary"
            onClick={() => {
              setAct({ kind: "add-passkey" });
            }}
          >
            {t("factor.passkey_add")}
          </Button>
        </div>
      )}
      {act && <ActDialog act={act} setAct={setAct} />}
    </div>
  );
}

function ActDialog({ act, setAct }: { act: Act; setAct: (act: Act | null) => void }) {
  const { t } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const enter = useEnter();
  const [name, setName] = useState("");
  const close = () => {
    setAct(null);
  };
  const done = (text: string) => {
    say(text);
    return client.invalidateQueries({ queryKey: ["factors"] });
  };
  if (act.kind === "totp") {
    return (
      <Modal isOpen variant="small" aria-labelledby="totp-title" {...(act.codes === null ? { onClose: close } : {})}>
        <ModalHeader title={t(act.codes === null ? "factor.totp" : "factor.codes")} labelId="totp-title" />
        <ModalBody>
          {act.codes === null ? (
            <TotpSetup
              back={close}
              confirmed={(codes) => {
                setAct({ kind: "totp", codes });
                // With the new factor came another session, whose CSRF token is not the one of before.
                void refreshSession();
              }}
            />
          ) : (
            <RecoveryCodes
              codes={act.codes}
              done={() => {
                close();
                void done(t("account.totp_done"));
              }}
            />
          )}
        </ModalBody>
      </Modal>
    );
  }
  if (act.kind === "add-passkey") {
    return (
      <Confirm
        title={t("factor.passkey_add")}
        confirm={t("factor.passkey_add")}
        disabled={name.trim() === ""}
        close={close}
        act={async () => {
          enter(await addPasskey(name.trim()));
          await done(t("account.passkey_added"));
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
      </Confirm>
    );
  }
  const removesTotp = act.kind === "remove-totp";
  return (
    <Confirm
      danger
      title={removesTotp ? t("account.remove_totp") : t("account.remove_passkey", { name: act.name })}
      confirm={t("account.remove")}
      close={close}
      act={async () => {
        await request("DELETE", removesTotp ? "/me/totp" : `/me/passkeys/${encodeURIComponent(act.id)}`);
        await done(t("account.removed"));
      }}
    >
      <p>{t("account.remove_what")}</p>
    </Confirm>
  );
}
