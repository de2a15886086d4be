// A worker of its own process, which the test kills: it takes a piece, says so, and never finishes it.
import { startWorker } from "../dist/jobs/index.js";

const [url, prefix] = process.argv.slice(2);
await startWorker({
  url,
  prefix,
  silenceMs: 1000,
  work: ({ id }) => {
    process.stdout.write(`${id}\n`);
    return new Promise(() => undefined);
  },
});
