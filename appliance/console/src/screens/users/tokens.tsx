import { Button, Label } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, request } from "../../api/client";
import type { Api, Role } from "../../api/types";
import { Confirm, Once } from "../../components/confirm";
import { Copyable } from "../../components/copyable";
import { DataTable } from "../../components/data-table";
import { Field } from "../../components/field";
import { useNotice } from "../../components/notices";
import { Nothing, QueryView } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { time } from "../../format";
import { useWords } from "../../i18n";
import { RoleField } from "./role-field";

const DAYS_DEFAULT = 90;
const DAYS_MAX = 3_650;
type Token = Api<"TokenView">;

/** The programs that may use the interface. */
export function Tokens() {
  const { t, language } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const query = useQuery({ queryKey: ["tokens"], queryFn: ({ signal }) => get<Token[]>("/tokens", signal) });
  const [adds, setAdds] = useState(false);
  const [removes, setRemoves] = useState<Token | null>(null);
  const [secret, setSecret] = useState<string | null>(null);
  // Whoever opens the page later must not take an expired token for one that holds.
  const [now] = useState(() => Date.now());
  return (
    <div className="dolmen-stack">
      <p className="dolmen-intro">{t("tokens.what")}</p>
      <div>
        <RoleButton
          needs="security-officer"
          onClick={() => {
            setAdds(true);
          }}
        >
          {t("tokens.add")}
        </RoleButton>
      </div>
      <QueryView query={query}>
        {(tokens) =>
          tokens.length === 0 ? (
            <Nothing title={t("tokens.none")} text={t("tokens.none_why")} />
          ) : (
            <DataTable
              label={t("users.tokens")}
              rows={tokens}
              id={({ id }) => id}
              columns={[
                { label: t("common.name"), cell: ({ name }) => name },
                { label: t("common.role"), cell: ({ role }) => t(`role.${role}`) },
                {
                  label: t("tokens.expires"),
                  cell: ({ expires_at }) => (
                    <>
                      {time(expires_at, language)}{" "}
                      {Date.parse(expires_at) < now && <Label status="danger">{t("tokens.expired")}</Label>}
                    </>
                  ),
                },
                { label: t("tokens.last_used"), cell: ({ last_used_at }) => time(last_used_at, language) },
                { label: t("tokens.created_by"), cell: ({ created_by }) => created_by },
                {
                  label: t("users.actions"),
                  cell: (token) => (
                    <Button
                      variant="link"
                      isInline
                      isDanger
                      aria-label={t("users.act_on", { act: t("tokens.remove"), name: token.name })}
                      onClick={() => {
                        setRemoves(token);
                      }}
                    >
                      {t("tokens.remove")}
                    </Button>
                  ),
                },
              ]}
            />
          )
        }
      </QueryView>
      {adds && (
        <AddToken
          told={setSecret}
          close={() => {
            setAdds(false);
          }}
        />
      )}
      {removes && (
        <Confirm
          danger
          title={t("tokens.remove_title", { name: removes.name })}
          confirm={t("tokens.remove")}
          close={() => {
            setRemoves(null);
          }}
          act={async () => {
            await request("DELETE", `/tokens/${encodeURIComponent(removes.id)}`);
            say(t("tokens.removed", { name: removes.name }));
            await client.invalidateQueries({ queryKey: ["tokens"] });
          }}
        >
          <p>{t("tokens.remove_what")}</p>
        </Confirm>
      )}
      {secret !== null && (
        <Once
          title={t("tokens.made")}
          close={() => {
            setSecret(null);
          }}
        >
          <p className="dolmen-gap">{t("tokens.once")}</p>
          <Copyable value={secret} what={t("tokens.token")} full />
        </Once>
      )}
    </div>
  );
}

function AddToken({ told, close }: { told: (token: string) => void; close: () => void }) {
  const { t } = useWords();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState(String(DAYS_DEFAULT));
  const valid = /^\d+$/.test(days) && Number(days) >= 1 && Number(days) <= DAYS_MAX;
  return (
    <Confirm
      title={t("tokens.add")}
      confirm={t("tokens.add")}
      disabled={name.trim() === "" || !valid}
      close={close}
      act={async () => {
        const { token } = await post<Api<"TokenMade">>("/tokens", { name: name.trim(), role, days: Number(days) });
        told(token);
        await client.invalidateQueries({ queryKey: ["tokens"] });
      }}
    >
      <Field label={t("common.name")} value={name} set={setName} isRequired help={t("tokens.name_help")} />
      <RoleField value={role} set={setRole} />
      <Field
        label={t("tokens.days")}
        value={days}
        set={setDays}
        inputMode="numeric"
        isRequired
        fault={valid ? undefined : t("tokens.bad_days", { max: DAYS_MAX })}
      />
    </Confirm>
  );
}
