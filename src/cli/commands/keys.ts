import { type Command, InvalidArgumentError, Option } from "commander";
import { ProtolineError, quote } from "../../core/index.ts";
import type { Role } from "../../server/index.ts";
import type { ApiScope } from "../../store/index.ts";
import { action, examples } from "../context.ts";
import { withStore } from "../resources.ts";
import { oneLine, table, timeText } from "../text.ts";

const scopeNames = ["recognize", "read", "enroll", "edit", "admin"] as const satisfies readonly ApiScope[];
const roleNames = ["viewer", "operator", "engineer", "admin"] as const satisfies readonly Role[];

function parseScopes(text: string): ApiScope[] {
  return text.split(",").map((part) => {
    const scope = scopeNames.find((name) => name === part.trim());
    if (!scope) throw new InvalidArgumentError(`Scopes are ${scopeNames.join(", ")}, joined by commas.`);
    return scope;
  });
}

export function keys(program: Command): void {
  const group = program
    .command("keys")
    .description("API keys of the server; while there is none, it listens on this machine alone");

  group
    .command("create")
    .description("make a key and show it once; the store keeps its hash alone")
    .argument("<name>", "who will use it; changes are recorded under this name")
    .option("--scopes <list>", `what it allows: ${scopeNames.join(", ")}`, parseScopes, ["recognize"])
    .addOption(
      new Option("--role <role>", "the scopes of a role; each includes those before it")
        .choices(roleNames)
        .conflicts("scopes"),
    )
    .addHelpText(
      "after",
      examples(
        ["protoline keys create camera-3", "may recognize"],
        ["protoline keys create office --scopes read,enroll", "may look and enroll"],
        ["protoline keys create zhang --role engineer", "may recognize, enroll, edit, tune and roll back"],
      ),
    )
    .action(
      action<[string], { scopes: ApiScope[]; role?: Role }>((context, [name], { scopes, role }) =>
        withStore(context, "create", async (store) => {
          const { createApiKey, scopesOf } = await import("../../server/index.ts");
          const { key, record } = createApiKey({ name, scopes: role ? scopesOf[role] : scopes });
          await store.putApiKey(record);
          const { hash: _, ...shown } = record;
          if (context.json) context.print(JSON.stringify({ key, ...shown }));
          else {
            context.print(key);
            context.note(
              `key ${record.id} of ${quote(name)} allows ${record.scopes.join(", ")}; it is shown this once`,
            );
          }
        }),
      ),
    );

  group
    .command("list")
    .description("the keys, without themselves")
    .action(
      action((context) =>
        withStore(context, "existing", async (store) => {
          const records = await store.apiKeys();
          if (context.json)
            return context.print(JSON.stringify(records.map(({ hash: _, ...shown }) => shown)));
          context.print(
            table(
              ["id", "name", "scopes", "created (UTC)"],
              records.map(({ id, name, scopes, created }) => [
                id,
                oneLine(name),
                scopes.join(", "),
                timeText(created),
              ]),
              context.paint,
            ),
          );
        }),
      ),
    );

  group
    .command("revoke")
    .description("remove a key; a running server forgets it within a second")
    .argument("<id>", "its id; see keys list")
    .action(
      action<[string], object>((context, [id]) =>
        withStore(context, "existing", async (store) => {
          if (!(await store.removeApiKey(id)))
            throw new ProtolineError("KEY_NOT_FOUND", {
              expected: "the id of a key of this store",
              got: quote(id),
              todo: "List the keys with protoline keys list.",
            });
          if (context.json) context.print(JSON.stringify({ id, revoked: true }));
          else context.print(`key ${quote(id)} is revoked`);
        }),
      ),
    );
}
