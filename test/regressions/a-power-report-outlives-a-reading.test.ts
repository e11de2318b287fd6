import assert from 'node:assert/strict';
import { powerSection } from '../../src/config/section/power.ts';

// With readings rarer than reports are believed, CloudStack was told of no power most of the time.
it('a configuration whose power reports are too old before they are read again is refused', () => {
  assert.ok(powerSection.safeParse({ pollInterval: '5m', reportMaxAge: '8m' }).success);
  const refused = powerSection.safeParse({ pollInterval: '5m' });
  assert.deepEqual(
    refused.error?.issues.map(({ path }) => path),
    [['reportMaxAge']],
  );
});
