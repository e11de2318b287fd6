import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { os9PortId } from '../../plugin-api/index.ts';
import { parseRackConfig, rackConfigJsonSchema } from '../../rack-config/index.ts';

const page = readFileSync(new URL('../../docs/rack-config.md', import.meta.url), 'utf8');
const types = new Map([
  ['Force10', { type: 'Force10', defaultTransport: 'ssh', transports: { ssh: 22 }, parsePort: os9PortId }],
]);

describe('docs/rack-config.md', () => {
  it('shows an example that is accepted without a warning', () => {
    const example = /```json\n([^]*?)```/.exec(page)?.[1];
    assert.ok(example);
    assert.deepEqual(parseRackConfig(example, types).warnings, []);
  });

  it('names every key of the schema', () => {
    const keys = Array.from(
      JSON.stringify(rackConfigJsonSchema()).matchAll(
        /"properties":\{|[{,]"(\w+)":\{"(?:description|type|anyOf)/g,
      ),
      (match) => match[1],
    ).filter((key) => key !== undefined && !['items', 'properties', 'not'].includes(key));
    assert.ok(keys.length > 20);
    for (const key of new Set(keys)) assert.match(page, new RegExp(`["\`]${key}["\`]`), key);
  });

  it('shows error texts as the reader writes them', () => {
    const host = { mac: '52:54:00:aa:00:01', port: '1/1' };
    const rack = (type: string, ip: string): object => ({
      l2Switch: { ip, username: 'u', password: 'p', type },
      hosts: [host],
    });
    const text = JSON.stringify(
      { racks: [rack('force10', '192.0.2.1'), rack('Force10', '192.0.2.2')] },
      null,
      2,
    );
    assert.throws(
      () => parseRackConfig(text, types),
      (thrown) => {
        // Lines and columns depend on the file; the rest of each listed problem is on the page.
        const listed = (thrown as Error).message.split('\n').filter((line) => line.startsWith('  line '));
        assert.equal(listed.length, 2);
        const bare = (line: string): string => line.replaceAll(/line \d+(, column \d+)?/g, '');
        for (const line of listed) assert.ok(bare(page).includes(bare(line)), line);
        return true;
      },
    );
  });
});
