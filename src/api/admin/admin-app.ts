import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import helmet from 'helmet';
import { z } from 'zod';
import type { Clock, EraseGrade, JsonObject, Mac } from '../../../plugin-api/index.ts';
import type { Principal, Requester } from '../../core/access/principal.ts';
import { machineMacs, type Machine } from '../../core/machine/machine.ts';
import type { OperationState } from '../../core/storage/journal-records.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { EventBus } from '../../kernel/events/event-bus.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import type { Access } from '../../operations/access.ts';
import type { ImageLibrary } from '../../operations/images/image-library.ts';
import type { Machines } from '../../operations/machines.ts';
import type { OperationEvents } from '../../operations/operation-events.ts';
import type { OperationRequest, Operations } from '../../operations/operations.ts';
import type { PortService } from '../../operations/ports/port-service.ts';
import type { Racks } from '../../operations/racks.ts';
import { followOperation } from './follow.ts';
import { httpStatus } from './http-status.ts';
import * as message from './messages.ts';
import { machineView, operationView, portView, principalView, stepView, switchView } from './views.ts';

export interface AdminAppOptions {
  readonly access: Access;
  readonly machines: Machines;
  readonly operations: Operations;
  readonly racks: Racks;
  readonly images: ImageLibrary;
  readonly ports: PortService;
  readonly storage: Storage;
  /** State of the links to management servers. */
  readonly agents: { statuses(): readonly object[]; counts(): Readonly<Record<string, number>> };
  /** DHCP on the provisioning network; null = not ours. */
  readonly provisioning: ProvisioningView | null;
  readonly metrics: Metrics;
  readonly events: EventBus<OperationEvents>;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
}

/** What the native engine's provisioning network shows of itself. */
export interface ProvisioningView {
  /** With `state`: running, failed and why, ... */
  readonly status: object;
  leases(): Promise<
    readonly {
      readonly mac: Mac;
      readonly address: string;
      readonly name: string | null;
      readonly expiresAt: number | null;
    }[]
  >;
}

/** Unpacking a large image to measure it may take so long, in milliseconds. */
const measuringTimeout = 60 * 60_000;

/** A rack config is 10 MB at most, everything else small. */
const rackLimit = '11mb';
const bodyLimit = '256kb';

/** The admin API: what `csbm` and dashboards speak. Bearer tokens; `?plan=1` asks any command for its plan instead. */
export function adminApp(options: AdminAppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.use(helmet());
  app.get('/healthz', (_req, res) => res.json({ ok: true, version: options.version }));
  app.use('/api/v1', authenticate(options.access), routes(options));
  app.get('/metrics', authenticate(options.access), async (_req, res) => {
    options.metrics.agentLinks.reset();
    for (const [state, count] of Object.entries(options.agents.counts()))
      options.metrics.agentLinks.set({ state }, count);
    res.type('text/plain').send(await options.metrics.text());
  });
  app.use((_req: Request, _res: Response, next: NextFunction) => {
    next(new ServiceError({ code: 'request.not-found', what: 'there is nothing at this address' }));
  });
  app.use((thrown: unknown, req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) {
      next(thrown);
      return;
    }
    const error = asBorderError(thrown);
    const status = httpStatus(error);
    if (status >= 500) options.log.error({ err: thrown, path: req.path }, 'admin request failed');
    const problems = 'problems' in error ? { problems: error.problems } : {};
    res.status(status).json({ error: { ...error.toJSON(), message: error.message, ...problems } });
  });
  return app;
}

