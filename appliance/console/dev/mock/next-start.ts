// What is set now and holds from the next start on: settings, keys; the restart itself; and the registrar's certificate.

import type { Api } from "../../src/api/types.ts";
import { nextFingerprint } from "./box.ts";
import { hashOf } from "./chain.ts";
import { Answer, Refusal, type Context, type Route } from "./http.ts";
import type { MockState } from "./state.ts";

const RENEWED_S = 90 * 86_400;
const ENDING_S = 6 * 86_400;

export function provisioning({ options, renewals }: MockState): Api<"Provisioning"> | null {
  if (options.provisioning === "no") return null;
  const now = Math.floor(Date.now() / 1_000);
  const isRenewed = renewals > 0;
  return {
    serial_number: "DLM-2026-0042",
    phase: "resting",
    refusal:
      options.trouble === "all"
        ? {
            code: "firmware",
            message: "the box's firmware is no known one <b>1.2</b>",
            by: "registrar",
            at: "registrar.alpha.example:8443",
          }
        : null,
    failure: null,
    certificate: {
      subject: "serialNumber=DLM-2026-0042",
      issuer: "CN=Alpha devices,O=Alpha",
      public_key: "04".padEnd(130, "7"),
      since: now - 30 * 86_400,
      until: now + (isRenewed ? RENEWED_S : ENDING_S),
      standing: isRenewed ? "good" : "7-days",
    },
    attested: now - 3_600,
  };
}

function settings({ settings, next, options }: MockState): Api<"Settings"> {
  return {
    ...(next.settings ?? settings),
    pending: next.settings !== null,
    writable: options.settings !== "read-only",
  };
}

function setSettings({ state, body }: Context): Api<"Settings"> {
  if (state.options.settings === "read-only") throw new Refusal(409, "settings-read-only");
  const wanted = body as unknown as Api<"BoxSettings">;
  const bad = (code: string, detail: string) => new Refusal(422, code, detail);
  if (wanted.name.length < 1 || wanted.name.length > 64) throw bad("box-name", "the name has not 1 to 64 characters");
  if (wanted.syslog?.endsWith(":0")) throw bad("syslog", "0 is no port");
  if (wanted.traces?.endsWith(":0")) throw bad("traces", "0 is no port");
  const isSame = JSON.stringify(wanted) === JSON.stringify(state.settings);
  state.next.settings = isSame ? null : wanted;
  return settings(state);
}

function rotate({ state, params }: Context): Api<"RotatedKey"> {
  const use = params[0] ?? "";
  if (use === "consensus") throw new Refusal(409, "identity-key", "the consortium knows the box by this key");
  const times = state.rotate(use);
  return {
    public_key: hashOf(use, times).slice(2),
    uri: "tpm:owner;object=81010021",
    ...(use === "tls" ? { fingerprint: nextFingerprint(times) } : {}),
  };
}

function renew({ state }: Context): Answer {
  if (provisioning(state) === null) throw new Refusal(409, "no-registrar", "this box has no registrar");
  state.renewals += 1;
  return new Answer(202);
}

export const nextStartRoutes: Route[] = [
  {
    method: "POST",
    path: "/restart",
    needs: "operator",
    handle: ({ state }) => {
      // The answer comes first.
      setTimeout(() => {
        state.restart();
      }, 300);
      return new Answer(202);
    },
  },
  { method: "GET", path: "/settings", needs: "viewer", handle: ({ state }) => settings(state) },
  { method: "PUT", path: "/settings", needs: "security-officer", handle: setSettings },
  { method: "POST", path: "/keys/*/rotate", needs: "security-officer", handle: rotate },
  { method: "POST", path: "/certificate/renew", needs: "security-officer", handle: renew },
];
