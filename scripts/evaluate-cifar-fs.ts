import { evaluateBundles } from "./trained-bundles.ts";

/** Prototypical networks on CIFAR-FS, beside those of Bertinetto et al. 2019 (arXiv:1805.08136). */
await evaluateBundles({
  name: "evaluate-cifar-fs",
  title: "CIFAR-FS: prototypical networks",
  dataset: "cifar-fs",
  split: "the 20 test classes",
  ways: [5],
  published: { title: "Bertinetto et al. 2019, Conv-4", figures: { "5/1": 55.5, "5/5": 72 } },
});