/** What express, its body parser or zod object to is the caller's mistake, not ours. */
function asBorderError(thrown: unknown): ReturnType<typeof asCodedError> {
  if (thrown instanceof z.ZodError) {
    const what = thrown.issues
      .map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`)
      .join('; ');
    return new ServiceError({ code: 'request.invalid', what });
  }
  const status = thrown instanceof Error && 'status' in thrown ? thrown.status : undefined;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const type = 'type' in (thrown as Error) ? (thrown as Error & { readonly type: unknown }).type : null;
    const what =
      status === 413
        ? 'the body is too large'
        : type === 'entity.parse.failed'
          ? 'the body is not JSON'
          : 'the request cannot be read';
    return new ServiceError({ code: 'request.invalid', what });
  }
  // The client went away in the middle of its body: its own doing, and nobody is left to read the answer.
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ECONNRESET')
    return new ServiceError({ code: 'request.invalid', what: 'the body ended in the middle' });
  return asCodedError(thrown);
}

/** `res.locals` behind {@link authenticate}. */
type Authenticated = Response<unknown, { principal: Principal }>;

function authenticate(access: Access) {
  return async (req: Request, res: Authenticated, next: NextFunction): Promise<void> => {
    const token = /^Bearer ([\x21-\x7e]{1,512})$/.exec(req.get('authorization') ?? '')?.[1];
    if (!token)
      throw new ServiceError({
        code: 'request.unauthenticated',
        what: 'no bearer token',
        remedy: 'send Authorization: Bearer TOKEN',
      });
    const principal = await access.authenticate(token);
    const reading = req.method === 'GET' || req.method === 'HEAD';
    if (!reading && principal.role !== 'admin' && principal.role !== 'operator') {
      throw new ServiceError({ code: 'request.forbidden', what: `the role ${principal.role} may only read` });
    }
    res.locals.principal = principal;
    next();
  };
}

function routes(options: AdminAppOptions): Router {
  const { access, images, machines, operations, racks, storage, clock } = options;
  const router = express.Router();
  const json = express.json({ limit: bodyLimit, strict: true });

  const requester = (res: Authenticated, reason: string): Requester => ({
    principal: res.locals.principal.name,
    door: 'admin',
    reason,
  });
  const show = async (machine: Machine): Promise<JsonObject> =>
    storage.run(async (tx) =>
      machineView(
        machine,
        await tx.claims.find(machine.id),
        await tx.deployments.current(machine.id),
        await tx.journal.active(machine.id),
      ),
    );
  /** Begins an operation, or, with `?plan=1`, tells what it would do. */
  const command = async (req: Request, res: Authenticated, request: OperationRequest): Promise<void> => {
    if (req.query['plan'] === '1') {
      res.json({ plan: await operations.plan(request) });
      return;
    }
    const submitted = await operations.submit(request);
    if (submitted.operation)
      res.status(202).json({ operation: operationView(submitted.operation), joined: submitted.joined });
    else res.json({ operation: null, already: submitted.already });
  };
  const param = (req: Request, name: string): string => String(req.params[name]);
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

  // Machines
  router.get('/machines', async (_req, res) => {
    const rows = await storage.run(async (tx) => {
      const claims = new Map((await tx.claims.list()).map((claim) => [claim.machineId, claim]));
      const deployments = new Map(
        (await tx.deployments.listCurrent()).map((deployment) => [deployment.machineId, deployment]),
      );
      const active = new Map(
        (await tx.journal.listActive()).map((operation) => [operation.machineId, operation]),
      );
      return (await tx.machines.list()).map((machine) =>
        machineView(
          machine,
          claims.get(machine.id) ?? null,
          deployments.get(machine.id) ?? null,
          active.get(machine.id) ?? null,
        ),
      );
    });
    res.json({ machines: rows });
  });
  router.post('/machines', json, async (req, res) => {
    const machine = await machines.enrol(message.enrolMessage.parse(req.body));
    res.status(201).json({ machine: await show(machine) });
  });
  router.get('/machines/:name', async (req, res) => {
    res.json({ machine: await show(await machines.find(param(req, 'name'))) });
  });
  router.delete('/machines/:name', async (req, res) => {
    await machines.forget((await machines.find(param(req, 'name'))).id);
    res.status(204).end();
  });
  router.get('/machines/:name/ports', async (req, res) => {
    const machine = await machines.find(param(req, 'name'));
    const [wiring, records] = await Promise.all([
      options.ports.wiring(machine),
      storage.run((tx) => tx.ports.ofMachine(machine.id)),
    ]);
    res.json({
      wiring: wiring.map(({ mac, switch: at, port }) => ({ mac, switch: at, port })),
      ports: records.map(portView),
    });
  });
  router.post('/machines/:name/commission', json, async (req, res: Authenticated) => {
    const { grade, reason } = message.commissionMessage.parse(req.body ?? {});
    const { id } = await machines.find(param(req, 'name'));
    await command(req, res, {
      kind: 'commission',
      machineId: id,
      requester: requester(res, reason),
      grade: grade ?? operations.defaultGrade,
    });
  });
  router.post('/machines/:name/erase', json, async (req, res: Authenticated) => {
    const { grade, reason } = message.eraseMessage.parse(req.body ?? {});
    const { id } = await machines.find(param(req, 'name'));
    await command(req, res, {
      kind: 'erase',
      machineId: id,
      requester: requester(res, reason),
      grade: grade ?? provable(operations.defaultGrade),
    });
  });
  router.post('/machines/:name/start', json, async (req, res: Authenticated) => {
    const { reason, hostname, ...order } = message.startMessage.parse(req.body);
    const machine = await machines.find(param(req, 'name'));
    await command(req, res, {
      kind: 'start',
      machineId: machine.id,
      requester: requester(res, reason),
      owner: res.locals.principal.name,
      hostname: hostname ?? machine.hostname,
      ...order,
    });
  });
  router.post('/machines/:name/stop', json, async (req, res: Authenticated) => {
    const { force, reason } = message.stopMessage.parse(req.body ?? {});
    const machine = await machines.find(param(req, 'name'));
    await command(req, res, {
      kind: 'stop',
      machineId: machine.id,
      requester: requester(res, reason),
      externalId: await heldBy(machine),
      force,
    });
  });
  router.post('/machines/:name/reboot', json, async (req, res: Authenticated) => {
    const { reason } = message.reasonMessage.parse(req.body ?? {});
    const machine = await machines.find(param(req, 'name'));
    const externalId = await heldBy(machine);
    await command(req, res, {
      kind: 'reboot',
      machineId: machine.id,
      requester: requester(res, reason),
      externalId,
    });
  });
  for (const kind of ['plug-nic', 'unplug-nic'] as const) {
    router.post(`/machines/:name/${kind}`, json, async (req, res: Authenticated) => {
      const { reason, ...nic } = message.nicMessage.parse(req.body);
      const machine = await machines.find(param(req, 'name'));
      const externalId = await heldBy(machine);
      await command(req, res, {
        kind,
        machineId: machine.id,
        requester: requester(res, reason),
        externalId,
        ...nic,
      });
    });
  }
  router.post('/machines/:name/destroy', json, async (req, res: Authenticated) => {
    const { grade, reason } = message.releaseMessage.parse(req.body ?? {});
    const machine = await machines.find(param(req, 'name'));
    await command(req, res, {
      kind: 'destroy',
      machineId: machine.id,
      requester: requester(res, reason),
      externalId: await heldBy(machine),
      grade,
    });
  });
  router.post('/machines/:name/quarantine', json, async (req, res: Authenticated) => {
    const { reason } = message.reasonMessage.parse(req.body ?? {});
    const { id } = await machines.find(param(req, 'name'));
    res.json({ machine: await show(await machines.quarantine(id, requester(res, reason))) });
  });
  router.delete('/machines/:name/quarantine', async (req, res) => {
    const { id } = await machines.find(param(req, 'name'));
    res.json({ machine: await show(await machines.lift(id)) });
  });

  // Operations
  router.get('/operations', async (req, res) => {
    const machine =
      typeof req.query['machine'] === 'string' ? await machines.find(req.query['machine']) : null;
    const activeStates: readonly OperationState[] = ['running', 'undoing'];
    const filter = {
      ...(machine && { machineId: machine.id }),
      ...(req.query['active'] === '1' && { states: activeStates }),
      limit: 200,
    };
    res.json({ operations: (await storage.run((tx) => tx.journal.list(filter))).map(operationView) });
  });
  router.get('/operations/:id', async (req, res) => {
    const id = param(req, 'id');
    const [operation, steps] = await storage.run(
      async (tx) => [await tx.journal.find(id), await tx.journal.steps(id)] as const,
    );
    if (!operation)
      throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
    res.json({ operation: operationView(operation), steps: steps.map(stepView) });
  });
  router.get('/operations/:id/follow', async (req, res) => followOperation(options, param(req, 'id'), res));
  router.post('/operations/:id/cancel', json, async (req, res: Authenticated) => {
    const { reason } = message.reasonMessage.parse(req.body ?? {});
    await operations.cancel(param(req, 'id'), requester(res, reason));
    res.status(202).json({});
  });
  router.post('/operations/:id/retry', json, async (req, res: Authenticated) => {
    const { reason } = message.reasonMessage.parse(req.body ?? {});
    await command(req, res, await operations.requestOf(param(req, 'id'), requester(res, reason)));
  });

  // Rack config and switches
  const text = express.text({ type: () => true, limit: rackLimit });
  router.get('/rack-config', async (_req, res) => {
    const config = await storage.run((tx) => tx.racks.configText());
    if (config === null)
      throw new ServiceError({ code: 'request.not-found', what: 'no rack config was uploaded yet' });
    const [switches, wires] = await storage.run(
      async (tx) => [await tx.racks.switches(), await tx.racks.wires()] as const,
    );
    res.json({ switches: switches.map(switchView), wires });
  });
  router.put('/rack-config', text, async (req, res) => {
    res.json(await racks.upload(bodyText(req)));
  });
  router.post('/rack-config/check', text, (req, res) => {
    const { switches, wires, warnings } = racks.check(bodyText(req));
    res.json({ switches: switches.length, wires: wires.length, warnings });
  });
  router.get('/switches', async (_req, res) => {
    res.json({ switches: (await storage.run((tx) => tx.racks.switches())).map(switchView) });
  });
  router.get('/ports', async (_req, res) => {
    res.json({ ports: (await storage.run((tx) => tx.ports.list())).map(portView) });
  });

  // Images
  router.get('/images', async (_req, res) => {
    res.json({ images: await images.list() });
  });
  router.post('/images', async (req, res) => {
    const query = message.imageQuery.parse(req.query);
    const aliases = query.alias === undefined ? [] : [query.alias].flat();
    // Nothing moves on the connection while a large image is being measured.
    req.socket.setTimeout(measuringTimeout);
    const image = await images.add(
      {
        name: query.name,
        canBond: query.canBond === 'true',
        firstBoot: query.firstBoot,
        aliases,
        rawBytes: query.rawBytes,
      },
      // A refusal in the middle must not destroy the request: its answer goes over the same connection.
      req.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    );
    res.status(201).json({ image });
  });
  router.delete('/images/:name', async (req, res) => {
    await images.remove(param(req, 'name'));
    res.status(204).end();
  });

  // The native engine's provisioning network
  router.get('/native/leases', async (_req, res) => {
    const leases = (await options.provisioning?.leases()) ?? [];
    const owners = new Map(
      (await machines.list()).flatMap((machine) =>
        machineMacs(machine).map((mac) => [mac, { id: machine.id, hostname: machine.hostname }]),
      ),
    );
    const rows = leases.map((lease) => ({ ...lease, machine: owners.get(lease.mac) ?? null }));
    res.json({ provisioning: provisioningState(options), leases: rows });
  });

  // Access, alarms, links
  router.use('/principals', (_req, res: Authenticated, next) => {
    if (res.locals.principal.role !== 'admin')
      throw new ServiceError({
        code: 'request.forbidden',
        what: 'only an administrator may see or change principals',
      });
    next();
  });
  router.get('/principals', async (_req, res) => {
    res.json({ principals: (await access.list()).map(principalView) });
  });
  router.post('/principals', json, async (req, res) => {
    const { name, role, scope } = message.principalMessage.parse(req.body);
    res.status(201).json({ name, role, scope, token: await access.create(name, role, scope) });
  });
  router.delete('/principals/:name', async (req, res) => {
    await access.revoke(param(req, 'name'));
    res.status(204).end();
  });
  router.get('/alarms', async (_req, res) => {
    res.json({ alarms: await storage.run((tx) => tx.alarms.list(200)) });
  });
  router.get('/health', async (_req, res) => {
    const switches = await storage.run((tx) => tx.racks.switches());
    const withheld = (await machines.list()).filter((machine) => machine.quarantine !== null);
    res.json({
      version: options.version,
      now: clock.now(),
      activeOperations: operations.active,
      agentLinks: options.agents.statuses(),
      provisioning: provisioningState(options),
      unsavedSwitches: switches
        .filter((at) => at.unsavedSince !== null)
        .map((at) => ({ name: at.name, since: at.unsavedSince })),
      quarantined: withheld.map(({ id, hostname, quarantine }) => ({ id, hostname, ...quarantine! })),
    });
  });
  return router;
}

function provisioningState({ provisioning }: AdminAppOptions): object {
  return provisioning?.status ?? { state: 'off' };
}

function bodyText(req: Request): string {
  const body: unknown = req.body;
  if (typeof body === 'string') return body;
  throw new ServiceError({
    code: 'request.invalid',
    what: 'the body is empty',
    remedy: 'send the rack config as the body',
  });
}

/** An erase without a grade is none: quick is the least there is. */
function provable(grade: EraseGrade): Exclude<EraseGrade, 'none'> {
  return grade === 'none' ? 'quick' : grade;
}
