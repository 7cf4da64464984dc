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
];

/** Screens that one reaches from others. */
export const INNER: { path: string; screen: Screen }[] = [];
