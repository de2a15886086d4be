import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { openAuditLog } from "../src/audit/index.ts";
import { createAdmission } from "../src/serving/index.ts";
import { newFolder } from "./cli-help.ts";
import { enrollColors, picture, recognize, red, type TestServer, testServer } from "./server-help.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(`${root}/${path}`, "utf8");
const guide = read("docs/operations.md");

let folder: string;
let server: TestServer;
/** Names of all series that the server exports, with the suffixes of histograms. */
let exported: Set<string>;
let routes: Set<string>;

beforeAll(async () => {
  folder = await newFolder();
  const audit = await openAuditLog({ file: `${folder}/audit.jsonl` });
  server = await testServer({ audit, admission: createAdmission() });
  server.app.addHook("onClose", () => audit.close());
  const urls: string[] = [];
  server.app.addHook("onRoute", ({ url }) => {
    urls.push(url);
  });
  await enrollColors(server.app);
  await recognize(server.app, await picture(red, 9));
  const { payload } = await server.app.inject({ url: "/metrics" });
  exported = new Set(
    [...payload.matchAll(/^# TYPE (\S+) (\w+)$/gm)].flatMap(([, name, type]) =>
      type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name!],
    ),
  );
  routes = new Set(urls);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Names of series in an expression: what stands before a selector or where a name may stand alone. */
const seriesIn = (expression: string): string[] => [
  ...new Set(
    [
      ...expression
        .replace(/"[^"]*"/g, '""')
        .matchAll(/\b(?:protoline|nodejs|process)_\w+\b|\bup\b(?=[{ =])/g),
    ].map(([name]) => name),
  ),
];

interface Board {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }[];
  readonly templating: { readonly list: readonly { readonly definition: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly labels: { readonly severity: string };
      readonly annotations: { readonly summary: string };
    }[];
  }[];
}

describe("figures", () => {
  it("of the board are all exported by the server", () => {
    const board = JSON.parse(read("deploy/grafana/protoline.json")) as Board;
    const expressions = [
      ...board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
      ...board.templating.list.map(({ definition }) => definition),
      ...board.annotations.list.map(({ expr }) => expr),
    ];
    const used = new Set(expressions.flatMap(seriesIn));
    expect(used.size).toBeGreaterThan(10);
    expect([...used].filter((name) => name !== "up" && !exported.has(name))).toEqual([]);
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    for (const [i, { gridPos: a, title }] of board.panels.entries())
      for (const { gridPos: b } of board.panels.slice(i + 1))
        expect(
          a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y,
          `${title} lies over another`,
        ).toBe(true);
  });

  it("of the alarms are all exported, and each alarm has its place in the runbook", () => {
    const { groups } = parse(read("deploy/prometheus/alerts.yml")) as Rules;
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    for (const { alert, expr, labels, annotations } of rules) {
      const used = seriesIn(expr);
      expect(used, alert).not.toEqual([]);
      expect(
        used.filter((name) => name !== "up" && !exported.has(name)),
        alert,
      ).toEqual([]);
      expect(["page", "ticket"], alert).toContain(labels.severity);
      expect(annotations.summary, alert).not.toBe("");
      expect(guide, alert).toMatch(new RegExp(`^### ${alert}$`, "m"));
    }
    const told = [...guide.matchAll(/^### (Protoline\w+)$/gm)].map(([, name]) => name);
    expect(told.sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  it("of the server's own are all told in docs/operations.md, and no others", () => {
    const own = [...exported]
      .filter((name) => name.startsWith("protoline_"))
      .map((name) => name.replace(/_(bucket|sum|count)$/, ""));
    const told = [...guide.matchAll(/^\| `(protoline_\w+)` \|/gm)].map(([, name]) => name!);
    expect(told.sort()).toEqual([...new Set(own)].sort());
  });

  it("of routes name routes that there are", () => {
    const text = read("deploy/prometheus/alerts.yml") + read("deploy/grafana/protoline.json");
    const named = [...text.matchAll(/route=\\?"([^"\\]+)/g)].map(([, route]) => route!);
    expect(named.length).toBeGreaterThan(1);
    for (const route of named) expect(routes).toContain(route);
  });
});

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly selector?: Readonly<Record<string, string>> & {
      readonly matchLabels?: Readonly<Record<string, string>>;
    };
    readonly serviceName?: string;
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number };
        readonly containers: readonly Container[];
      };
    };
  };
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Container {
  readonly args: readonly string[];
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly ports: readonly { readonly name: string }[];
  readonly startupProbe: Probe;
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
}

describe("Kubernetes", () => {
  const manifests = readdirSync(`${root}/deploy/kubernetes`).flatMap((file) =>
    parseAllDocuments(read(`deploy/kubernetes/${file}`)).map((document) => {
      expect(document.errors, file).toEqual([]);
      return document.toJS() as Manifest;
    }),
  );
  const of = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);

  it("has what a server needs to be kept up, and every selector finds the pods", () => {
    expect(manifests.map(({ kind }) => kind).sort()).toEqual([
      ...["ConfigMap", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service", "Service"],
      ...["ServiceAccount", "StatefulSet"],
    ]);
    const [set] = of("StatefulSet");
    const { labels } = set!.spec.template!.metadata;
    for (const { spec, metadata } of [...of("Service"), ...of("PodDisruptionBudget"), set!]) {
      const wanted = spec.selector?.matchLabels ?? spec.selector!;
      expect(labels, metadata.name).toMatchObject(wanted);
    }
    expect(of("Service").map(({ metadata }) => metadata.name)).toContain(set!.spec.serviceName);
    expect(of("HorizontalPodAutoscaler")[0]!.spec.scaleTargetRef).toMatchObject({
      kind: "StatefulSet",
      name: set!.metadata.name,
    });
  });

  it("probes routes that there are, asks for resources, and runs without rights", () => {
    const { spec } = of("StatefulSet")[0]!.spec.template!;
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    const container = spec.containers[0]!;
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"] as const) {
      expect(routes).toContain(container[probe].httpGet.path);
      expect(container.ports.map(({ name }) => name)).toContain(container[probe].httpGet.port);
    }
    expect(container.livenessProbe.httpGet.path).toBe("/livez");
    expect(container.resources).toMatchObject({ requests: { cpu: "2" }, limits: { memory: "4Gi" } });
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    // The pause before SIGTERM and the time for what runs fit into the time until SIGKILL.
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(5 + 10);
  });
});

