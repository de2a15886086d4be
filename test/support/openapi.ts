import fc from "fast-check";
import type { InjectOptions } from "fastify";

/** Requests drawn from an OpenAPI document: mostly what it describes, sometimes what it does not. */

export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
}

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly in: "path" | "query" | "header";
    readonly required?: boolean;
    readonly schema: Schema;
  }[];
  /** By content type. */
  readonly bodies: Readonly<Record<string, Schema>>;
  /** By status. */
  readonly replies: Readonly<Record<string, Schema>>;
}

interface Described {
  readonly parameters?: Operation["parameters"];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

export function operationsOf(document: {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
}): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => [type, schema]),
      ),
      replies: Object.fromEntries(
        Object.entries(responses).flatMap(([status, { content }]) => {
          const schema = content?.["application/json"]?.schema;
          return schema ? [[status, schema]] : [];
        }),
      ),
    })),
  );
}

const oddText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    "",
    " ",
    "\0",
    "..",
    "/",
    "%",
    "%00",
    "null",
    "-1",
    "1e999",
    "__proto__",
    "螺钉",
    "a".repeat(3000),
  ),
);
const odd: fc.Arbitrary<unknown> = fc.oneof(oddText, fc.jsonValue({ maxDepth: 3 }));

/** A value that fits the schema, as far as JSON schema is used here; `texts` are tried for free strings. */
export function fitting(schema: Schema, texts: fc.Arbitrary<string>): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((one) => fitting(one, texts)));
  switch (schema.type) {
    case "integer":
    case "number":
      return fc.integer({
        min: schema.minimum ?? -5,
        max: Math.min(schema.maximum ?? 50, (schema.minimum ?? 0) + 50),
      });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(fitting(schema.items ?? {}, texts), { minLength: schema.minItems ?? 0, maxLength: 4 });
    case "object": {
      const { properties = {}, required = [] } = schema;
      return fc.record(
        Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, fitting(one, texts)])),
        { requiredKeys: [...required] },
      );
    }
    case "null":
      return fc.constant(null);
    case "string":
      return schema.pattern
        ? fc.oneof(
            texts.filter((text) => new RegExp(schema.pattern!, "u").test(text)),
            fc.stringMatching(new RegExp(schema.pattern, "u")),
          )
        : texts;
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

const often = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: good }, { weight: 1, arbitrary: bad });

/** A request for `inject`. `bytes` are bodies for what takes no JSON, with their content types. */
export function requestOf(
  operation: Operation,
  texts: fc.Arbitrary<string>,
  bytes: fc.Arbitrary<{ type: string; payload: Buffer | string }>,
): fc.Arbitrary<InjectOptions & { readonly method: "GET"; readonly url: string }> {
  const ins = (place: string) => operation.parameters.filter((one) => one.in === place);
  const path = fc.record(
    Object.fromEntries(ins("path").map(({ name, schema }) => [name, often(fitting(schema, texts), odd)])),
  );
  const query: fc.Arbitrary<Record<string, unknown>> = fc.record(
    {
      ...Object.fromEntries<fc.Arbitrary<unknown>>(
        ins("query").map(({ name, schema }) => [name, often(fitting(schema, texts), odd)]),
      ),
      odd: fc.constant("x"),
    } as Record<string, fc.Arbitrary<unknown>>,
    { requiredKeys: ins("query").flatMap(({ name, required }) => (required ? [name] : [])) },
  );
  const json = operation.bodies["application/json"];
  const body = json
    ? often(
        often(fitting(json, texts), odd).map((value) => ({
          type: "application/json",
          payload: JSON.stringify(value) as string | Buffer,
        })),
        bytes,
      )
    : bytes;
  const takesBody = operation.method !== "GET";
  return fc
    .record({ path, query, body, odd: fc.integer({ min: 0, max: 9 }) })
    .map(({ path: values, query: fields, body: sent, odd: chance }) => {
      const url = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
        const drawn = values[name];
        const value = typeof drawn === "string" ? drawn : JSON.stringify(drawn);
        // Lone surrogates cannot be written in an address.
        return encodeURIComponent(value.replace(/\p{Cs}/gu, "?")) || "%20";
      });
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(fields))
        if (name !== "odd" || chance === 0)
          for (const one of [value].flat())
            search.append(name, typeof one === "object" ? JSON.stringify(one) : String(one));
      return {
        method: operation.method as "GET",
        url: search.size > 0 ? `${url}?${search}` : url,
        headers: {
          host: "localhost",
          ...(takesBody && chance !== 1 && { "content-type": chance === 2 ? "text/plain" : sent.type }),
        },
        ...(takesBody && { payload: sent.payload }),
      };
    });
}
