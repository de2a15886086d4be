import { rm } from "node:fs/promises";
import { type Command, Option } from "commander";
import type { LearnedEncoder } from "../../learning/index.ts";
import type { Encoder } from "../../models/index.ts";
import type { Candidate, Compared } from "../../recognizer/index.ts";
import type { GalleryStore } from "../../store/index.ts";
import { action, type Context, examples } from "../context.ts";
import { decisionText } from "../decision-text.ts";
import { positiveInteger, positiveIntegerOrZero, share, shareOrZero } from "../parse.ts";
import { learnedFolder, openModel, sources, withRecognizer } from "../resources.ts";
import { percent, plural, table } from "../text.ts";

interface LearnFlags {
  readonly to?: string;
  readonly tune: boolean;
  readonly falseReject?: number;
  readonly margin?: number;
  readonly after?: number;
  readonly encoder?: boolean;
  readonly steps: number;
  readonly seed: number;
  readonly promote?: boolean;
}

/** Exit code of a candidate that is worse: unavailable, as that of monitor evaluate. */
const unfit = 7;
/** Revisions that are looked back for the last change of the decision. */
const lookedBack = 200;

export function learn(program: Command): void {
  program
    .command("learn")
    .description(
      "tune a candidate on the grown gallery, hold it against the gallery as it is, and promote it",
    )
    .option("--to <model>", "the candidate has this model: kept pictures are embedded again")
    .option(
      "--no-tune",
      "keep transform, head and unknown score as they are (with --to: as the model has them)",
    )
    .option("--false-reject <share>", "known parts that may be called unknown, as 0.05", share)
    .option("--margin <share>", "ambiguous when first and second are nearer than this", shareOrZero)
    .option(
      "--after <n>",
      `only if so many pictures came since the decision last changed (looks back ${lookedBack} revisions)`,
      positiveInteger,
    )
    .addOption(
      new Option(
        "--encoder",
        "train the gallery's encoder further on its kept pictures, then tune",
      ).conflicts("to"),
    )
    .option("--steps <n>", "of training with --encoder, an episode each", positiveInteger, 60)
    .option("--seed <n>", "equal seeds give equal training", positiveIntegerOrZero, 1)
    .option("--promote", "make it the next revision, unless it is worse or the same")
    .addHelpText(
      "after",
      `${examples(
        ["protoline learn", "what would it be, and would it be better?"],
        ["protoline learn --after 50 --promote", "from cron, after the tray was worked"],
        ["protoline learn --to mobilenet-v2", "would another model be better?"],
        ["protoline learn --encoder", "would its own encoder be, trained further? takes minutes"],
      )}\n\nThe two are asked about the pictures of NAME.holdout (see monitor evaluate) and about the gallery's own, each left out. Exit\ncode ${unfit} when the candidate is worse beyond chance, 0 otherwise. What was promoted is taken back by gallery rollback. A\nserver does the same beside live frames: POST /v1/galleries/NAME/candidate.

With --encoder a quarter of each class is kept back from training to compare by, unless NAME.holdout has pictures. The new encoder
is kept in the folder of --learned; one that is not promoted may be later: protoline learn --to ITS-NAME --promote.`,
    )
    .action(action<[], LearnFlags>((context, _, flags) => run(context, flags)));
}

