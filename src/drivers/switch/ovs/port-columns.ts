import { parseVlanId, type VlanId } from '../../../../plugin-api/index.ts';

/** The columns of a row of the table `Port` that decide about VLANs. */
export interface PortColumns {
  readonly vlanMode: string | null;
  readonly tag: number | null;
  readonly trunks: readonly number[];
}

/** What the columns mean. */
export interface Membership {
  readonly native: VlanId | null;
  /** Ascending. */
  readonly tagged: readonly VlanId[];
  /** The port carries every VLAN, as one does for which nothing was said. */
  readonly everything: boolean;
  /** Why the columns cannot be said in these terms, or null. */
  readonly odd: string | null;
}

/**
 * The one VLAN of a port that is in none: an empty `trunks` would mean all VLANs. Id 4095 is reserved in 802.1Q and no VLAN of
 * anybody. It does carry frames between two such ports, so it is no substitute for shutting a port.
 */
const nowhere = 4095;

/** ovs-vswitchd.conf.db(5), table Port, "VLAN Configuration". */
export function membershipOf({ vlanMode, tag, trunks }: PortColumns): Membership {
  const mode = vlanMode ?? (tag === null ? 'trunk' : 'access');
  const native = mode === 'trunk' ? null : vlanOf(tag);
  const everything = mode !== 'access' && trunks.length === 0;
  const tagged =
    mode === 'access' ? [] : trunks.map(vlanOf).filter((vlan) => vlan !== null && vlan !== native);
  return {
    native,
    tagged: (tagged as VlanId[]).sort((a, b) => a - b),
    everything,
    odd: oddity(mode, tag, trunks, native, everything),
  };
}

/** The strictest columns that mean this: an access port drops every frame that has a tag. */
export function columnsOf(native: VlanId | null, tagged: readonly VlanId[]): PortColumns {
  if (native === null)
    return { vlanMode: 'trunk', tag: null, trunks: tagged.length > 0 ? tagged : [nowhere] };
  if (tagged.length === 0) return { vlanMode: 'access', tag: native, trunks: [] };
  return {
    vlanMode: 'native-untagged',
    tag: native,
    trunks: [native, ...tagged].sort((a, b) => a - b),
  };
}

function oddity(
  mode: string,
  tag: number | null,
  trunks: readonly number[],
  native: VlanId | null,
  everything: boolean,
): string | null {
  if (!['access', 'trunk', 'native-untagged'].includes(mode)) return `its vlan_mode is ${mode}`;
  // Untagged frames are then in "VLAN 0", which such ports share.
  if (mode === 'trunk' && trunks.includes(0))
    return 'it carries untagged frames outside of any VLAN (trunks has 0)';
  if (mode !== 'trunk' && native === null)
    return `its vlan_mode is ${mode}, with the tag ${tag ?? 'missing'}`;
  if (everything && native !== null) return `it carries every VLAN (vlan_mode is ${mode}, without trunks)`;
  return null;
}

function vlanOf(id: number | null): VlanId | null {
  return id === null || id < 1 || id >= nowhere ? null : parseVlanId(id);
}
