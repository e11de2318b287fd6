import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rackConfigJsonSchema } from '../../rack-config/index.ts';

describe('rack config JSON Schema', () => {
  it('is published as the code has it', () => {
    const published = readFileSync(
      new URL('../../rack-config/rack-config.schema.json', import.meta.url),
      'utf8',
    );
    assert.deepEqual(
      JSON.parse(published),
      JSON.parse(JSON.stringify(rackConfigJsonSchema())),
      'run: node --import tsx rack-config/write-json-schema.ts && npx prettier --write rack-config',
    );
  });

  it("requires CloudStack's keys and none of ours", () => {
    const schema = JSON.stringify(rackConfigJsonSchema());
    const required = Array.from(schema.matchAll(/"required":(\[[^\]]*\])/g), (match) => match[1]);
    assert.deepEqual(
      new Set(required),
      new Set([
        '["racks"]',
        '["l2Switch","hosts"]',
        '["ip","username","password","type"]',
        '["mac","port"]',
        '["vlan"]',
        '["name"]',
      ]),
    );
  });
});
