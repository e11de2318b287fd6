import type { RangeGrammar } from './os9-port-name.ts';

/** Every behaviour of OS9 that no manual or recording settles, or that differs by release. Tests run each value. */
export interface Os9Knobs {
  /** `untagged` on a port that is untagged in another VLAN than the default one. Public drivers disagree. */
  readonly untaggedMove: 'refuse' | 'auto-move';
  /** `untagged` where the port is tagged in the same VLAN, or the other way round. */
  readonly sameVlan: 'refuse' | 'replace';
  /** `no tagged` or `no untagged` for a port that is no such member. */
  readonly removeAbsent: 'refuse' | 'ignore';
  /** `untagged` and `no untagged` in the default VLAN, where membership is implicit. */
  readonly defaultVlanEdit: 'refuse' | 'ignore';
  /** `no interface vlan N` while ports are members; when allowed they fall back to the default VLAN. */
  readonly deleteOccupiedVlan: 'allow' | 'refuse';
  /** Native VLAN of a hybrid port that is tagged somewhere and untagged nowhere. */
  readonly taggedHybrid: 'default' | 'none';
  /** What `shutdown` of a VLAN stops. The manuals say: routing only. */
  readonly vlanShutdown: 'routing' | 'forwarding';
  /** Whether a new VLAN starts without shutdown. */
  readonly newVlan: 'shutdown' | 'no shutdown';
  /** A port list of which one port is refused: the ports before it stay done, or nothing is done. */
  readonly refusedList: 'partial' | 'atomic';
  /** Whether `tagged` and `untagged` take a list of ports, as the manuals and Dell's os9_vlan role have it. */
  readonly listsTaken: boolean;
  /** `interface ...` within the sub-mode of another one, as Dell's roles send it; or from configuration mode only. */
  readonly subModes: 'follow each other' | 'through configuration mode';
  readonly rangeGrammar: RangeGrammar;
  /** Long port lists in `show vlan`: broken into lines of at most 80 columns, or left on one line. */
  readonly portLists: 'wrapped' | 'one line';
  /** Which members of a VLAN `show vlan` lists first. Recordings (ntc-templates) have the tagged ones first. */
  readonly memberOrder: 'tagged first' | 'untagged first';
  /** `(conf-if-te-1/1)`, or `(conf-if)` on older firmware. */
  readonly portPrompt: 'named' | 'plain';
  /** Last character of the EXEC prompt; the S60 era shows `$`. */
  readonly execMark: '>' | '$';
  /** Some builds fall back to EXEC mode on `end`. */
  readonly endKeepsPrivilege: boolean;
  /** How a refusal begins. */
  readonly errorPrefix: '% Error: ' | '%Error: ' | 'Error : ';
  /** `show interfaces switchport` for a port that is not in layer 2 mode. */
  readonly switchportOfOthers: 'error' | 'nothing';
  /** Whether `terminal width` exists. */
  readonly terminalWidth: boolean;
  readonly pager: string;
  readonly firmware: string;
  readonly systemType: string;
}

export const defaultKnobs: Os9Knobs = {
  untaggedMove: 'refuse',
  sameVlan: 'refuse',
  removeAbsent: 'refuse',
  defaultVlanEdit: 'refuse',
  deleteOccupiedVlan: 'allow',
  taggedHybrid: 'default',
  vlanShutdown: 'routing',
  newVlan: 'shutdown',
  refusedList: 'partial',
  listsTaken: true,
  subModes: 'follow each other',
  rangeGrammar: 'new',
  portLists: 'wrapped',
  memberOrder: 'tagged first',
  portPrompt: 'named',
  execMark: '>',
  endKeepsPrivilege: true,
  errorPrefix: '% Error: ',
  switchportOfOthers: 'error',
  terminalWidth: false,
  pager: '--More--',
  firmware: '9.14(2.12)',
  systemType: 'S4048-ON',
};
