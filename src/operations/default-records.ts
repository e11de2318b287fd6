import type { RecordKind } from '../core/storage/stored-record.ts';
import type { Tx } from '../core/storage/storage.ts';
import { newSystemId } from '../kernel/ids/ids.ts';

/** The zone of machines about which nobody said anything. */
export const defaultZone = 'default';

/** The domain of machines about which nobody said anything. */
export const defaultDomain = 'maas';

/**
 * Makes what MAAS clients take for granted, where it is missing: the default zone and domain, and this service as the one rack controller,
 * whose system id (in the record's body) stays the same for good.
 */
export async function ensureDefaultRecords(tx: Tx): Promise<void> {
  const named = async (kind: RecordKind, name: string, body: Readonly<Record<string, string | boolean>>) => {
    const missing = (await tx.records.list(kind)).length === 0;
    if (missing) await tx.records.insert({ kind, name, owner: null, body });
  };
  await named('zone', defaultZone, { name: defaultZone, description: '' });
  await named('domain', defaultDomain, { name: defaultDomain, authoritative: true, is_default: true });
  if ((await tx.records.list('rack-controller')).length > 0) return;
  const body = { system_id: newSystemId() };
  await tx.records.insert({ kind: 'rack-controller', name: null, owner: null, body });
}
