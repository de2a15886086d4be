import { Command, Option } from "commander";
import type { Provider } from "../runtime/index.ts";
import { commands } from "./commands/index.ts";
import { defaultStore, examples } from "./context.ts";
import { exitCodes } from "./exit.ts";
import { positiveInteger } from "./parse.ts";
import { version } from "./version.ts";

/** Written out, because asking the runtime for them would load it at every start. */
const providerNames = ["cpu", "webgpu", "cuda", "coreml", "dml"] as const satisfies readonly Provider[];

export function createProgram(): Command {
  const program = new Command("protoline")
    .description(
      "Few-shot image recognition for production lines: enroll ten pictures, recognize the next frame.",
    )
    .version(version(), "-V, --version", "print the version")
    .option(
      "--store <spec>",
      `where galleries are kept: sqlite:PATH, postgres://…, redis://… or memory: (default: ${defaultStore}; or PROTOLINE_STORE)`,
    )
    .option("--gallery <name>", "the gallery to work on (default: default)")
    .option("--model <model>", "name of a model, or path of a bundle (default: the gallery's own)")
    .option(
      "--learned <folder>",
      "where encoders are kept that were learned on galleries (default: learned beside the store's file; or PROTOLINE_LEARNED)",
    )
    .option("--json", "answer in JSON; errors too, on the error output")
    .option("--quiet", "no remarks and no progress on the error output")
    .option("--no-color", "no colours (or NO_COLOR)")
    .option("--threads <n>", "threads of the model (default: all cores)", positiveInteger)
    .addOption(
      new Option("--provider <name>", "execution provider of the model (default: cpu)").choices(
        providerNames,
      ),
    )
    .configureHelp({ showGlobalOptions: true })
    // Errors are printed in one place, main.ts, as text or as JSON.
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .helpCommand("help [command]", "help for a command");
  for (const register of commands) register(program);
  return program.addHelpText(
    "after",
    `${examples(
      ["protoline demo", "the whole thing in ten seconds, without a file of your own"],
      ["protoline enroll parts/", "a folder a class, ten pictures in each"],
      ["protoline recognize frames/", "what is in these pictures?"],
    )}\n\nExit codes:\n${exitCodes.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join("\n")}`,
  );
}
