import { QueryObserver } from "@tanstack/react-query";
import { afterEach, expect, test, vi } from "vitest";
import { get } from "./client";
import { boxQuery } from "./queries";
import { queryClient, sessionQuery } from "./session";

afterEach(() => {
  vi.unstubAllGlobals();
  queryClient.clear();
});

test("who logs in after a session has ended sees the box as it is by then", async () => {
  let name = "before";
  let inside = true;
  const answer = (status: number, body: object) => Promise.resolve(new Response(JSON.stringify(body), { status }));
  vi.stubGlobal("fetch", (url: string) => {
    if (url.endsWith("/box")) return answer(200, { name });
    return inside ? answer(200, { csrf_token: "a token" }) : answer(401, { code: "no-session" });
  });
  const seen = new QueryObserver(queryClient, boxQuery);
  const leave = seen.subscribe(() => undefined);
  await queryClient.query(sessionQuery);
  await vi.waitFor(() => {
    expect(seen.getCurrentResult().data?.name).toBe("before");
  });

  // The box restarts, and something else than the wait for it is the first to ask.
  [name, inside] = ["after", false];
  await expect(get("/jobs")).rejects.toThrow();
  await vi.waitFor(() => {
    expect(queryClient.getQueryData(sessionQuery.queryKey)).toBeNull();
    expect(seen.getCurrentResult().data?.name).toBe("after");
  });
  leave();
});
