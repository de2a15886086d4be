import type { Command } from "commander";
import type { Encoder } from "../../models/index.ts";
import type { Recognizer } from "../../recognizer/index.ts";
import { action, type Context, examples } from "../context.ts";
import { openModel, withStore } from "../resources.ts";
import { stopSignal } from "../signals.ts";
import { oneLine } from "../text.ts";

interface WorkFlags {
  readonly queue: string;
  readonly queuePrefix?: string;
}

export function work(program: Command): void {
  program
    .command("work")
    .description(
      "do pieces of bulk work from a queue, until SIGINT or SIGTERM; start it on as many machines as you like",
    )
    .requiredOption(
      "--queue <url>",
      "redis://HOST:PORT, the same as that of the command that asks (protoline backfill, protoline gallery reembed)",
    )
    .option("--queue-prefix <text>", "before the queue's keys (default: protoline-jobs)")
    .addHelpText(
      "after",
      `${examples([
        "protoline work --queue redis://host:6379 --store postgres://host/parts",
        "on each machine",
      ])}\n\nA worker needs the galleries (--store) and the pictures under the same paths as the command that asks, as a network drive\nprovides. One that is killed loses nothing: its piece goes to another after a minute or so.`,
    )
    .action(action<[], WorkFlags>((context, _, flags) => run(context, flags)));
}

async function run(context: Context, { queue, queuePrefix }: WorkFlags): Promise<void> {
  await withStore(context, "existing", async (store) => {
    const { Recognizer: Opened } = await import("../../recognizer/index.ts");
    const { startWorker, workOf } = await import("../../jobs/index.ts");
    const encoders = new Map<string, Promise<Encoder>>();
    const recognizers = new Map<string, Promise<Recognizer>>();
    const encoder = (name: string): Promise<Encoder> => {
      const opening = encoders.get(name) ?? openModel(context, name);
      encoders.set(name, opening);
      opening.catch(() => encoders.delete(name));
      return opening;
    };
    const open = async (gallery: string): Promise<Recognizer> => {
      const { model } = await store.gallery(gallery);
      return Opened.open({ store, gallery, model: await encoder(model) });
    };
    const recognizer = (gallery: string): Promise<Recognizer> => {
      const opening = recognizers.get(gallery) ?? open(gallery);
      recognizers.set(gallery, opening);
      opening.catch(() => recognizers.delete(gallery));
      return opening;
    };
    const stopped = stopSignal();
    const worker = await startWorker({
      url: queue,
      ...(queuePrefix && { prefix: queuePrefix }),
      work: workOf({ store, recognizers: recognizer, encoders: encoder }),
      onPiece: ({ id }, error) => {
        if (error) context.warn(`piece ${id} failed: ${oneLine(error.message)}`);
        else if (context.json) context.print(JSON.stringify({ piece: id }));
      },
    });
    try {
      context.note("waiting for work");
      await stopped;
      context.note("stopping: the piece under way is finished");
    } finally {
      await worker.close();
      for (const opening of recognizers.values()) await (await opening).close();
      for (const opening of encoders.values()) await (await opening).close();
    }
  });
}
