import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import { z } from 'zod';
import { seconds, type Duration } from '../../../plugin-api/index.ts';
import type { RateLimit } from '../../kernel/concurrency/rate-limit.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { ByteBudget } from '../../kernel/net/byte-budget.ts';
import { Queries } from '../../operations/queries.ts';
import { authenticate, errorAnswer, mount } from './mount.ts';
import { openApi } from './openapi.ts';
import { route, type Route } from './route.ts';
import { apiKeyRoutes } from './routes/api-keys.ts';
import { bmcRoutes } from './routes/bmc.ts';
import { cloudstackRoutes } from './routes/cloudstack.ts';
import { v1, type RouteContext } from './routes/context.ts';
import { imageRoutes } from './routes/images.ts';
import { machineRoutes } from './routes/machines.ts';
import { operationRoutes } from './routes/operations.ts';
import { poolRoutes } from './routes/pools.ts';
import { principalRoutes } from './routes/principals.ts';
import { instanceRoutes } from './routes/instances.ts';
import { quarantineRoutes } from './routes/quarantines.ts';
import { rackRoutes } from './routes/racks.ts';
import { restorePaths, restoreRoutes } from './routes/restore.ts';
import { serviceRoutes } from './routes/service.ts';
import { surveyRoutes } from './routes/survey.ts';
import { timelineRoutes } from './routes/timeline.ts';

export interface AdminAppOptions extends Omit<RouteContext, 'queries'> {
  /** Until the body of a request must be there; images have their own pace (default 60 s). */
  readonly bodyTimeout?: Duration;
  /** Memory for all bodies that are being read, besides images. */
  readonly bodyBudget?: ByteBudget;
  /** Of each principal; absent = as many as it likes. */
  readonly requests?: RateLimit;
}

/** Everything but rack configs and images is small. */
const bodyBytes = 256 * 1024;

/** The admin API: what `csbm` and dashboards speak. Bearer tokens; `?plan=1` asks any command for its plan instead. */
export function adminApp(options: AdminAppOptions): Express {
  const { access, log, bodyTimeout = seconds(60), bodyBudget: budget, requests } = options;
  const app = express();
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  app.use(helmet());
  const body = { bytes: bodyBytes, timeout: bodyTimeout, budget };
  mount(app, adminRoutes(options), { access, log, body, requests, refuse: refusal(options) });
  // Whoever has no token learns nothing of what there is.
  app.use(v1, async (req: Request, _res: Response, next: NextFunction) => {
    await authenticate(access, req);
    next();
  });
  app.use((_req: Request, _res: Response, next: NextFunction) => {
    next(new ServiceError({ code: 'request.not-found', what: 'there is nothing at this address' }));
  });
  app.use(errorAnswer(log));
  return app;
}

/** While a restored database waits to be accepted, one can look, and accept it. */
function refusal({ restore }: Pick<AdminAppOptions, 'restore'>): (route: Route) => void {
  const open: readonly string[] = Object.values(restorePaths);
  return ({ method, path }) => {
    if (method !== 'get' && !open.includes(path)) restore.refuse();
  };
}

/** Every address of the API, its own description among them. */
export function adminRoutes(options: AdminAppOptions): readonly Route[] {
  const context: RouteContext = { ...options, queries: new Queries(options.storage) };
  const routes: Route[] = [
    ...serviceRoutes(context),
    ...surveyRoutes(context),
    ...restoreRoutes(context),
    ...machineRoutes(context),
    ...timelineRoutes(context),
    ...bmcRoutes(context),
    ...operationRoutes(context),
    ...rackRoutes(context),
    ...quarantineRoutes(context),
    ...instanceRoutes(context),
    ...imageRoutes(context),
    ...poolRoutes(context),
    ...principalRoutes(context),
    ...apiKeyRoutes(context),
    ...cloudstackRoutes(context),
  ];
  let document: object | undefined;
  routes.push(
    route({
      method: 'get',
      path: '/openapi.json',
      summary: 'This document',
      action: null,
      answers: { 200: z.looseObject({ openapi: z.string() }) },
      handle: () => ({ status: 200, body: (document ??= openApi(routes, options.version)) }),
    }),
  );
  return routes;
}
