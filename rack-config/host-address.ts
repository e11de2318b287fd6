const ipv4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;
const leadingZero = /(^|\.)0\d/;
const hostName = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/;

/** The one spelling of an IPv4 or IPv6 address or host name, so that two spellings are known as one; null when it is none. */
export function hostAddress(text: string): string | null {
  const lower = text.trim().toLowerCase();
  if (lower.includes(':')) {
    const url = URL.canParse(`http://[${lower}]`) ? new URL(`http://[${lower}]`) : null;
    return url && url.pathname === '/' ? url.hostname.slice(1, -1) : null;
  }
  // Digits and dots are meant as an address; a leading zero would be octal to some readers and decimal to others.
  if (/^[\d.]+$/.test(lower)) return ipv4.test(lower) && !leadingZero.test(lower) ? lower : null;
  return hostName.test(lower) ? lower : null;
}

/** The path of a Unix domain socket as it is; null unless it is absolute and fits into an address (107 bytes, unix(7)). */
export function socketPath(text: string): string | null {
  const path = text.trim();
  return path.startsWith('/') && !path.endsWith('/') && path.length <= 107 ? path : null;
}
