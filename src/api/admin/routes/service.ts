import { z } from 'zod';
import { machineMacs } from '../../../core/machine/machine.ts';
import * as answer from '../answers.ts';
import { route, type Route } from '../route.ts';
import { v1, type ProvisioningView, type RouteContext } from './context.ts';

/** How the service and its surroundings are. */
export function serviceRoutes(context: RouteContext): readonly Route[] {
  const { agents, certificate, clock, metrics, operations, provisioning, quarantines, queries, version } =
    context;
  return [
    route({
      method: 'get',
      path: '/healthz',
      summary: 'Whether the service is alive',
      action: null,
      answers: { 200: z.object({ ok: z.boolean(), version: z.string() }) },
      handle: () => ({ status: 200, body: { ok: true, version } }),
    }),
    route({
      method: 'get',
      path: '/metrics',
      summary: 'The metrics of the service',
      action: 'metrics.read',
      answers: { 200: { media: 'text/plain', summary: 'As Prometheus reads them' } },
      handle: async ({ res }) => {
        metrics.agentLinks.reset();
        for (const [state, count] of Object.entries(agents.counts()))
          metrics.agentLinks.set({ state }, count);
        for (const [kind, count] of Object.entries(await quarantines.counts()))
          metrics.quarantined.set({ kind }, count);
        res.type('text/plain').send(await metrics.text());
        return 'streamed' as const;
      },
    }),
    route({
      method: 'get',
      path: `${v1}/health`,
      summary: 'How the service and its surroundings are, as far as the scope goes',
      action: 'service.read',
      answers: { 200: answer.health },
      handle: async ({ principal }) => {
        const [seen, rack, ids, withheld] = await Promise.all([
          queries.machines(principal),
          queries.rack(principal),
          queries.machineIds(principal),
          quarantines.list(principal),
        ]);
        const links = agents.statuses();
        return {
          status: 200,
          body: {
            version,
            now: clock.now(),
            activeOperations:
              ids === null ? operations.active : seen.filter(({ active }) => active !== null).length,
            agentLinks: ids === null ? links : links.filter(({ machineId }) => ids.has(machineId)),
            agentCertificate: certificate?.() ?? null,
            provisioning: stateOf(provisioning),
            unsavedSwitches: (rack?.switches ?? [])
              .filter((at) => at.unsavedSince !== null)
              .map((at) => ({ name: at.name, since: at.unsavedSince })),
            quarantined: seen.flatMap(({ machine: { id, hostname, quarantine } }) =>
              quarantine ? [{ id, hostname, ...quarantine }] : [],
            ),
            quarantinedDevices: withheld.filter(({ kind }) => kind !== 'machine'),
          },
        };
      },
    }),
    route({
      method: 'get',
      path: `${v1}/alarms`,
      summary: 'What a person should look at, the newest first',
      action: 'service.read',
      answers: { 200: z.object({ alarms: z.array(answer.alarm) }) },
      handle: async ({ principal }) => ({
        status: 200,
        body: { alarms: await queries.alarms(principal) },
      }),
    }),
    route({
      method: 'get',
      path: `${v1}/native/leases`,
      summary: 'Addresses on the provisioning network; those of no machine only for who sees everything',
      action: 'machine.read',
      answers: {
        200: z.object({
          provisioning: answer.provisioning,
          leases: z.array(
            z.object({
              mac: z.string(),
              address: z.string(),
              name: z.string().nullable(),
              expiresAt: z.int().nullable(),
              machine: z.object({ id: z.string(), hostname: z.string() }).nullable(),
            }),
          ),
        }),
      },
      handle: async ({ principal }) => {
        const leases = (await provisioning?.leases()) ?? [];
        const whole = (await queries.machineIds(principal)) === null;
        const owners = new Map(
          (await queries.machines(principal)).flatMap(({ machine }) =>
            machineMacs(machine).map((mac) => [mac, { id: machine.id, hostname: machine.hostname }]),
          ),
        );
        const rows = leases
          .map((lease) => ({ ...lease, machine: owners.get(lease.mac) ?? null }))
          .filter((lease) => whole || lease.machine !== null);
        return { status: 200, body: { provisioning: stateOf(provisioning), leases: rows } };
      },
    }),
  ];
}

function stateOf(provisioning: ProvisioningView | null): object {
  return provisioning?.status ?? { state: 'off' };
}
