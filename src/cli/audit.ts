import type { AuditLog } from "../audit/index.ts";
import type { GalleryStore } from "../store/index.ts";
import type { Context } from "./context.ts";

/** The secret of the audit log's hashes, or `null`. It is no flag, as every user of a machine sees those. */
export const auditKey = (): string | null => process.env.PROTOLINE_AUDIT_KEY || null;

export async function openLog(file: string): Promise<AuditLog> {
  const { openAuditLog } = await import("../audit/index.ts");
  return openAuditLog({ file, key: auditKey() });
}

/**
 * The store with the audit log of `PROTOLINE_AUDIT` before it, for the length of `use`. The log is opened by the first
 * change, so that commands that read go on beside a server that writes it.
 */
export async function withAudit<T>(
  { audit: file, who }: Context,
  store: GalleryStore,
  use: (store: GalleryStore) => Promise<T>,
): Promise<T> {
  if (file === null) return use(store);
  const { auditedStore } = await import("../audit/index.ts");
  let opening: Promise<AuditLog> | null = null;
  const opened = (): Promise<AuditLog> => {
    opening ??= openLog(file);
    return opening;
  };
  const log: Pick<AuditLog, "append"> = { append: async (event) => (await opened()).append(event) };
  try {
    return await use(auditedStore(store, log, { who, caller: "command line", request: null }));
  } finally {
    const failed = (): null => null;
    await (opening as Promise<AuditLog> | null)?.catch(failed).then((it) => it?.close());
  }
}
