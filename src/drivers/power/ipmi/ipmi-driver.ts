import { setMaxListeners } from 'node:events';
import {
  DeviceError,
  type Bmc,
  type BmcTarget,
  type BootDeviceRequest,
  type DeviceContext,
  type PowerDriver,
  type PowerDriverFactory,
} from '../../../../plugin-api/index.ts';
import { maxUsernameBytes } from '../../../wire/rmcp/rakp1.ts';
import { maxPasswordBytes } from '../../../wire/rmcp/session-keys.ts';
import { BmcLine } from './bmc-line.ts';
import { bootFlagsFor, describeRequest, flagBytes } from './boot-device-map.ts';
import { DatagramHub } from './datagram-hub.ts';
import { IpmiBmc } from './ipmi-bmc.ts';
import { IpmiConnection } from './ipmi-connection.ts';
import { place } from './ipmi-errors.ts';
import { quirksOf } from './quirks.ts';
import { ipmiSettings, type IpmiSettings } from './ipmi-settings.ts';

const controlTexts = {
  on: 'chassis control on',
  off: 'chassis control off (hard)',
  soft: 'chassis control soft off (ACPI), sent once',
  cycle: 'chassis control power cycle, sent once',
} as const;

/** The IPMI 2.0 (RMCP+) power driver. Settings: {@link ipmiSettings}. */
export const createIpmiDriver: PowerDriverFactory = (context, settings) =>
  new IpmiDriver(context, ipmiSettings.parse(settings ?? {}));

class IpmiDriver implements PowerDriver {
  readonly type = 'ipmi';
  readonly #context: DeviceContext;
  readonly #settings: IpmiSettings;
  readonly #hub: DatagramHub;
  readonly #closing = new AbortController();
  /** By address, so that one BMC has one queue and one session whatever it is opened with. */
  readonly #lines = new Map<string, BmcLine>();
  /** Of consoles, each with a session of its own. */
  readonly #consoleLines = new Set<BmcLine>();
  readonly #opened = new Map<string, { readonly target: BmcTarget; readonly bmc: Bmc }>();

  constructor(context: DeviceContext, settings: IpmiSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#hub = new DatagramHub(context, this.#closing.signal);
    // Every call listens to it while it runs: thousands at once are no leak.
    setMaxListeners(0, this.#closing.signal);
  }

  /** The same target again gives the same object. @throws DeviceError `power.auth` for a user name, password or Kg that IPMI cannot carry */
  open(target: BmcTarget): Bmc {
    refuseTooLong(target);
    const key = `${target.host.toLowerCase()} ${target.port}`;
    const known = this.#opened.get(key);
    if (known && sameTarget(known.target, target)) return known.bmc;
    const line = this.#lines.get(key) ?? new BmcLine();
    this.#lines.set(key, line);
    const shared = { target, context: this.#context, driverClosing: this.#closing.signal };
    const parts = { ...shared, line, settings: this.#settings };
    const connection = new IpmiConnection({ ...parts, hub: this.#hub });
    const another = (): IpmiConnection => {
      const ownLine = new BmcLine(() => this.#consoleLines.delete(ownLine));
      this.#consoleLines.add(ownLine);
      // A console's session must live as long as the console, however little is typed.
      return new IpmiConnection({ ...parts, line: ownLine, hub: this.#hub, steady: true });
    };
    const bmc = new IpmiBmc({ ...parts, connection, another });
    this.#opened.set(key, { target, bmc });
    return bmc;
  }

  async close(): Promise<void> {
    this.#closing.abort(
      new DeviceError({ code: 'power.unreachable', what: 'the IPMI driver is being closed' }),
    );
    await Promise.all(
      [...this.#lines.values(), ...this.#consoleLines].map((line) =>
        line.commands.run(async () => line.holder?.endSession()),
      ),
    );
    await this.#hub.close();
  }

  planPower(target: BmcTarget, action: 'on' | 'off' | 'soft' | 'cycle'): string {
    return `${place(target)}: ${controlTexts[action]}`;
  }

  planBootDevice(target: BmcTarget, request: BootDeviceRequest): string {
    const bytes = flagBytes(bootFlagsFor(request, quirksOf(null, this.#settings.quirks)));
    return `${place(target)}: boot device ${describeRequest(request)} (boot options 3: 08, 5: ${bytes})`;
  }
}

function refuseTooLong(target: BmcTarget): void {
  refuse(target, 'user name', Buffer.byteLength(target.username), maxUsernameBytes, '');
  const passwordBytes = Buffer.byteLength(target.password.reveal());
  refuse(target, 'password', passwordBytes, maxPasswordBytes, ' (on some BMCs only 16)');
  refuse(target, 'BMC key (Kg)', Buffer.byteLength(target.kg?.reveal() ?? ''), maxPasswordBytes, '');
}

/** Longer ones would be cut by some BMCs and refused by others. Bytes count, not characters. */
function refuse(target: BmcTarget, what: string, bytes: number, limit: number, note: string): void {
  if (bytes <= limit) return;
  throw new DeviceError({
    code: 'power.auth',
    what: `the ${what} has ${bytes} bytes, and IPMI 2.0 takes at most ${limit}${note}`,
    where: place(target),
    remedy: 'set a shorter one on the BMC and here',
  });
}

function sameTarget(a: BmcTarget, b: BmcTarget): boolean {
  return (
    a.username === b.username &&
    a.password.reveal() === b.password.reveal() &&
    a.kg?.reveal() === b.kg?.reveal() &&
    a.privilege === b.privilege &&
    a.minSuite === b.minSuite &&
    a.knownSuite === b.knownSuite
  );
}
