// Backups: made here, put here, and the way back from them.

import type { Api } from "../../src/api/types.ts";
import { hashOf } from "./chain.ts";
import { Answer, Refusal, type Context, type Route } from "./http.ts";
import { present } from "./box.ts";

const FILE = /^\d{6}-(blocks|state)\.zst\.age$/;
const MANIFEST = "manifest.json";
/** The mock's disk: larger files show what a full one says. */
const FILE_BYTES_MAX = 50_000_000;

function backups(context: Context): Api<"Backups"> {
  present(context);
  const { backups, next } = context.state;
  return {
    directory: "/mnt/backup",
    backups,
    more: false,
    ...(next.restored ? { restored: next.restored } : {}),
  };
}

function put({ state, params, request }: Context): Answer {
  const name = params[0] ?? "";
  if (name !== MANIFEST && !FILE.test(name)) throw new Refusal(422, "backup-file", `a backup has no file ${name}`);
  if (state.put.has(name)) throw new Refusal(409, "file-exists", `there is a file ${name}`);
  if (Number(request.headers["content-length"]) > FILE_BYTES_MAX)
    throw new Refusal(507, "disk-full", "12 MiB are left");
  state.put.add(name);
  if (name === MANIFEST) {
    const files = [...state.put]
      .filter((one) => one !== MANIFEST)
      .map((one) => ({ name: one, bytes: 1_000, sha256: "00".repeat(32) }));
    const last = state.backups[0];
    state.backups = [
      {
        number: (last?.number ?? 0) + 1,
        kind: "full",
        from: 0,
        to: 8_000_000,
        created_at: new Date().toISOString(),
        bytes: files.length * 1_000,
        recipients: last?.recipients ?? [],
        files,
      },
      ...state.backups,
    ];
  }
  return new Answer(201);
}

function restore({ state, body }: Context): Answer {
  if (typeof body.identity !== "string" || !/^AGE-SECRET-KEY-1[A-Z0-9]{58}$/.test(body.identity)) {
    throw new Refusal(422, "identity", "the text is no identity of age");
  }
  const last = state.backups[0];
  if (!last) throw new Refusal(409, "no-backups", "the directory has no manifest");
  const restored = { head: last.to, hash: hashOf("block", last.to) };
  const job = state.job(2_000, { ...restored, backups: state.backups.length });
  setTimeout(() => {
    state.next.restored = restored;
  }, 2_000);
  return new Answer(202, job);
}

export const backupRoutes: Route[] = [
  { method: "GET", path: "/backups", needs: "operator", handle: backups },
  {
    method: "POST",
    path: "/backups",
    needs: "operator",
    handle: ({ state }) => new Answer(202, state.job(3_000, state.backups[0])),
  },
  { method: "PUT", path: "/backups/*", needs: "security-officer", handle: put },
  { method: "POST", path: "/restore", needs: "security-officer", handle: restore },
  {
    method: "DELETE",
    path: "/restore",
    needs: "security-officer",
    handle: ({ state }) => {
      state.next.restored = null;
      return new Answer(204);
    },
  },
];
