import { z } from 'zod';
import { duration, wholeNumber } from '../setting.ts';

const scaledNote = '`timings.scale` divides it';

export const quarantineSection = z.strictObject({
  bmcFailures: wholeNumber(
    'A BMC that cannot be read so often in a row, for bmcDead, is put into quarantine',
    5,
    1,
    1_000,
  ),
  bmcDead: duration(`See bmcFailures; a BMC that refuses the login is there at once. ${scaledNote}`, '10m'),
  portFailures: wholeNumber(
    'A port that was not read back as desired so often within portWithin is put into quarantine',
    5,
    1,
    1_000,
  ),
  portWithin: duration(`See portFailures. ${scaledNote}`, '1h'),
  switchFailures: wholeNumber(
    'A switch that cannot be opened, read or saved so often in a row, for switchDead, is put into quarantine',
    3,
    1,
    1_000,
  ),
  switchDead: duration(`See switchFailures. ${scaledNote}`, '2m'),
  checkInterval: duration(
    `Pause before a switch is looked at again, to lift its quarantine or that of its ports; doubles with each look that does not, and with each time that it was in quarantine. ${scaledNote}`,
    '1m',
  ),
  longestPause: duration(`The longest such pause. ${scaledNote}`, '15m'),
});
