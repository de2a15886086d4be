import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net";
import mqtt from "mqtt";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  type Alert,
  alertMqtt,
  alertWebhook,
  type Courier,
  createAlerts,
  createCourier,
} from "../src/alerts/index.ts";
import { Refused, type Sink } from "../src/line/index.ts";

const secret = "a secret of the test";
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Receiver {
  readonly sink: Sink<Alert>;
  /** As they came, the same again too. */
  readonly got: Alert[];
  /** Away: nothing that is sent is taken. */
  away(): Promise<void>;
  back(): Promise<void>;
}

const port = (server: { address(): string | AddressInfo | null }): number =>
  (server.address() as AddressInfo).port;

async function webhook(): Promise<
  Receiver & { readonly heard: { headers: IncomingHttpHeaders; body: string }[] }
> {
  const got: Alert[] = [];
  const heard: { headers: IncomingHttpHeaders; body: string }[] = [];
  let up = true;
  const server = createServer((request, reply) => {
    let body = "";
    request.on("data", (part: Buffer) => {
      body += part.toString();
    });
    request.on("end", () => {
      reply.statusCode = up ? 204 : 503;
      if (up) {
        got.push(JSON.parse(body) as Alert);
        heard.push({ headers: request.headers, body });
      }
      reply.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  const switched = async (to: boolean): Promise<void> => {
    up = to;
  };
  return {
    sink: alertWebhook(`http://127.0.0.1:${port(server)}/alerts`, "SECRET", { SECRET: secret }),
    got,
    heard,
    away: () => switched(false),
    back: () => switched(true),
  };
}

/** The broker, behind a proxy that can be taken away. */
async function broker(): Promise<Receiver & { readonly topic: string; readonly url: string; cut(): void }> {
  const topic = `protoline-test/${process.pid}-${Math.random().toString(36).slice(2)}`;
  const direct = "mqtt://127.0.0.1:1883";
  const sockets = new Set<Socket>();
  let up = true;
  const proxy = createTcp((client) => {
    if (!up) return client.destroy();
    const server = connect(1883, "127.0.0.1");
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.pipe(server).pipe(client);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const got: Alert[] = [];
  const reader = await mqtt.connectAsync(direct, { connectTimeout: 3000 });
  reader.on("message", (on, payload) => {
    if (!on.endsWith("/state") && payload.length > 0) got.push(JSON.parse(payload.toString()) as Alert);
  });
  await reader.subscribeAsync(`${topic}/+/+`, { qos: 1 });
  closing.push(async () => {
    for (const kept of ["line-1/drift", "line-1/quality", "state"])
      await reader.publishAsync(`${topic}/${kept}`, "", { retain: true, qos: 1 });
    await reader.endAsync();
    cut();
    await new Promise((resolve) => proxy.close(resolve));
  });
  return {
    sink: alertMqtt(`mqtt://127.0.0.1:${port(proxy)}`, topic),
    got,
    topic,
    url: direct,
    cut,
    away: async () => {
      up = false;
      cut();
    },
    back: async () => {
      up = true;
    },
  };
}

const alert = (n: number, kind: Alert["kind"] = "drift"): Alert => ({
  ...{ id: `line-1-${kind}-${n}-raised`, gallery: "line-1", kind, state: "raised", text: `news ${n}` },
  ...{ since: "2026-01-01T00:00:00.000Z", time: "2026-01-01T00:00:00.000Z" },
});
const ids = (alerts: readonly Alert[]): string[] => [...new Set(alerts.map(({ id }) => id))];

describe.each([
  ["webhook", webhook],
  ["MQTT", broker],
])("the contract of a sink of alerts: %s", (_, receiver) => {
  const courierOf = (sink: Sink<Alert>, most?: number): { courier: Courier; events: string[] } => {
    const events: string[] = [];
    const courier = createCourier(sink, {
      ...{ firstPauseMs: 20, longestPauseMs: 100, report: (event: string) => events.push(event) },
      ...(most !== undefined && { most }),
    });
    closing.push(() => courier.close());
    return { courier, events };
  };

  it("brings alerts whole and in their order", async () => {
    const { sink, got } = await receiver();
    const { courier } = courierOf(sink);
    const sent = [alert(1), alert(2, "quality"), alert(3)];
    for (const one of sent) courier.send(one);
    await vi.waitFor(() => expect(ids(got)).toEqual(ids(sent)), 5000);
    expect(got[0]).toEqual(sent[0]);
    await vi.waitFor(() => expect(courier.waiting).toBe(0), 5000);
    expect(courier.lost).toBe(0);
  });

  it("waits for a receiver that is away, and says so once", async () => {
    const { sink, got, away, back } = await receiver();
    const { courier, events } = courierOf(sink);
    courier.send(alert(1));
    await vi.waitFor(() => expect(got.length).toBe(1), 5000);
    await away();
    const sent = [alert(2), alert(3)];
    for (const one of sent) courier.send(one);
    await vi.waitFor(() => expect(courier.waiting).toBe(2), 5000);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(ids(got)).toEqual([alert(1).id]);
    await back();
    await vi.waitFor(() => expect(ids(got)).toEqual([1, 2, 3].map((n) => alert(n).id)), 15_000);
    expect(courier.lost).toBe(0);
    expect(events.length).toBeLessThanOrEqual(1);
  });

  it("holds no more than it may: the oldest is lost, and reported", async () => {
    const { sink, got, away, back } = await receiver();
    await away();
    const { courier, events } = courierOf(sink, 3);
    for (let n = 1; n <= 5; n++) courier.send(alert(n));
    expect([courier.waiting, courier.lost]).toEqual([3, 2]);
    expect(events.filter((event) => event.includes("is lost")).length).toBe(2);
    await back();
    // The first may have been under way when it was pushed out.
    await vi.waitFor(() => expect(ids(got).slice(-3)).toEqual([3, 4, 5].map((n) => alert(n).id)), 15_000);
  });

  it("closes in a bounded time while its receiver is away", async () => {
    const { sink, away } = await receiver();
    await away();
    const { courier } = courierOf(sink);
    courier.send(alert(1));
    await courier.close();
    expect([courier.waiting, courier.lost]).toEqual([0, 1]);
  });
});

describe("what is the webhook's own", () => {
  it("is signed with its time, and the same alert keeps its id", async () => {
    const { sink, heard } = await webhook();
    await sink.write(alert(1));
    const { headers, body } = heard[0]!;
    expect(headers["webhook-id"]).toBe(alert(1).id);
    expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(30);
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const expected = createHmac("sha256", secret).update(signed).digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${expected}`);
  });
});

describe("what is MQTT's own", () => {
  it("a late subscriber learns how it stands; the last will says offline", async () => {
    const { sink, topic, url, cut, away } = await broker();
    await sink.write(alert(1));
    const late = await mqtt.connectAsync(url, { connectTimeout: 3000 });
    closing.push(() => late.endAsync());
    const seen = new Map<string, string>();
    late.on("message", (on, payload) => seen.set(on.slice(topic.length + 1), payload.toString()));
    await late.subscribeAsync(`${topic}/#`, { qos: 1 });
    await vi.waitFor(() => expect(seen.get("state")).toBe("online"), 5000);
    expect(JSON.parse(seen.get("line-1/drift")!)).toEqual(alert(1));
    await away();
    cut();
    await vi.waitFor(() => expect(seen.get("state")).toBe("offline"), 5000);
    closing.push(() => sink.close());
  });
});

describe("raising and resolving", () => {
  const told = () => {
    const sent: Alert[] = [];
    let [time, passed] = [1e12, 0];
    const courier: Courier = {
      send: (one) => sent.push(one),
      waiting: 0,
      lost: 0,
      close: async () => undefined,
    };
    const alerts = createAlerts({
      couriers: [courier],
      quietMs: 1000,
      now: () => time,
      elapsed: () => passed,
    });
    const said = (): string[] => sent.map(({ gallery, kind, state }) => `${gallery} ${kind} ${state}`);
    const pass = (ms: number): void => {
      time += ms;
      passed += ms;
    };
    const setClock = (ms: number): void => {
      time += ms;
    };
    return { alerts, sent, said, pass, setClock };
  };

  it("says once that it begins and once that it ends", () => {
    const { alerts, sent, said, pass } = told();
    alerts.set("a", "drift", null);
    alerts.set("a", "drift", "it moved");
    pass(10);
    alerts.set("a", "drift", "it moved on");
    expect(alerts.open("a").map(({ text }) => text)).toEqual(["it moved"]);
    pass(10);
    alerts.set("a", "drift", null);
    alerts.set("a", "drift", null);
    expect(said()).toEqual(["a drift raised", "a drift resolved"]);
    expect(sent[1]).toMatchObject({ text: "it moved", since: sent[0]!.time });
    expect(sent[1]!.time).not.toBe(sent[0]!.time);
    expect(alerts.open("a")).toEqual([]);
  });

  it("is quiet for its time, kind by kind and gallery by gallery, and then says what still is", () => {
    const { alerts, said, pass } = told();
    alerts.set("a", "drift", "x");
    alerts.set("a", "drift", null);
    pass(999);
    alerts.set("a", "drift", "x");
    alerts.set("a", "quality", "y");
    alerts.set("b", "drift", "z");
    expect(said()).toEqual(["a drift raised", "a drift resolved", "a quality raised", "b drift raised"]);
    pass(1);
    alerts.set("a", "drift", "x");
    expect(said().at(-1)).toBe("a drift raised");
    alerts.forget("a");
    expect(said().slice(-2)).toEqual(["a drift resolved", "a quality resolved"]);
    expect(alerts.open("b").length).toBe(1);
  });

  it("is neither quieter nor louder where the clock is set", () => {
    const { alerts, said, pass, setClock } = told();
    alerts.set("a", "drift", "x");
    alerts.set("a", "drift", null);
    setClock(3_600_000);
    alerts.set("a", "drift", "x");
    expect(said()).toEqual(["a drift raised", "a drift resolved"]);
    setClock(-7_200_000);
    pass(1000);
    alerts.set("a", "drift", "x");
    expect(said()).toEqual(["a drift raised", "a drift resolved", "a drift raised"]);
  });

  it("what a sink refuses is lost and does not hold up what follows", async () => {
    const got: string[] = [];
    const courier = createCourier(
      {
        name: "picky",
        write: async ({ id }) => {
          if (id === alert(1).id) throw new Refused("no");
          got.push(id);
        },
        check: async () => "",
        close: async () => undefined,
      },
      { report: () => undefined },
    );
    courier.send(alert(1));
    courier.send(alert(2));
    await courier.close();
    expect([got, courier.lost]).toEqual([[alert(2).id], 1]);
  });
});
