import { z } from 'zod';
import { passedOn } from '../setting.ts';

export const deploySection = z.strictObject({
  maas: passedOn(
    'Upstream MAAS installations that install machines, by name; `default` is the engine `maas`, any other name the engine `maas:<name>`. Keys are in docs/engine-maas.md',
  ),
});
