import { mqttSink, type Sink, webhookSink } from "../line/index.ts";
import type { Alert } from "./types.ts";

/**
 * Alerts as HTTP POSTs of JSON, signed as Standard Webhooks does: see the webhook of a line.
 *
 * @param secretEnv name of the variable of `env` that holds the secret.
 */
export const alertWebhook = (
  url: string,
  secretEnv: string,
  env: Readonly<Record<string, string | undefined>>,
): Sink<Alert> => webhookSink<Alert>({ url, secretEnv }, env);

/**
 * Alerts as JSON on `TOPIC/GALLERY/KIND`, QoS 1, kept by the broker: who subscribes to `TOPIC/+/+` later learns how each
 * stands. `TOPIC/state` is `online`, or `offline`, by the last will too.
 */
export const alertMqtt = (url: string, topic: string): Sink<Alert> =>
  mqttSink<Alert>({ url, topic }, ({ gallery, kind }) => `${gallery}/${kind}`);
