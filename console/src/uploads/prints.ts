// Small copies of the originals, kept in this browser: for the contact sheet, for comparing, and for previews.
// Originals are not sent anywhere for that, and not read back from the storage.

const DATABASE = "safelight-prints";
const STORE = "prints";
const KEPT = 300;
const THUMB = 480;
const PRINT = 1800;
/** Above this many bytes a file is not opened for a small copy: it would need a lot of memory. */
const LARGEST = 80_000_000;

export interface Print {
  thumb: Blob;
  print: Blob;
}

let turn: Promise<unknown> = Promise.resolve();

/** A small copy of a picture; null if this browser can not show it. One after the other: each takes memory. */
export function develop(file: Blob): Promise<Print | null> {
  const made = turn.then(() => make(file));
  turn = made.catch(() => undefined);
  return made;
}

async function make(file: Blob): Promise<Print | null> {
  if (file.size > LARGEST || !file.type.startsWith("image/")) return null;
  try {
    const picture = await createImageBitmap(file);
    const print = await shrink(picture, PRINT, "image/jpeg", 0.86);
    const thumb = await shrink(picture, THUMB, "image/jpeg", 0.8);
    picture.close();
    return { print, thumb };
  } catch {
    return null;
  }
}

/** A copy of at most this many pixels a side. Parts that can be seen through stay so only in PNG and WebP. */
export async function shrink(picture: ImageBitmap, side: number, type: string, quality: number): Promise<Blob> {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  if (type === "image/jpeg") {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), type, quality),
  );
}

/** A copy of at most so many bytes, as large as that allows: what is sent for a preview. */
export async function within(file: Blob, bytes: number): Promise<Blob> {
  const picture = await createImageBitmap(file);
  try {
    for (const [side, quality] of [[1600, 0.88], [1600, 0.75], [1280, 0.75], [960, 0.7], [640, 0.6]] as const) {
      const copy = await shrink(picture, side, "image/jpeg", quality);
      if (copy.size <= bytes) return copy;
    }
    return await shrink(picture, 320, "image/jpeg", 0.5);
  } finally {
    picture.close();
  }
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE).createIndex("at", "at");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const answered = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Keep the print of a job; the oldest make room. Where the browser keeps nothing, nothing is kept. */
export async function keep(jobId: string, print: Print): Promise<void> {
  try {
    const store = (await open()).transaction(STORE, "readwrite").objectStore(STORE);
    await answered(store.put({ at: Date.now(), ...print }, jobId));
    const surplus = (await answered(store.count())) - KEPT;
    if (surplus > 0) {
      const oldest = await answered(store.index("at").getAllKeys(null, surplus));
      oldest.forEach((key) => store.delete(key));
    }
  } catch {
    // A private window, or no room: the sheet shows what it has in memory.
  }
}

/** The print of a job, if this browser has it. */
export async function kept(jobId: string): Promise<Print | null> {
  try {
    const store = (await open()).transaction(STORE).objectStore(STORE);
    return ((await answered(store.get(jobId))) as Print | undefined) ?? null;
  } catch {
    return null;
  }
}

/** Forget the print of a job. */
export async function forget(jobId: string): Promise<void> {
  try {
    const store = (await open()).transaction(STORE, "readwrite").objectStore(STORE);
    await answered(store.delete(jobId));
  } catch {
    // Nothing was kept.
  }
}
