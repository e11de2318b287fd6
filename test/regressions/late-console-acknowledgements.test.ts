import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { milliseconds, Secret } from '../../plugin-api/index.ts';
import { SolConsole } from '../../src/drivers/power/ipmi/sol-console.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { decodeSolPacket, type SolPacket } from '../../src/wire/rmcp/sol-packet.ts';

/**
 * What was typed is numbered 1 to 15, then 1 again. An acknowledgement that the network held back for fifteen packets was taken for
 * that of the new packet with its number: if that one was lost, what was typed was lost.
 */
describe('regression: an acknowledgement of the console that comes late', () => {
  it('does not stand for a later packet with the same number', async () => {
    const sent: SolPacket[] = [];
    const console = new SolConsole({
      target: { host: '192.0.2.1', port: 623, username: 'u', password: new Secret('p'), minSuite: 17 },
      clock: new ManualClock(),
      settings: { retryAfter: milliseconds(500), tries: 3, refusals: 3 },
      activation: { toBmc: 64, fromBmc: 64, port: 623 },
      send: (payload) => void sent.push(decodeSolPacket(payload)),
      leave: async () => undefined,
    });
    let order = 0;
    const acknowledge = (acknowledged: number, at: number): void =>
      console.hear({ sequence: 0, acknowledged, accepted: 1, flags: 0, characters: Buffer.alloc(0) }, at);
    // The BMC acknowledges the first packet twice; the first of the two is held back by the network.
    const heldBack = (order += 1);
    for (let i = 0; i < 15; i += 1) {
      const writing = console.write(Buffer.from('x'));
      await turn();
      acknowledge(sent.at(-1)!.sequence, (order += 1));
      await writing;
    }
    let taken = false;
    const writing = console.write(Buffer.from('y')).then(() => (taken = true));
    await turn();
    assert.equal(sent.at(-1)!.sequence, 1);
    acknowledge(1, heldBack);
    await turn();
    assert.equal(taken, false, 'not acknowledged yet');
    acknowledge(1, order + 1);
    await writing;
    await console.close();
  });
});
