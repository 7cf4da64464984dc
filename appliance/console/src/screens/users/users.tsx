import { Alert, Button, Flex, Label } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, post, request } from "../../api/client";
import { useSession } from "../../api/session";
import type { Api, Role } from "../../api/types";
import { Confirm, Once } from "../../components/confirm";
import { Copyable } from "../../components/copyable";
import { DataTable } from "../../components/data-table";
import { Field } from "../../components/field";
import { useNotice } from "../../components/notices";
import { QueryView } from "../../components/query-view";
import { RoleButton } from "../../components/role";
import { time } from "../../format";
import { useWords } from "../../i18n";
import { EnabledField } from "./enabled-field";
import { RoleField } from "./role-field";

type User = Api<"UserView">;
type Act =
  { kind: "add" } | { kind: "edit"; user: User } | { kind: "reset"; user: User } | { kind: "remove"; user: User };

/** The people who may log in. */
export function Users() {
  const { t, language } = useWords();
  const { user: self } = useSession();
  const query = useQuery({ queryKey: ["users"], queryFn: ({ signal }) => get<User[]>("/users", signal) });
  const [act, setAct] = useState<Act | null>(null);
  const [secret, setSecret] = useState<Api<"UserMade"> | null>(null);
  return (
    <div className="dolmen-stack">
      <div>
        <RoleButton
          needs="security-officer"
          onClick={() => {
            setAct({ kind: "add" });
          }}
        >
          {t("users.add")}
        </RoleButton>
      </div>
      <QueryView query={query}>
        {(users) => (
          <>
            {users.filter(({ role, disabled }) => role === "security-officer" && !disabled).length < 2 && (
              <Alert variant="warning" isInline title={t("users.one_officer")}>
                {t("users.one_officer_next")}
              </Alert>
            )}
            <DataTable
              label={t("users.users")}
              rows={users}
              id={({ name }) => name}
              columns={[
                {
                  label: t("login.name"),
                  cell: ({ name }) => (
                    <>
                      {name} {name === self.name && <Label variant="outline">{t("users.you")}</Label>}
                    </>
                  ),
                },
                { label: t("common.role"), cell: ({ role }) => t(`role.${role}`) },
                { label: t("users.factors"), cell: (user) => <FactorsOf user={user} /> },
                { label: t("users.last_login"), cell: ({ last_login_at }) => time(last_login_at, language) },
                {
                  label: t("common.state"),
                  cell: ({ disabled }) => (
                    <Label status={disabled ? "warning" : "success"}>
                      {t(disabled ? "users.disabled" : "users.enabled")}
                    </Label>
                  ),
                },
                {
                  label: t("users.actions"),
                  cell: (user) => (
                    <Flex gap={{ default: "gapSm" }}>
                      {(["edit", "reset", "remove"] as const).map((kind) => (
                        <Button
                          key={kind}
                          variant="link"
                          isInline
                          isDanger={kind === "remove"}
                          aria-label={t("users.act_on", { act: t(`users.${kind}`), name: user.name })}
                          onClick={() => {
                            setAct({ kind, user });
                          }}
                        >
                          {t(`users.${kind}`)}
                        </Button>
                      ))}
                    </Flex>
                  ),
                },
              ]}
            />
          </>
        )}
      </QueryView>
      {act && (
        <ActDialog
          act={act}
          told={setSecret}
          close={() => {
            setAct(null);
          }}
        />
      )}
      {secret && (
        <Once
          title={t("users.password_of", { name: secret.name })}
          close={() => {
            setSecret(null);
          }}
        >
          <p className="dolmen-gap">{t("users.password_once")}</p>
          <Copyable value={secret.one_time_password} what={t("password.one_time")} full />
        </Once>
      )}
    </div>
  );
}

function FactorsOf({ user }: { user: User }) {
  const { t } = useWords();
  const found = [
    ...(user.totp ? [t("factor.totp")] : []),
    ...(user.passkeys > 0 ? [t("users.passkeys", { count: user.passkeys })] : []),
  ];
  return found.length === 0 ? <Label status="warning">{t("users.no_factor")}</Label> : found.join(", ");
}

interface DialogProps {
  act: Act;
  told: (secret: Api<"UserMade">) => void;
  close: () => void;
}

function ActDialog({ act, told, close }: DialogProps) {
  const { t } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>(act.kind === "edit" ? act.user.role : "viewer");
  const [disabled, setDisabled] = useState(act.kind === "edit" && act.user.disabled);
  const done = (text: string) => {
    say(text);
    return client.invalidateQueries({ queryKey: ["users"] });
  };
  if (act.kind === "add") {
    return (
      <Confirm
        title={t("users.add")}
        confirm={t("users.add")}
        disabled={name.trim() === ""}
        close={close}
        act={async () => {
          told(await post<Api<"UserMade">>("/users", { name: name.trim(), role }));
          await done(t("users.added", { name: name.trim() }));
        }}
      >
        <Field label={t("login.name")} value={name} set={setName} isRequired autoCapitalize="off" autoComplete="off" />
        <RoleField value={role} set={setRole} />
      </Confirm>
    );
  }
  const { user } = act;
  const path = `/users/${encodeURIComponent(user.name)}`;
  if (act.kind === "edit") {
    return (
      <Confirm
        title={t("users.edit_title", { name: user.name })}
        confirm={t("users.save")}
        close={close}
        act={async () => {
          await request("PATCH", path, { body: { role, disabled } });
          await done(t("users.saved", { name: user.name }));
        }}
      >
        <RoleField value={role} set={setRole} />
        <EnabledField disabled={disabled} set={setDisabled} />
      </Confirm>
    );
  }
  if (act.kind === "reset") {
    return (
      <Confirm
        danger
        title={t("users.reset_title", { name: user.name })}
        confirm={t("users.reset")}
        close={close}
        act={async () => {
          const answer = await request<Api<"UserChanged">>("PATCH", path, { body: { reset: true } });
          const { one_time_password } = answer;
          if (one_time_password != null) told({ name: user.name, one_time_password });
          await done(t("users.saved", { name: user.name }));
        }}
      >
        <p>{t("users.reset_what")}</p>
      </Confirm>
    );
  }
  return (
    <Confirm
      danger
      title={t("users.remove_title", { name: user.name })}
      confirm={t("users.remove")}
      close={close}
      act={async () => {
        await request("DELETE", path);
        await done(t("users.removed", { name: user.name }));
      }}
    >
      <p>{t("users.remove_what")}</p>
    </Confirm>
  );
}
