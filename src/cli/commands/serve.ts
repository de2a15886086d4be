import { type Command, InvalidArgumentError } from "commander";
import { quote } from "../../core/index.ts";
import type { ModelSources } from "../../models/index.ts";
import type { OidcOptions } from "../../server/index.ts";
import { type AlertFlags, alertSecret, alertsFrom } from "../alerts.ts";
import { openLog } from "../audit.ts";
import { action, type Context, examples } from "../context.ts";
import { readLine } from "../line-file.ts";
import { positiveInteger, positiveIntegerOrZero } from "../parse.ts";
import { chooseModel, learnedFolder, sources, withStore } from "../resources.ts";
import { type ServedLines, startLines } from "../served-lines.ts";
import { stopSignal } from "../signals.ts";
import { oneLine, plural } from "../text.ts";
import { version } from "../version.ts";

interface ServeFlags extends AlertFlags {
  readonly host: string;
  readonly port: number;
  readonly workers?: number;
  readonly maxBatch: number;
  readonly maxLatencyMs: number;
  readonly answerWithinMs: number;
  readonly log?: boolean;
  readonly audit?: string;
  readonly tray?: string;
  readonly outbox?: string;
  readonly offer: readonly string[];
  readonly learnAfter?: number;
  /** False with --no-learn-limits. */
  readonly learnLimits: boolean;
  readonly line: readonly string[];
  readonly cors: readonly string[];
  readonly oidcIssuer?: string;
  readonly oidcAudience?: string;
  readonly oidcRoleClaim?: string;
  readonly oidcJwks?: string;
}

/** The issuer of tokens, from flags or the environment. */
function oidcFrom(flags: ServeFlags): OidcOptions | undefined {
  const { env } = process;
  const issuer = flags.oidcIssuer ?? env.PROTOLINE_OIDC_ISSUER;
  const audience = flags.oidcAudience ?? env.PROTOLINE_OIDC_AUDIENCE;
  const roleClaim = flags.oidcRoleClaim ?? env.PROTOLINE_OIDC_ROLE_CLAIM;
  const jwks = flags.oidcJwks ?? env.PROTOLINE_OIDC_JWKS;
  if (!issuer && !audience) return undefined;
  return {
    issuer: issuer ?? "",
    audience: audience ?? "",
    ...(roleClaim && { roleClaim }),
    ...(jwks && { jwks }),
  };
}

function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535)
    throw new InvalidArgumentError("It must be 0 to 65535; 0 takes any free port.");
  return Number(text);
}

export function serve(program: Command): void {
  program
    .command("serve")
    .description("answer over HTTP: recognize, enroll, galleries, metrics")
    .option("--host <address>", "where to listen; beyond this machine only with an API key", "127.0.0.1")
    .option("--port <n>", "0 takes any free port", parsePort, 8080)
    .option("--workers <n>", "threads that embed (default: one for each core but one)", positiveInteger)
    .option("--max-batch <n>", "frames that are embedded by one call", positiveInteger, 8)
    .option(
      "--max-latency-ms <n>",
      "a frame waits so long for others, even if a worker is free",
      positiveIntegerOrZero,
      0,
    )
    .option(
      "--answer-within-ms <n>",
      "let in only so many frames that they are answered in this time, and refuse the rest with 503",
      positiveInteger,
      50,
    )
    .option("--log", "log requests as JSON lines on the standard output")
    .option("--audit <file>", "write every change there before it is made (or PROTOLINE_AUDIT)")
    .option(
      "--tray <folder>",
      "keep unknown frames there, so that they outlive the server (default: in memory)",
    )
    .option(
      "--outbox <folder>",
      "while the store is away, keep enrollments there and make them when it is back (default: refuse them)",
    )
    .option(
      "--offer <model>",
      "a further model that galleries and candidates may have; may be repeated (default: none)",
      (model: string, models: readonly string[]) => [...models, model],
      [],
    )
    .option(
      "--learn-after <n>",
      "tune a candidate by itself when a gallery has gained so many pictures (default: when asked)",
      positiveInteger,
    )
    .option("--no-learn-limits", "keep the limits of classes as their pictures say, whatever the frames show")
    .option(
      "--line <file>",
      "run this line in the server, which answers its frames and shows them; may be repeated (default: none)",
      (file: string, files: readonly string[]) => [...files, file],
      [],
    )
    .option(
      "--cors <origin>",
      "let pages of this origin call the server; may be repeated (default: none)",
      (origin: string, origins: readonly string[]) => [...origins, origin],
      [],
    )
    .option(
      "--alert-webhook <address>",
      `post there when a line drifts or a class is bad, signed with the secret in ${alertSecret}`,
    )
    .option("--alert-mqtt <address>", "publish that on a broker, such as mqtt://broker")
    .option("--alert-topic <topic>", "above GALLERY/drift and GALLERY/quality", "protoline/alerts")
    .option("--alert-quiet-minutes <n>", "the same is not raised again before", positiveIntegerOrZero, 60)
    .option("--oidc-issuer <address>", "take tokens of this OpenID Connect issuer (or PROTOLINE_OIDC_ISSUER)")
    .option("--oidc-audience <name>", "what they must be for (or PROTOLINE_OIDC_AUDIENCE)")
    .option(
      "--oidc-role-claim <name>",
      "claim with viewer, operator, engineer or admin; default role (or PROTOLINE_OIDC_ROLE_CLAIM)",
    )
    .option("--oidc-jwks <address>", "the issuer's keys, instead of discovery (or PROTOLINE_OIDC_JWKS)")
    .addHelpText(
      "after",
      examples(
        ["protoline serve", "for this machine alone"],
        ["protoline keys create camera-3 && protoline serve --host 0.0.0.0", "for the network"],
        ["protoline serve --line line.yaml", "with a line, which the console shows under Live"],
        [
          "curl -H content-type:image/jpeg --data-binary @frame.jpg localhost:8080/v1/galleries/default/recognize",
          "an answer",
        ],
      ),
    )
    .action(action<[], ServeFlags>((context, _, flags) => run(context, flags)));
}

