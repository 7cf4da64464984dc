import { Alert, Form, Radio } from "@patternfly/react-core";
import { useState, type ReactNode } from "react";
import type { Api } from "../api/types";
import { useWords } from "../i18n";
import { Field } from "./field";
import { isAddress, isHost, isPrefixed, listOf, TIME_SERVERS_MAX } from "./network-checks";
import { ProblemAlert } from "./problem-alert";
import { RoleButton } from "./role";
import { SelectField } from "./select-field";

type Config = Api<"NetworkConfig">;

interface Props {
  config: Config;
  interfaces: Api<"Network">["interfaces"];
  submit: (next: Config) => void;
  /** What the button says. */
  label: string;
  busy?: boolean;
  error?: unknown;
  /** Further buttons. */
  children?: ReactNode;
}

/** Where the box's address and time come from. */
export function NetworkForm({ config, interfaces, submit, label, busy = false, error = null, children }: Props) {
  const { t } = useWords();
  const ports = interfaces.filter(({ wired }) => wired).map(({ name }) => name);
  const first = interfaces.find(({ wired, up }) => wired && up)?.name ?? ports[0];
  const [mode, setMode] = useState(config.mode);
  // A box with one port needs no choice.
  const [port, setPort] = useState(
    ports.length > 1 ? (ports.find((name) => name === config.interface) ?? first) : undefined,
  );
  const [address, setAddress] = useState(config.address ?? "");
  const [gateway, setGateway] = useState(config.gateway ?? "");
  const [dns, setDns] = useState((config.dns ?? []).join(", "));
  const [ntp, setNtp] = useState((config.ntp ?? []).join(", "));
  const [tried, setTried] = useState(false);
  const isStatic = mode === "static";
  const [nameServers, timeServers] = [listOf(dns), listOf(ntp)];
  const faults = {
    address: isPrefixed(address.trim()) ? undefined : t("network.bad_address"),
    gateway: gateway.trim() === "" || isAddress(gateway.trim()) ? undefined : t("network.bad_gateway"),
    dns: nameServers.every(isAddress) ? undefined : t("network.bad_dns"),
  };
  const badTime =
    timeServers.length <= TIME_SERVERS_MAX && timeServers.every(isHost)
      ? undefined
      : t("network.bad_ntp", { max: TIME_SERVERS_MAX });
  const holds = badTime === undefined && (!isStatic || Object.values(faults).every((fault) => fault === undefined));
  const at = port ?? config.interface;
  const next: Config = {
    mode,
    ...(at === undefined ? {} : { interface: at }),
    ...(isStatic ? { address: address.trim(), dns: nameServers } : {}),
    ...(isStatic && gateway.trim() !== "" ? { gateway: gateway.trim() } : {}),
    ntp: timeServers,
  };
  const said = (fault: string | undefined) => (tried ? fault : undefined);
  return (
    <Form
      className="dolmen-form"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (holds && !busy) submit(next);
      }}
    >
      <Alert variant="warning" isInline isPlain title={t("network.warning")} />
      <Radio
        id="mode-dhcp"
        name="mode"
        label={t("network.dhcp")}
        isChecked={!isStatic}
        onChange={() => {
          setMode("dhcp");
        }}
      />
      <Radio
        id="mode-static"
        name="mode"
        label={t("network.static")}
        isChecked={isStatic}
        onChange={() => {
          setMode("static");
        }}
      />
      {isStatic && (
        <>
          {port !== undefined && (
            <SelectField
              label={t("network.interface")}
              value={port}
              options={ports.map((name) => ({ value: name, label: name }))}
              set={setPort}
            />
          )}
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
      <Field
        label={t("network.ntp")}
        value={ntp}
        set={setNtp}
        autoCapitalize="off"
        spellCheck="false"
        help={t("network.ntp_help")}
        fault={said(badTime)}
      />
      {error !== null && <ProblemAlert error={error} />}
      <div className="dolmen-radios">
        <RoleButton needs="security-officer" type="submit" isLoading={busy} isDisabled={busy}>
          {label}
        </RoleButton>
        {children}
      </div>
    </Form>
  );
}
