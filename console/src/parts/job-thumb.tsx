import { useEffect, useState } from "preact/hooks";
import type { Job } from "../api/types";
import { kept } from "../uploads/prints";
import { useBlobUrl } from "../use";
import { Blank, shows } from "./frame";

/** So many bytes are worth a picture of 72 pixels: a storage in a cloud bills each, and phones wait for them. */
const WORTH = 400_000;

/** A small picture for a job: this browser's own copy of the original, or the smallest rendition if that is small, or
 * comes from where this page comes from. */
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
  const smallest = job.outputs.filter((output) => shows(output.contentType)).sort((a, b) => a.bytes - b.bytes)[0];
  const worth = smallest && (smallest.bytes <= WORTH || new URL(smallest.url).origin === location.origin);
  const url = own ?? (worth ? smallest.url : null);
  return (
    <span class="job-thumb">
      {url ? <img src={url} alt="" loading="lazy" decoding="async" /> : <Blank name={job.source.filename} />}
    </span>
  );
}
