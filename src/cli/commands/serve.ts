import { type Command, InvalidArgumentError } from "commander";
import { quote } from "../../core/index.ts";
import { action, type Context, examples } from "../context.ts";
import { chooseModel, openModel, withStore } from "../resources.ts";
import { plural } from "../text.ts";
import { version } from "../version.ts";

interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly log?: boolean;
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
    .option("--log", "log requests as JSON lines on the standard output")
    .addHelpText(
      "after",
      examples(
        ["protoline serve", "for this machine alone"],
        ["protoline keys create camera-3 && protoline serve --host 0.0.0.0", "for the network"],
        [
          "curl -H content-type:image/jpeg --data-binary @frame.jpg localhost:8080/v1/galleries/default/recognize",
          "an answer",
        ],
      ),
    )
    .action(action<[], ServeFlags>((context, _, flags) => run(context, flags)));
}

async function run(context: Context, { host, port, log = false }: ServeFlags): Promise<void> {
  await withStore(context, "create", async (store) => {
    const galleries = await store.galleries();
    const pinned = galleries.find(({ name }) => name === context.gallery) ?? galleries[0];
    const { model, why } = await chooseModel(context, pinned?.model);
    const encoder = await openModel(context, model);
    try {
      const { buildServer, listen } = await import("../../server/index.ts");
      const app = buildServer({ store, encoder, version: version(), logger: log });
      try {
        // Listened for before the address is printed: who reads it may send a signal at once.
        const stopped = stopSignal();
        const address = await listen(app, { host, port });
        const keys = (await store.apiKeys()).length;
        if (context.json) context.print(JSON.stringify({ address, docs: `${address}/docs`, model, keys }));
        else {
          context.print(`Protoline listens on ${address}`);
          context.note(`  API page   ${address}/docs`);
          context.note(`  model      ${quote(model)}: ${why}`);
          context.note(
            `  galleries  ${galleries.length > 0 ? galleries.map(({ name }) => name).join(", ") : "none yet: protoline enroll parts/"}`,
          );
          context.note(
            keys > 0
              ? `  access     by ${plural(keys, "API key")}`
              : "  access     from this machine, without a key; protoline keys create NAME opens it to others",
          );
        }
        await stopped;
        context.note("stopping: requests under way are answered");
      } finally {
        await app.close();
      }
    } finally {
      await encoder.close();
    }
  });
}

/** Resolves on the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<void> {
  process.removeAllListeners("SIGINT");
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}
