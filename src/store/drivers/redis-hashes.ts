import type { Command, Connection } from "./redis-connection.ts";

/** Hashes as one transaction sees them: what it wrote itself lies over what the server has, until it is committed. */
export interface Hashes {
  get(key: string, field: string | number): Promise<Buffer | null>;
  /** In the order of the fields. */
  many(key: string, fields: readonly (string | number)[]): Promise<(Buffer | null)[]>;
  /** In no order. */
  fields(key: string): Promise<string[]>;
  all(key: string): Promise<Map<string, Buffer>>;
  set(key: string, field: string | number, value: Buffer | string): void;
  delete(key: string, field: string | number): void;
  drop(key: string): void;
}

/** Fields a command: what Lua takes at once is bounded, and so is what is worth holding the server up for. */
const batch = 500;

interface Written {
  /** Whether what the server has counts no more. */
  dropped: boolean;
  /** `null`: deleted. */
  readonly fields: Map<string, Buffer | null>;
}

export function openHashes(send: Connection["send"]): { hashes: Hashes; commands(): Command[] } {
  const written = new Map<string, Written>();
  const over = (key: string): Written => {
    let there = written.get(key);
    if (!there) {
      there = { dropped: false, fields: new Map() };
      written.set(key, there);
    }
    return there;
  };
  /** What was read stays as it is until the end: a writer is alone, and a reader begins again where he was not. */
  const read = new Map<string, Map<string, Buffer | null>>();
  const stored = async (key: string, fields: readonly string[]): Promise<(Buffer | null)[]> => {
    const known = read.get(key) ?? new Map<string, Buffer | null>();
    read.set(key, known);
    await Promise.all(
      pieces(fields.filter((field) => !known.has(field))).map(async (some) => {
        const values = (await send(["HMGET", key, ...some])) as (Buffer | null)[];
        for (const [i, field] of some.entries()) known.set(field, values[i]!);
      }),
    );
    return fields.map((field) => known.get(field)!);
  };

  const hashes: Hashes = {
    get: async (key, field) => (await hashes.many(key, [field]))[0]!,
    async many(key, wanted) {
      const fields = wanted.map(String);
      const own = written.get(key);
      if (!own) return stored(key, fields);
      const missing = own.dropped ? [] : fields.filter((field) => !own.fields.has(field));
      const values = await stored(key, missing);
      const found = new Map(missing.map((field, i) => [field, values[i]!]));
      return fields.map((field) => own.fields.get(field) ?? found.get(field) ?? null);
    },
    async fields(key) {
      const own = written.get(key);
      const there = own?.dropped ? [] : ((await send(["HKEYS", key])) as Buffer[]).map(String);
      if (!own) return there;
      const fields = new Set(there);
      for (const [field, value] of own.fields)
        if (value === null) fields.delete(field);
        else fields.add(field);
      return [...fields];
    },
    async all(key) {
      const own = written.get(key);
      const there = own?.dropped ? {} : ((await send(["hgetall", key])) as Record<string, Buffer>);
      const all = new Map(Object.entries(there));
      for (const [field, value] of own?.fields ?? [])
        if (value === null) all.delete(field);
        else all.set(field, value);
      return all;
    },
    set: (key, field, value) =>
      void over(key).fields.set(String(field), typeof value === "string" ? Buffer.from(value) : value),
    delete: (key, field) => void over(key).fields.set(String(field), null),
    drop: (key) => void written.set(key, { dropped: true, fields: new Map() }),
  };

  return {
    hashes,
    commands: () =>
      [...written].flatMap(([key, { dropped, fields }]) => {
        const sets = [...fields].flatMap(([field, value]) =>
          value === null ? [] : [[field, value] as const],
        );
        const deleted = [...fields].flatMap(([field, value]) => (value === null ? [field] : []));
        return [
          ...(dropped ? [["UNLINK", key] as const] : []),
          ...pieces(sets).map((some): Command => ["HSET", key, ...some.flat()]),
          ...pieces(deleted).map((some): Command => ["HDEL", key, ...some]),
        ];
      }),
  };
}

function pieces<T>(list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / batch) }, (_, i) =>
    list.slice(i * batch, (i + 1) * batch),
  );
}
