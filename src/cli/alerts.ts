import type { Alerts, Courier } from "../alerts/index.ts";
import { ProtolineError, quote } from "../core/index.ts";

export interface AlertFlags {
  readonly alertWebhook?: string;
  readonly alertMqtt?: string;
  readonly alertTopic: string;
  readonly alertQuietMinutes: number;
}

/** Variable of the environment that holds the secret of the webhook's signature. */
export const alertSecret = "PROTOLINE_ALERT_SECRET";

/** Where a server's alerts go, by its flags; `undefined` where they name nothing. @throws INVALID_ARGUMENT */
export async function alertsFrom(
  { alertWebhook: hook, alertMqtt: broker, alertTopic: topic, alertQuietMinutes }: AlertFlags,
  report: (event: string) => void,
): Promise<Alerts | undefined> {
  if (hook === undefined && broker === undefined) return undefined;
  const { alertMqtt, alertWebhook, createAlerts, createCourier } = await import("../alerts/index.ts");
  const couriers: Courier[] = [];
  if (hook !== undefined) {
    checkAddress("--alert-webhook", hook, ["http:", "https:"]);
    if (!process.env[alertSecret])
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: `a secret in the environment variable ${alertSecret}, for --alert-webhook`,
        got: "none",
        todo: "Set it here and at the receiver, which checks the signature with it.",
      });
    couriers.push(createCourier(alertWebhook(hook, alertSecret, process.env), { report }));
  }
  if (broker !== undefined) {
    checkAddress("--alert-mqtt", broker, ["mqtt:", "mqtts:", "ws:", "wss:"]);
    if (topic === "" || /[+#\0]/.test(topic))
      throw new ProtolineError("INVALID_ARGUMENT", {
        expected: "a topic without + and #, for --alert-topic",
        got: quote(topic),
        todo: "Name one topic, such as plant-2/protoline.",
      });
    couriers.push(createCourier(alertMqtt(broker, topic), { report }));
  }
  return createAlerts({ couriers, quietMs: 60_000 * alertQuietMinutes });
}

function checkAddress(flag: string, address: string, protocols: readonly string[]): void {
  if (URL.canParse(address) && protocols.includes(new URL(address).protocol)) return;
  throw new ProtolineError("INVALID_ARGUMENT", {
    expected: `an address that begins with ${protocols.map((one) => `${one}//`).join(" or ")}, for ${flag}`,
    // It may hold a password.
    got: quote(address.replace(/\/\/[^@/]*@/, "//***@")),
    todo: "Correct the address.",
  });
}
