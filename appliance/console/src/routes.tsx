// Every screen of the console: its place in the menu, its path, and the code that is loaded when somebody goes there.

import type { ComponentType } from "react";
import { matchPath } from "react-router";
import type { Role } from "./api/types";
import { loadable } from "./components/loadable";

type Loadable = ReturnType<typeof loadable<object>>;
const screen = (load: () => Promise<ComponentType>): { screen: Loadable } => ({ screen: loadable(load) });

export const MENU_GROUPS = ["overview", "chain", "box", "administration"] as const;

export interface Place {
  screen: Loadable;
  path: string;
  key:
    | "dashboard"
    | "blocks"
    | "consortium"
    | "keys"
    | "acceleration"
    | "network"
    | "updates"
    | "backup"
    | "logs"
    | "users"
    | "audit";
  group: (typeof MENU_GROUPS)[number];
  /** Who sees more there than a refusal. */
  needs: Role;
}

export const PLACES: Place[] = [
  {
    path: "/",
    key: "dashboard",
    group: "overview",
    needs: "viewer",
    ...screen(() => import("./screens/dashboard").then((m) => m.Dashboard)),
  },
  {
    path: "/blocks",
    key: "blocks",
    group: "chain",
    needs: "viewer",
    ...screen(() => import("./screens/chain/blocks").then((m) => m.Blocks)),
  },
  {
    path: "/consortium",
    key: "consortium",
    group: "chain",
    needs: "viewer",
    ...screen(() => import("./screens/consortium").then((m) => m.Consortium)),
  },
  {
    path: "/keys",
    key: "keys",
    group: "box",
    needs: "viewer",
    ...screen(() => import("./screens/keys").then((m) => m.Keys)),
  },
  {
    path: "/acceleration",
    key: "acceleration",
    group: "box",
    needs: "viewer",
    ...screen(() => import("./screens/acceleration").then((m) => m.Acceleration)),
  },
  {
    path: "/network",
    key: "network",
    group: "box",
    needs: "viewer",
    ...screen(() => import("./screens/network").then((m) => m.Network)),
  },
  {
    path: "/updates",
    key: "updates",
    group: "box",
    needs: "viewer",
    ...screen(() => import("./screens/updates").then((m) => m.Updates)),
  },
  {
    path: "/backup",
    key: "backup",
    group: "box",
    needs: "viewer",
    ...screen(() => import("./screens/backup").then((m) => m.Backup)),
  },
  {
    path: "/logs",
    key: "logs",
    group: "box",
    needs: "operator",
    ...screen(() => import("./screens/logs").then((m) => m.Logs)),
  },
  {
    path: "/users",
    key: "users",
    group: "administration",
    needs: "security-officer",
    ...screen(() => import("./screens/users").then((m) => m.Users)),
  },
  {
    path: "/audit",
    key: "audit",
    group: "administration",
    needs: "operator",
    ...screen(() => import("./screens/audit").then((m) => m.Audit)),
  },
];

/** Screens that one reaches from others. */
export const INNER: { path: string; screen: Loadable }[] = [
  {
    path: "/account",
    ...screen(() => import("./screens/account").then((m) => m.Account)),
  },
  {
    path: "/blocks/:id",
    ...screen(() => import("./screens/chain/block").then((m) => m.Block)),
  },
  {
    path: "/transactions/:hash",
    ...screen(() => import("./screens/chain/transaction").then((m) => m.Transaction)),
  },
  {
    path: "/accounts/:address",
    ...screen(() => import("./screens/chain/account").then((m) => m.Account)),
  },
];

/** Loads the screen of an address before it is shown. */
export async function preload(pathname: string): Promise<void> {
  await [...PLACES, ...INNER].find(({ path }) => matchPath(path, pathname))?.screen.load();
}
