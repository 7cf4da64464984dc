import { Progress } from "@patternfly/react-core";
import { useEffect, useEffectEvent } from "react";
import { useJob } from "../api/queries";
import { ApiError } from "../api/problem";
import { ProblemAlert } from "./problem-alert";

interface Props {
  job: number;
  title: string;
  done: (result: unknown) => void;
}

/** How far a job of the box is; hands its result on when it is done. */
export function JobProgress({ job, title, done }: Props) {
  const { data, error } = useJob(job);
  const onDone = useEffectEvent(done);
  useEffect(() => {
    if (data?.state === "done") onDone(data.result);
  }, [data]);
  if (error) return <ProblemAlert error={error} />;
  if (data?.state === "failed") {
    const detail = data.error === undefined ? {} : { detail: data.error };
    return <ProblemAlert error={new ApiError({ status: 0, code: "job-failed", ...detail })} />;
  }
  return <Progress title={title} value={Math.round((data?.progress ?? 0) * 100)} aria-live="polite" />;
}
