import type { z } from 'zod';
import {
  CodedError,
  parseMac,
  parseSecretReference,
  parseVlanId,
  type Mac,
  type PortId,
  type SwitchType,
  type VlanId,
} from '../plugin-api/index.ts';
import { hostAddress, socketPath } from './host-address.ts';
import { readJson, type JsonPath } from './json-reader.ts';
import { RackConfigError } from './rack-config-error.ts';
import type { RackConfig, RackServer, RackSwitch, Wire } from './rack-config.ts';
import {
  hostSchema,
  l2SwitchSchema,
  rackDocumentSchema,
  serverSchema,
  type Host,
  type L2Switch,
  type Park,
  type Provisioning,
} from './rack-document.ts';
import { nearMiss, Review } from './review.ts';

/**
 * Reads CloudStack's rack JSON with our optional keys.
 * @param text the file; at most 10 MB
 * @param switchTypes the known switch types by the value of `l2Switch.type`
 * @throws RackConfigError with everything that is wrong (5000 at most), each with line, path and remedy
 */
export function parseRackConfig(text: string, switchTypes: ReadonlyMap<string, SwitchType>): RackConfig {
  const reading = readJson(text);
  if (reading.faults.length > 0) throw new RackConfigError(reading.faults);
  const review = new Review(reading);
  review.checkShape(rackDocumentSchema, reading.value);
  if (review.full) throw new RackConfigError(review.problems);
  const reader = new RackReader(review, switchTypes);
  const config = reader.document(reading.value);
  if (review.problems.length > 0) throw new RackConfigError(review.problems);
  return { ...config, warnings: review.warnings };
}

/**
 * The checks that go beyond shape. Parts that are misshapen were reported already and are left out, so that one upload
 * shows everything that is wrong.
 */
class RackReader {
  readonly #review: Review;
  readonly #types: ReadonlyMap<string, SwitchType>;
  readonly #switches: RackSwitch[] = [];
  readonly #wires: Wire[] = [];
  readonly #servers = new Map<string, RackServer>();
  /** Where each of these was seen first. */
  readonly #names = new Map<string, JsonPath>();
  readonly #addresses = new Map<string, JsonPath>();
  readonly #macs = new Map<Mac, JsonPath>();
  /** Where a network is misshapen, comparing networks would only add problems that are not there. */
  readonly #networksFit: boolean;
  readonly #fabrics = new Map<string, { readonly provisioning: Provisioned; readonly path: JsonPath }>();

  constructor(review: Review, types: ReadonlyMap<string, SwitchType>) {
    this.#review = review;
    this.#types = types;
    this.#networksFit = !review.problems.some(({ path }) => /(^|\.)(provisioning|park|fabric)\b/.test(path));
  }

