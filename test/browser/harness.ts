import * as library from "../../src/browser/index.ts";

declare global {
  /** The browser export, on a page of the test's own. */
  var protoline: typeof library;
}
globalThis.protoline = library;
