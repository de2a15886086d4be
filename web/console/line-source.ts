import type { ErrorReply } from "../../src/server/protocol.ts";
import type { WatchReply } from "../../src/server/protocol-console.ts";
import { type Api, ApiError, of } from "./api.ts";
import type { Given, Source } from "./sources.ts";

type Shown = Exclude<WatchReply, ErrorReply>;

/** Statuses of what a watcher is told before he is shown out. */
const statuses: Readonly<Record<string, number>> = { UNAUTHORIZED: 401, TOKEN_INVALID: 401, FORBIDDEN: 403 };

/**
 * What the server answers for this gallery, whoever sends the frames: lines, cameras, programs. The newest frame waits for the
 * page; the server passes over what comes while the page, or the way to it, is slow.
 */
export function fromLine(api: Api, gallery: string): Source {
  let socket: WebSocket | null = null;
  let newest: Given | null = null;
  /** The one in sight, whose picture is fetched before the server forgets it. */
  let last: Given | null = null;
  let failure: ApiError | null = null;
  let wake = (): void => undefined;

  const given = ({ id, picture, answer, from, part, passed }: Shown): Given => {
    let whole: Promise<File> | undefined;
    const bytes = Uint8Array.from(atob(picture), (char) => char.charCodeAt(0));
    return {
      // One that was not looked at yet gives way.
      ...{ answer, from, part, passed: passed + (newest ? newest.passed + 1 : 0) },
      file: new File([bytes], `${from}.jpg`, { type: "image/jpeg" }),
      whole: () => {
        whole ??= api
          .blob(of(gallery, "watch", "frames", id))
          .then(
            (blob) => new File([blob], `${part ?? from}.${blob.type.split("/")[1]}`, { type: blob.type }),
          );
        whole.catch(() => {
          whole = undefined;
        });
        return whole;
      },
    };
  };

  const open = (): void => {
    const mine = api.socket(of(gallery, "watch"));
    socket = mine;
    mine.onmessage = ({ data }) => {
      if (socket !== mine) return;
      const message = JSON.parse(data as string) as WatchReply;
      if ("error" in message) {
        const { code, message: text } = message.error;
        failure = new ApiError(code, text, statuses[code] ?? 503);
      } else newest = given(message);
      wake();
    };
    mine.onclose = async () => {
      if (socket !== mine) return;
      socket = null;
      // A page is not told why a handshake was refused: another request is, if it is for the same reason.
      failure ??= await api.get(of(gallery)).then(
        () => new ApiError("NO_SOCKET", "", 0),
        (error: ApiError) => error,
      );
      wake();
    };
  };

  return {
    pace: 0,
    async next() {
      if (!socket) open();
      while (!newest && !failure)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      if (newest) {
        last = newest;
        newest = null;
        return last;
      }
      const error = failure!;
      failure = null;
      throw error;
    },
    rest() {
      const mine = socket;
      socket = null;
      newest = null;
      if (!mine) return;
      // The frame that is left in sight may still be taught.
      const fetched = last ? last.whole().catch(() => undefined) : Promise.resolve();
      void fetched.finally(() => mine.close());
    },
  };
}
