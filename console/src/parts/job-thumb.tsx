import { useEffect, useState } from "preact/hooks";
import type { Job } from "../api/types";
import { kept } from "../uploads/prints";
import { useBlobUrl } from "../use";
import { Blank, smallRendition } from "./frame";

/** A small picture for a job: this browser's own copy of the original, or a rendition. */
export function JobThumb({ job }: { job: Job }) {
  const [blob, setBlob] = useState<Blob | null>(null);
  useEffect(() => {
    let gone = false;
    void kept(job.jobId).then((print) => !gone && print && setBlob(print.thumb));
    return () => {
      gone = true;
    };
  }, [job.jobId]);
  const own = useBlobUrl(blob);
  const url = own ?? smallRendition(job);
  return (
    <span class="job-thumb">
      {url ? <img src={url} alt="" loading="lazy" decoding="async" /> : <Blank name={job.source.filename} />}
    </span>
  );
}
