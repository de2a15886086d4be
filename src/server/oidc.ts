import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { ProtolineError, quote } from "../core/index.ts";
import type { Caller } from "./caller.ts";
import { isLoopbackName } from "./loopback.ts";
import { highestRole, roles, scopesOf } from "./roles.ts";

/** Tokens of an OpenID Connect issuer, beside API keys. Known at start alone: no request names an issuer or an address. */
export interface OidcOptions {
  /** As in the tokens' `iss`, such as `https://login.example.com/realms/plant`. HTTPS, or this machine. */
  readonly issuer: string;
  /** What tokens for this server have in `aud`. */
  readonly audience: string;
  /** Where the issuer's public keys are. Default: what `issuer/.well-known/openid-configuration` names. */
  readonly jwks?: string;
  /** Claim that holds the role, or a list with it; dots lead inside, as `realm_access.roles`. Default `role`. */
  readonly roleClaim?: string;
  /** Seconds by which clocks may differ. Default 30. */
  readonly toleranceS?: number;
  /** Seconds that keys are kept before they are read again. Default 600. */
  readonly keysS?: number;
  /** Seconds between two readings for the sake of an unknown key id. Default 30. */
  readonly cooldownS?: number;
}

/**
 * Public-key algorithms alone. Without `none` a token must be signed, and without HMAC the issuer's public key cannot
 * be abused as a shared secret (RFC 8725, sections 2.1 and 3.1).
 */
export const tokenAlgorithms = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
] as const;

/** Who a token speaks for. Throws TOKEN_INVALID, ISSUER_UNAVAILABLE. */
export type TokenVerifier = (token: string) => Promise<Caller>;

/** Three parts of base64url: no API key looks like that. */
export const looksLikeToken = (text: string): boolean => /^[\w-]+\.[\w-]*\.[\w-]*$/.test(text);

function address(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackName(url.hostname));
  if (!url || !safe || url.username || url.password || url.hash)
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: `an address that begins with https:// as the ${what}`,
      got: quote(text, 200),
      todo: "Correct it; plain http is taken for this machine alone, as anyone between could swap the keys.",
    });
  return url;
}

const unavailable = (issuer: string, cause: unknown): ProtolineError =>
  new ProtolineError("ISSUER_UNAVAILABLE", {
    expected: `the public keys of ${quote(issuer, 200)}`,
    got: quote(cause instanceof Error ? cause.message : String(cause), 200),
    todo: "Try again in a moment; API keys work meanwhile.",
    cause,
  });

const invalid = (got: string, cause?: unknown): ProtolineError =>
  new ProtolineError("TOKEN_INVALID", {
    expected: "a token of the server's issuer, for this server, signed and in its time",
    got,
    todo: "Sign in again, or send an API key.",
    cause,
  });

/** Why jose refused a token, without anything of the token that is secret. */
function refusal(error: unknown, issuer: string): ProtolineError {
  if (error instanceof errors.JWTExpired) return invalid("one that has expired", error);
  if (error instanceof errors.JWTClaimValidationFailed)
    return invalid(
      error.claim === "nbf"
        ? "one that is not valid yet"
        : `one with a claim ${quote(error.claim)} that is missing or another`,
      error,
    );
  if (error instanceof errors.JOSEAlgNotAllowed)
    return invalid("one with an algorithm that is not allowed", error);
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return invalid("one whose signature is wrong", error);
  if (error instanceof errors.JWKSNoMatchingKey)
    return invalid("one that is signed by a key that the issuer does not name", error);
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid)
    return unavailable(issuer, error);
  // What is wrong with the token has a class of its own; the plain class is jose's for an answer that is not 200.
  if (error instanceof errors.JOSEError && error.code !== "ERR_JOSE_GENERIC")
    return invalid("one that is malformed", error);
  return unavailable(issuer, error);
}

function rolesIn(payload: JWTPayload, claim: string): readonly string[] {
  // A claim may have dots in its very name, as those of some issuers that are addresses.
  const direct: unknown = payload[claim];
  const value =
    direct ??
    claim
      .split(".")
      .reduce<unknown>(
        (inner, key) =>
          typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
            ? (inner as Record<string, unknown>)[key]
            : undefined,
        payload,
      );
  return [value].flat().filter((name) => typeof name === "string");
}

/**
 * Tokens are verified by the issuer's public keys, which are read when the first token comes, kept, and read again when
 * a token names a key that is not among them. A person without a role that is known here may do nothing.
 *
 * @throws INVALID_ARGUMENT for an issuer that is no address of HTTPS, an empty audience, a claim or seconds that are none.
 */
export function createTokenVerifier(options: OidcOptions): TokenVerifier {
  const { issuer, audience, roleClaim = "role", toleranceS = 30, keysS = 600, cooldownS = 30 } = options;
  address(issuer, "issuer");
  const given = options.jwks === undefined ? null : address(options.jwks, "address of the issuer's keys");
  if (audience === "" || roleClaim === "" || ![toleranceS, keysS, cooldownS].every((it) => it >= 0))
    throw new ProtolineError("INVALID_ARGUMENT", {
      expected: "an audience and a role claim with at least one character each, and seconds of at least 0",
      got: JSON.stringify({ audience, roleClaim, toleranceS, keysS, cooldownS }),
      todo: "Name the audience that the issuer gives tokens for this server.",
    });

  const discover = async (): Promise<URL> => {
    if (given) return given;
    const reply = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
      redirect: "error",
      signal: AbortSignal.timeout(5000),
    });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    const found = (await reply.json()) as { issuer?: unknown; jwks_uri?: unknown };
    // OpenID Connect Discovery 1.0, section 4.3: they must be the same, or another issuer speaks for this one.
    if (found.issuer !== issuer) throw new Error("its configuration names another issuer");
    return address(String(found.jwks_uri), "jwks_uri of the issuer");
  };
  let keys: Promise<JWTVerifyGetKey> | null = null;
  let [failure, failedAt] = [null as ProtolineError | null, Number.NEGATIVE_INFINITY];
  const open = (): Promise<JWTVerifyGetKey> => {
    // An issuer that is down is not asked again for each of many tokens, which need not even be real.
    if (failure && performance.now() - failedAt < cooldownS * 1000) return Promise.reject(failure);
    keys ??= discover().then(
      (url) =>
        createRemoteJWKSet(url, {
          cacheMaxAge: keysS * 1000,
          cooldownDuration: cooldownS * 1000,
          timeoutDuration: 5000,
        }),
      (error: unknown) => {
        keys = null;
        failure = unavailable(issuer, error);
        failedAt = performance.now();
        throw failure;
      },
    );
    return keys;
  };

  return async (token) => {
    const getKey = await open();
    const { payload } = await jwtVerify(token, getKey, {
      issuer,
      audience,
      algorithms: [...tokenAlgorithms],
      clockTolerance: toleranceS,
      requiredClaims: ["exp", "sub"],
    }).catch((error: unknown) => {
      throw refusal(error, issuer);
    });
    const role = highestRole(rolesIn(payload, roleClaim));
    const { sub = "", preferred_username, email } = payload as JWTPayload & Record<string, unknown>;
    const name = [preferred_username, email, sub].find((it) => typeof it === "string" && it !== "") as string;
    return {
      kind: "person",
      id: sub,
      name: name.replace(/\p{C}/gu, "?").slice(0, 64),
      scopes: role === null ? [] : scopesOf[role],
      holder:
        role === null
          ? `${quote(name, 64)}, whose claim ${quote(roleClaim)} names none of the roles ${roles.join(", ")}`
          : `${quote(name, 64)} with the role ${role}`,
    };
  };
}
