import assert from 'node:assert/strict';
import { startCommand } from '../../../lab/management-server/commands.ts';
import type { Stage } from '../../../lab/demo/stage.ts';
import type { FindingView, SurveyView } from '../../../src/cli/admin/api-types.ts';
import { csbm, type Ended } from '../../cli/run-csbm.ts';
import { localStage } from '../../support/local-stage.ts';
import { until } from '../../support/until.ts';

describe('csbm doctor on the floor', function () {
  this.timeout(120_000);
  let stage: Stage;
  let close: () => Promise<void>;

  before(async () => {
    ({ stage, close } = await localStage({ machines: 3, timings: { deployStalled: '14m' } }));
  });

  after(() => close());

  function run(...more: string[]): Promise<Ended> {
    return csbm(['doctor', '--url', stage.service.adminUrl, '--token-file', stage.tokenFile, ...more]);
  }

  async function doctor(
    ...more: string[]
  ): Promise<Ended & { readonly report: SurveyView & { ok: boolean } }> {
    const ran = await run('--json', ...more);
    return { ...ran, report: JSON.parse(ran.out) as SurveyView & { ok: boolean } };
  }

  const named = (findings: readonly FindingView[]): string[] =>
    findings.map(({ code, where }) => `${code}: ${where.replace(/ \(.*\)$/, '')}`).sort();

  it('finds nothing on a healthy floor, though it asks every device', async () => {
    const { code, err, report } = await doctor();
    assert.deepEqual(report.findings, []);
    assert.equal(code, 0);
    assert.deepEqual([report.ok, report.bmcs, report.switches], [true, 3, 2]);
    assert.match(err, /5 of 5 read/);
  });

  it('names a dead BMC, an edited switch, a failing save and a stuck deploy, and nothing else', async () => {
    const { floor } = stage;
    const [first, second] = floor.switches;
    second!.behaviours.on(/^write memory$/, { do: 'fail-save' }, { times: Number.POSITIVE_INFINITY });
    const [started] = await stage.cloud.send(await stage.host('server-1'), [
      startCommand(stage.instance('i-2-1-VM')),
    ]);
    assert.equal(started!.result, true, started!.details ?? '');
    floor.find('server-3').machine.behaviours.add({ kind: 'hangs', at: 'agent' });
    const stuck = stage.cloud.send(await stage.host('server-3'), [startCommand(stage.instance('i-2-3-VM'))]);
    stuck.catch(() => undefined);
    floor.find('server-2').bmc.behave({ dead: true });
    first!.model.removeUntagged(200, floor.find('server-1').machine.nics[0]!.place.port, 'a colleague');
    const expected = [
      'bmc.unreachable: BMC of server-2',
      'operation.late: server-3, start ID',
      'port.drifted: port tor-1 TenGigabitEthernet 1/1',
      'switch.unsaved: switch tor-2',
    ];
    let found: string[] = [];
    let last: Awaited<ReturnType<typeof doctor>> | undefined;
    await until(async () => {
      last = await doctor();
      found = named(last.report.findings).map((line) => line.replace(/op-\S+/, 'ID'));
      return (
        found.some((line) => line.startsWith('operation.late')) &&
        found.some((line) => line.startsWith('switch.unsaved'))
      );
    }, 'the deploy to be late').catch((error: unknown) => {
      assert.deepEqual(found, expected, String(error));
    });
    assert.deepEqual(found, expected);
    assert.equal(last!.code, 1);
    const people = await run('--quick');
    assert.equal(people.code, 1);
    assert.match(
      people.out,
      /! switch tor-2: changes work, but are not saved.*\n.*since: .*\n.*it said: [^]*to do: /,
    );
    const [edited] = floor.table()[0]!.ports;
    assert.deepEqual([edited!.native, edited!.up], [1, true], 'a doctor only looks');
  });
});
