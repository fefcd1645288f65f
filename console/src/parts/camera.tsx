// The camera, in a dialog. Loaded only when it is wanted.

import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { announce } from "./announce";
import { Dialog } from "./dialog";
import { Icon } from "./icon";

type Sight = "asking" | "on" | "refused" | "none";

export default function Camera({ take, close }: { take: (files: Iterable<File>) => void; close: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [sight, setSight] = useState<Sight>("asking");
  const [facing, setFacing] = useState<"environment" | "user">("environment");
  const [count, setCount] = useState(0);

  useEffect(() => {
    let stream: MediaStream | null = null;
    let gone = false;
    const wanted = { video: { facingMode: facing, width: { ideal: 4096 }, height: { ideal: 3072 } }, audio: false };
    (navigator.mediaDevices?.getUserMedia(wanted) ?? Promise.reject(new Error("none")))
      .then((given) => {
        if (gone) return given.getTracks().forEach((track) => track.stop());
        stream = given;
        if (video.current) video.current.srcObject = given;
        setSight("on");
      })
      .catch((error: Error) => !gone && setSight(error.name === "NotAllowedError" ? "refused" : "none"));
    return () => {
      gone = true;
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, [facing]);

  const shoot = async (): Promise<void> => {
    const seen = video.current;
    if (!seen?.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = seen.videoWidth;
    canvas.height = seen.videoHeight;
    canvas.getContext("2d")?.drawImage(seen, 0, 0);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
    if (!blob) return;
    const at = new Date().toISOString().replace(/[:.]/g, "-").slice(0, 19);
    take([new File([blob], `camera-${at}-${count + 1}.jpg`, { type: "image/jpeg" })]);
    setCount(count + 1);
    announce(t("photoTaken"));
  };

  return (
    <Dialog title={t("camera")} close={close} wide>
      {sight === "refused" || sight === "none" ? (
        <p class="trouble" role="alert">
          <Icon name="alert" /> {t(sight === "refused" ? "cameraRefused" : "cameraNone")}
        </p>
      ) : (
        <div class={count > 0 ? "viewfinder shot" : "viewfinder"} key={`shot-${count}`}>
          <video
            ref={(element) => {
              const stream = video.current?.srcObject ?? null;
              video.current = element;
              if (element && stream) element.srcObject = stream;
            }}
            autoPlay
            playsInline
            muted
          />
        </div>
      )}
      <p class="actions">
        <button type="button" class="button primary" disabled={sight !== "on"} onClick={() => void shoot()}>
          <Icon name="camera" /> {t("takePhoto")}
        </button>
        <button type="button" class="button" disabled={sight !== "on"} onClick={() => setFacing(facing === "user" ? "environment" : "user")}>
          <Icon name="retry" /> {t("otherCamera")}
        </button>
        {count > 0 && <span class="fine">{t("photosTaken", { n: count })}</span>}
      </p>
    </Dialog>
  );
}
