import { STATUS_CODES } from "node:http";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance, FastifySchema } from "fastify";
import Type, { type TSchema } from "typebox";
import { ErrorReply } from "./protocol.ts";
import { roleFor } from "./roles.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The body is an image, or several as multipart. */
    images?: boolean;
    /** The body is an archive. */
    archive?: boolean;
  }
}

/** The reply of a route beside the error that any route may answer with. */
export function replies(status: number, schema: TSchema, type = "application/json"): Record<string, object> {
  const reply = (description: string, media: string, described: TSchema) => ({
    description,
    content: { [media]: { schema: described } },
  });
  return {
    // As swagger knows a reply without a body.
    [status]:
      status === 204 ? { type: "null", description: "Done" } : reply(STATUS_CODES[status]!, type, schema),
    default: reply("An error", "application/json", ErrorReply),
  };
}

/** Bodies that are no JSON are described here alone, as fastify would validate the bytes by what it is told. */
const imageBody = {
  content: {
    ...Object.fromEntries(
      [
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/tiff",
        "image/bmp",
        "image/gif",
        "application/octet-stream",
      ].map((type) => [type, { schema: { type: "string", format: "binary" } }]),
    ),
    "multipart/form-data": {
      schema: Type.Object({ image: Type.Array(Type.String({ format: "binary" })) }),
    },
  },
};
const archiveBody = {
  content: Object.fromEntries(
    ["application/gzip", "application/octet-stream"].map((type) => [
      type,
      { schema: { type: "string", format: "binary" } },
    ]),
  ),
};

/** The page of swagger-ui: its own files and its inline styles, and nothing from elsewhere. */
const pagePolicy = {
  "default-src": "'self'",
  "base-uri": "'none'",
  "frame-ancestors": "'none'",
  "img-src": "'self' data:",
  "object-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self' 'unsafe-inline'",
};

/** `/openapi.json` and the page `/docs`. To be registered before the routes that it describes. */
export function describe(app: FastifyInstance, version: string): void {
  app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Protoline",
        version,
        description:
          "Few-shot image recognition. Every error has the same shape, but for the routes below /v2, whose shape the Open Inference Protocol prescribes; its code is explained in docs/errors of the package.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: {
        securitySchemes: {
          bearer: { type: "http", scheme: "bearer" },
          header: { type: "apiKey", in: "header", name: "x-api-key" },
        },
      },
    },
    transform: ({ schema, url, route }) => {
      const { scope, images, archive } = route.config ?? {};
      const described: FastifySchema = { ...schema };
      if (images) described.body = imageBody;
      if (archive) described.body = archiveBody;
      if (scope) {
        described.security = [{ bearer: [] }, { header: [] }];
        described.description = [
          schema?.description,
          `Needs the scope \`${scope}\`, which the role ${roleFor(scope)} and those above it have.`,
        ]
          .filter(Boolean)
          .join("\n\n");
      }
      return { schema: described, url };
    },
  });
  app.register(swaggerUi, {
    routePrefix: "/docs",
    staticCSP: pagePolicy,
    uiConfig: { validatorUrl: null },
  });
  app.register(async (scope) => {
    scope.get("/openapi.json", { config: { scope: null }, schema: { hide: true } }, async () =>
      scope.swagger(),
    );
  });
}