interface Service {
  readonly image?: string;
  readonly user?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, object>>;
}

describe("compose", () => {
  const { services, volumes } = parse(read("deploy/compose.yaml"), { merge: true }) as {
    services: Readonly<Record<string, Service>>;
    volumes: Readonly<Record<string, null>>;
  };

  it("names services, volumes and files that there are, and opens ports to this machine alone", () => {
    expect(Object.keys(services).sort()).toEqual(
      ["grafana", "keys", "postgres", "prometheus", "protoline", "redis"].sort(),
    );
    for (const [name, { depends_on = [], volumes: mounts = [], ports = [] }] of Object.entries(services)) {
      const needed = Array.isArray(depends_on) ? depends_on : Object.keys(depends_on);
      for (const other of needed) expect(services, name).toHaveProperty(other);
      for (const mount of mounts) {
        const [from] = mount.split(":") as [string];
        if (from.startsWith(".")) expect(existsSync(`${root}/deploy/${from}`), mount).toBe(true);
        else expect(Object.keys(volumes), mount).toContain(from);
      }
      for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/);
    }
  });

  it("holds no password, and pins every image that is not built here", () => {
    const text = read("deploy/compose.yaml");
    for (const [, value] of text.matchAll(/PASSWORD: (.*)/g)) expect(value).toMatch(/^\$\{\w+:\?/);
    for (const { image } of Object.values(services))
      if (image !== "protoline") expect(image).toMatch(/:[\w.-]+$/);
  });
});

describe("the image", () => {
  const file = read("deploy/Dockerfile");
  const ignored = read(".dockerignore");

  it("runs as a user that is not root, and as a process that gets its signals", () => {
    expect(file.match(/^USER (.*)$/m)?.[1]).toBe("1000:1000");
    expect(file.lastIndexOf("\nUSER ")).toBeGreaterThan(file.lastIndexOf("\nFROM "));
    expect(file).toMatch(/^ENTRYPOINT \["node", /m);
    expect(file.match(/^FROM /gm)).toHaveLength(3);
  });

  it("is built from what is named, all of which is there", () => {
    expect(ignored).toMatch(/^\*$/m);
    const let_in = [...ignored.matchAll(/^!(.+)$/gm)].map(([, name]) => name!);
    for (const name of let_in) expect(existsSync(`${root}/${name}`), name).toBe(true);
    const copied = [...file.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
      names!.split(" "),
    );
    for (const name of copied.filter((one) => one !== ".")) expect(let_in).toContain(name);
    const steps = read("scripts/image-steps.sh");
    for (const name of let_in) expect(steps, name).toContain(` ${name}`);
  });
});
