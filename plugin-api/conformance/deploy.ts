import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { DeviceError } from '../device-error.ts';
import type { DeployEngine, PhaseOrder } from '../deploy.ts';
import type { TestFramework } from './switch.ts';

/** One deploy engine, and a place where it can work: real or simulated. */
export interface EngineFixture {
  readonly engine: DeployEngine;
  /** A machine that may be commissioned, installed and erased, in this order. The `tags` name no other order. */
  order(phase: PhaseOrder['phase'], id: string): PhaseOrder;
  /** How often the place was told to begin with such a phase, known without the engine. */
  begun(phase: PhaseOrder['phase']): number;
  /** The machine does what it was ordered to, and ends it well. */
  succeed(order: PhaseOrder): Promise<void>;
  /** Texts that must not show anywhere. */
  readonly secrets: readonly string[];
  stop(): Promise<void>;
}

/**
 * What operations rely on in every deploy engine: an order is begun once however often it is placed, its end is told with
 * evidence, it can be taken back twice, and a plan changes nothing.
 */
export function deployConformance(
  { describe, it }: TestFramework,
  name: string,
  open: () => Promise<EngineFixture>,
): void {
  describe(`deploy engine conformance: ${name}`, () => {
    const using = (body: (fixture: EngineFixture) => Promise<void>) => async (): Promise<void> => {
      const fixture = await open();
      try {
        await body(fixture);
      } finally {
        await fixture.stop();
      }
    };

    it(
      'has images with names of their own',
      using(async ({ engine }) => {
        const names = (await engine.images()).map((image) => image.name);
        ok(names.length > 0, 'the fixture must have an image');
        deepEqual([...new Set(names)], names);
      }),
    );

    it(
      'knows nothing of an order that was not placed, and takes it back nevertheless',
      using(async ({ engine }) => {
        equal(await engine.progress('conformance:none'), null);
        await engine.withdraw('conformance:none');
      }),
    );

    it(
      'goes through all phases: each is begun once, and ends with evidence',
      using(async (fixture) => {
        const { engine } = fixture;
        for (const phase of ['commission', 'deploy', 'erase'] as const) {
          const order = fixture.order(phase, `conformance:${phase}`);
          const lines = await engine.plan(order);
          ok(lines.length > 0, `a plan of ${phase}`);
          for (const secret of fixture.secrets) ok(!lines.join('\n').includes(secret), 'a secret in a plan');
          equal(fixture.begun(phase), 0, 'a plan changes nothing');
          await engine.begin(order);
          await engine.begin(order);
          equal(fixture.begun(phase), 1, `${phase} begun once`);
          const waiting = await engine.progress(order.id);
          ok(waiting && ['waiting', 'running'].includes(waiting.state), `${phase}: ${waiting?.state}`);
          await fixture.succeed(order);
          const done = await ended(engine, order.id);
          equal(done.state, 'done', done.error?.said ?? '');
          ok(done.evidence && done.evidence.summary !== '', `evidence of ${phase}`);
          for (const secret of fixture.secrets)
            ok(!JSON.stringify(done).includes(secret), 'a secret in evidence');
          if (phase === 'commission') ok(done.inventory && done.inventory.nics.length > 0, 'an inventory');
        }
      }),
    );

    it(
      'takes an order back, twice',
      using(async (fixture) => {
        const { engine } = fixture;
        const order = fixture.order('commission', 'conformance:withdrawn');
        await engine.begin(order);
        await engine.withdraw(order.id);
        await engine.withdraw(order.id);
        const after = await engine.progress(order.id);
        ok(after === null || after.state === 'failed', 'nobody waits for it any more');
      }),
    );

    it(
      'refuses an image that it does not have',
      using(async (fixture) => {
        const { engine } = fixture;
        const commission = fixture.order('commission', 'conformance:first');
        await engine.begin(commission);
        await fixture.succeed(commission);
        const order = { ...fixture.order('deploy', 'conformance:odd'), image: 'no-such-image' } as PhaseOrder;
        await rejects(
          engine.begin(order),
          (error) => error instanceof DeviceError && error.code === 'deploy.image-unknown',
        );
        equal(fixture.begun('deploy'), 0);
      }),
    );
  });
}

/** Asks until it is over; an engine may answer from what it heard a moment ago. */
async function ended(
  engine: DeployEngine,
  orderId: string,
): Promise<NonNullable<Awaited<ReturnType<DeployEngine['progress']>>>> {
  const until = performance.now() + 10_000;
  for (;;) {
    const progress = await engine.progress(orderId);
    ok(progress, 'the order is known until it is withdrawn');
    if (progress.state === 'done' || progress.state === 'failed' || performance.now() > until)
      return progress;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