  document(value: unknown): Omit<RackConfig, 'warnings'> {
    const root = asObject(value);
    const defaults = {
      provisioning: rackDocumentSchema.shape.provisioning.safeParse(root['provisioning']).data,
      park: rackDocumentSchema.shape.park.safeParse(root['park']).data,
    };
    asArray(root['racks']).forEach((rack, i) => {
      const path = ['racks', i];
      const parts = asObject(rack);
      const found = this.#switch(fitting(l2SwitchSchema.shape, parts['l2Switch']), defaults, [
        ...path,
        'l2Switch',
      ]);
      this.#hosts(asArray(parts['hosts']), found, [...path, 'hosts']);
    });
    this.#declaredServers(asArray(root['servers']));
    this.#checkFabricsOfServers();
    return { switches: this.#switches, wires: this.#wires, servers: [...this.#servers.values()] };
  }

  #switch(l2: Partial<L2Switch>, defaults: Defaults, path: JsonPath): FoundSwitch {
    const review = this.#review;
    const type = l2.type === undefined ? undefined : this.#type(l2.type, [...path, 'type']);
    const link = type && this.#link(type, l2, path);
    const host = l2.ip === undefined ? null : this.#address(l2.ip, type, link?.transport, [...path, 'ip']);
    const name = l2.name ?? host;
    const twice =
      host !== null &&
      link !== undefined &&
      this.#once(
        this.#addresses,
        `${host} ${link.tcpPort}`,
        [...path, 'ip'],
        link.tcpPort === 0 ? `the switch ${host}` : `the switch ${host} (TCP port ${link.tcpPort})`,
        'put all its hosts under one switch',
      );
    // Where the name is only the address, one complaint about the address is enough.
    if (name !== null && !(twice && l2.name === undefined)) {
      this.#once(
        this.#names,
        name,
        [...path, l2.name === undefined ? 'ip' : 'name'],
        `the switch name ${JSON.stringify(name)}`,
        'give each switch another "name"',
      );
    }
    const fabric = l2.fabric ?? 'default';
    const provisioning = provisioned(l2.provisioning ?? defaults.provisioning);
    const park = parked(l2.park ?? defaults.park);
    if (this.#networksFit) this.#networks(l2, fabric, provisioning, park, path);
    const found: FoundSwitch = {
      name: name ?? '',
      type,
      uplinks: this.#uplinks(l2.uplinks ?? [], type, [...path, 'uplinks']),
    };
    if (found.uplinks.size === 0) {
      review.warn(path, 'the switch has no "uplinks": VLANs made on it reach nothing beyond it');
    }
    const { username, password } = l2;
    if (name !== null && host !== null && type && link && username !== undefined && password !== undefined) {
      this.#switches.push({
        name,
        type: type.type,
        host,
        transport: link.transport,
        tcpPort: link.tcpPort,
        username,
        password: parseSecretReference(password),
        enablePassword: l2.enablePassword === undefined ? null : parseSecretReference(l2.enablePassword),
        hostKeyPin: l2.hostKey ?? null,
        legacyCrypto: l2.legacyCrypto ?? false,
        uplinks: [...found.uplinks.keys()],
        fabric,
        provisioning,
        park,
        line: review.line(path),
      });
    }
    return found;
  }

  #type(name: string, path: JsonPath): SwitchType | undefined {
    const type = this.#types.get(name);
    if (type) return type;
    const known = [...this.#types.keys()];
    const meant = nearMiss(name, known);
    this.#review.problem(
      path,
      `${JSON.stringify(name)} is not a known switch type`,
      meant === undefined
        ? `use one of: ${known.join(', ')}`
        : `write "${meant}"; the spelling counts (known: ${known.join(', ')})`,
    );
    return undefined;
  }

  #link(
    type: SwitchType,
    l2: Partial<L2Switch>,
    path: JsonPath,
  ): { transport: string; tcpPort: number } | undefined {
    const transport = l2.transport ?? type.defaultTransport;
    const usual = Object.hasOwn(type.transports, transport) ? type.transports[transport] : undefined;
    if (usual === undefined) {
      this.#review.problem(
        [...path, 'transport'],
        `a switch of type ${type.type} has no transport ${JSON.stringify(transport)}`,
        `use one of: ${Object.keys(type.transports).join(', ')}`,
      );
      return undefined;
    }
    if (usual === null && l2.tcpPort !== undefined) {
      this.#review.problem(
        [...path, 'tcpPort'],
        `the transport ${JSON.stringify(transport)} has no TCP port`,
        'remove the key, or choose another "transport"',
      );
    }
    return { transport, tcpPort: usual === null ? 0 : (l2.tcpPort ?? usual) };
  }

  /** The address of a switch, or the path of the local socket that the transport goes through; null when it is neither. */
  #address(
    text: string,
    type: SwitchType | undefined,
    transport: string | undefined,
    path: JsonPath,
  ): string | null {
    const local = transport !== undefined && type?.transports[transport] === null;
    const host = local ? socketPath(text) : hostAddress(text);
    if (host !== null) return host;
    const others = Object.keys(type?.transports ?? {}).filter((name) => type?.transports[name] !== null);
    this.#review.problem(
      path,
      local
        ? `${JSON.stringify(text)} is not the path of a socket`
        : `${JSON.stringify(text)} is not an address`,
      local
        ? `write an absolute path, or choose a "transport" over the network: ${others.join(', ')}`
        : 'write an IPv4 or IPv6 address or a host name, without port',
    );
    return null;
  }

  /** Provisioning and park: apart from each other, and provisioning the same in all of a fabric. */
  #networks(
    l2: Partial<L2Switch>,
    fabric: string,
    provisioning: Provisioned,
    park: VlanId | 'shut',
    path: JsonPath,
  ): void {
    if (provisioning === park) {
      const own = l2.park !== undefined ? 'park' : l2.provisioning !== undefined ? 'provisioning' : undefined;
      this.#review.problem(
        own === undefined ? ['park'] : [...path, own],
        `VLAN ${park} is both the provisioning and the park VLAN`,
        'park in a VLAN that leads nowhere, or "shut"',
      );
    }
    const first = this.#fabrics.get(fabric);
    const at = l2.provisioning === undefined ? path : [...path, 'provisioning'];
    if (!first) {
      this.#fabrics.set(fabric, { provisioning, path: at });
    } else if (first.provisioning !== provisioning) {
      this.#review.problem(
        at,
        `the provisioning network of fabric ${JSON.stringify(fabric)} is ${shown(provisioning)} here, but ${shown(first.provisioning)} in line ${this.#review.line(first.path)}`,
        'use one provisioning network in a fabric, or name another "fabric"',
      );
    }
  }

  #uplinks(
    texts: readonly (string | number)[],
    type: SwitchType | undefined,
    path: JsonPath,
  ): ReadonlyMap<PortId, JsonPath> {
    const uplinks = new Map<PortId, JsonPath>();
    texts.forEach((text, i) => {
      const at = [...path, i];
      const port = type && this.#parsed(() => type.parsePort(String(text)), at);
      if (port !== undefined) this.#once(uplinks, port, at, `the uplink ${port}`, 'remove one of the two');
    });
    return uplinks;
  }

  #hosts(hosts: readonly unknown[], found: FoundSwitch, path: JsonPath): void {
    if (hosts.length === 0) this.#review.warn(path, 'nothing is connected to this switch');
    const ports = new Map<PortId, JsonPath>();
    hosts.forEach((value, i) => this.#host(fitting(hostSchema.shape, value), found, ports, [...path, i]));
  }

  #host(host: Partial<Host>, found: FoundSwitch, ports: Map<PortId, JsonPath>, path: JsonPath): void {
    const { type } = found;
    const macPath = [...path, 'mac'];
    const portPath = [...path, 'port'];
    const mac = host.mac === undefined ? undefined : this.#parsed(() => parseMac(host.mac!), macPath);
    if (mac !== undefined) {
      this.#once(this.#macs, mac, macPath, `the MAC ${mac}`, 'a NIC has one cable: remove one of the two');
    }
    const port =
      host.port === undefined || !type
        ? undefined
        : this.#parsed(() => type.parsePort(String(host.port)), portPath);
    if (port !== undefined) {
      this.#once(ports, port, portPath, `the port ${port}`, 'a port has one cable: correct one of the two');
      const uplink = found.uplinks.get(port);
      if (uplink) {
        this.#review.problem(
          portPath,
          `the port ${port} is an uplink of this switch (line ${this.#review.line(uplink)})`,
          'remove it from "uplinks", or correct the port',
        );
      }
    }
    if (host.server !== undefined) this.#servers.set(host.server, { name: host.server, wiring: 'managed' });
    if (mac !== undefined && port !== undefined) {
      const server = host.server ?? null;
      this.#wires.push({ mac, switch: found.name, port, server, line: this.#review.line(path) });
    }
  }

  #declaredServers(values: readonly unknown[]): void {
    const declared = new Map<string, JsonPath>();
    const wired = new Map(this.#wires.map((wire) => [wire.server, wire]));
    values.forEach((value, i) => {
      const server = serverSchema.safeParse(value).data;
      if (!server) return;
      const path = ['servers', i, 'name'];
      const label = JSON.stringify(server.name);
      this.#once(declared, server.name, path, `the server ${label}`, 'remove one of the two');
      const wiring = server.wiring ?? 'managed';
      const wire = wired.get(server.name);
      if (wiring === 'none' && wire) {
        this.#review.problem(
          ['servers', i, 'wiring'],
          `the server ${label} has wiring "none", but line ${wire.line} connects it to a port`,
          'remove its hosts entries, or the "none"',
        );
      } else if (wiring === 'managed' && !wire) {
        this.#review.warn(path, 'no hosts entry names this server');
      }
      this.#servers.set(server.name, { name: server.name, wiring });
    });
  }

  #checkFabricsOfServers(): void {
    const fabrics = new Map(this.#switches.map(({ name, fabric }) => [name, fabric]));
    const seen = new Map<string, Wire>();
    for (const wire of this.#wires) {
      if (wire.server === null) continue;
      const first = seen.get(wire.server);
      if (!first) {
        seen.set(wire.server, wire);
      } else if (fabrics.get(first.switch) !== fabrics.get(wire.switch)) {
        const at = this.#macs.get(wire.mac)!;
        this.#review.warn(
          at,
          `the server ${JSON.stringify(wire.server)} is on another fabric in line ${first.line}: it cannot be used so`,
        );
      }
    }
  }

  /** Remembers the first place of a key; a second one is a problem that names the first one's line. True = a second one. */
  #once<K>(seen: Map<K, JsonPath>, key: K, path: JsonPath, what: string, remedy: string): boolean {
    const first = seen.get(key);
    if (first) {
      this.#review.problem(path, `${what} stands already in line ${this.#review.line(first)}`, remedy);
      return true;
    }
    seen.set(key, path);
    return false;
  }

  #parsed<T>(parse: () => T, path: JsonPath): T | undefined {
    try {
      return parse();
    } catch (thrown) {
      if (!(thrown instanceof CodedError)) throw thrown;
      this.#review.problem(path, thrown.what, thrown.remedy ?? 'correct it');
      return undefined;
    }
  }
}

