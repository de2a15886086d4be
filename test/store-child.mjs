/**
 * A writer for the kill test, in plain JavaScript over dist/: `node store-child.mjs PATH SEED [COUNT]` changes the
 * gallery `line` for ever (or COUNT times) and prints one line of JSON for each change after the store acknowledged
 * it. Its parent kills it at some moment.
 */
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { createRng, isProtolineError } from "../dist/core/index.js";
import { openStore } from "../dist/store/index.js";

const [path, seed, count = "Infinity"] = process.argv.slice(2);
const rng = createRng(Number(seed));
const store = await openStore(path);
const by = { who: `writer ${seed}` };
const labels = ["A", "B", "C", "D"];
const pick = (list) => list[rng.int(list.length)];
let made = 0;

function sample(label) {
  const bytes = Buffer.from(`${seed} ${made++}`);
  return {
    label,
    embeddings: [Float32Array.from({ length: 64 }, () => rng.normal())],
    contentHash: createHash("sha256").update(bytes).digest("hex"),
    image: { bytes, type: "image/png", whole: true },
    origin: bytes.toString(),
    time: 1_700_000_000_000,
  };
}

async function change() {
  const dice = rng.int(10);
  if (dice < 6) {
    const samples = Array.from({ length: 1 + rng.int(3) }, () => sample(pick(labels)));
    const { added, revision } = await store.addSamples("line", samples, { ...by, modelHash: "m1" });
    return { revision, samples: added.map(({ id, index }) => ({ id, origin: samples[index].origin })) };
  }
  if (dice === 6)
    return { revision: await store.renameClass("line", pick(labels), pick(labels), by), samples: [] };
  if (dice === 7)
    return { revision: await store.mergeClasses("line", [pick(labels)], pick(labels), by), samples: [] };
  if (dice === 8) {
    const to = Math.max(0, (await store.head("line")) - rng.int(6));
    return { revision: await store.rollback("line", to, by), samples: [] };
  }
  const refresh = pick([{ kind: "immediate" }, { kind: "manual" }, { kind: "after", samples: 4 }]);
  await store.setRefresh("line", refresh);
  return { revision: await store.publish("line", by), samples: [] };
}

for (let done = 0; done < Number(count); ) {
  try {
    const { revision, samples } = await change();
    // Not console.log: the line must be out before the next change begins.
    writeSync(1, `${JSON.stringify({ number: revision.number, hash: revision.hash, samples })}\n`);
    done++;
  } catch (error) {
    // The class to rename may be gone; anything that concerns the store itself ends this process with an error.
    if (!isProtolineError(error) || error.code.startsWith("STORE")) throw error;
  }
}
await store.close();
