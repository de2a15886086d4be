import type { IClientOptions, MqttClient } from "mqtt";
import { ProtolineError, quote } from "../core/index.ts";

/** A connection that comes back by itself every second. */
export async function connectMqtt(url: string, options: IClientOptions): Promise<MqttClient> {
  const { default: mqtt } = await import("mqtt");
  return mqtt.connect(checkedUrl(url), { reconnectPeriod: 1000, connectTimeout: 5000, ...options });
}

/** One connection and back, for `check`. @throws LINE_INVALID */
export async function checkMqtt(url: string): Promise<string> {
  const { default: mqtt } = await import("mqtt");
  try {
    const client = await mqtt.connectAsync(checkedUrl(url), { connectTimeout: 3000, reconnectPeriod: 0 });
    await client.endAsync();
  } catch (error) {
    throw new ProtolineError("LINE_INVALID", {
      expected: `an MQTT broker at ${shown(url)}`,
      got: (error as Error).message || String((error as NodeJS.ErrnoException).code),
      todo: "Start the broker, or correct `url`, user and password.",
    });
  }
  return `the broker at ${shown(url)} answers`;
}

/** The address without its password. */
export function shown(url: string): string {
  try {
    const parsed = new URL(url);
    if (parsed.password !== "") parsed.password = "***";
    return parsed.href;
  } catch {
    return quote(url);
  }
}

function checkedUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (["mqtt:", "mqtts:", "ws:", "wss:"].includes(protocol)) return url;
  throw new ProtolineError("LINE_INVALID", {
    expected: "mqtt://HOST, mqtts://HOST, ws://HOST or wss://HOST",
    got: shown(url),
    todo: "Correct `url`.",
  });
}
