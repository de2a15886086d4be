import { evaluateBundles } from "./trained-bundles.ts";

/** Prototypical networks on Omniglot, as Snell et al. 2017 (arXiv:1703.05175) evaluate. */
await evaluateBundles({
  name: "evaluate-omniglot",
  title: "Omniglot: prototypical networks, Conv-4",
  dataset: "omniglot",
  split: "the test classes of the Vinyals split (rotations are classes)",
  ways: [5, 20],
  published: {
    title: "Snell et al. 2017",
    figures: { "5/1": 98.8, "5/5": 99.7, "20/1": 96, "20/5": 98.9 },
  },
});
