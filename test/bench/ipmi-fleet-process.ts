import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { minutes } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { fleetAddress } from './fleet-address.ts';
import { fleetHostIsOn } from './ipmi-fleet.ts';

/** Many simulated BMCs in a process of their own: arguments are their number, and of how many one is dead (0 = none). */
const [count = 0, deadEvery = 0] = process.argv.slice(2).map(Number);
const clock = new SystemClock();
for (let i = 0; i < count; i += 1) {
  const dead = deadEvery > 0 && i % deadEvery === 0;
  const bmc = new LabBmc({
    host: new StandaloneHost({ clock, power: fleetHostIsOn(i) ? 'on' : 'off' }),
    clock,
    behaviours: { dead },
    traits: { sessionTimeout: minutes(1) },
  });
  await bmc.listen(623, fleetAddress(i));
}
process.send?.('ready');
process.once('message', () => process.exit(0));
process.once('disconnect', () => process.exit(0));
