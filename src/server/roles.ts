import type { ApiScope } from "../store/store.ts";

/** Who may do what, from least to most; each role includes those before it. */
export const roles = ["viewer", "operator", "engineer", "admin"] as const;
export type Role = (typeof roles)[number];

/**
 * The one table of rights. A route names the scope that it needs, a key or a person holds scopes; a role is a name for
 * the scopes of one kind of work. `read`: galleries, classes, samples, history, figures. `recognize`: frames, and
 * feedback on their answers. `enroll`: pictures of a class, and publishing them. `edit`: galleries and classes as a
 * whole, the decision, roll back, promote. `admin`: keys, removal of galleries, configuration, and all of the others.
 */
export const scopesOf: Readonly<Record<Role, readonly ApiScope[]>> = {
  viewer: ["read"],
  operator: ["read", "recognize"],
  engineer: ["read", "recognize", "enroll", "edit"],
  admin: ["read", "recognize", "enroll", "edit", "admin"],
};

/** The least role that a route of this scope needs. */
export function roleFor(scope: ApiScope): Role {
  return roles.find((role) => scopesOf[role].includes(scope))!;
}

/** The highest role among `names`; `null` where none is one. Letter case does not count. */
export function highestRole(names: readonly string[]): Role | null {
  const given = names.map((name) => name.toLowerCase());
  return roles.findLast((role) => given.includes(role)) ?? null;
}
