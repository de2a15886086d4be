#!/usr/bin/env node
import { CommanderError } from "commander";
import { errorLine, errorObject, exitCode } from "./exit.ts";
import { createProgram } from "./program.ts";
import { stopProgress } from "./progress.ts";

// `protoline … | head` closes the pipe early; that is no error.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    throw error;
  });

// Writes to a store are transactions, so that stopping at any point leaves it whole. `serve` brings its own handler.
process.once("SIGINT", () => {
  stopProgress();
  process.exit(130);
});

try {
  await createProgram().parseAsync();
} catch (error) {
  stopProgress();
  process.exitCode = exitCode(error);
  const silent = error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help");
  if (!silent) {
    const json = process.argv.includes("--json");
    process.stderr.write(`${json ? JSON.stringify({ error: errorObject(error) }) : errorLine(error)}\n`);
    if (process.env.PROTOLINE_DEBUG) console.error(error);
  }
}
