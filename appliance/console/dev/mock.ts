// A box for developing and testing this console: it keeps the interface's contract, with state, and lives in the
// development server and in `vite preview` alone.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin, PreviewServer, ViteDevServer } from "vite";
import { accountRoutes } from "./mock/account.ts";
import { adminRoutes } from "./mock/admin.ts";
import { backupRoutes } from "./mock/backup.ts";
import { boxRoutes } from "./mock/box.ts";
import { authorize, dispatch, type Route } from "./mock/http.ts";
import { liveRoutes } from "./mock/live.ts";
import { nextStartRoutes } from "./mock/next-start.ts";
import { rpcRoutes } from "./mock/rpc.ts";
import { MockState } from "./mock/state.ts";

const BASE = "/api/v1";
/** What the box sends with the page: nothing from elsewhere, nothing inline. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; object-src 'none'";

function middleware(): Connect.NextHandleFunction {
  let state = new MockState();
  const routes: Route[] = [
    ...accountRoutes,
    ...adminRoutes,
    ...backupRoutes,
    ...boxRoutes,
    ...liveRoutes,
    ...nextStartRoutes,
    ...rpcRoutes,
  ];
  return (request: IncomingMessage, response: ServerResponse, next: Connect.NextFunction) => {
    const url = new URL(request.url ?? "/", "http://box");
    if (url.pathname === "/mock/reset") {
      state.stop();
      state = new MockState(Object.fromEntries(url.searchParams));
      response.end("ok\n");
      return;
    }
    if (!url.pathname.startsWith(`${BASE}/`)) {
      next();
      return;
    }
    if (Date.now() < state.awayUntil) {
      request.socket.destroy();
      return;
    }
    dispatch(routes, state, request, response, url, BASE, authorize).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  };
}

export function mockBox(): Plugin {
  return {
    name: "mock-box",
    configureServer(server: ViteDevServer) {
      server.middlewares.use(middleware());
    },
    configurePreviewServer(server: PreviewServer) {
      server.middlewares.use((_, response, next) => {
        response.setHeader("Content-Security-Policy", CONTENT_SECURITY_POLICY);
        response.setHeader("X-Content-Type-Options", "nosniff");
        next();
      });
      server.middlewares.use(middleware());
    },
  };
}
