import type { RunPlan, UserAsk } from '../run-plan.ts';
import type { Mutant } from './mutant.ts';

const portSteps = 'src/operations/steps/port-steps';
const erasePhase = 'src/operations/steps/erase-phase';
const operations = 'src/operations/operations';
const execution = 'src/operations/journal/execution';
const start = 'src/operations/start';
const destroy = 'src/operations/destroy';
const worker = 'src/operations/ports/switch-worker';
const bmc = 'src/drivers/power/ipmi/ipmi-bmc';

const uses =
  (...wanted: readonly UserAsk[]) =>
  ({ users }: RunPlan): boolean =>
    users.some(({ lines }) => lines.some(({ ask }) => wanted.includes(ask)));
const frozen =
  (device?: 'switch' | 'power') =>
  ({ freezes }: RunPlan): boolean =>
    freezes.some(({ lasts, at }) => lasts > 7_000 && at && (!device || at.device === device));
/** Each breaks one law, and nothing else. */
export const mutants: readonly Mutant[] = [
  {
    name: 'intent not written',
    law: '1',
    does: 'a step is begun without its intent in the journal, so that a crash forgets that it was begun',
    fits: ({ kills }) =>
      kills.some((kill) => kill.at === 'boundary' && /power\.(soft|cycle):effect/.test(kill.boundary)),
    edits: [
      {
        file: execution,
        find: 'throw thrown; } await tx.journal.putStep(record);',
        replace: 'throw thrown; }',
      },
    ],
  },
  {
    name: 'not taken over',
    law: '1',
    does: 'what a killed process left in the journal is left there',
    fits: ({ kills }) => kills.length > 0,
    edits: [
      {
        file: 'src/operations/journal/runner',
        find: 'const active = await storage.run((tx) => tx.journal.listActive());',
        replace: 'const active = [];',
      },
    ],
  },
  {
    name: 'moved without proof',
    law: '2',
    does: 'a Start takes the instance from another machine that may still run it',
    fits: ({ instances }) => instances.some(({ lines }) => lines.some(({ elsewhere }) => elsewhere)),
    edits: [
      {
        file: operations,
        find: 'if (fenced && request.firstDeployment)',
        replace: 'if (holder)',
      },
    ],
  },
  {
    name: 'off unconfirmed',
    law: '3',
    does: 'a power command counts as done once the BMC has taken it',
    fits: ({ faults }) =>
      faults.some(
        ({ kind, after }) =>
          ['power stuck', 'BMC ok without effect'].includes(kind.name) &&
          after !== null &&
          /stop|destroy|expunge/.test(after),
      ),
    edits: [
      {
        file: bmc,
        find: 'if ((await this.#unlessPassing(progress, () => this.#readState(signal))) === wanted)',
        replace: '',
      },
    ],
  },
  {
    name: 'ports not read back',
    law: '3',
    does: 'what was typed into a switch counts as done, whatever the switch shows',
    fits: ({ faults }) =>
      faults.some(({ kind, lasts }) => kind.name === 'switch ignores a line' && lasts > 1_500),
    edits: [
      {
        file: 'src/operations/ports/read-back',
        find: 'const asDesired = port !== undefined && portSatisfies(port, record.desired, observed.defaultVlan);',
        replace: 'const asDesired = true;',
      },
    ],
  },
  {
    name: 'VLAN of another tenant',
    law: '4a',
    does: 'the default NIC of tenant red is put into the VLAN of tenant blue',
    edits: [
      {
        file: 'src/core/network/port-roles',
        find: 'return { native: nativeAt(at, native), tagged, admin: ',
        replace: 'return { native: native === 200 ? 300 : nativeAt(at, native), tagged, admin: ',
      },
    ],
  },
  {
    name: 'ports moved while on',
    law: '4b',
    does: 'a Destroy neither switches off nor looks before it moves the ports',
    edits: [
      {
        file: 'src/operations/steps/require-off',
        find: "if ((await run.world.power.state(machine, run.signal)) === 'off') return;",
        replace: 'return;',
      },
      { file: destroy, find: 'const failure = await tryOff(run);', replace: 'const failure = null;' },
    ],
  },
  {
    name: 'fence left open',
    law: '4c',
    does: 'where off cannot be confirmed the ports are said to be shut, and are not',
    fits: ({ faults, instances }) =>
      faults.some(
        ({ kind, after, lasts }) =>
          ['BMC dead', 'power stuck', 'BMC ok without effect'].includes(kind.name) &&
          lasts > 10_000 &&
          (after === 'destroy' || after === 'expunge'),
      ) && instances.some(({ lines }) => lines.length === 2 && !lines[1]!.meanwhile),
    edits: [
      {
        file: portSteps,
        find: 'const evidence = await ports.settle(wishes); const told = `its ports',
        replace: 'const evidence = []; const told = `its ports',
      },
    ],
  },
  {
    name: 'half a bond',
    law: '4d',
    does: 'only the first port of a machine gets the VLANs of its tenant',
    edits: [
      {
        file: portSteps,
        find: 'const used = new Set(network.ports.map(',
        replace: 'wiring.splice(1); const used = new Set(network.ports.map(',
      },
    ],
  },
  {
    name: 'port open while it moves',
    law: '4e',
    does: 'a port is not shut while its VLAN changes',
    edits: [
      {
        file: 'plugin-api/switch-plan',
        find: "const shut = seen.admin === 'up' && (desired.admin === 'down' || moves);",
        replace: "const shut = seen.admin === 'up' && desired.admin === 'down';",
      },
    ],
  },
  {
    name: 'erase left out',
    law: '5',
    does: 'a Destroy ends without the erase, and calls the machine ready',
    edits: [
      {
        file: destroy,
        find: "return !context.fenced && input['grade'] !== 'none';",
        replace: 'return false;',
      },
    ],
  },
  {
    name: 'erase weaker than told',
    law: '5',
    does: 'a quick erase is ordered, and recorded as the full one that was asked for',
    edits: [
      {
        file: erasePhase,
        find: "grade: gradeOf(run.operation.input['grade']),",
        replace: "grade: 'quick',",
      },
    ],
  },
  {
    name: 'deployed twice',
    law: '5',
    does: 'a Start of an instance that is installed installs it again',
    edits: [
      {
        file: operations,
        find: "const known = holder === 'user' ? !request.firstDeployment : claim !== null;",
        replace: 'const known = false;',
      },
      {
        file: start,
        find: 'if (claim && !(isForUser(run) && claim.externalId === input.externalId))',
        replace: 'if (false)',
      },
      {
        file: start,
        find: "if (machine.state !== 'ready')",
        replace: 'return; if (false)',
      },
    ],
  },
  {
    name: 'no way back',
    law: '6',
    does: 'a Start that fails stands where it is, and nothing is undone',
    fits: ({ instances }) =>
      instances.some(({ lines }) => lines[1]?.meanwhile && /stop|destroy|expunge/.test(lines[1].ask)),
    edits: [
      {
        file: execution,
        find: "const undo = this.#list.onFailure === 'undo';",
        replace: 'const undo = false;',
      },
    ],
  },
  {
    name: 'yes to what failed',
    law: '7',
    does: 'the answer says yes, however the operation ended',
    fits: ({ faults, kills }) =>
      kills.length === 0 &&
      faults.some(
        ({ kind, from, lasts }) =>
          ['ramdisk fails', 'dies mid-image', 'bad checksum'].includes(kind.name) &&
          from < 1_500 &&
          lasts > 2_500,
      ),
    edits: [
      {
        file: 'src/api/cloudstack-agent/agent-operations',
        find: "if (operation.state === 'done' || operation.endedAt === null) return;",
        replace: 'return;',
      },
    ],
  },
  {
    name: 'repetition refused',
    law: '7',
    does: 'a Stop or Destroy of what is gone already is refused, although the first one was answered yes',
    edits: [
      {
        file: operations,
        find: "case 'destroy': if (claim?.externalId !== request.externalId) return nothing(",
        replace:
          "case 'destroy': if (claim?.externalId !== request.externalId) throw new ServiceError({ code: 'claim.unknown-instance', what: 'gone' }); if (false) return nothing(",
      },
    ],
  },
  {
    name: 'switch not saved',
    law: '9',
    does: 'a batch is never saved, and counts as saved',
    edits: [{ file: worker, find: 'await session.save();', replace: '' }],
  },
  {
    name: 'password logged',
    law: '10',
    does: 'the password of a BMC is in the log',
    edits: [
      {
        file: 'src/operations/power/power-service',
        find: 'const fingerprint = JSON.stringify([',
        replace:
          "this.#parts.log.debug({ line: `-P ${record.password.reveal()}` }, 'BMC'); const fingerprint = JSON.stringify([",
      },
    ],
  },
  {
    name: 'machine of CloudStack to a user',
    law: '2',
    does: 'the MAAS API hands out machines that stand in a CloudStack',
    fits: uses('allocate'),
    edits: [
      {
        file: 'src/operations/pools',
        find: "if (door === 'maas' && machine.cloudPlace)",
        replace: 'if (false)',
      },
      {
        file: 'src/api/maas/machine-allocation',
        find: 'clean !== null && !cloudPlace && !claim',
        replace: 'clean !== null && !claim',
      },
      {
        file: 'src/api/maas/machine-desk',
        find: 'if (machine.cloudPlace !== null) return false;',
        replace: '',
      },
      { file: 'src/api/maas/machine-desk', find: 'if (machine.cloudPlace)', replace: 'if (false)' },
      {
        file: 'src/operations/claims',
        find: 'const elsewhere = machine.cloudPlace !== null || (claim',
        replace: 'const elsewhere = (claim',
      },
    ],
  },
  {
    name: 'interfaces not heeded',
    law: '8',
    does: 'a user’s machine gets its untagged VLAN only, whatever VLANs its interfaces have',
    fits: ({ users }) =>
      users.some(({ further, lines }) => further && lines.some(({ ask }) => ask === 'deploy')),
    edits: [
      {
        file: 'src/operations/tenant-network',
        find: 'const planned = planInterfaces(interfaces, numbers, usable, image.canBond, gateways);',
        replace:
          'const planned = { ...planInterfaces(interfaces, numbers, usable, image.canBond, gateways), tagged: [] };',
      },
    ],
  },
  {
    name: 'late in the database',
    law: '1',
    does: 'an instance that stood still past its lease neither hears that it is gone nor is kept from storing what it has in hand',
    instances: 3,
    fits: frozen(),
    edits: [
      {
        file: 'src/store/dialects/mariadb-transactions',
        find: 'if (this.#instance !== null) await this.#fence(lease, this.#instance);',
        replace: '',
      },
      // Its first beat would end it within milliseconds.
      {
        file: 'src/operations/instances/membership',
        find: 'if (!(await tx.instances.beat(this.id)))',
        replace: 'await tx.instances.beat(this.id); if (false)',
      },
    ],
  },
  {
    name: 'late at a device',
    law: '9',
    does: 'an instance that stood still past its lease goes on at a switch or a BMC, although others have taken its work over',
    instances: 3,
    fits: frozen(),
    edits: [
      {
        file: 'src/composition/devices',
        find: 'mayChange: () => instances.assertCurrent(),',
        replace: 'mayChange: () => undefined,',
      },
    ],
  },
];
