import type { Tag } from './frame.ts';
import { describePlace, type FabricSwitch, type Link, type Place, type PortMembership } from './topology.ts';

/** A port that a flooded frame leaves by, towards an endpoint. */
export interface Arrival {
  readonly place: Place;
  readonly tag: Tag;
  /** Hops from the sender, for people. */
  readonly path: readonly string[];
}

export interface Flood {
  readonly arrivals: readonly Arrival[];
  /** Why the frame went no further, at each port that did not take it. */
  readonly drops: readonly string[];
}

/** The VLAN that a frame belongs to once inside, or why the port does not take it. */
function ingress(port: PortMembership | null, tag: Tag): { vlan: number } | { drop: string } {
  if (!port) return { drop: 'no such port' };
  if (!port.up) return { drop: 'port is shut' };
  if (tag === null)
    return port.native === null ? { drop: 'untagged frames have no VLAN here' } : { vlan: port.native };
  return port.tagged.includes(tag) ? { vlan: tag } : { drop: `not a tagged member of VLAN ${tag}` };
}

/** The tag with which a VLAN leaves by a port, or why it does not. */
function egress(port: PortMembership | null, vlan: number): { tag: Tag } | { drop: string } {
  if (!port) return { drop: 'no such port' };
  if (!port.up) return { drop: 'port is shut' };
  if (port.native === vlan) return { tag: null };
  return port.tagged.includes(vlan) ? { tag: vlan } : { drop: `not a member of VLAN ${vlan}` };
}

/**
 * Where a frame that enters at `from` with `tag` comes out, by the switches' own state and nothing else. Each port is
 * entered at most once for each VLAN, so a loop of links floods but ends (no spanning tree in the lab).
 * @param ends the ports that endpoints are cabled to.
 */
export function flood(
  switches: ReadonlyMap<string, FabricSwitch>,
  links: readonly Link[],
  ends: readonly Place[],
  from: Place,
  tag: Tag,
): Flood {
  const arrivals: Arrival[] = [];
  const drops: string[] = [];
  const entered = new Set<string>();
  const queue: { place: Place; tag: Tag; path: readonly string[] }[] = [{ place: from, tag, path: [] }];
  for (let next = queue.shift(); next; next = queue.shift()) {
    const { place } = next;
    const device = switches.get(place.switch);
    const into = ingress(device?.membership(place.port) ?? null, next.tag);
    if (!device || 'drop' in into) {
      drops.push(`${describePlace(place)}: ${'drop' in into ? into.drop : 'no such switch'}`);
      continue;
    }
    const visit = `${describePlace(place)} ${into.vlan}`;
    if (entered.has(visit)) continue;
    entered.add(visit);
    const path = [...next.path, `${describePlace(place)} into VLAN ${into.vlan}`];
    const leave = (port: string, arrive: (tag: Tag, path: readonly string[]) => void): void => {
      if (port === place.port) return;
      const out = egress(device.membership(port), into.vlan);
      const here = `${device.name} ${port}`;
      if ('drop' in out) drops.push(`${here}: ${out.drop}`);
      else arrive(out.tag, [...path, `${here} out ${out.tag === null ? 'untagged' : `tagged ${out.tag}`}`]);
    };
    for (const link of links) {
      for (const [near, far] of [
        [link.a, link.b],
        [link.b, link.a],
      ] as const) {
        if (near.switch === device.name)
          leave(near.port, (outTag, outPath) => queue.push({ place: far, tag: outTag, path: outPath }));
      }
    }
    for (const end of ends) {
      if (end.switch === device.name)
        leave(end.port, (outTag, outPath) => arrivals.push({ place: end, tag: outTag, path: outPath }));
    }
  }
  return { arrivals, drops };
}
