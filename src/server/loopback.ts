/** `127.0.0.0/8` and `::1`, also as IPv6 writes the former. */
export function isLoopbackAddress(address: string): boolean {
  return /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address) || address === "::1";
}

/** A name that can mean this machine alone: `localhost` or a loopback address, `[::1]` in brackets or not. */
export function isLoopbackName(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, "$1");
  return name.toLowerCase() === "localhost" || isLoopbackAddress(name);
}
