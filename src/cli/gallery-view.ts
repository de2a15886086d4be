import { ProtolineError, quote } from "../core/index.ts";
import type { GalleryStore } from "../store/index.ts";
import type { Context } from "./context.ts";
import { decisionText } from "./decision-text.ts";
import { oneLine, plural, table, timeText } from "./text.ts";

/** Classes and decision of a revision; with a label, the pictures of that class. */
export async function showGallery(
  { json, print, paint, gallery: name }: Context,
  store: GalleryStore,
  label: string | undefined,
  number: number | undefined,
): Promise<void> {
  const { revision, model, modelHash, dim, decision, samples } = await store.snapshot(name, number);
  const shown = samples.filter((sample) => label === undefined || sample.label === label);
  if (label !== undefined && shown.length === 0)
    throw new ProtolineError("CLASS_NOT_FOUND", {
      expected: `a class of gallery ${quote(name)}`,
      got: quote(label),
      todo: "List the classes with protoline gallery show.",
    });
  const classes = new Map<string, { pictures: number; latest: number }>();
  for (const sample of samples) {
    const { pictures, latest } = classes.get(sample.label) ?? { pictures: 0, latest: 0 };
    classes.set(sample.label, { pictures: pictures + 1, latest: Math.max(latest, sample.time) });
  }
  if (json) {
    const { pending, refresh } = await store.gallery(name);
    print(
      JSON.stringify({
        gallery: name,
        model,
        modelHash,
        embeddingDim: dim,
        revision,
        decision,
        pending,
        refresh,
        classes: [...classes].map(([name, { pictures }]) => ({ label: name, samples: pictures })),
        ...(label !== undefined && {
          samples: shown.map(({ embeddings, ...sample }) => ({ ...sample, views: embeddings.length })),
        }),
      }),
    );
    return;
  }
  if (label !== undefined) {
    print(
      table(
        ["id", "origin", "time (UTC)", "who"],
        shown.map(({ id, origin, time, who }) => [id, oneLine(origin), timeText(time), oneLine(who)]),
        paint,
      ),
    );
    return;
  }
  print(
    `gallery ${quote(name)}, revision ${revision.number} (${revision.hash.slice(0, 12)}), model ${model}, ${dim} numbers a picture`,
  );
  print(`decision: ${decisionText(decision)}`);
  print(
    table(
      ["class", "pictures", "latest (UTC)"],
      [...classes].map(([name, { pictures, latest }]) => [oneLine(name), pictures, timeText(latest)]),
      paint,
    ),
  );
}

/** What changed from one revision to another, counted by class. */
export async function showDiff(
  { json, print, gallery: name }: Context,
  store: GalleryStore,
  from: number,
  to: number | undefined,
): Promise<void> {
  const diff = await store.diff(name, from, to ?? (await store.head(name)));
  if (json) return print(JSON.stringify(diff));
  const count = (entries: readonly { readonly label: string }[], sign: string): string[] => {
    const counts = new Map<string, number>();
    for (const { label } of entries) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts].map(([label, n]) => `${sign} ${oneLine(label)}: ${plural(n, "picture")}`);
  };
  const moved = new Map<string, number>();
  for (const entry of diff.relabelled) {
    const key = `${oneLine(entry.from)} → ${oneLine(entry.to)}`;
    moved.set(key, (moved.get(key) ?? 0) + 1);
  }
  const lines = [
    ...count(diff.added, "+"),
    ...count(diff.removed, "-"),
    ...[...moved].map(([key, n]) => `~ ${key}: ${plural(n, "picture")}`),
    ...(diff.decisionChanged ? ["~ the decision (transform, head or thresholds)"] : []),
    ...(diff.modelChanged ? ["~ the model"] : []),
  ];
  print(`revision ${diff.from} → ${diff.to}`);
  print(lines.length > 0 ? lines.join("\n") : "no difference");
}
