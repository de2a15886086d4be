import type { MqttClient } from "mqtt";
import type { SinkSpec } from "../config.ts";
import { checkMqtt, connectMqtt, shown } from "../mqtt.ts";
import type { LineResult, Message, Sink } from "../types.ts";

/** A broker that has not acknowledged by then is asked again. */
const patienceMs = 5000;

/**
 * Messages as JSON on a topic, QoS 1: each arrives at least once. The retained topic `TOPIC/state` is `online`, or
 * `offline` after a good end, and, as the last will, after a bad one.
 *
 * @param keepAt part of the topic below `topic` on which the broker keeps the message as its last, so that who comes
 * later learns of it too. Default: on `topic` itself, and not kept.
 */
export function mqttSink<Written extends Message = LineResult>(
  { url, topic, clientId }: Omit<Extract<SinkSpec, { kind: "mqtt" }>, "kind">,
  keepAt?: (message: Written) => string,
): Sink<Written> {
  const state = `${topic}/state`;
  let connected: Promise<MqttClient> | undefined;
  const connect = async (): Promise<MqttClient> => {
    const client = await connectMqtt(url, {
      ...(clientId && { clientId }),
      // What the line has not got rid of is with the line, in its order and its bounds, not with the client.
      queueQoSZero: false,
      will: { topic: state, payload: Buffer.from("offline"), qos: 1, retain: true },
    });
    // Told by the publish that fails; without a listener it would end the process.
    client.on("error", () => undefined);
    client.on("connect", () => {
      client.publish(state, "online", { qos: 1, retain: true });
    });
    return client;
  };
  return {
    name: `mqtt ${shown(url)} ${topic}`,
    check: () => checkMqtt(url),
    async write(result) {
      connected ??= connect();
      const client = await connected;
      const published = client.publishAsync(
        keepAt ? `${topic}/${keepAt(result)}` : topic,
        JSON.stringify(result),
        { qos: 1, retain: keepAt !== undefined },
      );
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no acknowledgement within ${patienceMs} ms`)), patienceMs);
      });
      try {
        await Promise.race([published, late]);
      } finally {
        clearTimeout(timer);
        published.catch(() => undefined);
      }
    },
    async close() {
      const client = await connected;
      if (!client) return;
      if (client.connected) await client.publishAsync(state, "offline", { qos: 1, retain: true });
      await client.endAsync(!client.connected);
    },
  };
}
