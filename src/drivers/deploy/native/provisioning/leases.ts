import { readFile } from 'node:fs/promises';
import { CodedError, parseMac, type Mac } from '../../../../../plugin-api/index.ts';

/** An address that a machine has on the provisioning network. */
export interface Lease {
  readonly mac: Mac;
  readonly address: string;
  /** As the machine calls itself; null = it did not say. */
  readonly name: string | null;
  /** Epoch milliseconds; null = never. */
  readonly expiresAt: number | null;
}

/** The leases that hold at `now` (epoch milliseconds); none when there is no file yet. */
export async function readLeases(file: string, now: number): Promise<readonly Lease[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return parseLeases(text).filter(({ expiresAt }) => expiresAt === null || expiresAt > now);
}

/**
 * Reads dnsmasq's lease file (lease.c): lines of expiry in epoch seconds (0 = never), MAC, address, name or `*`, client id or
 * `*`. Other lines, as those of other hardware and of DHCPv6, are left out.
 */
export function parseLeases(text: string): readonly Lease[] {
  return text.split('\n').flatMap((line) => {
    const [expiry = '', mac = '', address = '', name = '*', id] = line.trim().split(' ');
    if (id === undefined || !/^\d+$/.test(expiry) || !/^\d+(\.\d+){3}$/.test(address)) return [];
    try {
      const seconds = Number(expiry);
      return [
        {
          mac: parseMac(mac),
          address,
          name: name === '*' ? null : name,
          expiresAt: seconds === 0 ? null : seconds * 1_000,
        },
      ];
    } catch (error) {
      if (error instanceof CodedError) return [];
      throw error;
    }
  });
}
