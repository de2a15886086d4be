/** What of runtime/ needs no Node: the front door for browsers. */

export { loadError, messageOf, runError } from "./errors.ts";
