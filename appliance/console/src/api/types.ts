// What the box's administration interface takes and gives, by the names of its description. `npm run types` makes
// described/openapi.d.ts of that, docs/openapi.json.

import type { components } from "../../described/openapi";

type Described = components["schemas"];

/** Results of jobs, which the description leaves open. */
interface Results {
  /** `profile`: `release`, or `debug`, whose figures say nothing about speed. */
  BenchmarkResult: { profile: string; keys: number; points: Described["Point"][] };
}

type Schemas = Described & Results;

export type Role = Described["Role"];
export type Language = Described["Language"];
export type LogLevel = Described["LogLevel"];

/** A schema by its name. */
export type Api<Name extends keyof Schemas> = Schemas[Name];
