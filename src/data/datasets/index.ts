import { cifarFs } from "./cifar-fs.ts";
import { folder } from "./folder.ts";
import { miniImagenet } from "./mini-imagenet.ts";
import { omniglot } from "./omniglot.ts";
import type { Dataset } from "./types.ts";

/** One line a data set. */
export const datasets: readonly Dataset[] = [omniglot, cifarFs, miniImagenet, folder];
