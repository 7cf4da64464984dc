import { Progress } from "@patternfly/react-core";
import { useEffect, useEffectEvent } from "react";
import { useJob } from "../api/queries";
import { ApiError, problemIn } from "../api/problem";
import { ProblemAlert } from "./problem-alert";

interface Props {
  job: number;
  title: string;
  done: (result: unknown) => void;
  /** It failed, which this says by itself. */
  failed?: () => void;
}

/** How far a job of the box is; hands its result on when it is done. */
export function JobProgress({ job, title, done, failed }: Props) {
  const { data, error } = useJob(job);
  const onDone = useEffectEvent(done);
  const onFailed = useEffectEvent(() => failed?.());
  // A box that does not answer may go on with it; one that knows no such job does not.
  const isLost = error !== null && problemIn(error).status > 0;
  useEffect(() => {
    if (data?.state === "done") onDone(data.result);
    if (data?.state === "failed" || isLost) onFailed();
  }, [data, isLost]);
  if (error) return <ProblemAlert error={error} />;
  if (data?.state === "failed") {
    const detail = data.error == null ? {} : { detail: data.error };
    return <ProblemAlert error={new ApiError({ status: 0, code: "job-failed", ...detail })} />;
  }
  return <Progress title={title} value={Math.round((data?.progress ?? 0) * 100)} aria-live="polite" />;
}
