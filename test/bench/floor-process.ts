/** Floors of one pair of switches each, in a process of its own: to the service they are the racks of one network. */
import { join } from 'node:path';
import type * as labFloor from '../../lab/floor/index.ts';
import { parseMac } from '../../plugin-api/index.ts';
import { answerQuestions } from './child-process.ts';
import { compiled } from './compiled.ts';
import { withoutTime } from './zero-floor.ts';

/** First argument, in JSON. */
export interface FloorOrder {
  readonly directory: string;
  readonly password: string;
  readonly pairs: readonly {
    readonly firstMachine: number;
    readonly machines: number;
    readonly number: number;
  }[];
}

export interface FloorPlace {
  /** The rack config of each pair, as its floor writes it. */
  readonly rackConfigs: readonly string[];
  readonly username: string;
  readonly machines: readonly {
    readonly name: string;
    readonly macs: readonly string[];
    readonly bmc: { readonly host: string; readonly port: number };
  }[];
}

export interface AllottedNic {
  readonly vlan: number;
  readonly mac: string;
  readonly address: string;
}

export interface FloorSeen {
  /** Machines whose system runs. */
  readonly running: number;
  /** What broke a law. */
  readonly violations: readonly string[];
  /** CPU milliseconds since the process began. */
  readonly cpu: number;
}

const { LabFloor } = await compiled<typeof labFloor>('../lab/floor/index');
const order = JSON.parse(process.argv[2]!) as FloorOrder;
const floors: labFloor.LabFloor[] = [];
for (const { firstMachine, machines, number } of order.pairs)
  floors.push(
    await LabFloor.start({
      ...withoutTime,
      directory: join(order.directory, `pair-${number}`),
      password: order.password,
      machines,
      firstMachine,
      firstSwitch: 2 * number - 1,
      networks: [],
    }),
  );
const machines = floors.flatMap((floor) => floor.machines);

answerQuestions({
  place: (): FloorPlace => ({
    rackConfigs: floors.map((floor) => floor.rackConfig()),
    username: floors[0]!.username,
    machines: machines.map(({ machine, bmcAddress }) => ({
      name: machine.name,
      macs: machine.nics.map((nic) => nic.mac),
      bmc: bmcAddress,
    })),
  }),
  boot: (address: { readonly host: string; readonly port: number }) => {
    for (const floor of floors) floor.setBootService(address);
    return null;
  },
  /** What the cloud allots to the NIC of each machine's instance, in the order of the machines: the VLAN's tenant is its own. */
  allot: (nics: readonly AllottedNic[]) => {
    const [...rest] = nics;
    for (const { router, machines: own } of floors)
      for (const { vlan, mac, address } of rest.splice(0, own.length)) {
        router.addNetwork({ name: `net-${vlan}`, tenant: `tenant-${vlan}`, vlan, prefix: `10.1.${vlan}` });
        router.reserve(vlan, parseMac(mac), address);
      }
    return null;
  },
  seen: (): FloorSeen => {
    const { user, system } = process.cpuUsage();
    return {
      running: machines.filter(({ machine }) => machine.phase === 'os').length,
      violations: floors.flatMap((floor) =>
        floor.violations.map(({ law, machine, said }) => `${law} ${machine}: ${said}`),
      ),
      cpu: (user + system) / 1_000,
    };
  },
  stop: async () => {
    await Promise.all(floors.map((floor) => floor.stop()));
    return null;
  },
});
