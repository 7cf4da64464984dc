// Every screen of the console: its place in the menu, its path, and the code that is loaded when somebody goes there.

import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import type { Role } from "./api/types";

type Screen = LazyExoticComponent<ComponentType>;

export const MENU_GROUPS = ["overview", "chain", "box", "administration"] as const;

export interface Place {
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
  screen: Screen;
}

export const PLACES: Place[] = [
  {
    path: "/",
    key: "dashboard",
    group: "overview",
    needs: "viewer",
    screen: lazy(() => import("./screens/dashboard").then((m) => ({ default: m.Dashboard }))),
  },
  {
    path: "/blocks",
    key: "blocks",
    group: "chain",
    needs: "viewer",
    screen: lazy(() => import("./screens/chain/blocks").then((m) => ({ default: m.Blocks }))),
  },
  {
    path: "/consortium",
    key: "consortium",
    group: "chain",
    needs: "viewer",
    screen: lazy(() => import("./screens/consortium").then((m) => ({ default: m.Consortium }))),
  },
  {
    path: "/keys",
    key: "keys",
    group: "box",
    needs: "viewer",
    screen: lazy(() => import("./screens/keys").then((m) => ({ default: m.Keys }))),
  },
  {
    path: "/acceleration",
    key: "acceleration",
    group: "box",
    needs: "viewer",
    screen: lazy(() => import("./screens/acceleration").then((m) => ({ default: m.Acceleration }))),
  },
  {
    path: "/network",
    key: "network",
    group: "box",
    needs: "viewer",
    screen: lazy(() => import("./screens/network").then((m) => ({ default: m.Network }))),
  },
  {
    path: "/updates",
    key: "updates",
    group: "box",
    needs: "viewer",
    screen: lazy(() => import("./screens/updates").then((m) => ({ default: m.Updates }))),
  },
  {
    path: "/backup",
    key: "backup",
    group: "box",
    needs: "viewer",
    screen: lazy(() => import("./screens/backup").then((m) => ({ default: m.Backup }))),
  },
  {
    path: "/logs",
    key: "logs",
    group: "box",
    needs: "operator",
    screen: lazy(() => import("./screens/logs").then((m) => ({ default: m.Logs }))),
  },
  {
    path: "/users",
    key: "users",
    group: "administration",
    needs: "security-officer",
    screen: lazy(() => import("./screens/users").then((m) => ({ default: m.Users }))),
  },
  {
    path: "/audit",
    key: "audit",
    group: "administration",
    needs: "operator",
    screen: lazy(() => import("./screens/audit").then((m) => ({ default: m.Audit }))),
  },
];

/** Screens that one reaches from others. */
export const INNER: { path: string; screen: Screen }[] = [
  {
    path: "/account",
    screen: lazy(() => import("./screens/account").then((m) => ({ default: m.Account }))),
  },
  {
    path: "/blocks/:id",
    screen: lazy(() => import("./screens/chain/block").then((m) => ({ default: m.Block }))),
  },
  {
    path: "/transactions/:hash",
    screen: lazy(() => import("./screens/chain/transaction").then((m) => ({ default: m.Transaction }))),
  },
  {
    path: "/accounts/:address",
    screen: lazy(() => import("./screens/chain/account").then((m) => ({ default: m.Account }))),
  },
];
