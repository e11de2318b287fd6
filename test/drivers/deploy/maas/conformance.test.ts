import { describe, it } from 'mocha';
import { deployConformance } from '../../../../plugin-api/conformance/deploy.ts';
import { status } from '../../../../src/drivers/deploy/maas/maas-shapes.ts';
import { bmcPassword, commissionOrder, deployOrder, engineFor, eraseOrder } from './engine-fixture.ts';
import { ScriptedMaas, tokenSecret } from './scripted-maas.ts';

deployConformance({ describe, it }, 'maas', async () => {
  const maas = await ScriptedMaas.start();
  const machine = maas.add({ status: status.new });
  const { engine } = engineFor(maas.url);
  const ops = { commission: 'commission', deploy: 'deploy', erase: 'release' } as const;
  return {
    engine,
    secrets: [tokenSecret, bmcPassword],
    order: (phase, id) =>
      phase === 'commission'
        ? commissionOrder({ id })
        : phase === 'deploy'
          ? deployOrder({ id })
          : eraseOrder({ id }),
    begun: (phase) => maas.calls.filter(({ op }) => op === ops[phase]).length,
    succeed: async ({ phase }) => {
      if (phase === 'commission') machine.status = status.ready;
      else if (phase === 'deploy') Object.assign(machine, { status: status.deployed, power_state: 'off' });
      else maas.released(machine);
    },
    stop: () => maas.stop(),
  };
});
