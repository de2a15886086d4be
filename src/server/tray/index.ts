export { trayFolder } from "./folder.ts";
export { createTray } from "./tray.ts";
export { type Feedback, type Tray, type TrayFrame, type Verdict, verdicts } from "./types.ts";
