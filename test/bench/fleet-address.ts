/** Addresses of a fleet on loopback, where port 623 of each is free: 250 in each of 127.1.0.x, 127.1.1.x, ... */
const perNetwork = 250;

export function fleetAddress(index: number): string {
  return `127.1.${Math.floor(index / perNetwork)}.${(index % perNetwork) + 1}`;
}

/** The same in FreeIPMI's host range notation. */
export function fleetRange(count: number): string {
  const networks = Math.ceil(count / perNetwork);
  return Array.from({ length: networks }, (_, i) => {
    const last = Math.min(perNetwork, count - i * perNetwork);
    return `127.1.${i}.[1-${last}]`;
  }).join(',');
}
