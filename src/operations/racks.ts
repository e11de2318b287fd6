import type { SwitchType } from '../../plugin-api/index.ts';
import { resolveSecret, type SecretSources } from '../../plugin-api/index.ts';
import {
  parseRackConfig,
  RackConfigError,
  rackDifference,
  type RackConfig,
  type RackDifference,
  type RackSwitch,
} from '../../rack-config/index.ts';
import type { Asker } from '../core/access/principal.ts';
import { authorise } from '../core/access/rights.ts';
import { connectedPorts, type Switch, type Wire } from '../core/rack/wiring.ts';
import type { Storage, Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { ensureNetworks, type ProvisioningAddresses } from './networks.ts';

/** What an upload changed. */
export interface RackUpload {
  readonly switches: number;
  readonly wires: number;
  readonly warnings: readonly string[];
}

/** The rack config of the service: uploaded whole, checked, and refused where it would pull a port from under somebody. */
export class Racks {
  readonly #storage: Storage;
  readonly #types: ReadonlyMap<string, SwitchType>;
  readonly #secrets: SecretSources;
  readonly #addresses: ProvisioningAddresses | null;

  constructor(
    storage: Storage,
    types: ReadonlyMap<string, SwitchType>,
    secrets: SecretSources,
    addresses: ProvisioningAddresses | null = null,
  ) {
    this.#storage = storage;
    this.#types = types;
    this.#secrets = secrets;
    this.#addresses = addresses;
  }

  /** @throws RackConfigError naming line, path and remedy of each problem; ServiceError `rack.in-use` naming machines. */
  async upload(text: string, by: Asker): Promise<RackUpload> {
    authorise(by, 'rack.write');
    const config = parseRackConfig(text, this.#types);
    // Secrets are fetched before the unit of work: files may be slow.
    const resolved = config.switches.map((at) => this.#resolve(at));
    return this.#storage.run(async (tx) => {
      const stored = await tx.racks.configText();
      const before = stored === null ? null : await this.#inForce(tx, stored);
      const difference = before && rackDifference(before, config);
      const known = new Map((await tx.racks.switches()).map((at) => [at.name, at]));
      const switches = resolved.map((at) => withLearned(at, known.get(at.name)));
      const wires: Wire[] = config.wires.map(({ mac, switch: name, port, server }) => ({
        mac,
        switch: name,
        port,
        server,
      }));
      await tx.racks.replace(text, switches, wires);
      await ensureNetworks(tx, this.#addresses);
      // Late, because on MariaDB what is claimed while all that is written must be seen too.
      if (before && difference) await this.#refuseInUse(tx, before, difference);
      // One that is not declared any more is managed again, also where no NIC names it.
      for (const { name, wiring } of [...config.servers, ...(difference?.rewired ?? [])]) {
        const machine = await tx.machines.findByHostname(name);
        if (machine && machine.wiring !== wiring) await tx.machines.update({ ...machine, wiring });
      }
      return {
        switches: switches.length,
        wires: wires.length,
        warnings: config.warnings.map(
          (warning) => `line ${warning.line}: ${warning.path}: ${warning.message}`,
        ),
      };
    });
  }

  /** Checks a rack config without taking it. */
  check(text: string): RackConfig {
    return parseRackConfig(text, this.#types);
  }

  /** What is in force. A text that an earlier version took, and this one does not, must not be in the way of a better one. */
  async #inForce(tx: Tx, stored: string): Promise<Omit<RackConfig, 'warnings'>> {
    try {
      return parseRackConfig(stored, this.#types);
    } catch (thrown) {
      if (!(thrown instanceof RackConfigError)) throw thrown;
      const wires = (await tx.racks.wires()).map((wire) => ({ ...wire, line: 0 }));
      return { switches: [], wires, servers: [] };
    }
  }

  /** A port that moves under a claimed or busy machine would leave a tenant's traffic on a port nobody minds. */
  async #refuseInUse(tx: Tx, before: Pick<RackConfig, 'wires'>, difference: RackDifference): Promise<void> {
    const { moved, dropped } = difference.wires;
    const touched = new Set([...moved.map((move) => move.before.mac), ...dropped.map((wire) => wire.mac)]);
    const rewired = new Set(difference.rewired.map((server) => server.name));
    if (touched.size === 0 && rewired.size === 0) return;
    const busy: string[] = [];
    for (const machine of await tx.machines.list()) {
      const mine = connectedPorts(machine, before.wires).filter((port) => touched.has(port.mac));
      if (mine.length === 0 && !rewired.has(machine.hostname)) continue;
      const claim = await tx.claims.find(machine.id);
      const active = await tx.journal.active(machine.id);
      if (!claim && !active) continue;
      const why = claim ? `held by ${claim.externalId}` : `busy with ${active!.kind}`;
      busy.push(
        `${machine.hostname} (${why}; ${mine.map((port) => `${port.mac} on ${port.switch} ${port.port}`).join(', ')})`,
      );
    }
    if (busy.length > 0)
      throw new ServiceError({
        code: 'rack.in-use',
        what: `the upload moves or drops ports of ${busy.join('; ')}`,
      });
  }

  #resolve(at: RackSwitch): Switch {
    return {
      name: at.name,
      fabric: at.fabric,
      type: at.type,
      transport: at.transport,
      host: at.host,
      tcpPort: at.tcpPort,
      username: at.username,
      password: resolveSecret(at.password, this.#secrets),
      enablePassword: at.enablePassword && resolveSecret(at.enablePassword, this.#secrets),
      hostKeyPin: at.hostKeyPin,
      legacyCrypto: at.legacyCrypto,
      uplinks: at.uplinks,
      provisioning: at.provisioning,
      park: at.park,
      defaultVlan: null,
      unsavedSince: null,
      version: 1,
    };
  }
}

/** What was learned about a switch outlives an upload, unless the upload says it is another one. */
function withLearned(at: Switch, known: Switch | undefined): Switch {
  if (known?.host !== at.host || known.tcpPort !== at.tcpPort) return at;
  return {
    ...at,
    hostKeyPin: at.hostKeyPin ?? known.hostKeyPin,
    defaultVlan: known.defaultVlan,
    unsavedSince: known.unsavedSince,
  };
}
