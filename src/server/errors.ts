import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { type ErrorCode, errorTable, isProtolineError, ProtolineError, quote } from "../core/index.ts";

const where = { body: "the body", querystring: "the query", params: "the address", headers: "the headers" };

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Record<string, unknown>)[key]
        : undefined,
    value,
  );
}

function validationError(error: FastifyError, request: FastifyRequest): ProtolineError {
  const context = error.validationContext as keyof typeof where;
  const { instancePath, message = "valid", params } = error.validation![0]!;
  const missing = params.missingProperty as string | undefined;
  const additional = params.additionalProperty as string | undefined;
  const path = instancePath.split("/").slice(1);
  const field = [...path, missing ?? additional ?? []].flat().join(".");
  const name = `${field ? `field ${quote(field)} of ` : ""}${where[context]}`;
  const part = { body: request.body, querystring: request.query, params: request.params, headers: {} }[
    context
  ];
  const value = valueAt(part, path);
  if (additional !== undefined)
    return new ProtolineError("INVALID_ARGUMENT", {
      expected: `only the fields that are described for ${where[context]}`,
      got: `field ${quote(field)}`,
      todo: "Correct its name or leave it out; /docs lists the fields.",
    });
  return new ProtolineError("INVALID_ARGUMENT", {
    expected: `${name} ${missing === undefined ? message.replace(/^must/, "to") : "to be there"}`,
    got: missing !== undefined || value === undefined ? "nothing" : quote(JSON.stringify(value)),
    todo: "Correct the field and send the request again; /docs describes it.",
  });
}

/** Fastify's and its plugins' own errors, by their code. */
const foreign: Record<string, { code: ErrorCode; expected: string; todo: string }> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: "BODY_TOO_LARGE",
    expected: "a smaller body",
    todo: "Send smaller images or fewer at a time.",
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: "CONTENT_TYPE_UNSUPPORTED",
    expected: "a content type that this route takes",
    todo: "Send pictures as image/jpeg, image/png, … or multipart/form-data, and the rest as application/json.",
  },
  FST_FILES_LIMIT: {
    code: "BODY_TOO_LARGE",
    expected: "fewer files in one request",
    todo: "Send the images in several requests.",
  },
  FST_PARTS_LIMIT: {
    code: "BODY_TOO_LARGE",
    expected: "fewer parts in one request",
    todo: "Send the images in several requests.",
  },
  FST_ERR_BAD_URL: {
    code: "INVALID_ARGUMENT",
    expected: "an address with correct percent-encoding",
    todo: "Encode class names as encodeURIComponent does.",
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    code: "INVALID_ARGUMENT",
    expected: "a JSON body",
    todo: "Send the JSON that /docs describes, or no content-type where no body is needed.",
  },
};

/** Any error as one with a code. What is unexpected becomes INTERNAL and keeps its text to the log. */
export function toProtolineError(error: FastifyError | Error, request: FastifyRequest): ProtolineError {
  if (isProtolineError(error)) return error;
  const { code = "", statusCode = 500, validation } = error as FastifyError;
  if (validation) return validationError(error as FastifyError, request);
  const known = foreign[code];
  if (known) {
    const type = request.headers["content-type"];
    const got = known.code === "CONTENT_TYPE_UNSUPPORTED" ? (type ? quote(type) : "none") : error.message;
    return new ProtolineError(known.code, { expected: known.expected, got, todo: known.todo, cause: error });
  }
  if (statusCode >= 400 && statusCode < 500)
    return new ProtolineError("INVALID_ARGUMENT", {
      expected: "a request that can be read",
      got: quote(error.message, 200),
      todo: "Compare the request with /docs.",
      cause: error,
    });
  return new ProtolineError("INTERNAL", {
    expected: "no error",
    got: `one that is logged as request ${request.id}`,
    todo: "Look there, and report it with the log's lines if it persists.",
    cause: error,
  });
}

export function replyWithError(
  error: FastifyError | Error,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const coded = toProtolineError(error, request);
  if (coded.code === "INTERNAL") request.log.error({ err: error }, "unexpected error");
  else request.log.info({ code: coded.code }, coded.message);
  if (coded.code === "UNAUTHORIZED") reply.header("www-authenticate", "Bearer");
  if (coded.code === "TOKEN_INVALID") reply.header("www-authenticate", 'Bearer error="invalid_token"');
  if (coded.status === 503 && !reply.hasHeader("retry-after")) reply.header("retry-after", 1);
  // What is left of a body that is too large is not worth the reading.
  if (coded.status === 413) reply.header("connection", "close");
  reply.code(coded.status).send({ error: coded });
}

export function routeNotFound(request: FastifyRequest): never {
  throw new ProtolineError("ROUTE_NOT_FOUND", {
    expected: "a method and path of /docs",
    got: quote(`${request.method} ${request.url}`, 120),
    todo: "Check the spelling; a slash in a class name is written %2F.",
  });
}

/** Requests that are broken before there is a request: the answer is written to the socket by hand. */
export function replyToBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const coded =
    error.code === "HPE_HEADER_OVERFLOW"
      ? new ProtolineError("HEADERS_TOO_LARGE", {
          expected: "a shorter address and fewer headers",
          got: "more than the limit",
          todo: "Shorten the address; class names have a limit too.",
        })
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? new ProtolineError("REQUEST_TIMEOUT", {
            expected: "the whole request within the time limit",
            got: "a part of it",
            todo: "Send it again, with smaller images on a slow link.",
          })
        : new ProtolineError("INVALID_ARGUMENT", {
            expected: "a request in HTTP/1.1",
            got: "bytes that are none",
            todo: "Check that the client speaks HTTP, and not HTTPS, to this port.",
          });
  const body = JSON.stringify({ error: coded });
  const { status } = errorTable[coded.code];
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
