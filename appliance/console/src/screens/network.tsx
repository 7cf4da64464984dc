import { Alert, Card, CardBody, CardTitle, Form, Label, Radio } from "@patternfly/react-core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { get, request } from "../api/client";
import type { Api } from "../api/types";
import { Confirm } from "../components/confirm";
import { DataTable } from "../components/data-table";
import { Fact, Facts } from "../components/facts";
import { Field } from "../components/field";
import { useNotice } from "../components/notices";
import { Nothing, QueryView } from "../components/query-view";
import { RoleButton } from "../components/role";
import { Screen } from "../components/screen";
import { whole } from "../format";
import { useWords } from "../i18n";

type Config = Api<"NetworkConfig">;

/** The box's interfaces and address. */
export function Network() {
  const { t } = useWords();
  const query = useQuery({ queryKey: ["network"], queryFn: ({ signal }) => get<Api<"Network">>("/network", signal) });
  return (
    <Screen title={t("menu.network")}>
      <QueryView query={query}>
        {(network) => (
          <div className="dolmen-stack">
            <Interfaces network={network} />
            {network.pending && <Alert variant="info" isInline title={t("network.pending")} />}
            {network.config ? (
              <Settings key={JSON.stringify(network.config)} config={network.config} />
            ) : (
              <Nothing title={t("network.not_image")} text={t("network.not_image_why")} />
            )}
          </div>
        )}
      </QueryView>
    </Screen>
  );
}

function Interfaces({ network }: { network: Api<"Network"> }) {
  const { t, language } = useWords();
  return (
    <Card>
      <CardTitle component="h2">{t("network.interfaces")}</CardTitle>
      <CardBody>
        <Facts>
          <Fact term={t("network.tier")}>
            {network.tier} <span className="dolmen-note">{network.tier_why}</span>
          </Fact>
        </Facts>
        <DataTable
          label={t("network.interfaces")}
          rows={network.interfaces}
          id={({ name }) => name}
          columns={[
            { label: t("common.name"), cell: ({ name }) => name },
            {
              label: t("common.state"),
              cell: ({ up }) => (
                <Label status={up ? "success" : "warning"}>{t(up ? "network.up" : "network.down")}</Label>
              ),
            },
            {
              label: t("network.speed"),
              cell: ({ speed_mbps }) =>
                speed_mbps === undefined ? "–" : t("network.mbps", { value: whole(speed_mbps, language) }),
              align: "end",
            },
            { label: t("network.addresses"), cell: ({ addresses }) => addresses.join(", ") || "–" },
            { label: "MAC", cell: ({ mac }) => <code className="dolmen-code">{mac}</code> },
          ]}
        />
      </CardBody>
    </Card>
  );
}

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;
const isPrefixed = (text: string) => {
  const [address = "", length = "", ...rest] = text.split("/");
  return rest.length === 0 && ADDRESS.test(address) && /^\d{1,3}$/.test(length) && Number(length) <= 128;
};

function Settings({ config }: { config: Config }) {
  const { t } = useWords();
  const client = useQueryClient();
  const say = useNotice();
  const [mode, setMode] = useState(config.mode);
  const [address, setAddress] = useState(config.address ?? "");
  const [gateway, setGateway] = useState(config.gateway ?? "");
  const [dns, setDns] = useState((config.dns ?? []).join(", "));
  const [tried, setTried] = useState(false);
  const [asks, setAsks] = useState(false);
  const servers = dns.split(/[\s,]+/).filter((one) => one !== "");
  const faults = {
    address: isPrefixed(address.trim()) ? undefined : t("network.bad_address"),
    gateway: gateway.trim() === "" || ADDRESS.test(gateway.trim()) ? undefined : t("network.bad_gateway"),
    dns: servers.every((one) => ADDRESS.test(one)) ? undefined : t("network.bad_dns"),
  };
  const holds = mode === "dhcp" || Object.values(faults).every((fault) => fault === undefined);
  const at = config.interface === undefined ? {} : { interface: config.interface };
  const next: Config =
    mode === "dhcp"
      ? { mode, ...at }
      : {
          mode,
          ...at,
          address: address.trim(),
          ...(gateway.trim() === "" ? {} : { gateway: gateway.trim() }),
          dns: servers,
        };
  const said = (fault: string | undefined) => (tried ? fault : undefined);
  return (
    <Card>
      <CardTitle component="h2">{t("network.settings")}</CardTitle>
      <CardBody>
        <Form
          className="dolmen-form"
          onSubmit={(event) => {
            event.preventDefault();
            setTried(true);
            setAsks(holds);
          }}
        >
          <Alert variant="warning" isInline isPlain title={t("network.warning")} />
          <Radio
            id="mode-dhcp"
            name="mode"
            label={t("network.dhcp")}
            isChecked={mode === "dhcp"}
            onChange={() => {
              setMode("dhcp");
            }}
          />
          <Radio
            id="mode-static"
            name="mode"
            label={t("network.static")}
            isChecked={mode === "static"}
            onChange={() => {
              setMode("static");
            }}
          />
          {mode === "static" && (
            <>
              <Field
                label={t("network.address")}
                value={address}
                set={setAddress}
                isRequired
                placeholder="192.0.2.10/24"
                fault={said(faults.address)}
              />
              <Field label={t("network.gateway")} value={gateway} set={setGateway} fault={said(faults.gateway)} />
              <Field
                label={t("network.dns")}
                value={dns}
                set={setDns}
                help={t("network.dns_help")}
                fault={said(faults.dns)}
              />
            </>
          )}
          <div>
            <RoleButton needs="security-officer" type="submit">
              {t("network.change")}
            </RoleButton>
          </div>
        </Form>
      </CardBody>
      {asks && (
        <Confirm
          danger
          title={t("network.confirm")}
          confirm={t("network.change")}
          act={async () => {
            await request("PUT", "/network", { body: next });
            say(t("network.changed"));
            await client.invalidateQueries({ queryKey: ["network"] });
          }}
          close={() => {
            setAsks(false);
          }}
        >
          <p>{t("network.confirm_what")}</p>
        </Confirm>
      )}
    </Card>
  );
}
