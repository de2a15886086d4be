import { Gauge, type Registry } from "prom-client";
import type { AuditLog } from "../audit/index.ts";
import type { Encoder } from "../models/types.ts";
import type { Admission } from "../serving/index.ts";
import type { GalleryStore } from "../store/store.ts";
import type { Outbox } from "./outbox/index.ts";

export interface Observed {
  readonly store: GalleryStore;
  readonly audit?: AuditLog;
  readonly version: string;
  readonly encoder: Encoder;
  readonly admission?: Admission;
  readonly outbox?: Outbox;
}

/** Milliseconds that a scrape waits for the store: less than Prometheus waits for the scrape. */
const patience = 2000;

/** Figures that are read when they are asked for: what runs here, and whether what it stands on is up. */
export function observe(
  registry: Registry,
  { store, audit, version, encoder, admission, outbox }: Observed,
): void {
  const registers = [registry];
  new Gauge({
    name: "protoline_build_info",
    help: "Always 1; what runs here is in the labels.",
    labelNames: ["version", "model", "model_version", "model_hash", "store"],
    registers,
  }).set(
    {
      version,
      model: encoder.manifest.name,
      model_version: encoder.manifest.version,
      model_hash: encoder.modelHash.slice(0, 12),
      store: store.driver,
    },
    1,
  );
  new Gauge({
    name: "protoline_store_up",
    help: "1 while the store answers, else 0.",
    registers,
    async collect() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<number>((resolve) => {
        timer = setTimeout(() => resolve(0), patience);
      });
      const asked = store.galleries().then(
        () => 1,
        () => 0,
      );
      this.set(await Promise.race([asked, late]));
      clearTimeout(timer);
    },
  });
  new Gauge({
    name: "protoline_outbox_enrollments",
    help: "Enrollments that wait for the store, and those that were refused once it was back.",
    labelNames: ["state"],
    registers,
    collect() {
      this.set({ state: "waiting" }, outbox?.waiting ?? 0);
      this.set({ state: "refused" }, outbox?.refused ?? 0);
    },
  });
  if (admission)
    new Gauge({
      name: "protoline_recognitions_admitted",
      help: "Recognitions of one frame under way, and how many are let in at a time to be answered in time.",
      labelNames: ["which"],
      registers,
      collect() {
        this.set({ which: "now" }, admission.inFlight);
        this.set({ which: "limit" }, admission.limit);
      },
    });
  if (!audit) return;
  new Gauge({
    name: "protoline_audit_up",
    help: "1 while the audit log can be written, else 0; changes are refused then.",
    registers,
    collect() {
      this.set(audit.up() ? 1 : 0);
    },
  });
  new Gauge({
    name: "protoline_audit_sequence",
    help: "Number of the last line of the audit log; it never falls.",
    registers,
    collect() {
      this.set(audit.head().seq);
    },
  });
}
