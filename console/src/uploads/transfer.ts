// One PUT to a signed URL. By XMLHttpRequest, because fetch tells nothing of an upload's progress.

import { Problem } from "../api/client";

export interface Put {
  url: string;
  headers: Record<string, string>;
  body: Blob;
  signal: AbortSignal;
  /** Is told how many bytes have left. */
  sent: (bytes: number) => void;
}

/** Send a body. Return its ETag. Raises `Problem`, or the signal's reason. */
export function put({ url, headers, body, signal, sent }: Put): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) {
      // The browser sets the length itself and lets nobody else do it.
      if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => sent(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.getResponseHeader("ETag") ?? "");
      else reject(refused(request));
    };
    request.onerror = () => reject(new Problem("The storage does not answer. Are you online?", "offline"));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    request.send(body);
  });
}

/** What the storage's XML says is wrong. */
function refused(request: XMLHttpRequest): Problem {
  const word = (tag: string): string => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(request.responseText)?.[1] ?? "";
  const code = word("Code") || `http_${request.status}`;
  return new Problem(word("Message") || `The storage answered ${request.status}.`, code, request.status);
}