async function run(context: Context, flags: LearnFlags): Promise<number> {
  const { isWorse, makeCandidate, promoteCandidate, tryDecision, tuneDecision } = await import(
    "../../recognizer/index.ts"
  );
  return withRecognizer(
    context,
    "existing",
    async ({ store, gallery, encoder: current, decision: before }) => {
      const came = await gathered(store, gallery);
      if (flags.after !== undefined && came < flags.after) {
        if (context.json) context.print(JSON.stringify({ gallery, gathered: came, candidate: null }));
        else
          context.print(`${plural(came, "picture")} came since the decision last changed, of ${flags.after}`);
        return 0;
      }
      const learned = flags.encoder ? await trainEncoder(context, store, current, flags) : null;
      const model = learned?.path ?? flags.to;
      const encoder = model === undefined ? current : await openModel(context, model);
      try {
        const { head } = await store.gallery(gallery);
        const progress = await context.progress("pictures", encoder === current ? 0 : head.samples);
        const candidate = await makeCandidate({
          ...{ store, gallery, current, encoder },
          wanted: {
            tune: flags.tune,
            ...(flags.falseReject !== undefined && { falseRejectRate: flags.falseReject }),
            ...(flags.margin !== undefined && { margin: flags.margin }),
          },
          solver: { tune: async (it) => tuneDecision(it), try: async (it) => tryDecision(it) },
          onProgress: (phase, done, of) => {
            if (phase === "embedding") progress.update(done, "", of);
            else context.note(phase === "tuning" ? "tuning" : "asking both about the same pictures");
          },
        }).finally(() => progress.stop());
        const worse = isWorse(candidate.comparison);
        const differs =
          encoder.modelHash !== current.modelHash ||
          JSON.stringify(candidate.decision) !== JSON.stringify(before);
        const promoted =
          flags.promote && differs && worse === false
            ? await promoteCandidate(store, gallery, candidate, {
                who: context.who,
                reason: `learn: ${candidate.tuned?.summary ?? `model ${encoder.manifest.name}`}`,
              })
            : null;
        if (context.json) {
          const { decision, tuned, comparison } = candidate;
          const revision = promoted?.number ?? candidate.revision.number;
          const model = encoder.manifest.name;
          context.print(
            JSON.stringify({
              ...{ gallery, gathered: came, revision, promoted: promoted !== null, worse, differs },
              candidate: {
                model,
                before,
                decision,
                tuned,
                comparison,
                ...(learned && { learned: told(learned) }),
              },
            }),
          );
        } else {
          print(context, candidate, differs, before);
          if (worse) context.print(context.paint.red("the candidate is worse"));
          if (worse === null)
            context.print(
              `nothing to compare by: the encoders were trained on all pictures; enroll others in gallery ${gallery}.holdout`,
            );
          context.note(
            promoted
              ? `gallery "${gallery}" is at revision ${promoted.number}`
              : `nothing was changed; ${learned && !worse ? `protoline learn --to ${learned.name} --promote` : "--promote"} makes it the next revision`,
          );
        }
        if (learned?.made && worse) await rm(learned.path, { recursive: true });
        return worse ? unfit : 0;
      } finally {
        if (encoder !== current) await encoder.close();
      }
    },
  );
}

/** Trains the encoder in a process of its own; its bundle lies in the folder of learned models afterwards. */
async function trainEncoder(
  context: Context,
  store: GalleryStore,
  encoder: Encoder,
  { steps, seed }: LearnFlags,
): Promise<LearnedEncoder> {
  const { learnEncoder } = await import("../../learning/index.ts");
  const { gallery, model } = context;
  const bar = await context.progress("training", steps);
  const learned = await learnEncoder({
    ...{ store, gallery, encoder, steps, seed, sources: await sources(context) },
    ...(model !== undefined && { model }),
    folder: learnedFolder(context),
    onProgress: ({ done, of, loss }) => {
      const text = `loss ${loss.toFixed(3)}`;
      bar.update(done, text);
      if (done === 1 || done % 50 === 0 || done === of) context.note(`step ${done} of ${of}: ${text}`);
    },
  }).finally(() => bar.stop());
  const { name, pictures, keptBack } = learned;
  context.note(`${name}: trained on ${plural(pictures, "picture")}, ${keptBack} kept back`);
  return learned;
}

const told = ({ name, modelHash, path, pictures, keptBack }: LearnedEncoder) => ({
  ...{ name, modelHash, path, pictures, keptBack },
});

/** Pictures that the gallery gained since the last revision with another decision or model. */
async function gathered(store: GalleryStore, gallery: string): Promise<number> {
  const [head, ...older] = await store.history(gallery, lookedBack);
  let revision = head!;
  for (const before of older) {
    const { decisionChanged, modelChanged } = await store.diff(gallery, before.number, revision.number);
    if (decisionChanged || modelChanged) break;
    revision = before;
  }
  return Math.max(0, head!.samples - revision.samples);
}

function print(
  { print: say, paint }: Context,
  { comparison, tuned, decision }: Candidate,
  differs: boolean,
  before: Candidate["decision"],
): void {
  const rate = ({ hits, of, interval: [low, high] }: Compared["current"]["right"]): string =>
    of === 0 ? "–" : `${hits} of ${of} (${percent(low, 0)} to ${percent(high, 0)})`;
  const rows = (what: string, it: Compared): (string | number)[][] => [
    [
      what,
      "now",
      rate(it.current.right),
      rate(it.current.falseReject),
      rate(it.current.falseAccept),
      "",
      "",
      "",
    ],
    [
      ...[
        what,
        "candidate",
        rate(it.candidate.right),
        rate(it.candidate.falseReject),
        rate(it.candidate.falseAccept),
      ],
      ...[it.change.lost, it.change.gained, it.change.pValue.toFixed(3)],
    ],
  ];
  say(
    table(
      ["pictures", "asked of", "right", "false rejects", "false accepts", "lost", "gained", "p"],
      [
        ...(comparison.heldOut ? rows("held out", comparison.heldOut) : []),
        ...(comparison.leftOut ? rows("left out", comparison.leftOut) : []),
      ],
      paint,
    ),
  );
  say("");
  if (tuned) say(tuned.summary);
  if (differs) say(`before  ${decisionText(before)}`);
  say(`${differs ? "after   " : "stays   "}${decisionText(decision)}`);
}