type Provisioned = RackSwitch['provisioning'];

interface Defaults {
  readonly provisioning: Provisioning | undefined;
  readonly park: Park | undefined;
}

interface FoundSwitch {
  readonly name: string;
  /** Unknown types are reported once, and their ports not at all. */
  readonly type: SwitchType | undefined;
  readonly uplinks: ReadonlyMap<PortId, JsonPath>;
}

function provisioned(written: Provisioning | undefined): Provisioned {
  return typeof written === 'object' ? parseVlanId(written.vlan) : 'default-vlan';
}

function parked(written: Park | undefined): VlanId | 'shut' {
  return typeof written === 'object' ? parseVlanId(written.vlan) : 'shut';
}

function shown(provisioning: Provisioned): string {
  return provisioning === 'default-vlan' ? 'the default VLAN' : `VLAN ${provisioning}`;
}

/** The members that have the right shape, each for itself; the others were reported already. */
function fitting<S extends Readonly<Record<string, z.ZodType>>>(
  shape: S,
  value: unknown,
): { [K in keyof S]?: z.output<S[K]> } {
  const members = asObject(value);
  const fit: Record<string, unknown> = {};
  for (const [key, schema] of Object.entries(shape)) {
    const result = schema.safeParse(members[key]);
    if (result.success && result.data !== undefined) fit[key] = result.data;
  }
  return fit as { [K in keyof S]?: z.output<S[K]> };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
