import type { ErrorReply } from "../../src/server/protocol.ts";

/** What the server answered instead, or that it did not. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export interface Api {
  get<T>(path: string): Promise<T>;
  /** A JSON body, or pictures as they are. */
  send<T>(method: string, path: string, body?: object | FormData | Blob, signal?: AbortSignal): Promise<T>;
  blob(path: string): Promise<Blob>;
  /** Opens a WebSocket. A browser can give it no header: the key goes with the handshake, and never in the address. */
  socket(path: string): WebSocket;
  /** The address of a picture within this page: an image element cannot send a key. Kept for the next that asks. */
  picture(path: string): Promise<string>;
}

/** Pictures that are kept, at most. */
const mostPictures = 600;

const encode = encodeURIComponent;
/** The path of a gallery's route, each part encoded. */
export const of = (gallery: string, ...parts: readonly (string | number)[]): string =>
  ["v1/galleries", encode(gallery), ...parts.map((part) => encode(part))].join("/");

/** @param key is sent with every request; `null` where the server asks for none. */
export function createApi(key: string | null, unauthorized: () => void): Api {
  const pictures = new Map<string, Promise<string>>();

  const request = async (method: string, path: string, body?: object, signal?: AbortSignal) => {
    const bytes = body instanceof FormData || body instanceof Blob;
    const headers = new Headers();
    if (key !== null) headers.set("authorization", `Bearer ${key}`);
    if (body instanceof Blob) headers.set("content-type", body.type || "application/octet-stream");
    else if (body && !bytes) headers.set("content-type", "application/json");
    const payload = bytes ? body : body && JSON.stringify(body);
    const address = new URL(path, document.baseURI);
    let response: Response;
    try {
      response = await fetch(address, {
        method,
        headers,
        ...(payload && { body: payload }),
        ...(signal && { signal }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError("OFFLINE", String(error), 0);
    }
    if (response.ok) return response;
    if (response.status === 401) unauthorized();
    const { error } = (await response.json().catch(() => ({ error: undefined }))) as Partial<ErrorReply>;
    throw new ApiError(error?.code ?? "INTERNAL", error?.message ?? response.statusText, response.status);
  };

  return {
    get: async (path) => (await request("GET", path)).json(),
    send: async (method, path, body, signal) => {
      const response = await request(method, path, body, signal);
      return response.status === 204 ? undefined : response.json();
    },
    blob: async (path) => (await request("GET", path)).blob(),
    socket: (path) => {
      const address = new URL(path, document.baseURI);
      address.protocol = address.protocol.replace("http", "ws");
      return new WebSocket(address, ["protoline.v1", ...(key === null ? [] : [`protoline.key.${key}`])]);
    },
    picture: (path) => {
      let picture = pictures.get(path);
      if (!picture) {
        picture = request("GET", path).then(async (response) => URL.createObjectURL(await response.blob()));
        pictures.set(path, picture);
        picture.catch(() => pictures.delete(path));
        const [oldest] = pictures;
        if (pictures.size > mostPictures && oldest) {
          pictures.delete(oldest[0]);
          void oldest[1].then(URL.revokeObjectURL);
        }
      }
      return picture;
    },
  };
}

/** Bytes and files that go in one request, below what the server takes. */
const [mostBytes, mostFiles] = [64 * 2 ** 20, 20];

/** Files in parts that each fit into one request. */
export function inRequests(files: readonly File[]): File[][] {
  const parts: File[][] = [];
  let bytes = 0;
  for (const file of files) {
    const part = parts.at(-1);
    if (!part || part.length >= mostFiles || bytes + file.size > mostBytes) {
      parts.push([file]);
      bytes = file.size;
    } else {
      part.push(file);
      bytes += file.size;
    }
  }
  return parts;
}

export function formOf(files: readonly File[]): FormData {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name);
  return form;
}
