import { z } from 'zod';
import type { EraseGrade } from '../../../../plugin-api/index.ts';
import type { Machine } from '../../../core/machine/machine.ts';
import { ServiceError } from '../../../kernel/errors/service-error.ts';
import * as answer from '../answers.ts';
import * as message from '../messages.ts';
import { route, type Call, type Reply, type Route } from '../route.ts';
import { portView } from '../views.ts';
import { command, commandAnswers, sightView, v1, type RouteContext } from './context.ts';

const machineAnswer = z.object({ machine: answer.machine });

export function machineRoutes(context: RouteContext): readonly Route[] {
  const { machines, operations, ports, queries, storage } = context;

  const shown = async (call: Call<unknown, unknown>, id: string): Promise<Reply & object> => ({
    status: 200,
    body: { machine: sightView(await queries.machine(call.principal, id)) },
  });
  const heldBy = async (machine: Machine): Promise<string> => {
    const claim = await storage.run((tx) => tx.claims.find(machine.id));
    if (claim) return claim.externalId;
    throw new ServiceError({
      code: 'machine.state',
      retry: 'never',
      what: 'nobody holds the machine',
      where: machine.hostname,
    });
  };

  return [
    route({
      method: 'get',
      path: `${v1}/machines`,
      summary: 'Machines within the scope, in order of hostname',
      action: 'machine.read',
      answers: { 200: z.object({ machines: z.array(answer.machine) }) },
      handle: async ({ principal }) => ({
        status: 200,
        body: { machines: (await queries.machines(principal)).map(sightView) },
      }),
    }),
    route({
      method: 'post',
      path: `${v1}/machines`,
      summary: 'Make a machine known; the same BMC address or MACs again change what is known',
      action: 'machine.enrol',
      body: message.enrolMessage,
      answers: { 201: machineAnswer },
      handle: async (call) => {
        const { id } = await machines.enrol(call.body, call.asker());
        return { ...(await shown(call, id)), status: 201 };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/machines/{name}`,
      summary: 'One machine, by system id or hostname',
      action: 'machine.read',
      answers: { 200: machineAnswer },
      handle: (call) => shown(call, call.param('name')),
    }),
    route({
      method: 'delete',
      path: `${v1}/machines/{name}`,
      summary: 'Forget a machine that nobody holds',
      action: 'machine.forget',
      body: message.reasonMessage,
      answers: { 204: null },
      handle: async (call) => {
        const by = call.asker(call.body.reason);
        await machines.forget((await machines.commanded(by, 'machine.forget', call.param('name'))).id, by);
        return { status: 204 };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/machines/{name}/ports`,
      summary: 'Its switch ports: wanted and observed',
      action: 'machine.read',
      answers: {
        200: z.object({ wiring: z.array(answer.connectedPort), ports: z.array(answer.port) }),
      },
      handle: async ({ principal, param }) => {
        const { machine } = await queries.machine(principal, param('name'));
        const [wiring, records] = await Promise.all([
          ports.wiring(machine),
          storage.run((tx) => tx.ports.ofMachine(machine.id)),
        ]);
        return {
          status: 200,
          body: {
            wiring: wiring.map(({ mac, switch: at, port }) => ({ mac, switch: at, port })),
            ports: records.map(portView),
          },
        };
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/commission`,
      summary: 'Take its inventory, erase its disks, make it ready',
      action: 'operation.commission',
      query: message.planQuery,
      body: message.commissionMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) => {
        const requester = asker(body.reason);
        const { id } = await machines.commanded(requester, 'operation.commission', param('name'));
        const grade = body.grade ?? operations.defaultGrade;
        return command(operations, query, { kind: 'commission', machineId: id, requester, grade });
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/erase`,
      summary: 'Erase the disks of a machine that nobody holds',
      action: 'operation.erase',
      query: message.planQuery,
      body: message.eraseMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) => {
        const requester = asker(body.reason);
        const { id } = await machines.commanded(requester, 'operation.erase', param('name'));
        const grade = body.grade ?? provable(operations.defaultGrade);
        return command(operations, query, { kind: 'erase', machineId: id, requester, grade });
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/start`,
      summary: 'Claim, install and start it for an instance; start it again where it holds it already',
      action: 'operation.start',
      query: message.planQuery,
      body: message.startMessage,
      answers: commandAnswers,
      handle: async ({ principal, query, body, param, asker }) => {
        const { reason, hostname, ...order } = body;
        const requester = asker(reason);
        const machine = await machines.commanded(requester, 'operation.start', param('name'));
        return command(operations, query, {
          kind: 'start',
          machineId: machine.id,
          requester,
          owner: principal.name,
          hostname: hostname ?? machine.hostname,
          ...order,
        });
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/stop`,
      summary: 'Shut its operating system down, then power off',
      action: 'operation.stop',
      query: message.planQuery,
      body: message.stopMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) => {
        const requester = asker(body.reason);
        const machine = await machines.commanded(requester, 'operation.stop', param('name'));
        const externalId = await heldBy(machine);
        const { force } = body;
        return command(operations, query, {
          kind: 'stop',
          machineId: machine.id,
          requester,
          externalId,
          force,
        });
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/reboot`,
      summary: 'Power cycle where it is on, power on where it is off',
      action: 'operation.reboot',
      query: message.planQuery,
      body: message.reasonMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) => {
        const requester = asker(body.reason);
        const machine = await machines.commanded(requester, 'operation.reboot', param('name'));
        const externalId = await heldBy(machine);
        return command(operations, query, { kind: 'reboot', machineId: machine.id, requester, externalId });
      },
    }),
    ...(['plug-nic', 'unplug-nic'] as const).map((kind) =>
      route({
        method: 'post',
        path: `${v1}/machines/{name}/${kind}`,
        summary: `${kind === 'plug-nic' ? 'Add' : 'Take away'} a NIC of its instance: its VLAN on every connected port`,
        action: `operation.${kind}`,
        query: message.planQuery,
        body: message.nicMessage,
        answers: commandAnswers,
        handle: async ({ query, body, param, asker }) => {
          const { reason, ...nic } = body;
          const requester = asker(reason);
          const machine = await machines.commanded(requester, `operation.${kind}`, param('name'));
          const externalId = await heldBy(machine);
          return command(operations, query, { kind, machineId: machine.id, requester, externalId, ...nic });
        },
      }),
    ),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/destroy`,
      summary: 'Take it back: off, off the network, erased, released',
      action: 'operation.destroy',
      query: message.planQuery,
      body: message.releaseMessage,
      answers: commandAnswers,
      handle: async ({ query, body, param, asker }) => {
        const requester = asker(body.reason);
        const machine = await machines.commanded(requester, 'operation.destroy', param('name'));
        const externalId = await heldBy(machine);
        const { grade } = body;
        return command(operations, query, {
          kind: 'destroy',
          machineId: machine.id,
          requester,
          externalId,
          grade,
        });
      },
    }),
    route({
      method: 'post',
      path: `${v1}/machines/{name}/quarantine`,
      summary: 'Withhold it from new claims',
      action: 'machine.withhold',
      body: message.reasonMessage,
      answers: { 200: machineAnswer },
      handle: async (call) => {
        const by = call.asker(call.body.reason);
        const { id } = await machines.commanded(by, 'machine.withhold', call.param('name'));
        await machines.quarantine(id, by);
        return shown(call, id);
      },
    }),
    route({
      method: 'delete',
      path: `${v1}/machines/{name}/quarantine`,
      summary: 'End its quarantine',
      action: 'machine.withhold',
      body: message.reasonMessage,
      answers: { 200: machineAnswer },
      handle: async (call) => {
        const by = call.asker(call.body.reason);
        const { id } = await machines.commanded(by, 'machine.withhold', call.param('name'));
        await machines.lift(id, by);
        return shown(call, id);
      },
    }),
  ];
}

/** An erase without a grade is none: quick is the least there is. */
function provable(grade: EraseGrade): Exclude<EraseGrade, 'none'> {
  return grade === 'none' ? 'quick' : grade;
}
