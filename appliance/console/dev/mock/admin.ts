// Users, tokens, the audit log, and the approvals inbox.

import type { Api, Role } from "../../src/api/types.ts";
import { Answer, Refusal, type Context, type Route } from "./http.ts";
import { token, type MockUser } from "./state.ts";

function view(user: MockUser): Api<"UserView"> {
  return {
    name: user.name,
    role: user.role,
    disabled: user.disabled,
    created_at: user.createdAt,
    last_login_at: user.lastLoginAt,
    totp: user.secret !== null,
    passkeys: user.passkeys.length,
  };
}

function named({ state, params }: Context): MockUser {
  const user = state.users.get(params[0] ?? "");
  if (!user) throw new Refusal(404, "unknown-user", "there is no such user");
  return user;
}

function keepOfficer({ state }: Context, user: MockUser): void {
  const officers = [...state.users.values()].filter((u) => u.role === "security-officer" && !u.disabled);
  if (officers.length === 1 && officers[0] === user) throw new Refusal(409, "last-security-officer");
}

function decide(context: Context, action: string) {
  const { state, params, user } = context;
  const before = state.inbox.length;
  state.inbox = state.inbox.filter(({ serial }) => serial !== params[0]);
  if (state.inbox.length === before) throw new Refusal(404, "unknown-box", "no such box waits");
  state.record(user?.name ?? "", action, params[0] ?? "");
  return new Answer(204);
}

function registrar({ state }: Context): void {
  if (state.options.registrar === "no") throw new Refusal(404, "no-registrar", "");
}

const NEEDS = "security-officer";

export const adminRoutes: Route[] = [
  { method: "GET", path: "/users", needs: NEEDS, handle: ({ state }) => [...state.users.values()].map(view) },
  {
    method: "POST",
    path: "/users",
    needs: NEEDS,
    handle: ({ state, body, user }) => {
      const name = body.name as string;
      if (state.users.has(name)) throw new Refusal(409, "user-exists", "a user of this name is there already");
      const password = token(8);
      const fresh = state.addUser(name, body.role as Role, password);
      fresh.oneTime = true;
      fresh.createdAt = new Date().toISOString();
      state.record(user?.name ?? "", "create-user", name);
      return new Answer(201, { name, one_time_password: password });
    },
  },
  {
    method: "PATCH",
    path: "/users/*",
    needs: NEEDS,
    handle: (context) => {
      const user = named(context);
      const { role, disabled, reset } = context.body;
      if (disabled === true || (role !== undefined && role !== "security-officer")) keepOfficer(context, user);
      if (role !== undefined) user.role = role as Role;
      if (typeof disabled === "boolean") user.disabled = disabled;
      if (reset !== true) return view(user);
      const password = token(8);
      Object.assign(user, { password, oneTime: true, secret: null, passkeys: [], recoveryCodes: [] });
      return { ...view(user), one_time_password: password };
    },
  },
  {
    method: "DELETE",
    path: "/users/*",
    needs: NEEDS,
    handle: (context) => {
      const user = named(context);
      keepOfficer(context, user);
      context.state.users.delete(user.name);
      return new Answer(204);
    },
  },
  { method: "GET", path: "/tokens", needs: NEEDS, handle: ({ state }) => state.tokens },
  {
    method: "POST",
    path: "/tokens",
    needs: NEEDS,
    handle: ({ state, body, user }) => {
      const id = token(4);
      state.tokens.push({
        id,
        name: body.name as string,
        role: body.role as Role,
        created_at: new Date().toISOString(),
        expires_at: new Date(Date.now() + Number(body.days) * 86_400_000).toISOString(),
        last_used_at: null,
        created_by: user?.name ?? "",
      });
      return new Answer(201, { id, token: `dolmen_${token(24)}` });
    },
  },
  {
    method: "DELETE",
    path: "/tokens/*",
    needs: NEEDS,
    handle: ({ state, params }) => {
      state.tokens = state.tokens.filter(({ id }) => id !== params[0]);
      return new Answer(204);
    },
  },
  {
    method: "GET",
    path: "/audit",
    needs: "operator",
    handle: ({ state, query, user }) => {
      const before = Number(query.get("before") ?? Infinity);
      const limit = Math.min(Number(query.get("limit") ?? 50), 200);
      const mine = state.audit.filter((entry) => user?.role === NEEDS || entry.who === user?.name);
      const older = mine.filter(({ seq }) => seq < before).toReversed();
      return { entries: older.slice(0, limit), more: older.length > limit };
    },
  },
  {
    method: "GET",
    path: "/inbox",
    needs: "viewer",
    handle: (context) => {
      registrar(context);
      return context.state.inbox;
    },
  },
  { method: "POST", path: "/inbox/*/approve", needs: NEEDS, handle: (context) => decide(context, "approve-box") },
  { method: "POST", path: "/inbox/*/decline", needs: NEEDS, handle: (context) => decide(context, "decline-box") },
];
