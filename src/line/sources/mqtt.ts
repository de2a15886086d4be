import { sha256 } from "../../core/index.ts";
import type { SourceSpec } from "../config.ts";
import { checkMqtt, connectMqtt, shown } from "../mqtt.ts";
import type { Source } from "../types.ts";

/**
 * Pictures as the payloads of an MQTT topic. The broker gets its acknowledgement (QoS 1) when a frame is handled, so
 * that it sends again what a stopped line left; with `clientId` it also keeps what comes while the line is away.
 * MQTT 5: the user properties `id`, `part`, `batch` and `shift` of a message are taken over.
 */
export function mqttSource(spec: Extract<SourceSpec, { kind: "mqtt" }>): Source {
  const { url, topic, clientId } = spec;
  return {
    name: `mqtt ${shown(url)} ${topic}`,
    check: () => checkMqtt(url),
    async run({ signal, accept, report }) {
      const client = await connectMqtt(url, {
        protocolVersion: 5,
        ...(clientId ? { clientId, clean: false, properties: { sessionExpiryInterval: 24 * 3600 } } : {}),
      });
      // Retained since each handled frame ends its own call; the line's buffer bounds how many there are.
      const underWay = new Set<Promise<unknown>>();
      client.handleMessage = (packet, done) => {
        const { userProperties = {} } = packet.properties ?? {};
        const of = (name: string): string | undefined => [userProperties[name] ?? []].flat()[0];
        const bytes = new Uint8Array(packet.payload as Buffer);
        const [part, batch, shift] = ["part", "batch", "shift"].map(of);
        const work = accept({
          id: of("id") ?? sha256(bytes).slice(0, 32),
          bytes,
          origin: packet.topic,
          time: Date.now(),
          ...(part !== undefined && { part }),
          ...(batch !== undefined && { batch }),
          ...(shift !== undefined && { shift }),
        })
          .then(({ handled }) => handled)
          .then(
            () => done(),
            (error: Error) => done(error),
          )
          .finally(() => underWay.delete(work));
        underWay.add(work);
      };
      client.on("error", (error) =>
        report(`${shown(url)}: ${error.message || (error as NodeJS.ErrnoException).code}`),
      );
      client.on("offline", () => report(`${shown(url)}: no connection, trying again`));
      client.on("connect", () => {
        client.subscribe(topic, { qos: 1 }, (error) => {
          report(
            `${shown(url)}: ${error ? `${topic} was not subscribed: ${error.message}` : `listens to ${topic}`}`,
          );
        });
      });
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      await Promise.all(underWay);
      await client.endAsync();
    },
  };
}