/**
 * Of a model that was learned on a gallery the one that it began with, where that is here: it is the server's own, which a rollback
 * needs and new galleries get, and the learned one is opened beside it.
 */
async function rootOf(name: string, found: ModelSources): Promise<string> {
  const { findBundle, learnedFrom } = await import("../../models/index.ts");
  const root = learnedFrom(name)?.root;
  return root !== undefined && (await findBundle(root, found).catch(() => null)) ? root : name;
}

async function run(context: Context, flags: ServeFlags): Promise<void> {
  const { host, port, log = false, cors } = flags;
  const file = flags.audit ?? context.audit;
  const alerts = await alertsFrom(flags, (event) => context.note(event));
  const configs = await Promise.all(flags.line.map(readLine));
  // The server writes the log itself, as it knows who asks.
  await withStore({ ...context, audit: null }, "create", async (store) => {
    const galleries = await store.galleries();
    const pinned = galleries.find(({ name }) => name === context.gallery) ?? galleries[0];
    const found = await sources(context);
    const { model, why } = await chooseModel(context, pinned && (await rootOf(pinned.model, found)));
    const { createAdmission, openPool } = await import("../../serving/index.ts");
    const { threads, provider } = context;
    const { findBundle } = await import("../../models/index.ts");
    const pool = {
      ...{ sources: found, threads, provider, workers: flags.workers },
      ...{ maxBatch: flags.maxBatch, maxLatencyMs: flags.maxLatencyMs },
    };
    // Their files are read now, so that one that is missing is told at once; they are opened when they are needed.
    const models = new Map<string, () => ReturnType<typeof openPool>>();
    const given = new Map<string, string>();
    for (const offered of flags.offer) {
      const { name } = (await findBundle(offered, found)).manifest;
      models.set(name, () => openPool(offered, pool));
      given.set(name, offered);
    }
    const encoder = await openPool(model, pool);
    given.set(encoder.manifest.name, model);
    try {
      const { buildServer, findConsole, listen } = await import("../../server/index.ts");
      const oidc = oidcFrom(flags);
      const audit = file === null ? undefined : await openLog(file);
      const console = findConsole();
      const app = buildServer({
        ...{ store, encoder, models, version: version(), logger: log, cors },
        learning: {
          ...{ folder: learnedFolder(context), sources: found },
          open: (path) => openPool(path, pool),
          modelOf: (name) => given.get(name) ?? name,
        },
        learnLimits: flags.learnLimits,
        ...(flags.learnAfter !== undefined && { learnAfter: flags.learnAfter }),
        admission: createAdmission({ withinMs: flags.answerWithinMs, least: encoder.workers }),
        ...(oidc && { oidc }),
        ...(audit && { audit }),
        ...(alerts && { alerts }),
        ...(console !== null && { console }),
        ...(flags.tray !== undefined && { tray: flags.tray }),
        ...(flags.outbox !== undefined && { outbox: flags.outbox }),
      });
      let lines: ServedLines | undefined;
      try {
        // Listened for before the address is printed: who reads it may send a signal at once.
        const stopped = stopSignal();
        const address = await listen(app, { host, port });
        lines = await startLines(app, configs, {
          env: process.env,
          report: (line, event) => context.warn(oneLine(`line ${line}: ${event}`)),
        });
        const keys = (await store.apiKeys()).length;
        if (context.json) context.print(JSON.stringify({ address, docs: `${address}/docs`, model, keys }));
        else {
          context.print(`Protoline listens on ${address}`);
          if (console !== null) context.note(`  console    ${address}/`);
          context.note(`  API page   ${address}/docs`);
          context.note(`  model      ${quote(model)}: ${why}`);
          if (models.size > 0) context.note(`  on offer   ${[...models.keys()].join(", ")}`);
          context.note(`  workers    ${encoder.workers}`);
          context.note(
            `  galleries  ${galleries.length > 0 ? galleries.map(({ name }) => name).join(", ") : "none yet: protoline enroll parts/"}`,
          );
          for (const { name, gallery } of configs) context.note(`  line       ${name}, gallery ${gallery}`);
          context.note(
            keys > 0
              ? `  access     by ${plural(keys, "API key")}`
              : oidc
                ? "  access     by token alone; protoline keys create NAME makes an API key"
                : "  access     from this machine, without a key; protoline keys create NAME opens it to others",
          );
          if (oidc) context.note(`  tokens     of ${oidc.issuer}`);
          if (audit) context.note(`  audit log  ${file}, line ${audit.head().seq}`);
        }
        await Promise.race([stopped, lines.broken]);
        context.note("stopping: requests under way are answered");
      } finally {
        await lines?.stop();
        await app.close();
        await audit?.close();
      }
    } finally {
      await encoder.close();
    }
  });
}
