export { type Alerts, type AlertsOptions, createAlerts } from "./alerts.ts";
export { type Courier, type CourierOptions, createCourier } from "./courier.ts";
export { alertMqtt, alertWebhook } from "./sinks.ts";
export type { Alert, AlertKind } from "./types.ts";
